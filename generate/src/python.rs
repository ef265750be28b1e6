//! Python: the native module's methods and results, its typings, and the dataclasses of results.

mod native;
mod stub;

use anyhow::Result;

use crate::description::{Method, Parameter, Surface};
use crate::files::File;
use crate::template::render;

const LANGUAGE: &str = "python";

/// The generated files.
///
/// # Errors
/// If Python has no conversion for a type.
pub fn files(surface: &Surface) -> Result<Vec<File>> {
    let native = render("native.rs", include_str!("../templates/python/native.rs"), native::context(surface)?)?;
    let typings = stub::context(surface)?;
    let stub = render("_native.pyi", include_str!("../templates/python/_native.pyi"), &typings)?;
    let fields = render("fields.py", include_str!("../templates/python/fields.py"), &typings)?;
    let results = render("results.py", include_str!("../templates/python/results.py"), &typings)?;
    Ok(vec![
        File::new("bindings-python/src/store/generated.rs", &native)?,
        File::new("bindings-python/python/streamkeep/_native.pyi", &stub)?,
        File::new("bindings-python/python/streamkeep/fields.py", &fields)?,
        File::new("bindings-python/python/streamkeep/results.py", &results)?,
    ])
}

/// What the native method takes: the arguments, then the options. A callback stays in Python.
fn parameters(method: &Method) -> impl Iterator<Item = &Parameter> {
    let stays = |option: &&Parameter| !option.kind.is("callback");
    method.arguments.iter().chain(method.options(LANGUAGE).filter(stays))
}

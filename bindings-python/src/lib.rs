//! The native module of the Python package `streamkeep`: it converts the arguments, calls core, and converts the
//! result. It is private; users see `python/streamkeep`.

mod bridge;
mod convert;
mod cursor;
mod engine;
mod error;
mod log;
mod socket;
mod store;

use pyo3::panic::PanicException;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::bridge::{Bridge, Call, run};
use crate::cursor::Cursor;
use crate::engine::Engine;
use crate::error::Result;
use crate::store::{Store, open};

/// Returns the 16 bytes of a new event id.
#[pyfunction]
fn new_id(py: Python<'_>) -> Bound<'_, PyBytes> {
    PyBytes::new(py, streamkeep::new_id().as_bytes())
}

/// Stops the runtime. The hook for the interpreter's end.
#[pyfunction]
fn stop(py: Python<'_>) {
    Engine::stop(py);
}

/// Panics inside an operation, so that tests see how a bug is reported.
#[pyfunction]
fn panic_inside<'py>(py: Python<'py>, bridge: Option<&Bound<'py, Bridge>>) -> PyResult<Bound<'py, PyAny>> {
    let engine = Engine::current(py)?;
    #[expect(clippy::panic, reason = "the function exists to panic")]
    let panicking = async { if true { panic!("asked to") } else { Result::Ok(()) } };
    run(py, bridge, &engine, panicking, |py, ()| Ok(py.None()))
}

#[pymodule]
fn _native(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let py = module.py();
    error::prepare(py)?;
    log::prepare(py)?;
    // Made now for the same reason: the first use of a class makes its type, under a lock.
    let _ = py.get_type::<PanicException>();
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    module.add_class::<Store>()?;
    module.add_class::<Cursor>()?;
    module.add_class::<Bridge>()?;
    module.add_class::<Call>()?;
    module.add_function(wrap_pyfunction!(open, module)?)?;
    module.add_function(wrap_pyfunction!(new_id, module)?)?;
    module.add_function(wrap_pyfunction!(stop, module)?)?;
    module.add_function(wrap_pyfunction!(panic_inside, module)?)
}

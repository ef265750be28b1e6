//! Checks the layers of core in its sources: a module imports only modules below it, so there is no cycle.
//!
//! `docs/architecture.md` shows the same layers. To move a module, change [`LAYERS`].

use std::collections::BTreeSet;
use std::path::Path;

use libtest_mimic::Trial;
use syn::visit::Visit;

use crate::harness::TESTS;
use crate::suite::alone;

/// The layers from the top down. A module imports modules of lower layers, and modules to the right of it in its own
/// layer.
const LAYERS: &[(&str, &[&str])] = &[
    ("handle", &["store"]),
    ("loops", &["subscription", "read", "snapshot", "pull"]),
    ("open", &["handle", "database", "namespace"]),
    ("machinery", &["tail", "engine", "append_queue", "hints", "window"]),
    ("scheme table", &["url"]),
    ("backends", &["backend::memory", "backend::sqlite", "backend::postgres", "backend::mongodb"]),
    ("traits", &["backend"]),
    ("shared writes", &["combiner"]),
    ("messages", &["plan", "decision", "request", "deadline", "diagnosis", "format"]),
    ("vocabulary", &["options", "query", "value", "event", "id", "stream", "error", "version", "position", "limits"]),
    ("per process", &["per_process"]),
    ("switches", &["faults"]),
];

/// Imports that the layers forbid, with the reason why each is permitted.
const EXCEPTIONS: &[(&str, &str, &str)] = &[
    ("backend", "backend::memory", "declares the backends as its submodules"),
    ("backend", "backend::sqlite", "declares the backends as its submodules"),
    ("backend", "backend::postgres", "declares the backends as its submodules"),
    ("backend", "backend::mongodb", "declares the backends as its submodules"),
];

/// The checks.
pub fn trials() -> Vec<Trial> {
    vec![
        alone("architecture: a module of core imports only what is below it", each_import_goes_down),
        alone("architecture: an import that goes up is found", an_import_that_goes_up_is_found),
        alone("architecture: the page draws the layers that are checked", the_page_draws_the_layers),
    ]
}

/// The index of a module in [`LAYERS`]: a larger one is further down.
fn rank(module: &str) -> Option<usize> {
    LAYERS.iter().flat_map(|(_, modules)| *modules).position(|found| *found == module)
}

/// The importing module, the imported one, and the file.
type Imports = BTreeSet<(String, String, String)>;

fn each_import_goes_down() -> Result<(), String> {
    let wrong = wrong(&imports()?);
    if wrong.is_empty() {
        Ok(())
    } else {
        Err(format!("{}\n\nThe layers, from the top down:\n{}", wrong.join("\n"), order()))
    }
}

fn wrong(imports: &Imports) -> Vec<String> {
    imports
        .iter()
        .filter(|(from, to, _)| !EXCEPTIONS.iter().any(|(up, down, _)| up == from && down == to))
        .filter_map(|(from, to, file)| match (rank(from), rank(to)) {
            (Some(from), Some(to)) if from < to => None,
            (Some(_), Some(_)) => Some(format!("{file}: {from} imports {to}, which is above it or beside it")),
            (None, _) => Some(format!("{file}: module {from} has no layer")),
            (_, None) => Some(format!("{file}: module {to}, imported by {from}, has no layer")),
        })
        .collect()
}

fn order() -> String {
    LAYERS.iter().map(|(layer, modules)| format!("  {layer:<14}{}\n", modules.join("  "))).collect()
}

fn an_import_that_goes_up_is_found() -> Result<(), String> {
    let upward = BTreeSet::from([("decision".to_owned(), "store".to_owned(), "decision.rs".to_owned())]);
    let across = BTreeSet::from([("backend::sqlite".to_owned(), "backend::memory".to_owned(), "x.rs".to_owned())]);
    let unknown = BTreeSet::from([("elsewhere".to_owned(), "error".to_owned(), "elsewhere.rs".to_owned())]);
    let found = [upward, across, unknown].iter().all(|imports| wrong(imports).len() == 1);
    let read =
        in_source("use crate::{error::Error, store};\nfn f() { crate::url::read(); super::engine::run() }", &["read"]);
    let expected: BTreeSet<Vec<String>> = [&["error", "Error"][..], &["store"], &["url", "read"], &["engine", "run"]]
        .iter()
        .map(|path| path.iter().map(|&part| part.to_owned()).collect())
        .collect();
    if !found {
        return Err("an import that the layers forbid must be found".to_owned());
    }
    let read = read?;
    if read == expected { Ok(()) } else { Err(format!("paths read: {read:?}, expected: {expected:?}")) }
}

fn the_page_draws_the_layers() -> Result<(), String> {
    let page = TESTS.join("../docs/architecture.md");
    let text = std::fs::read_to_string(&page).map_err(|error| format!("{}: {error}", page.display()))?;
    if text.contains(&order()) { Ok(()) } else { Err(format!("docs/architecture.md does not have:\n{}", order())) }
}

/// Every import between modules of core.
fn imports() -> Result<Imports, String> {
    let mut imports = Imports::new();
    for (name, path, text) in sources("")? {
        for target in in_source(&text, &parts(&path))? {
            let (from, to) = (module(&parts(&path)), module(&target));
            if let (Some(from), Some(to)) = (from, to)
                && from != to
            {
                imports.insert((from, to, name.clone()));
            }
        }
    }
    Ok(imports)
}

/// The sources of core below a folder: path, module path with slashes, text.
fn sources(folder: &str) -> Result<Vec<(String, String, String)>, String> {
    let root = TESTS.join("../core/src");
    let mut found = Vec::new();
    collect(&root, &root.join(folder), &mut found)?;
    Ok(found)
}

fn collect(root: &Path, folder: &Path, found: &mut Vec<(String, String, String)>) -> Result<(), String> {
    let unread = |error: std::io::Error| format!("{}: {error}", folder.display());
    for entry in std::fs::read_dir(folder).map_err(unread)? {
        let path = entry.map_err(unread)?.path();
        if path.is_dir() {
            collect(root, &path, found)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let name = path.strip_prefix(root).map_err(|error| error.to_string())?.display().to_string();
            let module = name.trim_end_matches(".rs").trim_end_matches("/mod").to_owned();
            let test = module.ends_with("tests");
            if module != "lib" && !test {
                found.push((name, module, std::fs::read_to_string(&path).map_err(unread)?));
            }
        }
    }
    Ok(())
}

fn parts(path: &str) -> Vec<&str> {
    path.split('/').collect()
}

/// The module of a path in core: each backend is a module, and every other path belongs to its first part.
fn module<S: AsRef<str>>(path: &[S]) -> Option<String> {
    let first = path.first()?.as_ref();
    match path.get(1).map(AsRef::as_ref) {
        Some(second @ ("memory" | "sqlite" | "postgres" | "mongodb")) if first == "backend" => {
            Some(format!("backend::{second}"))
        }
        // The name of a crate, not of a module.
        _ if rank(first).is_none() && first.starts_with(char::is_uppercase) => None,
        _ => Some(first.to_owned()),
    }
}

/// Every path below the crate in a source, in `use` and inline, without its unit tests.
fn in_source(text: &str, own: &[&str]) -> Result<BTreeSet<Vec<String>>, String> {
    let file = syn::parse_file(text).map_err(|error| format!("{}: {error}", own.join("/")))?;
    let mut paths = Paths { own, found: BTreeSet::new() };
    paths.visit_file(&file);
    Ok(paths.found)
}

struct Paths<'a> {
    own: &'a [&'a str],
    found: BTreeSet<Vec<String>>,
}

impl Paths<'_> {
    /// Takes a path that begins with `crate` or `super`.
    fn take(&mut self, path: &[String]) {
        let (start, rest) = match path.first().map(String::as_str) {
            Some("crate") => (Vec::new(), &path[1..]),
            Some("super") => {
                let ups = path.iter().take_while(|part| *part == "super").count();
                let kept = self.own.len().saturating_sub(ups);
                (self.own[..kept].iter().map(|&part| part.to_owned()).collect(), &path[ups..])
            }
            _ => return,
        };
        self.found.insert(start.into_iter().chain(rest.iter().cloned()).collect());
    }

    fn tree(&mut self, tree: &syn::UseTree, before: &[String]) {
        let with = |name: &syn::Ident| before.iter().cloned().chain([name.to_string()]).collect::<Vec<_>>();
        match tree {
            syn::UseTree::Path(path) => self.tree(&path.tree, &with(&path.ident)),
            syn::UseTree::Name(name) => self.take(&with(&name.ident)),
            syn::UseTree::Rename(rename) => self.take(&with(&rename.ident)),
            syn::UseTree::Glob(_) => self.take(before),
            syn::UseTree::Group(group) => group.items.iter().for_each(|item| self.tree(item, before)),
        }
    }
}

impl<'ast> Visit<'ast> for Paths<'_> {
    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        self.tree(&item.tree, &[]);
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let parts: Vec<String> = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        self.take(&parts);
        syn::visit::visit_path(self, path);
    }

    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        let test = item.attrs.iter().any(|attribute| {
            attribute.path().is_ident("cfg")
                && attribute.parse_args::<syn::Ident>().is_ok_and(|condition| condition == "test")
        });
        if !test {
            syn::visit::visit_item_mod(self, item);
        }
    }
}

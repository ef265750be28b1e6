//! Checks of the pages: quoted code is in its file, every link and anchor exists, README is short, and every rule that
//! a source names is a rule of the contract.

mod page;
mod rules_named;

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

use libtest_mimic::Trial;

use crate::harness::TESTS;
use crate::suite::alone;
use page::Page;

/// The most words of README outside code and tables, because it is a landing page.
const README_WORDS: usize = 900;

/// Pages that are shown outside the repository use these addresses for links to it.
const REPOSITORY: [&str; 2] =
    ["https://github.com/streamkeep/streamkeep/blob/main/", "https://github.com/streamkeep/streamkeep/tree/main/"];

/// Folders that have no pages or sources of this project.
const FOREIGN: [&str; 5] = ["target", "node_modules", "dist", "native", "__pycache__"];

/// The checks.
pub fn trials() -> Vec<Trial> {
    vec![
        alone("documents: quoted code is in the file that it is quoted from", quotes_are_current),
        alone("documents: README quotes every program that it shows", readme_quotes_its_programs),
        alone("documents: every link and anchor exists", links_exist),
        alone("documents: README has at most 900 words of prose", readme_is_short),
        alone("documents: a rule that a source names is a rule of the contract", rules_named::exist),
        alone("documents: faults in a page are found", faults_are_found),
    ]
}

/// The root of the repository.
fn root() -> PathBuf {
    normal(&TESTS.join(".."))
}

/// The path without `.` and `..`.
fn normal(path: &Path) -> PathBuf {
    let mut normal = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => {
                normal.pop();
            }
            Component::CurDir => {}
            part => normal.push(part),
        }
    }
    normal
}

fn read(path: &Path) -> Result<String, String> {
    std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))
}

/// The files below a folder that have one of the extensions.
fn files(folder: &Path, extensions: &[&str], found: &mut Vec<PathBuf>) -> Result<(), String> {
    let unread = |error: std::io::Error| format!("{}: {error}", folder.display());
    for entry in std::fs::read_dir(folder).map_err(unread)? {
        let path = entry.map_err(unread)?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if path.is_dir() {
            if !name.starts_with('.') && !FOREIGN.contains(&name) {
                files(&path, extensions, found)?;
            }
        } else if path.extension().is_some_and(|extension| extensions.iter().any(|wanted| extension == *wanted)) {
            found.push(path);
        }
    }
    Ok(())
}

/// Every page of the repository, by its path.
fn pages() -> Result<BTreeMap<PathBuf, Page>, String> {
    let mut found = Vec::new();
    files(&root(), &["md"], &mut found)?;
    found.into_iter().map(|path| Ok((path.clone(), Page::of(&read(&path)?)))).collect()
}

fn readme() -> Result<Page, String> {
    Ok(Page::of(&read(&root().join("README.md"))?))
}

fn outcome(wrong: &[String]) -> Result<(), String> {
    if wrong.is_empty() { Ok(()) } else { Err(wrong.join("\n")) }
}

fn quotes_are_current() -> Result<(), String> {
    let mut wrong = Vec::new();
    for (path, page) in pages()? {
        for quote in &page.quotes {
            let source = read(&root().join(&quote.source))?;
            if !quote.is_in(&source) {
                wrong.push(format!("{}: this is not in {}:\n{}", path.display(), quote.source, quote.code));
            }
        }
    }
    outcome(&wrong)
}

fn readme_quotes_its_programs() -> Result<(), String> {
    let loose = readme()?.loose_programs;
    let wrong: Vec<String> =
        loose.iter().map(|code| format!("README does not name the file of this code:\n{code}")).collect();
    outcome(&wrong)
}

fn links_exist() -> Result<(), String> {
    let pages = pages()?;
    let wrong = pages.iter().flat_map(|(path, page)| {
        page.links.iter().filter_map(|link| {
            let reason = broken(path, link, &pages)?;
            Some(format!("{}: {link}: {reason}", path.display()))
        })
    });
    outcome(&wrong.collect::<Vec<_>>())
}

/// Why a link of a page is broken.
fn broken(from: &Path, link: &str, pages: &BTreeMap<PathBuf, Page>) -> Option<&'static str> {
    let ours = REPOSITORY.iter().find_map(|address| link.strip_prefix(address));
    if ours.is_none() && (link.contains("://") || link.starts_with("mailto:")) {
        return None;
    }
    let (path, anchor) = ours.unwrap_or(link).split_once('#').unwrap_or((ours.unwrap_or(link), ""));
    let target = match (ours, path) {
        (_, "") => from.to_owned(),
        (Some(_), path) => root().join(path),
        (None, path) => normal(&from.parent().unwrap_or(from).join(path)),
    };
    if !pages.contains_key(&target) && !target.exists() {
        return Some("there is no such file");
    }
    let known = anchor.is_empty() || pages.get(&target).is_some_and(|page| page.anchors.contains(anchor));
    (!known).then_some("there is no such heading")
}

fn readme_is_short() -> Result<(), String> {
    let words = readme()?.words;
    if words <= README_WORDS { Ok(()) } else { Err(format!("README has {words} words, {README_WORDS} are allowed")) }
}

fn faults_are_found() -> Result<(), String> {
    let text = "# One\n\n## One\n\n[a](#one-1) [b](#two) [c](absent.md)\n\n<!-- quoted from x.py -->\n```python\nf()\n\
                g()\n```\n\n```ts\nf()\n```\n\n| not | counted |\n|---|---|\n| at | all |\n\nfive words, `and code`, more\n";
    let page = Page::of(text);
    let path = root().join("planted.md");
    let planted = BTreeMap::from([(path.clone(), Page::of(text))]);
    let broken: Vec<bool> = page.links.iter().map(|link| broken(&path, link, &planted).is_some()).collect();
    let quote = page.quotes.first().ok_or("the quote was not found")?;
    let current = [quote.is_in("if x:\n    f()\n    g()\n"), quote.is_in("f()\n  g()\n"), quote.is_in("f()\nh()\n")];
    let found = (broken, current, page.words, page.loose_programs.len());
    let expected = (vec![false, true, true], [true, false, false], 2 + 3 + 5, 1);
    if found == expected { Ok(()) } else { Err(format!("found {found:?}, expected {expected:?}")) }
}

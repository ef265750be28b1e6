//! Checks that a comment with "rule 4" or "contract §2" names a heading of the contract.

use std::collections::BTreeSet;

use super::{files, outcome, read, root};

/// The folders and extensions of sources.
const FOLDERS: [&str; 6] = ["core", "tests", "examples", "bindings-python", "bindings-node", "bindings-kotlin"];
const SOURCES: [&str; 8] = ["rs", "py", "pyi", "ts", "mts", "mjs", "kt", "java"];

pub(super) fn exist() -> Result<(), String> {
    let contract = read(&root().join("docs/contract.md"))?;
    let (rules, sections) = (headings(&contract, "#### Rule "), headings(&contract, "## "));
    if rules.is_empty() || sections.is_empty() {
        return Err("the contract has no rules or no sections".to_owned());
    }
    let mut sources = Vec::new();
    for folder in FOLDERS {
        files(&root().join(folder), &SOURCES, &mut sources)?;
    }
    let mut wrong = Vec::new();
    for path in sources {
        for (number, line) in read(&path)?.lines().enumerate() {
            let absent = named_rules(line).difference(&rules).next().is_some()
                || line.contains("contract") && numbers_after(line, "§").difference(&sections).next().is_some();
            if absent {
                wrong.push(format!("{}:{}: no such rule: {}", path.display(), number + 1, line.trim()));
            }
        }
    }
    let planted = named_rules(&["contract, ru", "les 3, 4 and 99; ru", "le 7"].concat());
    if planted != BTreeSet::from([3, 4, 7, 99]) {
        wrong.push(format!("a planted comment was read as {planted:?}"));
    }
    outcome(&wrong)
}

/// The numbers after a word at the start of a heading.
fn headings(contract: &str, word: &str) -> BTreeSet<u32> {
    contract.lines().filter_map(|line| leading_number(line.strip_prefix(word)?)).collect()
}

fn named_rules(line: &str) -> BTreeSet<u32> {
    let line = line.to_lowercase();
    numbers_after(&line, "rule ").into_iter().chain(numbers_after(&line, "rules ")).collect()
}

/// The numbers after each occurrence of a word: one, or several with commas, "and" or "to" between them.
fn numbers_after(line: &str, word: &str) -> BTreeSet<u32> {
    let mut found = BTreeSet::new();
    for (at, _) in line.match_indices(word) {
        let mut rest = &line[at + word.len()..];
        while let Some(number) = leading_number(rest) {
            found.insert(number);
            rest = rest.trim_start_matches(|c: char| c.is_ascii_digit());
            let next = [", ", " and ", " to "].iter().find_map(|between| rest.strip_prefix(between));
            rest = next.unwrap_or_default();
        }
    }
    found
}

fn leading_number(text: &str) -> Option<u32> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    text[..end].parse().ok()
}

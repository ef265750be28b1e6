//! Checks `rules.md`: each rule has cases or says `not yet`, and every case in it exists.

use std::collections::{BTreeMap, BTreeSet};

use libtest_mimic::Trial;

use crate::harness::TESTS;
use crate::suite::alone;
use crate::{behaviour, model, scenario, two_sessions, vectors};

/// The numbers of the rules of the contract.
const RULES: std::ops::RangeInclusive<u32> = 1..=28;
/// The section on values, which has no number.
const VALUES: &str = "§2";
const NOT_YET: &str = "not yet";

/// The checks.
pub fn trials() -> Vec<Trial> {
    vec![
        alone("rules: each rule of the contract has its cases, or says not yet", each_rule_has_cases),
        alone("rules: every case belongs to a rule", every_case_has_a_rule),
    ]
}

/// A row of the table.
#[derive(Debug, Default)]
struct Row {
    cases: BTreeSet<String>,
    not_yet: bool,
}

/// Rows are `| rule | what | cases |`, cases in backquotes.
fn table() -> Result<BTreeMap<String, Row>, String> {
    let text = std::fs::read_to_string(TESTS.join("rules.md")).map_err(|error| error.to_string())?;
    let mut table = BTreeMap::new();
    for line in text.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| rule")) {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let [rule, _, cases] = cells[..] else { return Err(format!("not a row of three cells: {line}")) };
        let quoted = cases.split('`').skip(1).step_by(2).map(str::to_owned).collect();
        let row = Row { cases: quoted, not_yet: cases.starts_with(NOT_YET) };
        if table.insert(rule.to_owned(), row).is_some() {
            return Err(format!("rule {rule} is listed twice"));
        }
    }
    Ok(table)
}

/// The cases that must have a rule.
fn cases() -> BTreeSet<String> {
    behaviour::cases().into_iter().chain(two_sessions::cases()).map(|case| case.name().to_owned()).collect()
}

/// Every case that a row can name.
fn known() -> BTreeSet<String> {
    let trials = [scenario::trials(), vectors::trials(), model::trials()].into_iter().flatten();
    let without_backend = trials.map(|trial| {
        trial.name().rsplit_once(" [").map_or_else(|| trial.name().to_owned(), |(name, _)| name.to_owned())
    });
    cases().into_iter().chain(without_backend).collect()
}

fn each_rule_has_cases() -> Result<(), String> {
    let (table, known) = (table()?, known());
    let expected: BTreeSet<String> = RULES.map(|rule| rule.to_string()).chain([VALUES.to_owned()]).collect();
    let given: BTreeSet<String> = table.keys().cloned().collect();
    let mut wrong: Vec<String> =
        expected.symmetric_difference(&given).map(|rule| format!("rule {rule} is missing or unknown")).collect();
    for (rule, row) in &table {
        match (row.not_yet, row.cases.is_empty()) {
            (false, true) => wrong.push(format!("rule {rule} has no case and does not say '{NOT_YET}'")),
            (true, false) => wrong.push(format!("rule {rule} says '{NOT_YET}' and has cases")),
            _ => {}
        }
        wrong.extend(row.cases.difference(&known).map(|case| format!("rule {rule}: there is no case '{case}'")));
    }
    if wrong.is_empty() { Ok(()) } else { Err(wrong.join("\n")) }
}

fn every_case_has_a_rule() -> Result<(), String> {
    let named: BTreeSet<String> = table()?.into_values().flat_map(|row| row.cases).collect();
    let cases = cases();
    let stray: Vec<&String> = cases.difference(&named).collect();
    if stray.is_empty() { Ok(()) } else { Err(format!("cases without a rule in rules.md: {stray:?}")) }
}

/// Checks the list of fault cases below the table: it names every case, and nothing else.
///
/// # Errors
/// If a case is missing, or a name is not a case.
pub fn check_faults(cases: &BTreeSet<String>) -> Result<(), String> {
    let text = std::fs::read_to_string(TESTS.join("rules.md")).map_err(|error| error.to_string())?;
    let listed = text.lines().filter(|line| line.starts_with("- "));
    let named: BTreeSet<String> =
        listed.flat_map(|line| line.split('`').skip(1).step_by(2)).map(str::to_owned).collect();
    let wrong: Vec<&String> = named.symmetric_difference(cases).collect();
    if wrong.is_empty() { Ok(()) } else { Err(format!("only in rules.md or only in the suite: {wrong:?}")) }
}

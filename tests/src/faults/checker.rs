//! Compares what the callers of a storm were told with the log at its end.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;

use uuid::Uuid;

use super::history::{Answer, Attempt, History, Received, Row};

/// How many findings of each kind are printed.
const PRINTED: usize = 3;
/// The longest printed finding, in characters.
const LINE: usize = 400;

/// What is wrong. Every count must be zero.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// Committed events that a subscriber did not get.
    pub missed: u64,
    /// Events that a subscriber got twice, or that are twice in the log.
    pub duplicated: u64,
    /// Events that came, or are in the log, before an event that they follow.
    pub reordered: u64,
    /// Acknowledged events that are not in the log.
    pub lost: u64,
    /// Everything else: wrong answers, half appends, gaps.
    pub untrue: u64,
    words: BTreeMap<&'static str, Vec<String>>,
}

impl Verdict {
    pub fn is_clean(&self) -> bool {
        self.missed + self.duplicated + self.reordered + self.lost + self.untrue == 0
    }

    /// Records a finding, and prints the first few of each kind.
    fn say(&mut self, kind: &'static str, words: &str) {
        let printed = self.words.entry(kind).or_default();
        if printed.len() < PRINTED {
            printed.push(words.chars().take(LINE).collect());
        }
    }

    fn untrue(&mut self, kind: &'static str, words: &str) {
        self.untrue += 1;
        self.say(kind, words);
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} missed, {} duplicated, {} reordered, {} lost, {} untrue",
            self.missed, self.duplicated, self.reordered, self.lost, self.untrue
        )?;
        self.words
            .iter()
            .flat_map(|(kind, printed)| printed.iter().map(move |words| (kind, words)))
            .try_for_each(|(kind, words)| write!(f, "\n  {kind}: {words}"))
    }
}

/// The log, indexed.
struct Log<'a> {
    rows: &'a [Row],
    by_id: HashMap<Uuid, &'a Row>,
    heads: HashMap<&'a str, u64>,
}

/// Checks a history against the log, whose rows are in the order of positions.
pub fn check_history(history: &History, log: &[Row]) -> Verdict {
    let mut verdict = Verdict::default();
    let log = index(log, &mut verdict);
    let mut named = HashSet::new();
    for attempt in &history.attempts {
        named.extend(attempt.ids.iter().copied());
        check_attempt(attempt, &log, &mut verdict);
    }
    for row in log.rows.iter().filter(|row| !named.contains(&row.id)) {
        verdict.untrue("unknown id", &format!("no caller appended {row:?}"));
    }
    for received in &history.received {
        check_received(received, &log, &mut verdict);
    }
    for heads in &history.heads {
        check_heads(heads, &log, &mut verdict);
    }
    for words in &history.wrong {
        verdict.untrue("during the storm", words);
    }
    verdict
}

/// Versions have no gaps and grow with positions, and no id is there twice.
fn index<'a>(rows: &'a [Row], verdict: &mut Verdict) -> Log<'a> {
    let mut log = Log { rows, by_id: HashMap::new(), heads: HashMap::new() };
    let mut last = 0;
    for row in rows {
        if row.position <= last {
            verdict.reordered += 1;
            verdict.say("log", &format!("position {} comes after {last}", row.position));
        }
        last = row.position;
        if log.by_id.insert(row.id, row).is_some() {
            verdict.duplicated += 1;
            verdict.say("id", &format!("the log has it twice: {row:?}"));
        }
        let head = log.heads.entry(&row.stream).or_default();
        if row.version <= *head {
            verdict.reordered += 1;
            verdict.say("order", &format!("{} has version {} after {head}", row.stream, row.version));
        } else if row.version != *head + 1 {
            verdict.untrue("gap", &format!("{} has version {} after {head}", row.stream, row.version));
        }
        *head = row.version.max(*head);
    }
    log
}

fn check_attempt(attempt: &Attempt, log: &Log<'_>, verdict: &mut Verdict) {
    let rows: Vec<&Row> = attempt.ids.iter().filter_map(|id| log.by_id.get(id).copied()).collect();
    match attempt.answer {
        Answer::Done { version, position } => {
            verdict.lost += (attempt.ids.len() - rows.len()) as u64;
            let last = rows.last().map_or((0, 0), |row| (row.version, row.position));
            if last.0 != version || position.is_some_and(|position| position != last.1) {
                verdict.untrue("answer", &format!("{attempt:?} is at version {}, position {}", last.0, last.1));
            }
        }
        Answer::Refused { actual } => {
            if !rows.is_empty() {
                verdict.untrue("refused", &format!("{attempt:?} is in the log: {:?}", rows[0]));
            }
            let head = log.heads.get(attempt.stream.as_str()).copied().unwrap_or_default();
            if actual.is_some_and(|actual| attempt.expected.holds(actual) || actual > head) {
                verdict.untrue("conflict", &format!("{attempt:?} is no conflict: the stream ends at {head}"));
            }
        }
        Answer::Unknown => {}
    }
    check_shape(attempt, &rows, verdict);
}

/// An append is whole or absent, in its stream, with consecutive versions from one that it expects.
fn check_shape(attempt: &Attempt, rows: &[&Row], verdict: &mut Verdict) {
    let Some(first) = rows.first() else { return };
    let in_line =
        rows.iter().zip(first.version..).all(|(row, version)| row.stream == attempt.stream && row.version == version);
    if rows.len() != attempt.ids.len() || !in_line {
        verdict.untrue("half", &format!("{attempt:?} is not whole: {rows:?}"));
    } else if !attempt.expected.holds(first.version - 1) {
        verdict.untrue("expected version", &format!("{attempt:?} was written at version {}", first.version));
    }
}

/// A subscriber's list is the log from its start to the end of the log: the same positions with the same events.
fn check_received(received: &Received, log: &Log<'_>, verdict: &mut Verdict) {
    let name = &received.name;
    let (earliest, latest) = received.start;
    let start = received.rows.first().map_or(latest, |row| latest.min(row.position - 1));
    let mut wanted: HashMap<u64, &Row> =
        log.rows.iter().filter(|row| row.position > start).map(|row| (row.position, row)).collect();
    let (mut last, mut seen) = (0, HashSet::new());
    for row in &received.rows {
        let truth = wanted.remove(&row.position);
        if !seen.insert(row.position) {
            verdict.duplicated += 1;
            verdict.say("twice", &format!("{name} got {row:?} twice"));
        } else if row.position <= last {
            verdict.reordered += 1;
            verdict.say("reordered", &format!("{name} got {row:?} after position {last}"));
        } else if truth.is_none_or(|truth| truth != row) || row.position <= earliest {
            verdict.untrue("received", &format!("{name} got {row:?}, the log has {truth:?}"));
        }
        last = last.max(row.position);
    }
    verdict.missed += wanted.len() as u64;
    let mut missed: Vec<_> = wanted.into_values().collect();
    missed.sort_unstable_by_key(|row| row.position);
    for row in missed.into_iter().take(PRINTED) {
        verdict.say("missed", &format!("{name} did not get {row:?}"));
    }
}

/// A head only grows, and is the position of an event in the log.
fn check_heads(heads: &[u64], log: &Log<'_>, verdict: &mut Verdict) {
    let positions: HashSet<u64> = log.rows.iter().map(|row| row.position).collect();
    for pair in heads.windows(2).filter(|pair| pair[0] > pair[1]) {
        verdict.reordered += 1;
        verdict.say("head", &format!("it fell from {} to {}", pair[0], pair[1]));
    }
    for head in heads.iter().filter(|head| **head != 0 && !positions.contains(head)) {
        verdict.untrue("head", &format!("it was {head}, which is the position of no event"));
    }
}

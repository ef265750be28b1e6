//! Appends a group: one state machine decides which appends to attempt next, and how.
//!
//! Appends that continue in the same way form a party. Each step makes one attempt for one party, answers what it can,
//! and forms new parties of the rest. In a lane, an append that waits for another transaction's lock or loses a race
//! leaves at once: its answer is [`Error::held_up`], and the queue sends it again apart (outside the lanes), where it
//! uses a share of the pool.

use std::time::Duration;

use backon::ExponentialBackoff;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{Instant, sleep_until, timeout_at};

use super::Postgres;
use super::attempt::{ANSWER_TIME, Attempt, FailedAttempt, Form, GATED_WAIT, Step, Turn};
use super::doubt::Doubt;
use super::error::{Class, Contended, Failure};
use super::facts::pauses;
use crate::error::{Error, Result};
use crate::request::{AppendRequest, AppendResult};

/// How long a group waits for a lock in its lane: longer than the commit of another store takes.
const LANE_WAIT: Duration = Duration::from_millis(50);
/// The same for a part of a group that met a lock, and for the first attempt apart.
const PART_WAIT: Duration = Duration::from_millis(10);
/// How long one attempt of an append apart waits for a lock. Between attempts, others can use its share of the pool.
const HELD_WAIT: Duration = Duration::from_millis(250);
/// How many parts of a group may meet locks before all that do so leave their lane: enough to find one append among 32.
const MOST_HELD_UP: u32 = 6;
/// How many lost races are retried before the gate is taken. Without the gate, an append could lose for ever.
const FREE_REPEATS: u32 = 2;

/// Limits the connections of appends that wait for locks, so that they never use the whole pool.
#[derive(Debug)]
pub(super) struct Share(Semaphore);

impl Share {
    pub(super) fn of(max_connections: u32) -> Self {
        Self(Semaphore::new(usize::try_from(max_connections / 4).unwrap_or(1).max(1)))
    }
}

/// How a group was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Route {
    Lane,
    /// Outside the lanes, with all waiting appends to contended streams.
    Together,
    /// Outside the lanes; all appends go to one stream.
    Apart,
}

/// Appends of a group that continue in the same way.
#[derive(Debug)]
struct Party {
    members: Vec<usize>,
    form: Form,
    wait: Duration,
    doubt: Doubt,
    end_first: bool,
    races: u32,
    not_before: Instant,
    pauses: ExponentialBackoff,
    /// Why the last attempt failed, for the answer at the deadline.
    failure: Option<Failure>,
}

impl Party {
    fn new(members: Vec<usize>, form: Form, wait: Duration) -> Self {
        Self {
            members,
            form,
            wait,
            doubt: Doubt::default(),
            end_first: false,
            races: 0,
            not_before: Instant::now(),
            pauses: pauses(),
            failure: None,
        }
    }

    /// A new party of some of these appends, which continues at once and in the same way.
    fn part(&self, members: Vec<usize>) -> Self {
        Self {
            doubt: self.doubt.clone(),
            races: self.races,
            failure: self.failure.clone(),
            ..Self::new(members, self.form, self.wait)
        }
    }

    /// The same appends in the careful form, after a pause.
    fn later(mut self) -> Self {
        self.form = Form::Careful;
        self.not_before = Instant::now() + self.pauses.next().unwrap_or(GATED_WAIT);
        self
    }
}

impl Postgres {
    /// Appends a group in a lane.
    pub(super) async fn append_group(&self, group: &[AppendRequest]) -> Vec<Result<AppendResult>> {
        let mut state = GroupState::new(self, group, Route::Lane);
        for place in self.hot.among(group) {
            state.answers[place] = Some(Err(Error::held_up()));
        }
        let members = (0..group.len()).filter(|place| state.answers[*place].is_none()).collect();
        state.parties.push(Party::new(members, Form::Plain, LANE_WAIT));
        state.run().await
    }

    /// Appends to contended streams together. The answer of an append that waits for another transaction's lock is
    /// [`Error::held_up`].
    pub(super) async fn append_together(&self, group: &[AppendRequest]) -> Vec<Result<AppendResult>> {
        let mut state = GroupState::new(self, group, Route::Together);
        state.parties.push(Party::new((0..group.len()).collect(), Form::Plain, GATED_WAIT));
        state.run().await
    }

    /// Appends a group to one stream, which may wait for locks of other transactions.
    pub(super) async fn append_alone(&self, group: &[AppendRequest]) -> Vec<Result<AppendResult>> {
        let mut state = GroupState::new(self, group, Route::Apart);
        state.parties.push(Party::new((0..group.len()).collect(), Form::Plain, PART_WAIT));
        state.run().await
    }
}

/// The state of one group: its answers so far, and its parties.
struct GroupState<'a> {
    postgres: &'a Postgres,
    group: &'a [AppendRequest],
    route: Route,
    answers: Vec<Option<Result<AppendResult>>>,
    parties: Vec<Party>,
    held_up: u32,
}

impl<'a> GroupState<'a> {
    fn new(postgres: &'a Postgres, group: &'a [AppendRequest], route: Route) -> Self {
        Self { postgres, group, route, answers: group.iter().map(|_| None).collect(), parties: Vec::new(), held_up: 0 }
    }

    async fn run(mut self) -> Vec<Result<AppendResult>> {
        while let Some(mut party) = self.next() {
            self.answer_late(&mut party);
            if party.members.is_empty() {
                continue;
            }
            // A timer rounds up to whole milliseconds, even for an instant that has passed.
            if party.not_before > Instant::now() {
                sleep_until(party.not_before).await;
            }
            let Some(_share) = self.share(&party).await else {
                // The deadline passed during the wait, so the next round answers its appends.
                party.not_before = self.deadline(&party);
                self.parties.push(party);
                continue;
            };
            let attempt = Attempt {
                requests: party.members.iter().map(|member| &self.group[*member]).collect(),
                form: party.form,
                turn: self.turn(&party),
                wait: party.wait,
                end_first: std::mem::take(&mut party.end_first),
            };
            match self.postgres.attempt(&attempt, &mut party.doubt).await {
                Ok(steps) => self.after_steps(party, steps),
                Err(failed) => self.after_failure(party, failed),
            }
        }
        let missing = || Err(Error::internal("an append of a group was not answered"));
        self.answers.into_iter().map(|answer| answer.unwrap_or_else(missing)).collect()
    }

    /// The party whose next attempt is soonest; of several, the first one.
    fn next(&mut self) -> Option<Party> {
        let soonest = self.parties.iter().enumerate().min_by_key(|(_, party)| party.not_before)?.0;
        Some(self.parties.remove(soonest))
    }

    /// Answers the appends of a party whose deadline is before the next attempt. After a failure, [`ANSWER_TIME`] is
    /// reserved for a clear answer.
    fn answer_late(&mut self, party: &mut Party) {
        let mut begin = party.not_before.max(Instant::now());
        if party.failure.is_some() {
            begin += ANSWER_TIME;
        }
        let (late, in_time): (Vec<_>, Vec<_>) =
            party.members.iter().copied().partition(|member| self.group[*member].deadline <= begin);
        party.members = in_time;
        for member in late {
            let failure = party.failure.clone().unwrap_or(Failure::Late);
            self.answers[member] = Some(Err(party.doubt.error(failure)));
        }
    }

    fn deadline(&self, party: &Party) -> Instant {
        party.members.iter().map(|member| self.group[*member].deadline).max().unwrap_or_else(Instant::now)
    }

    /// Apart, waits for a permit to use a connection. `None` if the deadline passes first.
    async fn share(&self, party: &Party) -> Option<Option<SemaphorePermit<'a>>> {
        let share = match self.route {
            Route::Lane | Route::Together => return Some(None),
            Route::Apart => &self.postgres.share.0,
        };
        let deadline = self.deadline(party);
        let limit = deadline.checked_sub(ANSWER_TIME).unwrap_or(deadline);
        timeout_at(limit, share.acquire()).await.ok().and_then(std::result::Result::ok).map(Some)
    }

    fn turn(&self, party: &Party) -> Turn {
        if party.races >= FREE_REPEATS {
            Turn::Gate
        } else if self.route == Route::Together || (self.route == Route::Apart && party.races > 0) {
            Turn::Streams
        } else {
            Turn::None
        }
    }

    fn after_steps(&mut self, party: Party, steps: Vec<Step>) {
        let (mut unwritten, mut again, mut raced) = (Vec::new(), Vec::new(), Vec::new());
        for (member, step) in party.members.iter().copied().zip(steps) {
            match step {
                Step::Answer(answer) => self.answers[member] = Some(answer),
                Step::Unwritten => unwritten.push(member),
                Step::Ended | Step::Again => again.push(member),
                Step::Raced => raced.push(member),
            }
        }
        if !unwritten.is_empty() {
            self.parties.push(Party { form: Form::Careful, ..party.part(unwritten) });
        }
        if !again.is_empty() {
            self.parties.push(party.part(again));
        }
        if !raced.is_empty() {
            let part = party.part(raced);
            self.lost(Party { pauses: party.pauses, ..part });
        }
    }

    fn after_failure(&mut self, mut party: Party, failed: FailedAttempt) {
        party.doubt.note(&failed);
        let failure = failed.failure;
        party.failure = Some(failure.clone());
        match failure.class() {
            Class::Unknown if matches!(failure, Failure::Late) => self.refuse(&party, &failure),
            Class::Final => match self.halves(&party) {
                Some(halves) if matches!(failure, Failure::Refused { .. }) && party.doubt.is_none() => {
                    self.parties.extend(halves);
                }
                _ => self.refuse(&party, &failure),
            },
            Class::HeldUp => self.held_up(party),
            Class::Race => self.raced(party, &failure),
            Class::Again | Class::Unknown | Class::Unreached => self.parties.push(party.later()),
        }
    }

    fn refuse(&mut self, party: &Party, failure: &Failure) {
        for member in &party.members {
            self.answers[*member] = Some(Err(party.doubt.error(failure.clone())));
        }
    }

    /// Answers the appends as held up, so that they hold up no others. Returns the party if it must stay: it is apart
    /// already, or an earlier attempt is in doubt, which only this state machine knows.
    fn leave(&mut self, party: Party) -> Option<Party> {
        if self.route == Route::Apart || !party.doubt.is_none() {
            return Some(party);
        }
        for member in &party.members {
            self.answers[*member] = Some(Err(Error::held_up()));
        }
        None
    }

    /// Reacts to a lock that blocks some appends of a party. Halving finds them, and the others continue at once.
    fn held_up(&mut self, mut party: Party) {
        self.held_up += 1;
        if self.route != Route::Apart
            && self.held_up < MOST_HELD_UP
            && let Some(mut halves) = self.halves(&party).filter(|[first, second]| self.apart(first, second))
        {
            halves.iter_mut().for_each(|half| half.wait = PART_WAIT);
            self.parties.extend(halves);
            return;
        }
        party.end_first = party.doubt.may_run();
        if let Some(mut party) = self.leave(party) {
            party.wait = HELD_WAIT;
            let form = party.form;
            self.parties.push(Party { form, ..party.later() });
        }
    }

    /// Reacts to a lost race. Only the append that lost takes the careful form; the others are retried at once.
    fn raced(&mut self, mut party: Party, failure: &Failure) {
        let contended = failure.contended();
        let is_loser = |member: &usize| {
            let request = &self.group[*member];
            match &contended {
                Some(Contended::Stream(stream)) => request.stream == *stream,
                Some(Contended::Id(id)) => request.events.iter().any(|event| event.id.to_string() == *id),
                None => false,
            }
        };
        let (losers, others): (Vec<_>, Vec<_>) = party.members.iter().copied().partition(is_loser);
        if losers.is_empty() {
            party.races += 1;
            self.parties.push(party.later());
            return;
        }
        let loser = party.part(losers);
        if !others.is_empty() {
            self.parties.push(party.part(others));
        }
        if matches!(contended, Some(Contended::Id(_))) {
            self.parties.push(Party { form: Form::Careful, ..loser });
        } else {
            self.lost(Party { pauses: party.pauses, ..loser });
        }
    }

    /// Sends appends that lost a race for their streams apart, where the stores take turns.
    fn lost(&mut self, mut party: Party) {
        for member in &party.members {
            self.postgres.hot.mark(&self.group[*member].stream);
        }
        party.races += 1;
        party.wait = GATED_WAIT;
        let stays = if self.route == Route::Lane { self.leave(party) } else { Some(party) };
        if let Some(party) = stays {
            self.parties.push(party.later());
        }
    }

    /// The halves of a party, if it has more than one member. If it has several streams, the appends of each stream
    /// stay together.
    fn halves(&self, party: &Party) -> Option<[Party; 2]> {
        let mut members = party.members.clone();
        members.sort_by(|a, b| (&self.group[*a].stream, a).cmp(&(&self.group[*b].stream, b)));
        let middle = members.len() / 2;
        let boundary = |place: &usize| self.group[members[*place - 1]].stream != self.group[members[*place]].stream;
        let place = (middle.max(1)..members.len()).find(boundary).or_else(|| (1..middle).rev().find(boundary));
        let second = members.split_off(place.unwrap_or(middle));
        (!members.is_empty()).then(|| [party.part(members), party.part(second)])
    }

    /// Whether two parties have no stream in common. Their members must be sorted by stream.
    fn apart(&self, first: &Party, second: &Party) -> bool {
        let stream = |member: Option<&usize>| member.map(|member| &self.group[*member].stream);
        stream(first.members.last()) != stream(second.members.first())
    }
}

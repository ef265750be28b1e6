//! Group commit: appends that wait at the same time are written together, and each gets its own answer.
//!
//! A lane sends one group of appends at a time. While all lanes are busy, appends wait, and a free lane sends them as
//! the next group. A stream is in flight in one group at a time. A group holds one append to it, or several that all
//! expect `any`, so that no answer in the group depends on another one. An append that another transaction holds up
//! leaves its lane, and is sent apart: in a task for its stream, which no lane waits for.

#[cfg(streamkeep_faults)]
mod bugs;

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::time::Instant;
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;

use crate::backend::EventBackend;
use crate::deadline::until;
use crate::error::{Error, Outcome, Result};
use crate::faults::{planted, point};
use crate::hints::Hints;
use crate::limits::{GROUP_BYTES, GROUP_EVENTS, WAITING_BYTES};
use crate::request::{AppendRequest, AppendResult};
use crate::version::ExpectedVersion;

/// The bytes that one permit of `Shared::room` stands for, so that the number of permits stays small.
const ROOM_UNIT_BYTES: usize = 1024;

/// Collects appends and sends them in groups.
#[derive(Clone, Debug)]
pub(crate) struct AppendQueue(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    backend: Arc<dyn EventBackend>,
    hints: Arc<Hints>,
    runtime: Handle,
    tasks: TaskTracker,
    room: Arc<Semaphore>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    waiting: VecDeque<Waiting>,
    next_ticket: u64,
    busy_lanes: usize,
    in_flight: HashSet<String>,
}

#[derive(Debug)]
struct Waiting {
    ticket: u64,
    request: AppendRequest,
    bytes: usize,
    answer: oneshot::Sender<Result<AppendResult>>,
    /// Held until the answer is given or the deadline has passed, because closing the handle waits for it.
    in_flight: Option<TaskTrackerToken>,
    /// Held until the answer is given, so that the bytes that wait or are in flight are bounded.
    _room: OwnedSemaphorePermit,
}

impl AppendQueue {
    pub(crate) fn new(backend: Arc<dyn EventBackend>, hints: Arc<Hints>, runtime: Handle, tasks: TaskTracker) -> Self {
        let room = Arc::new(Semaphore::new(WAITING_BYTES / ROOM_UNIT_BYTES));
        Self(Arc::new(Shared { backend, hints, runtime, tasks, room, state: Mutex::default() }))
    }

    /// Queues an append, and waits for its answer until its deadline.
    ///
    /// Dropping the future withdraws an append that still waits. One that was sent runs to its end. `begin` gives the
    /// token that closing waits for.
    pub(crate) async fn append(
        &self,
        request: AppendRequest,
        begin: impl FnOnce() -> Result<TaskTrackerToken> + Send,
    ) -> Result<AppendResult> {
        let deadline = request.deadline;
        #[cfg(streamkeep_faults)]
        if planted("queue-drops-sent") {
            let _in_flight = begin()?;
            return bugs::send_here(&self.0, request).await;
        }
        let bytes = request.events.iter().map(crate::event::Event::size_bytes).sum::<usize>() + request.stream.len();
        let units = u32::try_from(bytes.div_ceil(ROOM_UNIT_BYTES).max(1)).unwrap_or(u32::MAX);
        let room = until(&self.0.runtime, deadline, Arc::clone(&self.0.room).acquire_many_owned(units)).await;
        let Some(Ok(room)) = room else { return Err(late_in_queue()) };
        // Not before there is room: a caller that keeps this future without polling it would hold up the close for ever.
        let in_flight = begin()?;
        let (answer, answered) = oneshot::channel();
        let ticket =
            self.0.enter(|ticket| Waiting { ticket, request, bytes, answer, in_flight: Some(in_flight), _room: room });
        let place = Place { shared: &self.0, ticket };
        match until(&self.0.runtime, deadline, answered).await {
            Some(Ok(answer)) => answer,
            Some(Err(_)) => {
                Err(Error::internal("the task of an append ended without an answer").with_outcome(Outcome::Unknown))
            }
            None if place.withdraw() || planted("queue-denies-sent") => Err(late_in_queue()),
            None => {
                Err(Error::unavailable("the deadline passed after the append was sent").with_outcome(Outcome::Unknown))
            }
        }
    }
}

fn late_in_queue() -> Error {
    Error::unavailable("the deadline passed while the append waited in the queue")
}

/// An append's place in the queue. Dropping it withdraws the append if it was not sent.
struct Place<'a> {
    shared: &'a Shared,
    ticket: u64,
}

impl Place<'_> {
    fn withdraw(&self) -> bool {
        let mut state = self.shared.state();
        let place = state.waiting.iter().position(|waiting| waiting.ticket == self.ticket);
        place.and_then(|place| state.waiting.remove(place)).is_some()
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.withdraw();
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn enter(self: &Arc<Self>, waiting: impl FnOnce(u64) -> Waiting) -> u64 {
        let mut state = self.state();
        let ticket = state.next_ticket;
        state.next_ticket += 1;
        state.waiting.push_back(waiting(ticket));
        drop(state);
        self.start_lane();
        ticket
    }

    /// Starts a free lane, if there is one and an append can be sent.
    fn start_lane(self: &Arc<Self>) {
        let mut state = self.state();
        if state.busy_lanes == self.backend.lanes() {
            return;
        }
        let (group, late) = state.take_group();
        state.busy_lanes += usize::from(!group.is_empty());
        drop(state);
        drop(late);
        if !group.is_empty() {
            self.tasks.spawn_on(Arc::clone(self).run_lane(group), &self.runtime);
        }
    }

    /// Sends groups until no waiting append can be sent.
    async fn run_lane(self: Arc<Self>, mut group: Vec<Waiting>) {
        let mut lane = Lane { shared: &self, freed: false };
        loop {
            let sent = group.len();
            self.send(group).await;
            self.gather(sent).await;
            let mut state = self.state();
            let (next, late) = state.take_group();
            if next.is_empty() {
                // Under the same lock as `take_group`, so that no append is queued in between and finds the lane busy.
                state.busy_lanes -= 1;
                lane.freed = true;
            }
            drop(state);
            drop(late);
            if next.is_empty() {
                return;
            }
            group = next;
        }
    }

    /// Waits for the callers that were just answered to append again. Otherwise the next group would have only the
    /// first of them, and all others would wait for that group.
    async fn gather(&self, sent: usize) {
        let gathering = self.backend.gathering();
        let all_back = || sent < 2 || self.state().waiting.len() >= sent;
        // A caller that appends in a loop is back as soon as its task has run.
        for _ in 0..gathering.yields {
            if all_back() {
                return;
            }
            tokio::task::yield_now().await;
        }
        if !gathering.pause.is_zero() && !all_back() {
            tokio::time::sleep(gathering.pause).await;
        }
    }

    async fn send(self: &Arc<Self>, group: Vec<Waiting>) {
        let mut streams =
            Streams { shared: self, names: group.iter().map(|waiting| waiting.request.stream.clone()).collect() };
        let requests: Vec<AppendRequest> = group.iter().map(|waiting| waiting.request.clone()).collect();
        point("queue-before-send").await;
        let mut answers = self.backend.append(&requests).await;
        point("queue-before-answer").await;
        if planted("queue-mixes-answers") {
            answers.reverse();
        }
        // A repeated append can also be new to the readers of this store.
        if answers.iter().any(Result::is_ok) {
            self.hints.wake();
        }
        let mut held_up = Vec::new();
        for (waiting, answer) in group.into_iter().zip(answers) {
            if answer.as_ref().is_err_and(Error::is_held_up) {
                held_up.push(waiting);
                continue;
            }
            // The caller may be gone. The append is valid all the same.
            let _ = waiting.answer.send(answer);
        }
        streams.keep(&held_up);
        if planted("queue-keeps-streams") {
            streams.names.clear();
        }
        drop(streams);
        self.send_apart(held_up);
    }

    /// Sends appends that a lock or another writer holds up, with a task for each stream.
    fn send_apart(self: &Arc<Self>, held_up: Vec<Waiting>) {
        let mut streams: HashMap<String, Vec<Waiting>> = HashMap::new();
        for waiting in held_up {
            streams.entry(waiting.request.stream.clone()).or_default().push(waiting);
        }
        for (name, appends) in streams {
            let shared = Arc::clone(self);
            self.tasks.spawn_on(shared.send_stream(name, appends), &self.runtime);
        }
    }

    async fn send_stream(self: Arc<Self>, stream: String, appends: Vec<Waiting>) {
        let _apart = Apart { shared: &self, streams: Some(Streams { shared: &self, names: vec![stream] }) };
        let requests: Vec<AppendRequest> = appends.iter().map(|waiting| waiting.request.clone()).collect();
        let mut answers = self.backend.append_apart(&requests).await.into_iter();
        if answers.as_slice().iter().any(Result::is_ok) {
            self.hints.wake();
        }
        for waiting in appends {
            let missing = || Err(Error::internal("an append was not answered").with_outcome(Outcome::Unknown));
            // The caller may be gone.
            let _ = waiting.answer.send(answers.next().unwrap_or_else(missing));
        }
    }
}

/// A lane in use. It is freed even if the backend panics, so that the queue continues.
struct Lane<'a> {
    shared: &'a Arc<Shared>,
    freed: bool,
}

impl Drop for Lane<'_> {
    fn drop(&mut self) {
        if !self.freed {
            self.shared.state().busy_lanes -= 1;
            self.shared.start_lane();
        }
    }
}

/// A stream that is sent apart. When it is done, or the backend panics, the appends that wait for the stream are sent.
struct Apart<'a> {
    shared: &'a Arc<Shared>,
    streams: Option<Streams<'a>>,
}

impl Drop for Apart<'_> {
    fn drop(&mut self) {
        drop(self.streams.take());
        self.shared.start_lane();
    }
}

/// The streams of a group in flight.
struct Streams<'a> {
    shared: &'a Shared,
    names: Vec<String>,
}

impl Streams<'_> {
    /// Leaves the streams of these appends in flight, because they are sent apart.
    fn keep(&mut self, waiting: &[Waiting]) {
        self.names.retain(|name| waiting.iter().all(|waiting| waiting.request.stream != *name));
    }
}

impl Drop for Streams<'_> {
    fn drop(&mut self) {
        let mut state = self.shared.state();
        for name in &self.names {
            state.in_flight.remove(name);
        }
    }
}

impl State {
    /// Takes the appends that can be sent now, in the order they were queued: at most 1,000 events and 8 MiB, or one
    /// append. Also takes the tokens of those that are too late: their callers withdraw them, but may poll no more, and
    /// closing must not wait for that. Drop the tokens without the lock, because that wakes who closes.
    fn take_group(&mut self) -> (Vec<Waiting>, Vec<TaskTrackerToken>) {
        let (mut group, mut late, mut events, mut bytes) = (Vec::new(), Vec::new(), 0, 0);
        let mut only_any: HashMap<String, bool> = HashMap::new();
        let now = Instant::now();
        let mut place = 0;
        while let Some(waiting) = self.waiting.get_mut(place) {
            if waiting.answer.is_closed() || waiting.request.deadline <= now {
                // Its caller is gone, or is about to return that the deadline passed.
                late.extend(waiting.in_flight.take());
                place += 1;
                continue;
            }
            let any = waiting.request.expected == ExpectedVersion::Any;
            let fits_stream = !self.in_flight.contains(&waiting.request.stream)
                && only_any.get(&waiting.request.stream).is_none_or(|only_any| *only_any && any);
            if !fits_stream {
                place += 1;
                continue;
            }
            if !group.is_empty()
                && (events + waiting.request.events.len() > GROUP_EVENTS || bytes + waiting.bytes > GROUP_BYTES)
            {
                break;
            }
            events += waiting.request.events.len();
            bytes += waiting.bytes;
            only_any.insert(waiting.request.stream.clone(), any);
            group.extend(self.waiting.remove(place));
        }
        self.in_flight.extend(only_any.into_keys());
        (group, late)
    }
}

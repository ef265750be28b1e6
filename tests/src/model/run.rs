//! Runs a sequence on a store and on the oracle, and compares every answer.

use futures::TryStreamExt;
use proptest::sample::Index;
use streamkeep::{
    Direction, Error, ErrorKind, Event, EventStore, ExpectedVersion, ImportEvent, Payload, Query, ReadAllOptions,
    ReadOptions, ReadPageOptions, RecordedEvent, Snapshot,
};

use super::operation::{Change, Content, Expected, Operation, STREAMS};
use super::oracle::{Oracle, Refusal, means};
use crate::harness::Room;

type Checked = Result<(), String>;

struct Run {
    stores: Vec<EventStore>,
    oracle: Oracle,
    /// The positions of the oracle's events that were read so far.
    positions: Vec<u64>,
    /// Every append so far.
    appends: Vec<(String, Vec<Event>)>,
    imports: Vec<Vec<ImportEvent>>,
}

/// Runs a sequence. Returns the first difference, if there is one.
pub(super) async fn sequence(room: Room, operations: &[Operation]) -> Checked {
    let stores = vec![room.store().await, room.store().await];
    let mut run =
        Run { stores, oracle: Oracle::default(), positions: Vec::new(), appends: Vec::new(), imports: Vec::new() };
    for (place, operation) in operations.iter().enumerate() {
        run.operation(operation).await.map_err(|wrong| format!("operation {place}, {operation:?}: {wrong}"))?;
    }
    run.read_positions().await?;
    for store in run.stores {
        store.close().await.map_err(failed)?;
    }
    Ok(())
}

impl Run {
    async fn operation(&mut self, operation: &Operation) -> Checked {
        match operation {
            Operation::Append { stream, expected, contents } => {
                self.append(STREAMS[*stream], events(contents), expected).await
            }
            Operation::Again { which, change, expected } => self.append_again(which, change, expected).await,
            Operation::Import { stream, skip, contents } => self.import_new(STREAMS[*stream], *skip, contents).await,
            Operation::ImportAgain { which, change } => self.import_again(which, change).await,
            Operation::Read { stream, from_version, to_version, direction, limit } => {
                let to_version = to_version.unwrap_or(u64::MAX);
                self.read(
                    STREAMS[*stream],
                    ReadOptions {
                        from_version: *from_version,
                        to_version,
                        direction: *direction,
                        limit: *limit,
                        timeout: None,
                    },
                )
                .await
            }
            Operation::ReadAll { after, before, query, direction, limit } => {
                self.read_all(after.as_ref(), before.as_ref(), query, *direction, *limit).await
            }
            Operation::Pages { query, limit } => self.pages(query, *limit).await,
            Operation::SaveSnapshot { stream, version, schema, data } => {
                self.save_snapshot(STREAMS[*stream], *version, *schema, *data).await
            }
            Operation::LoadSnapshot { stream, schema, at_or_before } => {
                self.load_snapshot(STREAMS[*stream], *schema, *at_or_before).await
            }
            Operation::Head => self.head().await,
            Operation::OtherHandle => {
                self.stores.rotate_left(1);
                Ok(())
            }
        }
    }

    async fn append(&mut self, stream: &str, events: Vec<Event>, expected: &Expected) -> Checked {
        let expected = match expected {
            Expected::Any => ExpectedVersion::Any,
            Expected::NoStream => ExpectedVersion::NoStream,
            Expected::StreamExists => ExpectedVersion::StreamExists,
            Expected::Right => self.oracle.version(stream).into(),
            Expected::Wrong(by) => (self.oracle.version(stream) + 1 + by).into(),
        };
        self.appends.push((stream.to_owned(), events.clone()));
        let done = self.stores[0].append(stream, events.clone(), expected).await;
        let meant = self.oracle.append(stream, &events, expected);
        match (done, meant) {
            (Ok(done), Ok(meant)) => {
                let position = self.position(meant.index).await?;
                let meant_answer = (meant.version, position, meant.repeated);
                same("the answer", &meant_answer, &(done.version, done.position, done.repeated))
            }
            (done, meant) => same_refusal(done, meant),
        }
    }

    async fn append_again(&mut self, which: &Index, change: &Change, expected: &Expected) -> Checked {
        if self.appends.is_empty() {
            return Ok(());
        }
        let (mut stream, mut events) = which.get(&self.appends).clone();
        match change {
            Change::Nothing => {}
            Change::Stream(other) => stream = STREAMS[*other].to_owned(),
            Change::Data => events.last_mut().into_iter().for_each(|last| *last = changed(last.clone())),
            Change::Longer => events.push(Event::json_text("A", "1")),
            Change::Shorter => events.truncate(1),
        }
        self.append(&stream, events, expected).await
    }

    async fn import_new(&mut self, stream: &str, skip: Option<u64>, contents: &[Content]) -> Checked {
        let first = self.oracle.version(stream) + 1;
        let import = |(place, event)| ImportEvent {
            stream: stream.to_owned(),
            version: skip.map(|skip| first + skip + place),
            recorded_at: None,
            event,
        };
        let imports = (0..).zip(events(contents)).map(import).collect();
        self.import(imports).await
    }

    async fn import_again(&mut self, which: &Index, change: &Change) -> Checked {
        if self.imports.is_empty() {
            return Ok(());
        }
        let mut imports = which.get(&self.imports).clone();
        match change {
            Change::Nothing => {}
            Change::Stream(other) => imports.iter_mut().for_each(|import| import.stream = STREAMS[*other].to_owned()),
            Change::Data => imports.iter_mut().for_each(|import| import.event = changed(import.event.clone())),
            Change::Longer => imports.push(ImportEvent {
                stream: STREAMS[0].to_owned(),
                version: None,
                recorded_at: None,
                event: Event::json_text("A", "1"),
            }),
            Change::Shorter => imports.truncate(1),
        }
        self.import(imports).await
    }

    async fn import(&mut self, imports: Vec<ImportEvent>) -> Checked {
        self.imports.push(imports.clone());
        let done = self.stores[0].import_events(imports.clone()).await;
        match (done, self.oracle.import(&imports)) {
            (Ok(done), Ok(written)) => {
                same("the answer", &(written, imports.len() as u64 - written), &(done.imported, done.passed_over))
            }
            (done, meant) => same_refusal(done, meant),
        }
    }

    async fn read(&mut self, stream: &str, options: ReadOptions) -> Checked {
        let (from, to) = (options.from_version, options.to_version);
        let wanted = self.oracle.select(
            |_, recorded| recorded.stream == stream && (from..=to).contains(&recorded.version),
            options.direction,
            options.limit,
        );
        let read: Vec<RecordedEvent> = self.stores[0].read(stream, options).try_collect().await.map_err(failed)?;
        self.same_events(&wanted, &read)
    }

    async fn read_all(
        &mut self,
        after: Option<&Index>,
        before: Option<&Index>,
        query: &Query,
        direction: Direction,
        limit: Option<u64>,
    ) -> Checked {
        self.read_positions().await?;
        let place = |index: &Index| (!self.positions.is_empty()).then(|| *index.get(&self.positions));
        let (after, before) = (after.and_then(place).unwrap_or(0), before.and_then(place));
        let positions = &self.positions;
        let inside = |index: usize| positions[index] > after && before.is_none_or(|before| positions[index] < before);
        let wanted = self.oracle.select(|index, recorded| inside(index) && means(query, recorded), direction, limit);
        let options = ReadAllOptions { after, before, query: query.clone(), direction, limit, timeout: None };
        let read: Vec<RecordedEvent> = self.stores[0].read_all(options).try_collect().await.map_err(failed)?;
        self.same_events(&wanted, &read)
    }

    /// Reads everything that matches page by page.
    async fn pages(&mut self, query: &Query, limit: u64) -> Checked {
        self.read_positions().await?;
        let (mut after, mut read) = (0, Vec::new());
        loop {
            let options = ReadPageOptions { after, query: query.clone(), limit: Some(limit), timeout: None };
            let page = self.stores[0].read_page(options).await.map_err(failed)?;
            let committed = page.reached == 0 || self.positions.contains(&page.reached);
            if !committed
                || page.reached < after
                || page.events.len() as u64 > limit
                || (page.reached == after && !page.caught_up)
            {
                return Err(format!("a page after {after} reached {} with {} events", page.reached, page.events.len()));
            }
            after = page.reached;
            read.extend(page.events);
            if page.caught_up {
                break;
            }
        }
        same("the end", &self.positions.last().copied().unwrap_or(0), &after)?;
        let wanted = self.oracle.select(|_, recorded| means(query, recorded), Direction::Forward, None);
        self.same_events(&wanted, &read)
    }

    async fn save_snapshot(&mut self, stream: &str, version: u64, schema: bool, data: u32) -> Checked {
        let (schema, data) = (schema_name(schema), data.to_string());
        let snapshot = Snapshot {
            stream: stream.to_owned(),
            version,
            schema: schema.to_owned(),
            data: Payload::Json(data.clone()),
        };
        let saved = self.stores[0].save_snapshot(snapshot).await;
        match (saved, self.oracle.save_snapshot(stream, schema, version, data)) {
            (Ok(()), Ok(())) => Ok(()),
            (saved, meant) => same_refusal(saved, meant),
        }
    }

    async fn load_snapshot(&mut self, stream: &str, schema: bool, at_or_before: Option<u64>) -> Checked {
        let schema = schema_name(schema);
        let loaded = self.stores[0].load_snapshot(stream, schema, at_or_before).await.map_err(failed)?;
        let meant = self.oracle.load_snapshot(stream, schema, at_or_before.unwrap_or(u64::MAX));
        let loaded = loaded.map(|snapshot| (snapshot.version, snapshot.data.as_json().unwrap_or_default().to_owned()));
        same("the snapshot", &meant.map(|(version, data)| (version, data.clone())), &loaded)
    }

    async fn head(&mut self) -> Checked {
        self.read_positions().await?;
        let head = self.stores[0].head().await.map_err(failed)?;
        same("the head", &self.positions.last().copied().unwrap_or(0), &head)
    }

    async fn position(&mut self, index: usize) -> Result<u64, String> {
        self.read_positions().await?;
        Ok(self.positions[index])
    }

    /// Reads the whole log. It must equal the list, in order, and earlier events must keep their positions.
    async fn read_positions(&mut self) -> Checked {
        let read: Vec<RecordedEvent> =
            self.stores[0].read_all(ReadAllOptions::default()).try_collect().await.map_err(failed)?;
        self.same_events(&(0..self.oracle.log.len()).collect::<Vec<_>>(), &read)?;
        let positions: Vec<u64> = read.iter().map(|event| event.position).collect();
        if !positions.starts_with(&self.positions) || !positions.is_sorted_by(|a, b| a < b) {
            return Err(format!("positions {positions:?} after {:?}", self.positions));
        }
        self.positions = positions;
        Ok(())
    }

    fn same_events(&self, wanted: &[usize], read: &[RecordedEvent]) -> Checked {
        let brief = |stream: &str, version: u64, event_type: &str, data: &Payload, tags: &[String], id| {
            (stream.to_owned(), version, event_type.to_owned(), data.as_json().map(str::to_owned), tags.to_vec(), id)
        };
        let wanted: Vec<_> = wanted
            .iter()
            .map(|index| &self.oracle.log[*index])
            .map(|r| brief(&r.stream, r.version, &r.event.event_type, &r.event.data, &r.event.tags, r.event.id))
            .collect();
        let read: Vec<_> =
            read.iter().map(|r| brief(&r.stream, r.version, &r.event_type, &r.data, &r.tags, r.id)).collect();
        same("the events", &wanted, &read)
    }
}

fn schema_name(other: bool) -> &'static str {
    if other { "b" } else { "a" }
}

fn events(contents: &[Content]) -> Vec<Event> {
    contents
        .iter()
        .map(|content| Event::json_text(content.event_type, content.data.to_string()).with_tags(content.tags.clone()))
        .collect()
}

/// The same id with data that no event has.
fn changed(event: Event) -> Event {
    Event { data: Payload::Json("\"changed\"".to_owned()), ..event }
}

fn same<T: PartialEq + std::fmt::Debug>(what: &str, meant: &T, given: &T) -> Checked {
    if meant == given { Ok(()) } else { Err(format!("{what}: expected {meant:?}, got {given:?}")) }
}

fn same_refusal<T: std::fmt::Debug, M: std::fmt::Debug>(done: Result<T, Error>, meant: Result<M, Refusal>) -> Checked {
    let given = match &done {
        Ok(_) => None,
        Err(error) => match error.kind() {
            ErrorKind::Conflict { actual, .. } => Some(Refusal::Conflict { actual: *actual }),
            ErrorKind::DuplicateEvent { .. } => Some(Refusal::Duplicate),
            ErrorKind::InvalidArgument { .. } => Some(Refusal::InvalidArgument),
            _ => return Err(failed(error.clone())),
        },
    };
    match (given, &meant) {
        (Some(given), Err(meant)) if given == *meant => Ok(()),
        _ => Err(format!("expected {meant:?}, got {done:?}")),
    }
}

fn failed(error: Error) -> String {
    format!("failed: {error}")
}

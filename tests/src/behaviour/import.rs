//! Section 3: the times that an import accepts, and how they are read.

use streamkeep::ImportEvent;
use time::macros::datetime;
use time::{Duration, OffsetDateTime, UtcOffset};

use super::{event, log, refused, stream};
use crate::harness::Room;
use crate::suite::Case;

pub(super) fn cases() -> Vec<Case> {
    crate::cases![times_of_imports_are_in_the_years_1_to_9999, a_time_of_an_import_is_rounded_down_to_the_microsecond,]
}

const FIRST: OffsetDateTime = datetime!(0001-01-01 0:00 UTC);
const LAST: OffsetDateTime = datetime!(9999-12-31 23:59:59.999999 UTC);

fn recorded_at(time: OffsetDateTime) -> ImportEvent {
    ImportEvent { stream: "s".to_owned(), version: None, recorded_at: Some(time), event: event(1) }
}

async fn times_of_imports_are_in_the_years_1_to_9999(room: Room) {
    let store = room.store().await;
    let last_nanosecond = LAST + Duration::nanoseconds(999);
    let refused_times = [
        FIRST - Duration::NANOSECOND,
        datetime!(-9999-01-01 0:00 UTC),
        // In their own time zones these times are in the years 1 and 9999; in UTC they are not.
        datetime!(0001-01-01 0:59:59 +1),
        datetime!(9999-12-31 23:00 -1),
    ];
    for time in refused_times {
        let error = refused(store.import_events([recorded_at(LAST), recorded_at(time)]).await);
        assert_eq!(error.code(), "invalid-argument", "{time}: {error}");
    }
    assert!(log(&store).await.is_empty(), "every time is checked before the first write");
    let zoned =
        |time: OffsetDateTime, hours| time.to_offset(UtcOffset::from_hms(hours, 0, 0).expect("the offset is valid"));
    let taken = [FIRST, zoned(FIRST, 23), LAST, zoned(LAST, -23), last_nanosecond, datetime!(1999-12-31 23:59 UTC)];
    let imports: Vec<ImportEvent> = taken.into_iter().map(recorded_at).collect();
    store.import_events(imports.clone()).await.expect("the import commits");
    let times: Vec<OffsetDateTime> = stream(&store, "s").await.iter().map(|event| event.recorded_at).collect();
    assert_eq!(times, [FIRST, FIRST, LAST, LAST, LAST, datetime!(1999-12-31 23:59 UTC)]);
    assert!(times.iter().all(|time| time.offset().is_utc()));
    assert_eq!(store.import_events(imports).await.expect("the repeated import succeeds").passed_over, 6);
}

async fn a_time_of_an_import_is_rounded_down_to_the_microsecond(room: Room) {
    let store = room.store().await;
    // Databases count from 1970 or 2000: for earlier times, rounding towards that origin would round up.
    let times =
        [datetime!(1969-12-31 23:59:59 UTC), datetime!(1999-12-31 23:59:59 UTC), datetime!(2024-02-29 0:00 UTC)];
    let exact = |time: OffsetDateTime| time + Duration::nanoseconds(123_456_000);
    let imports: Vec<ImportEvent> =
        times.iter().map(|time| recorded_at(exact(*time) + Duration::nanoseconds(999))).collect();
    store.import_events(imports.clone()).await.expect("the import commits");
    let read: Vec<OffsetDateTime> = stream(&store, "s").await.iter().map(|event| event.recorded_at).collect();
    assert_eq!(read, times.map(exact));
    assert_eq!(store.import_events(imports.clone()).await.expect("the repeated import succeeds").passed_over, 3);
    // A time can be imported again as it was read; a microsecond less is a different time.
    let read_again = |time: OffsetDateTime| vec![ImportEvent { recorded_at: Some(time), ..imports[1].clone() }];
    assert_eq!(store.import_events(read_again(read[1])).await.expect("the import succeeds").passed_over, 1);
    let earlier = refused(store.import_events(read_again(read[1] - Duration::MICROSECOND)).await);
    assert_eq!(earlier.code(), "duplicate-event");
}

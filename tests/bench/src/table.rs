//! The table: the store compared with the raw driver, row by row.

use anyhow::Result;

use crate::face::Face;
use crate::figures::{Figure, median};
use crate::raw::Raw;
use crate::workload::Workload;

/// A row, with the figures on both sides of its ratio.
struct Row {
    name: String,
    unit: &'static str,
    raw: Vec<Figure>,
    store: Vec<Figure>,
}

/// Measures and prints the table.
pub(crate) async fn print(raw: &Raw, face: &Face, workload: &Workload, rounds: u32) -> Result<()> {
    let mut rows = rows(workload);
    // The first round warms up both sides and is not counted.
    for round in 0..=rounds {
        let figures = figures(raw, face, workload, round).await?;
        if round > 0 {
            for (row, (raw, store)) in rows.iter_mut().zip(figures) {
                row.raw.push(raw);
                row.store.push(store);
            }
        }
    }
    println!("| row | unit | raw | store | store / raw |\n|---|---|---|---|---|");
    for Row { name, unit, raw, store } in &rows {
        let ((raw, raw_spread), (store, store_spread)) = (median(raw), median(store));
        println!(
            "| {name} | {unit} | {raw:.0} ±{raw_spread:.0} % | {store:.0} ±{store_spread:.0} % | {:.2} |",
            store / raw
        );
    }
    Ok(())
}

fn rows(workload: &Workload) -> [Row; 7] {
    let row = |name: String, unit| Row { name, unit, raw: Vec::new(), store: Vec::new() };
    let Workload { callers, batch_events, long_stream_events, log_events, beside_raw, .. } = workload;
    [
        row("one event, one caller".to_owned(), "us"),
        row(format!("{callers} callers"), "appends/s"),
        row(
            format!(
                "{} processes of {} callers (beside: {callers} of one)",
                beside_raw.processes, beside_raw.callers_per_process
            ),
            "appends/s",
        ),
        row(format!("{batch_events} events of one stream a call"), "events/s"),
        row(format!("{} events of one stream a call", beside_raw.great_batch_events), "events/s"),
        row(format!("a stream of {long_stream_events}"), "events/s"),
        row(format!("the log of {log_events}"), "events/s"),
    ]
}

/// Measures row by row, so that other load on the machine affects both sides alike.
async fn figures(raw: &Raw, face: &Face, workload: &Workload, round: u32) -> Result<[(Figure, Figure); 7]> {
    let one = (raw.one(round).await?, face.one(round).await?);
    let many = (raw.many(round).await?, face.many(round).await?);
    let batches = [
        (workload.batches, workload.batch_events),
        (workload.beside_raw.great_batches, workload.beside_raw.great_batch_events),
    ];
    let [batches, great_batches] = batches.map(async |(calls, events)| {
        Ok::<_, anyhow::Error>((raw.batches(round, calls, events).await?, face.batches(round, calls, events).await?))
    });
    let (batches, great_batches) = (batches.await?, great_batches.await?);
    let (stream, log) = ((raw.stream().await?, face.stream().await?), (raw.log().await?, face.log().await?));
    // Last, because the database's cleanup after several processes must not affect another row.
    let processes = (many.1, face.processes()?);
    Ok([one, many, processes, batches, great_batches, stream, log])
}

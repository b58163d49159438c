//! What a row of the table of exchanges under way costs: one begin and one
//! end, in microseconds, beside a journal that costs nothing.
//!
//! `cargo run --release -p tollgate-store --example inflight_cost [folder]`
//! (the folder of the system's temporary files if there is none).

#![expect(clippy::print_stdout, reason = "it prints figures")]
#![expect(clippy::disallowed_methods, reason = "it measures real time")]

use std::path::Path;
use std::time::Instant;

use tollgate_store::inflight::conformance::SlowJournal;
use tollgate_store::{Inflight, InflightError, InflightLanes, InflightOptions};

/// Exchanges of one figure and thread.
const EXCHANGES: u32 = 200_000;
/// Exchanges between two writes of the journal: 5 ms at 20,000 per second.
const BATCH: u32 = 100;
/// Lengths of a row in bytes: of a plain call, of a governed one, and of one
/// with all that a record can hold in a usual house.
const LENGTHS: [usize; 3] = [300, 900, 4_000];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let dir = match std::env::args_os().nth(1) {
        Some(above) => tempfile::tempdir_in(above)?,
        None => tempfile::tempdir()?,
    };
    println!("microseconds of one begin and one end, of {EXCHANGES} for each thread");
    for length in LENGTHS {
        for (threads, tables) in [(1, 1), (2, 1), (2, 2)] {
            let us = measure(dir.path(), &vec![7; length], (threads, tables))?;
            println!("rows of {length:>5} bytes, {threads} thread(s), {tables} table(s): {us:.2}");
        }
    }
    Ok(())
}

fn measure(dir: &Path, row: &[u8], (threads, tables): (u32, usize)) -> Result<f64, InflightError> {
    let table = InflightLanes::create(dir, [7; 16], 0, (tables, InflightOptions::default()))?;
    let one = || {
        let journal = SlowJournal::default();
        let began = Instant::now();
        for nth in 0..EXCHANGES {
            let tag = table.begin(row)?;
            table.end(tag, row, &journal.send());
            if nth % BATCH == 0 {
                journal.write();
            }
        }
        journal.write();
        Ok(began.elapsed().as_secs_f64() * 1e6 / f64::from(EXCHANGES))
    };
    let took = std::thread::scope(|scope| {
        let running: Vec<_> = (0..threads).map(|_| scope.spawn(one)).collect();
        let mut sum = 0.0;
        for thread in running {
            sum += thread.join().unwrap_or(Ok(f64::NAN))?;
        }
        Ok(sum / f64::from(threads))
    });
    table.close();
    took
}

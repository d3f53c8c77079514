//! The least that any reader of an output file must do: `serde_json` reading each line into a `Value`, from the
//! disk's cache, on one thread, and then forgetting it.

use std::fs::File;
use std::hint::black_box;
use std::io::{BufRead, BufReader};
use std::time::Instant;

use anyhow::{Result, ensure};
use serde_json::Value;

use super::{Batch, ENTERED, metric};
use crate::results::{Results, System};

/// Measures every batch's output file.
pub fn measure(batches: &[Batch], results: &mut Results) -> Result<()> {
    for batch in batches {
        let mut reader = BufReader::with_capacity(1 << 16, File::open(&batch.files.output)?);
        let (begin, mut line, mut read) = (Instant::now(), Vec::new(), 0);
        while reader.read_until(b'\n', &mut line)? > 0 {
            read += u64::from(black_box(serde_json::from_slice::<Value>(&line)).is_ok());
            line.clear();
        }
        let took = begin.elapsed().as_secs_f64();
        let lines = batch.files.lines;
        ensure!(read >= batch.files.usable, "only {read} of {lines} lines are JSON");
        results.add(metric(lines, ENTERED), "lines/s", System::Machine, lines as f64 / took);
        let size = batch.files.bytes as f64 / 1e6;
        results.add(metric(lines, "output file"), "MB", System::Machine, size);
    }
    Ok(())
}

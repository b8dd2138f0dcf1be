//! Damaged and hostile files: every reader answers with an error or with data, never with a panic, and its memory stays
//! within twice the file's length and 64 MiB.
//!
//!     KILN_MUTATIONS=1000000 cargo test --release --test mutate
//!
//! runs a million damaged copies for each reader; by default it is a few thousand. The copies are the same in every run.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

mod bombs;
#[path = "../../tools/conform/case.rs"]
#[allow(dead_code)]
mod case;
#[path = "../common/mod.rs"]
mod common;
mod mutator;
mod seal;
mod seeds;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::time::Instant;

// In turns: the allocator counts for the whole process.
use common::alone;
use kiln::Error;
use kiln::data::{Array, idx, npy};
use kiln::io::Import;
use kiln::plan::TuningTable;
use kiln::prelude::*;
use kiln::train::RunState;
use mutator::{Numbers, mutated, other_numbers};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<std::alloc::System> = &INSTRUMENTED_SYSTEM;

/// What `case` calls what ends a case.
#[derive(Debug)]
pub enum Stop {
    /// An error.
    Failed(#[allow(dead_code)] Error),
}

/// Damaged copies for each reader.
fn count() -> u64 {
    let asked = std::env::var("KILN_MUTATIONS").ok();
    asked.map_or(3000, |count| count.parse().unwrap())
}

/// Bytes that were asked of the allocator in a call, all together: at least what it held at its peak.
fn measured<T>(call: impl FnOnce() -> T) -> (T, usize) {
    let region = Region::new(ALLOCATOR);
    let outcome = call();
    let change = region.change();
    let grown = usize::try_from(change.bytes_reallocated).unwrap_or(0);
    (outcome, change.bytes_allocated + grown)
}

/// What a reader may ask for, given a file of `len` bytes.
fn allowed(len: usize) -> usize {
    2 * len + (64 << 20)
}

/// Gives `read` damaged copies of the seeds; it says whether it took what it got.
fn torture(
    what: &str,
    seeds: &[Vec<u8>],
    mut read: impl FnMut(&mut Numbers, Vec<u8>) -> Result<()>,
) {
    let _alone = alone();
    let begun = Instant::now();
    let (mut accepted, mut most) = (0, 0);
    for number in 1..=count() {
        let mut numbers = Numbers::new(number);
        let bytes = mutated(&mut numbers, seeds);
        let len = bytes.len();
        let call = || catch_unwind(AssertUnwindSafe(|| read(&mut numbers, bytes)));
        let (outcome, asked) = measured(call);
        let Ok(outcome) = outcome else {
            panic!("{what}: a panic on mutation {number}");
        };
        accepted += u64::from(outcome.is_ok());
        if let Err(error) = outcome {
            assert!(!error.to_string().is_empty());
        }
        most = most.max(asked);
        assert!(
            asked <= allowed(len),
            "{what}: {asked} bytes asked for on mutation {number} of {len} bytes"
        );
    }
    assert!(accepted > 0, "{what}: not one input was taken");
    println!(
        "{what}: {} inputs, {accepted} taken, no panic, at most {} KiB asked for, {:.1} s",
        count(),
        most >> 10,
        begun.elapsed().as_secs_f64()
    );
}

#[test]
fn checkpoints() {
    let sound = seeds::checkpoint();
    torture("checkpoints", std::slice::from_ref(&sound), |_, bytes| {
        let read = RunState::from_bytes(&bytes, "mutated");
        assert!(read.is_err() || bytes == sound, "a damaged one was taken");
        read.map(drop)
    });
}

#[test]
fn checkpoints_whose_checksums_are_right() {
    // Whoever writes a file on purpose writes its checksums too.
    let sound = seal::Parts::of(&seeds::checkpoint());
    let data = seeds::data();
    let mut resumed = 0;
    torture("sealed checkpoints", &[sound.text()], |numbers, bytes| {
        let mut parts = sound.clone();
        match numbers.below(3) {
            0 => parts.set_text(&bytes),
            1 => parts.set_text(&other_numbers(numbers, sound.text())),
            _ => parts.damage(numbers),
        }
        let state = RunState::from_bytes(&parts.sealed(), "mutated")?;
        resumed += 1;
        // What was taken must be fit to go on from, or be refused.
        seeds::model()
            .fit(&data, seeds::fit().resume(state))
            .map(drop)
    });
    println!("{resumed} of them were gone on from or refused by `fit`");
}

#[test]
fn models() {
    torture("models", &seeds::models(), |_, bytes| {
        Model::from_bytes(&Device::cpu(), &bytes).map(drop)
    });
}

#[test]
fn weights_of_other_programs() {
    let path = std::env::temp_dir().join(format!("kiln-mutate-{}-weights", std::process::id()));
    let mut model = seeds::model();
    let what = "weights of other programs";
    torture(what, &seeds::weights(), |numbers, bytes| {
        // They are read by their paths alone.
        std::fs::write(&path, bytes).map_err(|refusal| Error::io(&path, refusal))?;
        let import = match numbers.below(3) {
            0 => return model.load_weights(&path),
            1 => Import::keras(),
            _ => Import::pytorch(),
        };
        let import = import.partial(numbers.below(2) == 0);
        model.import_weights(&path, &import).map(drop)
    });
    std::fs::remove_file(path).unwrap();
}

#[test]
fn arrays() {
    torture("npy", &seeds::arrays(), |_, bytes| {
        let array = Array::from_bytes(&bytes, "mutated")?;
        drop(array.to_labels());
        drop(Dataset::from_arrays(&array, &array));
        array.to_f32().map(drop)
    });
}

#[test]
fn archives() {
    torture("npz", &seeds::archives(), |_, bytes| {
        npy::all_from_bytes(&bytes, "mutated").map(drop)
    });
}

#[test]
fn idx_files() {
    torture("IDX", &seeds::idx(), |_, bytes| {
        idx::read_from(&bytes[..], "mutated")?.to_f32().map(drop)
    });
}

#[test]
fn idx_files_that_are_compressed() {
    torture("compressed IDX", &seeds::idx(), |_, bytes| {
        let packed = seeds::gzipped(&bytes);
        idx::read_from(&packed[..], "mutated")?.to_f32().map(drop)
    });
}

#[test]
fn tables() {
    torture("CSV", &seeds::tables(), |numbers, bytes| {
        let csv = match numbers.below(5) {
            0 => Csv::new(),
            1 => Csv::new().labels(),
            2 => Csv::new().categorical(0),
            3 => Csv::new().target(1).skip(0),
            _ => Csv::new().no_target().comment(b'#').delimiter(b';'),
        };
        csv.read_from(&bytes[..], "mutated").map(drop)
    });
}

#[test]
fn tuning_tables() {
    torture("tuning tables", &seeds::tuning(), |_, bytes| {
        let text = String::from_utf8_lossy(&bytes);
        let table = TuningTable::parse(&text)
            .map_err(|(line, message)| Error::format("mutated", Some(line), message))?;
        // What was taken is written as what is taken again.
        assert_eq!(TuningTable::parse(&table.to_string()), Ok(table));
        Ok(())
    });
}

#[test]
fn conformance_cases() {
    let (text, tensors) = seeds::case();
    torture("conform's JSON", std::slice::from_ref(&text), |_, bytes| {
        case::Case::parse(Path::new("mutated.json"), &bytes, &tensors).map(drop)
    });
    torture(
        "conform's tensors",
        std::slice::from_ref(&tensors),
        |_, bytes| case::Case::parse(Path::new("mutated.json"), &text, &bytes).map(drop),
    );
}

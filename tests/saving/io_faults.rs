//! Checkpoints on disks that fail and in files that are damaged: no earlier one is lost, no damaged one is taken.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use kiln::io::{Disk, System};
use kiln::optim::Schedule;
use kiln::prelude::*;
use kiln::train::{Checkpoints, Every, History, Mode, Monitor, RunState};
use safetensors::SafeTensors;

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Fault {
    /// Operation n is refused.
    Error,
    /// Write n writes half of what it was given; the next one is refused.
    Short,
    /// From operation n on every one is refused, as where the disk is gone; what was written stays.
    Gone,
    /// This many bytes fit the disk, no more.
    Full,
}

#[derive(Debug)]
struct Plan {
    fault: Option<(Fault, u64)>,
    done: u64,
    bytes: u64,
    /// Which operations were writes.
    writes: Vec<u64>,
    /// Which took a file away.
    removals: Vec<u64>,
    happened: bool,
}

/// A disk that fails once, or from then on.
#[derive(Debug, Clone)]
struct Faulty(Arc<Mutex<Plan>>);

impl Faulty {
    fn new(fault: Option<(Fault, u64)>) -> Self {
        Faulty(Arc::new(Mutex::new(Plan {
            fault,
            done: 0,
            bytes: 0,
            writes: Vec::new(),
            removals: Vec::new(),
            happened: false,
        })))
    }

    /// Counts an operation; whether it is refused.
    fn step(&self) -> io::Result<()> {
        let mut plan = self.0.lock().unwrap();
        plan.done += 1;
        let fails = match plan.fault {
            Some((Fault::Error, n)) => plan.done == n,
            Some((Fault::Gone, n)) => plan.done >= n,
            Some((Fault::Short | Fault::Full, _)) | None => false,
        };
        plan.happened |= fails;
        match fails {
            true => Err(io::Error::other("injected")),
            false => Ok(()),
        }
    }
}

struct FaultyFile(Box<dyn Write + Send>, Faulty);

impl Write for FaultyFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.1.step()?;
        let mut plan = self.1.0.lock().unwrap();
        let number = plan.done;
        plan.writes.push(number);
        let len = match plan.fault {
            Some((Fault::Short, n)) if plan.done == n => {
                plan.fault = Some((Fault::Error, n + 1));
                bytes.len() / 2
            }
            Some((Fault::Full, most)) => bytes.len().min((most - plan.bytes) as usize),
            _ => bytes.len(),
        };
        if len == 0 && !bytes.is_empty() {
            plan.happened = true;
            return Err(io::ErrorKind::StorageFull.into());
        }
        plan.bytes += len as u64;
        drop(plan);
        self.0.write_all(&bytes[..len])?;
        Ok(len)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.1.step()?;
        self.0.flush()
    }
}

impl Disk for Faulty {
    fn create_folder(&self, path: &Path) -> io::Result<()> {
        self.step()?;
        System.create_folder(path)
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn Write + Send>> {
        self.step()?;
        Ok(Box::new(FaultyFile(System.create(path)?, self.clone())))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.step()?;
        System.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let step = self.step();
        let mut plan = self.0.lock().unwrap();
        let number = plan.done;
        plan.removals.push(number);
        drop(plan);
        step?;
        System.remove(path)
    }

    fn sync_folder(&self, path: &Path) -> io::Result<()> {
        self.step()?;
        System.sync_folder(path)
    }
}

fn data() -> Dataset {
    let x: Vec<[f32; 2]> = (0..20)
        .map(|i| [(i * 7 % 20) as f32 / 20.0, (i * 3 % 20) as f32 / 20.0])
        .collect();
    let y: Vec<[f32; 1]> = x.iter().map(|[a, b]| [a - b * b]).collect();
    Dataset::from_rows(&x, &y).unwrap()
}

fn model() -> Model {
    let network = Sequential::new(2).dense(4, Tanh).dense(1, Linear).seed(3);
    let adam = Adam::new(Schedule::exponential_decay(0.05, 10, 0.9));
    network
        .compile_on(&Device::cpu(), MeanSquaredError, adam, [])
        .unwrap()
}

/// Three epochs of five steps with a checkpoint after every six, which are told when they are on the disk.
fn run(folder: &Path, disk: Faulty, told: &mut Vec<RunState>) -> kiln::Result<History> {
    let checkpoints = Checkpoints::in_folder(folder)
        .every(Every::Steps(6))
        .on_disk(disk);
    let fit = Fit::epochs(3)
        .batch_size(4)
        .silent()
        .checkpoints(checkpoints)
        .resume_from(folder)
        .states(Every::Steps(6), |state| {
            told.push(state.clone());
            Ok(())
        });
    model().fit(&data(), fit)
}

fn folder(name: &str) -> PathBuf {
    let path = std::env::temp_dir().join(format!("kiln-faults-{name}-{}", std::process::id()));
    fs::remove_dir_all(&path).unwrap_or_default();
    path
}

fn names(folder: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.collect()
}

#[test]
fn whatever_a_disk_refuses_the_checkpoints_before_are_intact() {
    let whole = folder("whole");
    let healthy = Faulty::new(None);
    let mut states = Vec::new();
    let expected = run(&whole, healthy.clone(), &mut states).unwrap();
    assert_eq!(
        states.iter().map(|s| s.steps).collect::<Vec<_>>(),
        [6, 12, 15]
    );
    let states: BTreeMap<u64, RunState> = states.into_iter().map(|s| (s.steps, s)).collect();
    let (operations, bytes, writes, removals) = {
        let plan = healthy.0.lock().unwrap();
        let (writes, removals) = (plan.writes.clone(), plan.removals.clone());
        (plan.done, plan.bytes, writes, removals)
    };
    let each = (1..=operations).flat_map(|n| [(Fault::Error, n), (Fault::Gone, n)]);
    let short = writes.into_iter().map(|n| (Fault::Short, n));
    let full = (0..25).map(|i| (Fault::Full, bytes * i / 25));
    let faults: Vec<(Fault, u64)> = each.chain(short).chain(full).collect();
    assert_eq!(removals.len(), 1);
    let (mut injected, mut kept) = (0, 0);
    let place = folder("faulty");
    for fault in faults {
        fs::remove_dir_all(&place).unwrap_or_default();
        let disk = Faulty::new(Some(fault));
        let mut told = Vec::new();
        let outcome = run(&place, disk.clone(), &mut told);
        assert!(disk.0.lock().unwrap().happened, "{fault:?}");
        injected += 1;
        // What was told was on the disk.
        let acknowledged = told.last().map_or(0, |state| state.steps);
        match outcome {
            // An old file that stays does not end a run: the last one was written before.
            Ok(history) => {
                assert!(removals.contains(&fault.1), "{fault:?}");
                assert_eq!(history.step_losses, expected.step_losses, "{fault:?}");
                assert_eq!((acknowledged, names(&place).len()), (15, 3), "{fault:?}");
                kept += 1;
            }
            Err(error) => assert!(
                matches!(error, kiln::Error::Io { .. }),
                "{fault:?}: {error}"
            ),
        }
        let newest = Checkpoints::newest(&place).unwrap();
        let newest_step = newest.as_ref().map_or(0, |newest| newest.state.steps);
        assert!(
            newest_step >= acknowledged,
            "{fault:?}: {newest_step} of {acknowledged}"
        );
        if let Some(newest) = newest {
            assert!(newest.passed_over.is_empty(), "{fault:?}");
            let known = &states[&newest_step];
            assert_eq!(newest.state.snapshot, known.snapshot, "{fault:?}");
            assert_eq!(newest.state.history.step_losses, known.history.step_losses);
        }
        // Nothing half written is left, unless the disk was gone.
        let left = names(&place).iter().any(|name| name.ends_with(".part"));
        assert!(!left || fault.0 == Fault::Gone, "{fault:?}");
        // On a disk that works the run goes on to the same end.
        let resumed = run(&place, Faulty::new(None), &mut Vec::new()).unwrap();
        assert_eq!(resumed.step_losses, expected.step_losses, "{fault:?}");
    }
    assert!(injected >= 100, "{injected} faults were injected");
    // Refused once, and on a disk that is gone from then on.
    assert_eq!(kept, 2);
    println!("{injected} faults injected");
    fs::remove_dir_all(place).unwrap();
    fs::remove_dir_all(whole).unwrap();
}

/// A seeded sequence of numbers.
fn numbers(seed: u64) -> impl Iterator<Item = u64> {
    std::iter::successors(Some(seed), |state| {
        let mut x = *state;
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        Some(x)
    })
}

#[test]
fn no_flipped_bit_of_a_checkpoint_is_accepted_and_each_is_named() {
    let place = folder("flips");
    run(&place, Faulty::new(None), &mut Vec::new()).unwrap();
    let path = Checkpoints::newest(&place).unwrap().unwrap().path;
    let mut bytes = fs::read(&path).unwrap();
    let name = path.display().to_string();
    let (header, _) = SafeTensors::read_metadata(&bytes).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let begin = bytes.as_ptr() as usize;
    let mut owners = vec!["header".to_string(); bytes.len()];
    for (name, view) in tensors.tensors() {
        let at = view.data().as_ptr() as usize - begin;
        assert!(at >= header + 8);
        if name != "header_crc32" {
            owners[at..at + view.data().len()].fill(format!("`{name}`"));
        }
    }
    let mut rejected = 0;
    let bits = bytes.len() * 8;
    for number in numbers(20_261_125).take(10_000) {
        let (at, bit) = (number as usize % bits / 8, number as usize % 8);
        bytes[at] ^= 1 << bit;
        let error = RunState::from_bytes(&bytes, &path).expect_err("accepted");
        let message = error.to_string();
        // A header that is none any more, or lists other bytes, is told before its checksum is looked for.
        let of_header = [
            ": the header is damaged: its checksum is ",
            ": this is no safetensors file: ",
            ": its header does not say that it is a checkpoint of kiln",
            ": it has no tensor `header_crc32`",
            ": the tensor `header_crc32` is ",
        ];
        let known = match owners[at].as_str() {
            "header" => of_header.iter().any(|words| message.contains(words)),
            tensor => message.contains(&format!(": the tensor {tensor} is damaged")),
        };
        assert!(
            message.contains(&name) && known,
            "byte {at}, {}: {message}",
            owners[at]
        );
        bytes[at] ^= 1 << bit;
        rejected += 1;
    }
    assert_eq!(rejected, 10_000);
    RunState::from_bytes(&bytes, &path).unwrap();
    fs::remove_dir_all(place).unwrap();
}

#[test]
fn a_run_that_goes_on_from_an_earlier_step_or_another_folder_is_not_shadowed() {
    let place = folder("rewound");
    let mut told = Vec::new();
    run(&place, Faulty::new(None), &mut told).unwrap();
    let before = names(&place);
    let earlier = place.join("step-0000000012.safetensors");
    let settings = |place: &Path| {
        let checkpoints = Checkpoints::in_folder(place).every(Every::Steps(1));
        let fit = Fit::epochs(3).batch_size(4).silent();
        fit.checkpoints(checkpoints)
    };
    let refused = |settings: Fit<'_>, words: &str| {
        let message = model().fit(&data(), settings).unwrap_err().to_string();
        assert!(message.contains(words), "{message}");
    };
    // The checkpoint of step 15 would be taken for the newest, whatever this run writes.
    let later = "step-0000000015.safetensors of step 15, which is later than step 12";
    refused(settings(&place).resume_from(&earlier), later);
    refused(settings(&place).resume(told[1].clone()), later);
    // Nor is a state of this run fit for the folder of another, however far that has come.
    let other = folder("other");
    let steps = |steps: u64| {
        let fit = Fit::steps(steps).batch_size(4).silent().seed(9);
        fit.checkpoints(Checkpoints::in_folder(&other))
    };
    model().fit(&data(), steps(5)).unwrap();
    refused(settings(&other).resume_from(&earlier), "another run");
    model().fit(&data(), steps(15).resume_from(&other)).unwrap();
    refused(settings(&other).resume_from(&earlier), "another run");
    assert_eq!(names(&place), before);
    // A later one that is damaged shadows nothing.
    let last = place.join("step-0000000015.safetensors");
    let len = fs::metadata(&last).unwrap().len();
    let file = fs::OpenOptions::new().write(true).open(&last).unwrap();
    file.set_len(len / 2).unwrap();
    let history = model()
        .fit(&data(), settings(&place).resume(told[1].clone()))
        .unwrap();
    assert_eq!(history.steps, 15);
    assert_eq!(
        Checkpoints::newest(&place).unwrap().unwrap().state.steps,
        15
    );
    for place in [place, other] {
        fs::remove_dir_all(place).unwrap();
    }
}

#[test]
fn a_checkpoint_comes_back_as_it_was_and_cut_short_it_does_not() {
    let place = folder("whole-file");
    let mut told = Vec::new();
    run(&place, Faulty::new(None), &mut told).unwrap();
    let newest = Checkpoints::newest(&place).unwrap().unwrap();
    assert_eq!(newest.state, *told.last().unwrap());
    let bytes = fs::read(&newest.path).unwrap();
    for len in (0..bytes.len()).step_by(7) {
        RunState::from_bytes(&bytes[..len], &newest.path).unwrap_err();
    }
    let longer = [&bytes[..], &[0]].concat();
    RunState::from_bytes(&longer, &newest.path).unwrap_err();
    fs::remove_dir_all(place).unwrap();
}

#[test]
fn where_the_newest_is_damaged_the_one_before_is_taken_and_the_history_says_so() {
    let place = folder("damaged");
    let mut told = Vec::new();
    let expected = run(&place, Faulty::new(None), &mut told).unwrap();
    let newest = Checkpoints::newest(&place).unwrap().unwrap();
    let mut bytes = fs::read(&newest.path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 16;
    fs::write(&newest.path, &bytes).unwrap();
    let history = run(&place, Faulty::new(None), &mut Vec::new()).unwrap();
    assert_eq!(history.step_losses, expected.step_losses);
    let [damage, resumed] = &history.notes[..] else {
        panic!("{:?}", history.notes)
    };
    assert!(
        damage.contains("step-0000000015") && damage.contains("damaged"),
        "{damage}"
    );
    assert!(
        resumed.contains("step-0000000012") && resumed.contains("at step 12"),
        "{resumed}"
    );
    assert!(history.to_string().contains(resumed));
    // With all of them damaged nothing begins anew behind the user's back.
    for name in names(&place) {
        fs::write(place.join(name), &bytes).unwrap();
    }
    let error = run(&place, Faulty::new(None), &mut Vec::new()).unwrap_err();
    assert!(matches!(error, kiln::Error::Format { .. }), "{error}");
    fs::remove_dir_all(place).unwrap();
}

#[test]
fn the_last_files_and_the_best_one_stay() {
    let place = folder("kept");
    // The largest loss is that of an early epoch, which so can be told from the last ones.
    let checkpoints = Checkpoints::in_folder(&place)
        .keep_last(3)
        .keep_best(Monitor::new("loss").mode(Mode::Max));
    let fit = Fit::epochs(30).batch_size(4).silent();
    let history = model().fit(&data(), fit.checkpoints(checkpoints)).unwrap();
    let losses = history.loss();
    let most = losses.iter().copied().fold(0.0, f64::max);
    let best = losses.iter().position(|loss| *loss == most).unwrap() + 1;
    assert!(best < 28, "{losses:?}");
    let per_epoch = history.steps as usize / 30;
    let mut expected: Vec<String> = [best, 28, 29, 30]
        .map(|epoch| format!("step-{:010}.safetensors", epoch * per_epoch))
        .to_vec();
    expected.sort();
    expected.dedup();
    let mut names = names(&place);
    names.sort();
    assert_eq!(names, expected);
    fs::remove_dir_all(place).unwrap();
}

#[test]
fn a_folder_of_another_run_is_refused_unless_the_run_goes_on() {
    let place = folder("another");
    run(&place, Faulty::new(None), &mut Vec::new()).unwrap();
    let fit = Fit::epochs(1)
        .silent()
        .checkpoints(Checkpoints::in_folder(&place));
    let error = model().fit(&data(), fit).unwrap_err().to_string();
    assert!(
        error.contains("another run") && error.contains("resume_from"),
        "{error}"
    );
    for (checkpoints, part) in [
        (Checkpoints::in_folder(&place).keep_last(0), "keep_last"),
        (
            Checkpoints::in_folder(&place).every(Every::Steps(0)),
            "every",
        ),
        (
            Checkpoints::in_folder(&place).keep_best("val_loss"),
            "validation",
        ),
    ] {
        let fit = Fit::epochs(1)
            .silent()
            .checkpoints(checkpoints)
            .resume_from(&place);
        let error = model().fit(&data(), fit).unwrap_err().to_string();
        assert!(error.contains(part), "{error}");
    }
    fs::remove_dir_all(place).unwrap();
}

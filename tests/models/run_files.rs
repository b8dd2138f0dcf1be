//! Files that a run writes as it goes: their names, their columns, what is in them after a resume.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use kiln::prelude::*;
use kiln::train::{CsvLog, Every, JsonLines, RunState, TensorBoard, Verbose};

fn data() -> Dataset {
    let x: Vec<[f32; 1]> = (0..16).map(|i| [i as f32 / 16.0]).collect();
    Dataset::from_rows(&x, &x).unwrap()
}

fn model(metrics: impl IntoIterator<Item = Metric>) -> Model {
    let network = Sequential::new(1).dense(4, Tanh).dense(1, Linear);
    let compiled = network.compile_on(&Device::cpu(), MeanSquaredError, Sgd::new(0.1), metrics);
    compiled.unwrap()
}

fn fit<'a>(epochs: u64) -> Fit<'a> {
    Fit::epochs(epochs).batch_size(8).silent()
}

/// A folder of the test's own, taken away at its end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let name = format!("kiln-run-files-{name}-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::create_dir_all(&path).unwrap();
        Folder(path)
    }

    fn path(&self, name: &str) -> String {
        self.0.join(name).to_str().unwrap().into()
    }

    /// All files in it and beneath it, by their paths within it, in order.
    fn files(&self) -> Vec<String> {
        fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                match path.is_dir() {
                    true => walk(&path, found),
                    false => found.push(path),
                }
            }
        }
        let mut found = Vec::new();
        walk(&self.0, &mut found);
        let within = |path: PathBuf| path.strip_prefix(&self.0).unwrap().to_str().unwrap().into();
        let mut names: Vec<String> = found.into_iter().map(within).collect();
        names.sort();
        names
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).unwrap();
    }
}

#[test]
fn names_of_checkpoints_take_pythons_forms_and_folders_are_made() {
    let folder = Folder::new("forms");
    let path = folder.path("run 1/{epoch:02d}/{val_loss:.2f}-{loss:.1e}.safetensors");
    let fit = fit(2)
        .validation_split(0.25)
        .callback(ModelCheckpoint::new(path).last(2));
    let history = model([]).fit(&data(), fit).unwrap();
    let expected = history.epochs.iter().enumerate().map(|(index, epoch)| {
        let loss = format!("{:.1e}", epoch.loss);
        let (mantissa, exponent) = loss.split_once('e').unwrap();
        let exponent: i32 = exponent.parse().unwrap();
        let (sign, places) = (if exponent < 0 { '-' } else { '+' }, exponent.abs());
        let val_loss = epoch.val_loss.unwrap();
        format!(
            "run 1/{:02}/{val_loss:.2}-{mantissa}e{sign}{places:02}.safetensors",
            index + 1
        )
    });
    assert_eq!(folder.files(), expected.collect::<Vec<_>>());
}

#[test]
fn a_path_that_names_no_figure_or_file_is_refused_before_any_work() {
    let folder = Folder::new("refused");
    fs::create_dir(folder.path("there")).unwrap();
    fs::write(folder.path("file"), "").unwrap();
    let cases = [
        ("{epoch:02x}.safetensors", "`02x`"),
        ("{epochs}.safetensors", "`epochs`"),
        ("{val_loss:.2f}.safetensors", "`val_loss`"),
        ("{loss:d}.safetensors", "`d`"),
        ("{loss:.2.safetensors", "not closed"),
        ("loss}.safetensors", "not open"),
        ("{}.safetensors", "names no figure"),
        ("new/", "is a folder"),
        ("there", "is a folder"),
        ("file/{epoch}.safetensors", "file"),
    ];
    for (path, part) in cases {
        let mut model = model([]);
        let before = model.weights().unwrap();
        let checkpoint = ModelCheckpoint::new(folder.path(path));
        let refusal = model.fit(&data(), fit(1).callback(checkpoint)).unwrap_err();
        assert!(refusal.to_string().contains(part), "{path}: {refusal}");
        assert_eq!(model.weights().unwrap(), before, "{path}");
    }
    assert_eq!(folder.files(), ["file"]);
    // A model that no file can hold.
    let own = Metric::from_fn("own", |y, _| y.sum_over(-1));
    let checkpoint = ModelCheckpoint::new(folder.path("m.safetensors"));
    let mut model = model([own]);
    let before = model.weights().unwrap();
    let refusal = model.fit(&data(), fit(1).callback(checkpoint)).unwrap_err();
    assert!(refusal.to_string().contains("`own`"), "{refusal}");
    assert_eq!(model.weights().unwrap(), before);
}

#[test]
fn a_resumed_run_takes_up_checkpoints_in_folders_of_each_epoch() {
    let folder = Folder::new("folders");
    let path = folder.path("{epoch:02d}/m.safetensors");
    let checkpoint = || ModelCheckpoint::new(path.clone()).last(2);
    let mut state = None;
    let take = |taken: &RunState| {
        state = Some(taken.clone());
        Ok(())
    };
    let first = fit(2).callback(checkpoint()).states(Every::Epochs(1), take);
    model([]).fit(&data(), first).unwrap();
    let second = fit(3).callback(checkpoint()).resume(state.unwrap());
    model([]).fit(&data(), second).unwrap();
    assert_eq!(folder.files(), ["02/m.safetensors", "03/m.safetensors"]);
}

#[test]
fn names_with_commas_and_quotes_stand_in_quotes() {
    let folder = Folder::new("quotes");
    let metrics = || {
        [
            Metric::MeanAbsoluteError.with_name("mae, mean"),
            Metric::MeanSquaredError.with_name("the \"best\""),
            Metric::RootMeanSquaredError.with_name("two\nlines"),
        ]
    };
    let path = folder.path("log.csv");
    let log = || CsvLog::new(&path).append(true);
    let history = model(metrics())
        .fit(&data(), fit(2).callback(log()))
        .unwrap();
    let text = fs::read_to_string(&path).unwrap();
    let header = "epoch,loss,\"mae, mean\",\"the \"\"best\"\"\",\"two\nlines\"\n";
    assert!(text.starts_with(header), "{text}");
    let last = text.lines().last().unwrap();
    let figures: Vec<f64> = last.split(',').map(|cell| cell.parse().unwrap()).collect();
    let expected = history.epochs[1].figures().map(|(_, value)| value);
    assert_eq!(figures[1..], expected.collect::<Vec<_>>());
    // It goes on under the same header.
    model(metrics())
        .fit(&data(), fit(3).callback(log()))
        .unwrap();
    let text = fs::read_to_string(&path).unwrap();
    assert_eq!(text.matches("epoch").count(), 1);
    assert_eq!(text[header.len()..].lines().count(), 5);
}

#[test]
fn a_log_goes_on_under_its_own_header_alone() {
    let folder = Folder::new("headers");
    let path = folder.path("log.csv");
    let run = |metrics: Vec<Metric>, share: f64| {
        let log = CsvLog::new(&path).append(true);
        let fit = fit(1).validation_split(share).callback(log);
        model(metrics).fit(&data(), fit)
    };
    let mae = || vec![Metric::MeanAbsoluteError];
    run(mae(), 0.0).unwrap();
    let before = fs::read_to_string(&path).unwrap();
    for (metrics, share) in [
        (vec![], 0.0),
        (mae(), 0.5),
        (vec![Metric::MeanSquaredError], 0.0),
    ] {
        let refusal = run(metrics, share).unwrap_err().to_string();
        for part in ["append", "log.csv", "epoch, loss, mean_absolute_error"] {
            assert!(refusal.contains(part), "`{refusal}` does not say `{part}`");
        }
        assert_eq!(fs::read_to_string(&path).unwrap(), before);
    }
    // A header that another program wrote, in quotes and with its line breaks; a last line that no break ends.
    let other = "\"epoch\",\"loss\",mean_absolute_error\r\n0,1.5,0.5";
    fs::write(&path, other).unwrap();
    run(mae(), 0.0).unwrap();
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.starts_with(other), "{text}");
    assert_eq!(text.lines().count(), 3, "{text}");
    // Without `append` the file begins anew.
    let anew = fit(1).callback(CsvLog::new(&path));
    model([]).fit(&data(), anew).unwrap();
    assert!(
        fs::read_to_string(&path)
            .unwrap()
            .starts_with("epoch,loss\n0,")
    );
    // JSON objects stand on lines of their own too.
    let path = folder.path("log.jsonl");
    fs::write(&path, "{}").unwrap();
    let log = JsonLines::new(&path).append(true);
    model([]).fit(&data(), fit(1).callback(log)).unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap().lines().count(), 2);
}

#[test]
fn a_run_that_is_refused_leaves_the_logs_that_are_there() {
    let folder = Folder::new("refused-logs");
    let (csv, json) = (folder.path("log.csv"), folder.path("log.jsonl"));
    let old = "epoch,loss\n0,1.5";
    let nowhere = || ModelCheckpoint::new(folder.path("{nope}"));
    for append in [false, true] {
        let logged = |fit: Fit<'static>| {
            let fit = fit.callback(CsvLog::new(&csv).append(append));
            fit.callback(JsonLines::new(&json).append(append))
        };
        for path in [&csv, &json] {
            fs::write(path, old).unwrap();
        }
        let refusal = model([]).fit(&data(), logged(fit(1)).callback(nowhere()));
        assert!(refusal.unwrap_err().to_string().contains("`nope`"));
        for path in [&csv, &json] {
            assert_eq!(fs::read_to_string(path).unwrap(), old, "{append}");
        }
        model([]).fit(&data(), logged(fit(2))).unwrap();
        for path in [&csv, &json] {
            let text = fs::read_to_string(path).unwrap();
            assert_eq!(text.contains("0,1.5\n"), append, "{text}");
            // A header stands in the new file alone; lines are two in either, after what was there.
            let header = usize::from(path == &csv && !append);
            let lines = 2 + header + if append { 2 } else { 0 };
            assert_eq!(text.lines().count(), lines, "{text}");
            assert!(text.ends_with('\n'));
        }
    }
}

/// A field of a protocol buffer: its number, and the number or the bytes that it holds.
fn fields(mut message: &[u8]) -> Vec<(u64, u64, &[u8])> {
    fn varint(message: &mut &[u8]) -> u64 {
        let mut value = 0;
        for shift in (0..).step_by(7) {
            let byte = message[0];
            *message = &message[1..];
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                break;
            }
        }
        value
    }
    let mut found = Vec::new();
    while !message.is_empty() {
        let key = varint(&mut message);
        let (mut value, mut len) = (0, 0);
        match key & 7 {
            0 => value = varint(&mut message),
            1 => len = 8,
            2 => len = varint(&mut message) as usize,
            5 => len = 4,
            kind => panic!("a wire type {kind}"),
        }
        let (bytes, rest) = message.split_at(len);
        found.push((key >> 3, value, bytes));
        message = rest;
    }
    found
}

/// Values by tag and step.
type Points = BTreeMap<(String, u64), Vec<f32>>;

/// The points that TensorBoard shows of a folder, and the steps with which sessions start.
fn points(folder: &Path) -> (Points, Vec<u64>) {
    let mut files: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap()
        .map(|e| e.unwrap().path())
        .collect();
    files.sort();
    let (mut points, mut starts) = (Points::new(), Vec::new());
    for file in files {
        let bytes = fs::read(file).unwrap();
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            let length = u64::from_le_bytes(rest[..8].try_into().unwrap()) as usize;
            let event = fields(&rest[12..12 + length]);
            rest = &rest[12 + length + 4..];
            let field = |number: u64| event.iter().find(|(own, ..)| *own == number);
            let step = field(2).unwrap().1;
            if let Some((.., session)) = field(7) {
                assert_eq!(fields(session), [(1, 1, &[][..])]);
                starts.push(step);
                points.retain(|(_, known), _| *known < step);
            }
            if let Some((.., summary)) = field(5) {
                let value = fields(fields(summary)[0].2);
                let tag = String::from_utf8(value[0].2.into()).unwrap();
                let number = f32::from_le_bytes(value[1].2.try_into().unwrap());
                points.entry((tag, step)).or_default().push(number);
            }
        }
    }
    (points, starts)
}

#[test]
fn tensor_board_shows_one_point_a_step_after_a_resume_from_an_earlier_epoch() {
    let folder = Folder::new("board");
    let mut states = Vec::new();
    let take = |state: &RunState| {
        states.push(state.clone());
        Ok(())
    };
    let settings = |epochs| {
        let board = TensorBoard::new(&folder.0);
        fit(epochs).validation_split(0.25).callback(board)
    };
    let first = settings(4).states(Every::Epochs(1), take);
    model([]).fit(&data(), first).unwrap();
    let (before, starts) = points(&folder.0.join("train"));
    assert_eq!((before.len(), starts.len()), (4, 0));
    // From the end of the second epoch, whose successors are there already.
    let history = model([])
        .fit(&data(), settings(6).resume(states.remove(1)))
        .unwrap();
    for (part, loss) in [("train", "loss"), ("validation", "val_loss")] {
        let (points, starts) = points(&folder.0.join(part));
        assert_eq!(starts, [2], "{part}");
        let shown: Vec<(u64, Vec<f32>)> = points
            .into_iter()
            .map(|((tag, step), values)| {
                assert_eq!(tag, "epoch_loss");
                (step, values)
            })
            .collect();
        let expected = history.get(loss).unwrap().into_iter().zip(0..);
        let expected: Vec<_> = expected
            .map(|(loss, step)| (step, vec![loss as f32]))
            .collect();
        assert_eq!(shown, expected, "{part}");
    }
}

#[test]
fn where_standard_error_is_no_terminal_there_is_a_line_an_epoch() {
    // The test is its own child, which trains in the way that the variable says.
    const WAY: &str = "KILN_TEST_VERBOSE";
    if let Ok(way) = std::env::var(WAY) {
        let fit = Fit::epochs(3).batch_size(8);
        let fit = match way.as_str() {
            "default" => fit,
            "silent" => fit.silent(),
            "lines" => fit.verbose(Verbose::Lines),
            _ => fit.verbose(Verbose::Bar),
        };
        model([Metric::MeanAbsoluteError])
            .fit(&data(), fit)
            .unwrap();
        return;
    }
    let said = |way: &str| {
        let name = "run_files::where_standard_error_is_no_terminal_there_is_a_line_an_epoch";
        let mut child = std::process::Command::new(std::env::current_exe().unwrap());
        let child = child.args([name, "--exact", "--nocapture"]).env(WAY, way);
        let output = child.output().unwrap();
        assert!(output.status.success());
        let text = String::from_utf8(output.stderr).unwrap();
        let lines = text.lines().filter(|line| line.contains("Epoch"));
        lines.map(String::from).collect::<Vec<_>>()
    };
    for way in ["default", "lines"] {
        let lines = said(way);
        assert_eq!(lines.len(), 3, "{way}: {lines:?}");
        for (number, line) in (1..).zip(&lines) {
            let begin = format!("Epoch {number}/3  loss 0.");
            assert!(line.starts_with(&begin), "{way}: {line}");
            assert!(line.contains("  mean_absolute_error 0."), "{line}");
            assert!(line.ends_with(" samples/s)"), "{line}");
        }
    }
    for way in ["silent", "bar"] {
        assert_eq!(said(way), Vec::<String>::new(), "{way}");
    }
}

#[cfg(feature = "plot")]
#[test]
fn a_history_is_plotted_with_a_plot_for_each_figure() {
    let folder = Folder::new("plot");
    let metrics = [
        Metric::MeanAbsoluteError,
        Metric::MeanSquaredError.with_name("a<b & c"),
    ];
    let fit = fit(5).validation_split(0.25);
    let mut history = model(metrics).fit(&data(), fit).unwrap();
    // What is not finite has no place in a plot.
    history.epochs[1].loss = f64::NAN;
    let path = folder.path("curves.svg");
    history.plot(&path).unwrap();
    let svg = fs::read_to_string(&path).unwrap();
    assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>\n"));
    assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
    for title in [">loss<", ">mean_absolute_error<", ">a&lt;b &amp; c<"] {
        assert!(svg.contains(title), "no {title}");
    }
    // A line for training and one for validation in each of the three, of five points but for the one that is not finite.
    let lines: Vec<&str> = svg
        .lines()
        .filter(|line| line.contains("stroke-width=\"2\""))
        .collect();
    let corners = lines.iter().map(|line| line.matches('L').count() + 1);
    assert_eq!(corners.collect::<Vec<_>>(), [4, 5, 5, 5, 5, 5]);
    assert_eq!(svg.matches("<g ").count(), svg.matches("</g>").count());
    // A run without an epoch, and a folder that is not there.
    assert!(history.plot(folder.path("no/curves.svg")).is_err());
    history.epochs.clear();
    let refusal = history.plot(&path).unwrap_err();
    assert!(refusal.to_string().contains("no epoch"), "{refusal}");
}

#[cfg(feature = "plot")]
#[test]
fn the_epochs_of_a_plot_are_whole_numbers() {
    let folder = Folder::new("plot-epochs");
    let ticks = |epochs: u64| -> Vec<String> {
        let history = model([]).fit(&data(), fit(epochs)).unwrap();
        let path = folder.path("curves.svg");
        history.plot(&path).unwrap();
        let svg = fs::read_to_string(&path).unwrap();
        // Below the axis, in the middle under their lines.
        let texts = svg.lines().filter(|line| line.contains("y=\"312.0\""));
        let text = |line: &str| line.split(['>', '<']).nth(2).unwrap().to_string();
        texts.map(text).collect()
    };
    assert_eq!(ticks(1), ["1"]);
    assert_eq!(ticks(2), ["1", "2"]);
    assert_eq!(ticks(3), ["1", "2", "3"]);
    assert_eq!(ticks(12), ["5", "10"]);
}

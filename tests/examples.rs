//! The examples as a reader starts them: each runs and says what it is there to show; nonsense ends it before any work, with a
//! sentence.
#![allow(clippy::unwrap_used)]

use std::path::PathBuf;
use std::process::{Command, Output};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Every example: arguments that make it short, and what it prints.
const EXAMPLES: [(&str, &[&str], &[&str]); 13] = [
    (
        "quickstart",
        &["--epochs", "3"],
        &[
            "dense_2",
            "epoch    3",
            "on 154 rows never seen",
            "predicted",
        ],
    ),
    ("mnist", &["--epochs", "1"], &["accuracy"]),
    ("xor", &["--epochs", "2000"], &["loss"]),
    (
        "regression",
        &["--epochs", "3"],
        &["miles per gallon on average"],
    ),
    ("tabular", &["--epochs", "3"], &["Adelie", "accuracy"]),
    ("functional", &["--epochs", "2"], &["loss"]),
    ("physics", &["--epochs", "3"], &["u("]),
    (
        "population",
        &["--seeds", "2", "--epochs", "2"],
        &["accuracy"],
    ),
    ("graph", &[], &["loss"]),
    ("inspect", &[], &["adam"]),
    ("custom_op", &[], &["loss"]),
    ("doctor", &["--op", "matmul"], &["matmul"]),
    (
        "host_app",
        &["--frames", "150"],
        &["have the bits of a run without a budget"],
    ),
];

/// The folder of the examples' programs, built as these tests are.
static PROGRAMS: LazyLock<PathBuf> = LazyLock::new(|| {
    let own = std::env::current_exe().unwrap();
    let profile = own.ancestors().nth(2).unwrap();
    let built = Command::new(env!("CARGO"))
        .args([
            "build",
            "--quiet",
            "--all-features",
            "--examples",
            "--target-dir",
        ])
        .arg(profile.parent().unwrap())
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .status();
    assert!(built.unwrap().success(), "the examples do not build");
    profile.join("examples")
});

/// Runs an example in an empty folder of its own.
fn run(name: &str, arguments: &[&str]) -> Output {
    static RUNS: AtomicUsize = AtomicUsize::new(0);
    let number = RUNS.fetch_add(1, Ordering::Relaxed);
    let folder = std::env::temp_dir();
    let folder = folder.join(format!("kiln-examples-{}-{number}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let output = Command::new(PROGRAMS.join(name))
        .args(arguments)
        .current_dir(&folder)
        .output();
    let left = std::fs::read_dir(&folder).unwrap().count();
    std::fs::remove_dir_all(&folder).unwrap();
    assert_eq!(
        left, 0,
        "{name} {arguments:?} leaves files where it was started"
    );
    output.unwrap()
}

/// What a program wrote.
fn written(output: &Output) -> String {
    let both = [&output.stdout[..], &output.stderr[..]].concat();
    String::from_utf8(both).unwrap()
}

#[test]
fn every_example_runs_and_says_what_it_shows() {
    for (name, arguments, said) in EXAMPLES {
        let output = run(name, arguments);
        let text = written(&output);
        // A host that draws needs a GPU, and one of the processor's is none.
        if name == "host_app" && !output.status.success() {
            assert!(text.contains("there is no adapter"), "{text}");
            assert_eq!(std::env::var("KILN_DEVICE").as_deref(), Ok("cpu"), "{text}");
            continue;
        }
        assert!(output.status.success(), "{name} {arguments:?}:\n{text}");
        for said in said {
            assert!(text.contains(said), "{name} does not say `{said}`:\n{text}");
        }
        assert!(!text.contains("loss NaN"), "{name}:\n{text}");
    }
}

#[test]
fn nonsense_ends_an_example_with_a_sentence_before_any_work() {
    for (name, ..) in EXAMPLES {
        for (nonsense, said) in [
            (&["--nonsense"][..], "`--nonsense` is not known"),
            (&["--device", "nowhere"], "nowhere"),
        ] {
            let output = run(name, nonsense);
            let text = written(&output);
            assert_eq!(
                output.status.code(),
                Some(1),
                "{name} {nonsense:?}:\n{text}"
            );
            assert!(text.contains(said), "{name} {nonsense:?}:\n{text}");
            assert!(!text.contains("panicked"), "{name} {nonsense:?}:\n{text}");
            assert!(!text.contains("epoch "), "{name} {nonsense:?}:\n{text}");
        }
        let help = run(name, &["--help"]);
        assert!(help.status.success(), "{name}");
        assert!(written(&help).starts_with(&format!("{name}: ")), "{name}");
    }
}

#[test]
fn a_file_that_cannot_be_written_is_told_before_any_work() {
    for (name, option) in [
        ("mnist", "--save"),
        ("mnist", "--curve"),
        ("regression", "--plot"),
        ("tabular", "--save"),
    ] {
        // A folder that is not there, and what can be opened but is no file to write.
        for file in ["nowhere/at/all", "/dev/null"] {
            if file == "/dev/null" && !std::path::Path::new(file).exists() {
                continue;
            }
            let output = run(name, &[option, file]);
            let text = written(&output);
            assert_eq!(output.status.code(), Some(1), "{name} {option}:\n{text}");
            assert!(text.contains(file), "{name} {option}:\n{text}");
            assert!(!text.contains("epoch "), "{name} {option}:\n{text}");
        }
    }
}

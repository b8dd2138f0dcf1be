//! Reference cases of Keras, PyTorch and ONNX on every device, and what the runner of the cases rejects.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

#[path = "../tools/conform/mod.rs"]
mod conform;

mod common;

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use conform::{Bench, Outcome, Report, Verdict};
use kiln::Device;
use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView};

/// Cases in `tests/golden`, all of which Kiln reproduces.
const CASES: usize = 165;

/// Elements that differ on purpose, all in cases of activations: 48 where Keras' sparsemax is wrong, 14 at kinks, 22 at NaN
/// and 14 where Keras' formulas overflow.
const ON_PURPOSE: usize = 98;

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

fn every_case_is_reproduced(device: &Device) {
    let bench = Bench::new(device, &golden(), None);
    let mut report = Report::default();
    let mut on_purpose = 0;
    for path in conform::find(&golden()).unwrap() {
        let outcome = bench.run(&path);
        if outcome.verdict != Verdict::Passed {
            println!("{outcome}");
        }
        on_purpose += outcome.allowed.values().sum::<usize>();
        report.add(outcome);
    }
    println!("on {device}\n{report}");
    let counts = (report.passed(), report.failed(), report.not_supported());
    assert_eq!(counts, (CASES, 0, 0), "passed, failed, not supported");
    assert_eq!(on_purpose, ON_PURPOSE, "elements that differ on purpose");
}

#[test]
fn every_case_is_reproduced_on_the_device() {
    if let Some(device) = common::device() {
        every_case_is_reproduced(device);
    }
}

#[test]
fn every_case_is_reproduced_on_the_cpu_session() {
    every_case_is_reproduced(&Device::cpu());
}

#[test]
fn every_case_is_reproduced_by_the_reference() {
    every_case_is_reproduced(&Device::reference());
}

/// A folder for a changed case, gone at the end of the test.
struct Folder(PathBuf);

impl Folder {
    fn new(test: &str) -> Self {
        let name = format!("kiln-conformance-{}-{test}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&folder).unwrap();
        Folder(folder)
    }

    /// Writes a case and runs it.
    fn run(&self, json: &[u8], tensors: &[u8]) -> Outcome {
        let path = self.0.join("case.json");
        std::fs::write(&path, json).unwrap();
        std::fs::write(path.with_extension("safetensors"), tensors).unwrap();
        Bench::new(&Device::cpu(), &self.0, None).run(&path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).unwrap_or_default();
    }
}

/// The two files of a case.
fn files(case: &str) -> (Vec<u8>, Vec<u8>) {
    let path = golden().join(case);
    let read = |ending| std::fs::read(format!("{}.{ending}", path.display())).unwrap();
    (read("json"), read("safetensors"))
}

/// The numbers of one tensor, and the file with these numbers changed.
fn numbers(file: &[u8], name: &str) -> Vec<f32> {
    let tensors = SafeTensors::deserialize(file).unwrap();
    let bytes = tensors.tensor(name).unwrap().data();
    bytes
        .as_chunks::<4>()
        .0
        .iter()
        .map(|bytes| f32::from_le_bytes(*bytes))
        .collect()
}

fn with_numbers(file: &[u8], name: &str, numbers: &[f32]) -> Vec<u8> {
    let tensors = SafeTensors::deserialize(file).unwrap();
    let changed: Vec<u8> = numbers
        .iter()
        .flat_map(|number| number.to_le_bytes())
        .collect();
    let views: HashMap<String, TensorView<'_>> = tensors
        .iter()
        .map(|(known, view)| {
            let data = if known == name { &changed } else { view.data() };
            let view = TensorView::new(view.dtype(), view.shape().to_vec(), data);
            (known.to_string(), view.unwrap())
        })
        .collect();
    safetensors::serialize(views, None).unwrap()
}

#[test]
fn one_number_beyond_its_tolerance_fails_the_case_and_one_within_does_not() {
    // A tensor of each kind of comparison; relative, noise and scale are those of the format.
    let (common, trained) = ((1e-5, 4.0, 2e-6), (1e-4, 20.0, 1e-5));
    let cases = [
        ("keras_activation/tanh__rand", "y", common),
        ("keras_activation/sigmoid__rand", "dx", common),
        ("keras_loss/mse__a", "value.sum", common),
        (
            "keras_loss/bce_logits__a",
            "grad.sum_over_batch_size",
            common,
        ),
        ("keras_loss/scce__a", "value.none_w", common),
        ("keras_optimizer/sgd_nesterov__a", "after.bias", common),
        ("keras_optimizer/adam__a", "slot.kernel_velocity", common),
        ("keras_optimizer/adam_sched_exp__a", "lr", common),
        ("keras_schedule/cosine_warmup", "lr", common),
        ("keras_initializer/constant", "value", common),
        ("keras_metric/categorical_accuracy__a", "result", common),
        ("keras_metric/binary_accuracy__a", "result_w", common),
        ("keras_layer/dense_softmax", "y", common),
        ("keras_layer/dense_softmax", "dw.kernel", common),
        ("keras_layer/dense_softmax", "dw.bias", common),
        ("keras_trace/iris_softmax", "batch0.loss", trained),
        ("keras_trace/iris_softmax", "batch0.grad.l1.kernel", trained),
        ("keras_trace/iris_softmax", "step10.l0.bias", trained),
        ("keras_trace/iris_softmax", "epoch1.running_loss", trained),
        ("keras_trace/iris_softmax", "history.loss", trained),
        ("keras_trace/iris_softmax", "history.accuracy", trained),
        ("keras_trace/iris_softmax", "final.l1.bias", trained),
        ("keras_trace/iris_softmax", "final.pred", trained),
    ];
    let folder = Folder::new("tolerance");
    for (case, tensor, (relative, noise, scale)) in cases {
        let (json, file) = files(case);
        let meta: serde_json::Value = serde_json::from_slice(&json).unwrap();
        let own = meta["f64_err"][tensor].as_f64().unwrap_or(0.0);
        let values = numbers(&file, tensor);
        let largest = values
            .iter()
            .fold(0.0f64, |largest, value| largest.max(f64::from(value.abs())));
        for index in [0, values.len() / 2, values.len() - 1] {
            let value = f64::from(values[index]);
            let tolerance = relative * value.abs() + noise * own + scale * largest;
            for (share, passes) in [(-2.5, false), (-0.5, true), (0.5, true), (2.5, false)] {
                let mut changed = values.clone();
                changed[index] = (value + share * tolerance) as f32;
                let outcome = folder.run(&json, &with_numbers(&file, tensor, &changed));
                let at = format!("{case}, {tensor}[{index}] changed by {share} of its tolerance");
                match outcome.verdict {
                    Verdict::Passed => assert!(passes, "{at}: passed"),
                    Verdict::Failed(why) => {
                        assert!(!passes, "{at}: {why}");
                        assert!(why.contains(&format!("{tensor}[{index}]")), "{at}: {why}");
                    }
                    Verdict::NotSupported(what) => panic!("{at}: {what}"),
                }
            }
            let mut changed = values.clone();
            changed[index] = f32::NAN;
            let outcome = folder.run(&json, &with_numbers(&file, tensor, &changed));
            assert!(
                matches!(outcome.verdict, Verdict::Failed(_)),
                "{case}, {tensor}: NaN"
            );
        }
    }
}

#[test]
fn other_statistics_than_the_initializers_fail() {
    let folder = Folder::new("statistics");
    let (json, file) = files("keras_initializer/he_normal");
    let values = numbers(&file, "stats.784x128");
    for (column, factor) in [(1, 1.005), (2, 1.02), (3, 0.98)] {
        let mut changed = values.clone();
        changed
            .iter_mut()
            .skip(column)
            .step_by(4)
            .for_each(|value| *value *= factor);
        let outcome = folder.run(&json, &with_numbers(&file, "stats.784x128", &changed));
        assert!(
            matches!(outcome.verdict, Verdict::Failed(_)),
            "column {column}: {outcome}"
        );
    }
}

#[test]
fn a_broken_file_is_a_failure_that_names_it() {
    let folder = Folder::new("broken");
    let (json, file) = files("keras_layer/dense_sigmoid_1");
    assert_eq!(folder.run(&json, &file).verdict, Verdict::Passed);
    let text = String::from_utf8(json.clone()).unwrap();
    let half = tensors_of(Dtype::F16);
    let broken: Vec<(&[u8], &[u8], &str)> = vec![
        (&json, &file[..file.len() - 1], "case.safetensors"),
        (&json, &file[..file.len() / 2], "case.safetensors"),
        (&json, &file[..9], "case.safetensors"),
        (&json, &[], "case.safetensors"),
        (&json, &half, "F16"),
        (&json[..json.len() / 2], &file, "case.json"),
        (b"", &file, "case.json"),
        (b"[]", &file, "case.json"),
        (b"{}", &file, "case.json"),
        (b"\xff\xfe", &file, "case.json"),
    ];
    for (json, file, named) in broken {
        let outcome = folder.run(json, file);
        match &outcome.verdict {
            Verdict::Failed(why) => assert!(why.contains(named), "{why}"),
            other => panic!("{other:?}, and should be a failure that has {named}"),
        }
    }
    let altered = [
        (r#""kind":"layer""#, r#""kind":7"#),
        (r#""suite":"keras_layer","#, ""),
        (r#""units":1"#, r#""units":"one""#),
        (r#""use_bias":true"#, r#""use_bias":"yes""#),
        (r#""activation":"sigmoid""#, r#""activation":["sigmoid"]"#),
    ];
    for (from, to) in altered {
        assert!(text.contains(from), "{from} is not in {text}");
        let outcome = folder.run(text.replace(from, to).as_bytes(), &file);
        let failed = matches!(&outcome.verdict, Verdict::Failed(why) if why.contains("case.json"));
        // How many units there are, the kernel says as well.
        assert!(failed || from.contains("units"), "{to}: {outcome}");
    }
    // Shapes that do not fit together, a tensor that is missing, and a file without its other half.
    let mut other = file.clone();
    let at = other
        .windows(8)
        .position(|window| window == b"\"w.bias\"")
        .unwrap();
    other[at + 1] = b'v';
    let outcome = folder.run(&json, &other);
    assert!(
        matches!(&outcome.verdict, Verdict::Failed(why) if why.contains("bias")),
        "{outcome}"
    );
    std::fs::remove_file(folder.0.join("case.json")).unwrap();
    let found = conform::find(&folder.0).unwrap();
    assert_eq!(found, [folder.0.join("case.safetensors")]);
    let outcome = Bench::new(&Device::cpu(), &folder.0, None).run(&found[0]);
    assert!(matches!(&outcome.verdict, Verdict::Failed(why) if why.contains("case.json")));
}

/// A file with one tensor of this type.
fn tensors_of(dtype: Dtype) -> Vec<u8> {
    let view = TensorView::new(dtype, vec![2], &[0; 4]).unwrap();
    safetensors::serialize([("x", view)], None).unwrap()
}

#[test]
fn what_kiln_does_not_have_is_not_supported_and_says_what() {
    let folder = Folder::new("unknown");
    let altered = [
        (
            "keras_activation/tanh__rand",
            r#""kind":"activation""#,
            r#""kind":"dream""#,
            "kind dream",
        ),
        (
            "keras_activation/tanh__rand",
            r#""op":"tanh""#,
            r#""op":"dream""#,
            "op dream",
        ),
        (
            "keras_activation/tanh__rand",
            r#""config":{}"#,
            r#""config":{"beta":2}"#,
            "beta",
        ),
        (
            "keras_loss/mse__a",
            r#""op":"MeanSquaredError""#,
            r#""op":"Circle""#,
            "op Circle",
        ),
        (
            "keras_optimizer/adam__a",
            r#""clipnorm":null"#,
            r#""clipdream":1.0"#,
            "clipdream",
        ),
        (
            "keras_schedule/exp",
            "ExponentialDecay",
            "DreamDecay",
            "op DreamDecay",
        ),
        (
            "keras_trace/iris_softmax",
            r#""fit":{}"#,
            r#""fit":{"steps_dreamt":2}"#,
            "steps_dreamt",
        ),
        (
            "keras_trace/iris_softmax",
            r#""cls":"Dense""#,
            r#""cls":"Conv2D""#,
            "layer Conv2D",
        ),
    ];
    for (case, from, to, reason) in altered {
        let (json, file) = files(case);
        let text = String::from_utf8(json).unwrap();
        assert!(text.contains(from), "{from} is not in {case}");
        let outcome = folder.run(text.replacen(from, to, 1).as_bytes(), &file);
        assert_eq!(
            outcome.verdict,
            Verdict::NotSupported(reason.into()),
            "{case}: {to}"
        );
    }
}

#[test]
fn a_trace_may_have_its_activations_as_layers() {
    let folder = Folder::new("layers");
    let (json, file) = files("keras_trace/iris_softmax");
    let (from, to) = (
        r#""activation":"softmax","use_bias":true}"#,
        r#""use_bias":true},{"cls":"Softmax"}"#,
    );
    let text = String::from_utf8(json).unwrap();
    assert!(text.contains(from), "{from} is not in {text}");
    let verdict = folder.run(text.replace(from, to).as_bytes(), &file).verdict;
    assert_eq!(verdict, Verdict::Passed);
}

#[test]
fn a_tensor_that_nobody_compares_keeps_a_case_from_passing() {
    let folder = Folder::new("unseen");
    let (json, file) = files("keras_activation/tanh__rand");
    let tensors = SafeTensors::deserialize(&file).unwrap();
    let more = tensors.iter().map(|(name, view)| (name.to_string(), view));
    let extra = TensorView::new(Dtype::F32, vec![1], &[0; 4]).unwrap();
    let views = more.chain([("ddx".to_string(), extra)]);
    let file = safetensors::serialize(views, None).unwrap();
    let verdict = folder.run(&json, &file).verdict;
    assert_eq!(verdict, Verdict::NotSupported("tensor ddx".into()));
}

#[test]
fn the_last_line_of_a_report_is_the_sum() {
    let bench_device = Device::cpu();
    let bench = Bench::new(&bench_device, &golden(), None);
    let mut report = Report::default();
    for case in ["keras_activation/relu__edge", "keras_schedule/exp"] {
        report.add(bench.run(&golden().join(case)));
    }
    let folder = Folder::new("report");
    let (json, _) = files("keras_schedule/exp");
    report.add(folder.run(&json, b"nothing"));
    let text = report.to_string();
    assert_eq!(
        text.lines().last(),
        Some("2 passed, 1 failed, 0 not supported")
    );
    assert!(
        text.contains("keras_activation/activation")
            && text.contains("on purpose 1 elements differ")
    );
}

//! Which device trains a model fastest, and what a summary says of the other one.
#![allow(clippy::unwrap_used)]

mod common;

use std::time::Duration;

use common::device;
use kiln::prelude::*;

fn network(widths: &[usize], device: &Device) -> Model {
    let [inputs, hidden @ .., outputs] = widths else {
        panic!("a network has inputs and outputs")
    };
    let first = Sequential::new(*inputs);
    let model = hidden
        .iter()
        .fold(first, |model, &units| model.dense(units, Relu));
    let model = model.dense(*outputs, Softmax).seed(5);
    let (loss, optimizer) = (SparseCategoricalCrossentropy, Adam::new(0.01));
    model
        .compile_on(device, loss, optimizer, [Accuracy])
        .unwrap()
}

#[test]
fn without_a_gpu_the_cpu_session_is_chosen_by_rule() {
    let hardware = |adapter: &kiln::gpu::AdapterSummary| adapter.kind != "software";
    if kiln::gpu::adapters().iter().any(hardware) {
        return;
    }
    let fastest = Device::fastest(&network(&[8, 10, 3], &Device::cpu()), 32).unwrap();
    assert_eq!(fastest.device.to_string(), Device::cpu().to_string());
    assert_eq!(
        (fastest.seconds_per_step.len(), fastest.measured_in),
        (1, Duration::ZERO)
    );
    let (_, seconds) = &fastest.seconds_per_step[0];
    assert!(!fastest.measured && *seconds > 0.0, "{fastest}");
}

#[test]
fn an_adapter_asked_for_is_measured_beside_the_cpu_session() {
    let Some(device) = device() else { return };
    if device.adapter_summary().is_none() {
        return;
    }
    for widths in [&[8, 10, 3][..], &[64, 96, 10]] {
        let mut model = network(widths, device);
        let weights = model.weights().unwrap();
        let fastest = Device::fastest(&model, 32).unwrap();
        let [(cpu, on_cpu), (adapter, on_adapter)] = &fastest.seconds_per_step[..] else {
            panic!("{fastest}")
        };
        assert_eq!(cpu.to_string(), Device::cpu().to_string());
        assert_eq!(adapter.to_string(), device.to_string());
        assert!(fastest.measured, "{fastest}");
        let best = if on_cpu <= on_adapter { cpu } else { adapter };
        assert_eq!(fastest.device.to_string(), best.to_string());
        assert_eq!(
            model.weights().unwrap(),
            weights,
            "the model stays as it is"
        );
    }
}

#[test]
fn a_batch_of_no_rows_is_refused() {
    let model = network(&[8, 10, 3], &Device::cpu());
    let error = Device::fastest(&model, 0).unwrap_err();
    assert!(
        matches!(error, Error::Argument { name: "batch", .. }),
        "{error}"
    );
}

#[test]
fn a_summary_names_the_other_device_only_where_it_would_be_much_faster() {
    let hint = "Device::fastest";
    let small = network(&[8, 10, 3], &Device::cpu()).summary();
    assert!(!small.contains(hint), "{small}");
    let large = network(&[784, 4096, 4096, 10], &Device::cpu()).summary();
    // Many fast cores are nearly as good as the modest GPU of the rule.
    if std::thread::available_parallelism().unwrap().get() <= 8 {
        assert!(
            large.contains("on a GPU") && large.contains(hint),
            "{large}"
        );
    }
    if let Some(device) = device().filter(|device| device.adapter_summary().is_some()) {
        let slower = network(&[784, 128, 10], device).summary();
        let software = device.target().class == kiln::plan::Class::CpuAdapter;
        assert_eq!(slower.contains("on the CPU session"), software, "{slower}");
    }
}

#[test]
fn a_model_that_moves_goes_on_where_it_was() {
    let Some(device) = device() else { return };
    let rows: Vec<[f32; 4]> = (0..64)
        .map(|i| [0, 1, 2, 3].map(|j| ((i * 4 + j) * 7919 % 1009) as f32 / 1009.0))
        .collect();
    let labels: Vec<[f32; 1]> = rows.iter().map(|row| [row[0] + row[1]]).collect();
    let data = Dataset::from_rows(&rows, &labels).unwrap();
    let start = || {
        let model = Sequential::new(4).dense(6, Tanh).dense(1, Linear).seed(2);
        model
            .compile_on(&Device::cpu(), MeanSquaredError, Adam::new(0.01), [])
            .unwrap()
    };
    let fit = || Fit::epochs(5).batch_size(16).silent();
    let (mut stays, mut moves) = (start(), start());
    stays.fit(&data, fit()).unwrap();
    moves.fit(&data, fit()).unwrap();
    moves.move_to(device).unwrap();
    assert_eq!(moves.device().to_string(), device.to_string());
    let (expected, found) = (
        stays.fit(&data, fit()).unwrap(),
        moves.fit(&data, fit()).unwrap(),
    );
    for (a, b) in expected.step_losses.iter().zip(&found.step_losses) {
        // Adam's state and the order of rows went along: else the losses would part at the first step.
        assert!((a - b).abs() < 1e-4 * a.abs(), "{expected}\n{found}");
    }
}

//! Weights in files as Keras and PyTorch name and lay them out.

use std::path::PathBuf;

use kiln::data::{Array, npy};
use kiln::io::Import;
use kiln::prelude::*;
use safetensors::tensor::{Dtype, TensorView};

/// A tensor of a file: name, shape, elements.
type Named<'a> = (&'a str, &'a [usize], &'a [f32]);

fn path(name: &str) -> PathBuf {
    std::env::temp_dir().join(format!("kiln-import-{}-{name}", std::process::id()))
}

/// What `use_it` makes of a safetensors file of these tensors, and PyTorch's counter of batches where `counter` names it.
fn with_file<T>(
    tensors: &[Named<'_>],
    counter: Option<&str>,
    use_it: impl FnOnce(&PathBuf) -> T,
) -> T {
    static FILES: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
    let number = FILES.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    let file = path(&format!("{number}.safetensors"));
    let bytes = |values: &[f32]| {
        values
            .iter()
            .flat_map(|v| v.to_le_bytes())
            .collect::<Vec<u8>>()
    };
    let mut data: Vec<(&str, Dtype, Vec<usize>, Vec<u8>)> = tensors
        .iter()
        .map(|(name, shape, values)| (*name, Dtype::F32, shape.to_vec(), bytes(values)))
        .collect();
    if let Some(name) = counter {
        data.push((name, Dtype::I64, Vec::new(), 7_i64.to_le_bytes().to_vec()));
    }
    let views = data.iter().map(|(name, dtype, shape, bytes)| {
        (
            *name,
            TensorView::new(*dtype, shape.clone(), bytes).unwrap(),
        )
    });
    std::fs::write(&file, safetensors::serialize(views, None).unwrap()).unwrap();
    let outcome = use_it(&file);
    std::fs::remove_file(&file).unwrap();
    outcome
}

fn compiled(network: Sequential) -> Model {
    network
        .compile_on(&Device::cpu(), MeanSquaredError, Sgd::new(0.1), [])
        .unwrap()
}

/// 2-2-1, linear, so that what it predicts can be counted on paper.
fn two_layers() -> Model {
    compiled(Sequential::new(2).dense(2, Linear).dense(1, Linear))
}

/// y = [x₀ + 3·x₁ + 0.5, 2·x₀ + 4·x₁ − 0.5] · [10, 100] + 1 as PyTorch keeps it: `[out, in]`.
const TORCH_FIRST: &[f32] = &[1.0, 3.0, 2.0, 4.0];
const KERAS_FIRST: &[f32] = &[1.0, 2.0, 3.0, 4.0];
const BIAS: &[f32] = &[0.5, -0.5];
const SECOND: &[f32] = &[10.0, 100.0];

fn expected([a, b]: [f32; 2]) -> f32 {
    10.0 * (a + 3.0 * b + 0.5) + 100.0 * (2.0 * a + 4.0 * b - 0.5) + 1.0
}

#[track_caller]
fn predicts(model: &mut Model) {
    for row in [[1.0, 0.0], [0.0, 1.0], [0.25, -2.0]] {
        assert_eq!(model.predict(&row).unwrap().values, [expected(row)]);
    }
}

#[track_caller]
fn refused<T: std::fmt::Debug>(outcome: kiln::Result<T>, parts: &[&str]) {
    let message = outcome.unwrap_err().to_string();
    for part in parts {
        assert!(message.contains(part), "`{message}` does not say `{part}`");
    }
}

#[test]
fn a_sequential_network_of_pytorch_is_read_in_the_order_of_its_numbers() {
    let tensors: [Named<'_>; 4] = [
        ("10.weight", &[1, 2], SECOND),
        ("10.bias", &[1], &[1.0]),
        ("2.weight", &[2, 2], TORCH_FIRST),
        ("2.bias", &[2], BIAS),
    ];
    let mut model = two_layers();
    let names = with_file(&tensors, None, |file| {
        model.import_weights(file, &Import::pytorch()).unwrap()
    });
    assert_eq!(
        names,
        [
            "dense/bias",
            "dense/kernel",
            "dense_1/bias",
            "dense_1/kernel"
        ]
    );
    predicts(&mut model);
}

#[test]
fn attributes_of_a_module_are_told_apart_by_the_names_that_the_caller_gives() {
    let tensors: [Named<'_>; 4] = [
        ("body.weight", &[2, 2], TORCH_FIRST),
        ("body.bias", &[2], BIAS),
        ("arm.weight", &[1, 2], SECOND),
        ("arm.bias", &[1], &[1.0]),
    ];
    let mut model = two_layers();
    with_file(&tensors, None, |file| {
        let unsaid = model.import_weights(file, &Import::pytorch());
        refused(unsaid, &["`arm` and `body`", "Import::layer"]);
        let named = Import::pytorch()
            .layer("body", "dense")
            .layer("arm", "dense_1");
        model.import_weights(file, &named).unwrap();
        let twice = Import::pytorch()
            .layer("body", "dense")
            .layer("arm", "dense");
        refused(
            model.import_weights(file, &twice),
            &["`arm` cannot go to `dense`"],
        );
        let unknown = Import::pytorch().layer("leg", "dense");
        refused(
            model.import_weights(file, &unknown),
            &["no layer `leg`", "arm, body"],
        );
        let unknown = Import::pytorch().layer("arm", "dense_9");
        refused(
            model.import_weights(file, &unknown),
            &["no layer `dense_9`", "dense, dense_1"],
        );
    });
    predicts(&mut model);
}

#[test]
fn variables_of_keras_by_their_paths_are_read_from_safetensors_and_npz() {
    // The third model of a session: Keras goes on counting.
    let tensors: [Named<'_>; 4] = [
        ("sequential_2/dense_9/kernel", &[2, 2], KERAS_FIRST),
        ("sequential_2/dense_9/bias", &[2], BIAS),
        ("sequential_2/dense_10/kernel", &[2, 1], SECOND),
        ("sequential_2/dense_10/bias", &[1], &[1.0]),
    ];
    let mut model = two_layers();
    with_file(&tensors, None, |file| {
        model.import_weights(file, &Import::keras()).unwrap();
    });
    predicts(&mut model);
    let arrays: Vec<(&str, Array)> = tensors
        .iter()
        .map(|(name, shape, values)| (*name, Array::from_f32(shape, values).unwrap()))
        .collect();
    let file = path("keras.npz");
    npy::save_all(&file, arrays.iter().map(|(name, array)| (*name, array))).unwrap();
    let mut model = two_layers();
    model.import_weights(&file, &Import::keras()).unwrap();
    std::fs::remove_file(file).unwrap();
    predicts(&mut model);
}

#[test]
fn tensors_that_keras_numbers_are_taken_in_the_order_of_the_layer() {
    let tensors: [Named<'_>; 4] = [
        ("layers/dense/vars/0", &[2, 2], KERAS_FIRST),
        ("layers/dense/vars/1", &[2], BIAS),
        ("layers/dense_1/vars/0", &[2, 1], SECOND),
        ("layers/dense_1/vars/1", &[1], &[1.0]),
    ];
    let mut model = two_layers();
    with_file(&tensors, None, |file| {
        model.import_weights(file, &Import::keras()).unwrap();
    });
    predicts(&mut model);
}

#[test]
fn a_batch_normalisation_of_pytorch_comes_with_its_averages_and_without_its_counter() {
    let tensors: [Named<'_>; 6] = [
        ("net.0.weight", &[2, 2], &[1.0, 0.0, 0.0, 1.0]),
        ("net.0.bias", &[2], &[0.0, 0.0]),
        ("net.1.weight", &[2], &[2.0, 3.0]),
        ("net.1.bias", &[2], &[1.0, -1.0]),
        ("net.1.running_mean", &[2], &[5.0, 6.0]),
        ("net.1.running_var", &[2], &[4.0, 9.0]),
    ];
    let network = Sequential::new(2)
        .dense(2, Linear)
        .layer(BatchNormalization::default());
    let mut model = compiled(network);
    with_file(&tensors, Some("net.1.num_batches_tracked"), |file| {
        model.import_weights(file, &Import::pytorch()).unwrap();
    });
    let weights = model.weights().unwrap();
    let of = |name: &str| {
        let weights = weights.iter().find(|w| w.name.ends_with(name));
        weights.unwrap().values.clone()
    };
    assert_eq!(of("gamma"), [2.0, 3.0]);
    assert_eq!(of("beta"), [1.0, -1.0]);
    assert_eq!(of("moving_mean"), [5.0, 6.0]);
    assert_eq!(of("moving_variance"), [4.0, 9.0]);
}

#[test]
fn some_layers_are_taken_only_where_that_is_asked_for() {
    let tensors: [Named<'_>; 3] = [
        ("dense/kernel", &[2, 2], KERAS_FIRST),
        ("dense/bias", &[2], BIAS),
        ("another/kernel", &[7], &[0.0; 7]),
    ];
    let mut model = two_layers();
    let before = model.weights().unwrap();
    with_file(&tensors, None, |file| {
        let strict =
            compiled(Sequential::new(2).dense(2, Linear)).import_weights(file, &Import::keras());
        refused(
            strict,
            &["2 layers with weights", "the model 1", "`partial`"],
        );
        let names = model
            .import_weights(file, &Import::keras().partial(true))
            .unwrap();
        assert_eq!(names, ["dense/bias", "dense/kernel"]);
    });
    let after = model.weights().unwrap();
    assert_eq!(after[0].values, KERAS_FIRST);
    assert_eq!(
        after[2], before[2],
        "a layer that the file does not have stays"
    );
}

#[test]
fn layers_of_one_name_in_two_parts_of_a_network_are_never_taken_for_each_other() {
    let square: [Named<'_>; 4] = [
        ("encoder/dense/kernel", &[2, 2], KERAS_FIRST),
        ("encoder/dense/bias", &[2], BIAS),
        ("decoder/dense/kernel", &[2, 2], TORCH_FIRST),
        ("decoder/dense/bias", &[2], BIAS),
    ];
    // Both fit both: nothing but the caller can tell.
    let mut model = compiled(Sequential::new(2).dense(2, Linear).dense(2, Linear));
    let before = model.weights().unwrap();
    with_file(&square, None, |file| {
        let strict = model.import_weights(file, &Import::keras());
        refused(
            strict,
            &["`decoder/dense`", "`encoder/dense`", "Import::layer"],
        );
        let partial = model.import_weights(file, &Import::keras().partial(true));
        refused(partial, &["both have the name of `dense`", "Import::layer"]);
        assert_eq!(model.weights().unwrap(), before);
        let told = Import::keras()
            .layer("encoder/dense", "dense")
            .layer("decoder/dense", "dense_1");
        assert_eq!(model.import_weights(file, &told).unwrap().len(), 4);
    });
    let after = model.weights().unwrap();
    assert_eq!(after[0].values, KERAS_FIRST);
    assert_eq!(after[2].values, TORCH_FIRST);
}

#[test]
fn what_does_not_fit_changes_nothing() {
    let mut model = two_layers();
    let before = model.weights().unwrap();
    let tensors: [Named<'_>; 4] = [
        ("0.weight", &[2, 2], TORCH_FIRST),
        ("0.bias", &[2], BIAS),
        ("2.weight", &[1, 3], &[1.0, 2.0, 3.0]),
        ("2.bias", &[1], &[1.0]),
    ];
    with_file(&tensors, None, |file| {
        let outcome = model.import_weights(file, &Import::pytorch());
        refused(
            outcome,
            &["`weight` of `2` is [1, 3]", "[2, 1] of `dense_1/kernel`"],
        );
    });
    with_file(&tensors[..2], None, |file| {
        refused(model.load_weights(file), &["no tensor `0."]);
    });
    assert_eq!(model.weights().unwrap(), before);
}

#[test]
fn weights_go_to_an_archive_of_arrays_and_back() {
    let file = path("own.npz");
    let mut model = two_layers();
    model.save_weights(&file).unwrap();
    let arrays = npy::load_all(&file).unwrap();
    assert_eq!(arrays["dense/kernel"].shape(), [2, 2]);
    let mut other = compiled(
        Sequential::new(2)
            .dense(2, Linear)
            .dense(1, Linear)
            .seed(99),
    );
    assert_ne!(other.weights().unwrap(), model.weights().unwrap());
    other.load_weights(&file).unwrap();
    assert_eq!(other.weights().unwrap(), model.weights().unwrap());
    std::fs::remove_file(file).unwrap();
}

#[test]
fn floats_of_other_widths_are_read_as_numbers() {
    let file = path("widths.safetensors");
    let half: Vec<u8> = [0x3c00_u16, 0x4000, 0x4200, 0x4400]
        .iter()
        .flat_map(|h| h.to_le_bytes())
        .collect();
    let brain: Vec<u8> = [0x3f00_u16, 0xbf00]
        .iter()
        .flat_map(|h| h.to_le_bytes())
        .collect();
    let double: Vec<u8> = [10.0_f64, 100.0]
        .iter()
        .flat_map(|d| d.to_le_bytes())
        .collect();
    let views = [
        (
            "dense/kernel",
            TensorView::new(Dtype::F16, vec![2, 2], &half).unwrap(),
        ),
        (
            "dense/bias",
            TensorView::new(Dtype::BF16, vec![2], &brain).unwrap(),
        ),
        (
            "dense_1/kernel",
            TensorView::new(Dtype::F64, vec![2, 1], &double).unwrap(),
        ),
        (
            "dense_1/bias",
            TensorView::new(Dtype::F32, vec![1], &[0, 0, 128, 63]).unwrap(),
        ),
    ];
    std::fs::write(&file, safetensors::serialize(views, None).unwrap()).unwrap();
    let mut model = two_layers();
    model.load_weights(&file).unwrap();
    std::fs::remove_file(file).unwrap();
    predicts(&mut model);
}

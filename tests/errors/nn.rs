//! Layers, initializers, regularizers and constraints.

use kiln::nn::{Constraint, Regularizer};
use kiln::prelude::*;

use super::{refuses, says};

pub fn all() {
    architectures_that_cannot_be_are_refused();
    settings_of_activations_out_of_range_name_the_field();
    settings_of_initializers_out_of_range_name_the_field();
    settings_of_layers_out_of_range_name_the_field();
    penalties_and_constraints_out_of_range_name_the_field();
    shapes_that_a_layer_cannot_take_are_refused();
    settings_of_groups_and_penalties_on_outputs_name_the_field();
}

#[test]
pub fn settings_of_groups_and_penalties_on_outputs_name_the_field() {
    use kiln::nn::{ActivityRegularization, GroupNormalization};
    says(
        with(GroupNormalization::new(0)),
        &["group_normalization", "0 groups"],
    );
    refuses(
        with(LayerNormalization {
            dims: 0,
            ..Default::default()
        }),
        "dims",
        &["at least 1", "0"],
    );
    let penalised = |l1, l2| with(ActivityRegularization { l1, l2 });
    refuses(penalised(-0.5, 0.0), "l1", &["at least 0", "-0.5"]);
    refuses(penalised(0.0, f32::INFINITY), "l2", &["finite", "inf"]);
    let dense = |penalty| with(Dense::new(3).activity_regularizer(penalty));
    refuses(dense(Regularizer::L1(f32::NAN)), "l1", &["NaN"]);
    let pairs = Regularizer::Orthogonal {
        factor: 0.1,
        columns: true,
    };
    refuses(dense(pairs), "activity_regularizer", &["L1, L2 or L1L2"]);
}

fn with<L: Layer + 'static>(layer: L) -> Result<Model> {
    let model = Sequential::new(4).layer(layer).dense(1, Linear);
    model.compile_on(&Device::cpu(), MeanSquaredError, Adam::default(), [])
}

#[test]
pub fn architectures_that_cannot_be_are_refused() {
    let compile =
        |model: Sequential| model.compile_on(&Device::cpu(), MeanSquaredError, Adam::default(), []);
    says(compile(Sequential::new(0).dense(1, Relu)), &["inputs", "0"]);
    says(compile(Sequential::new(3)), &["layers", "at least one"]);
    says(compile(Sequential::new(3).dense(0, Relu)), &["units", "0"]);
    says(
        compile(Sequential::new(3).dense(1, LeakyRelu(f32::NAN))),
        &["slope", "NaN"],
    );
    let constant = Dense::new(1).kernel_initializer(Initializer::Constant(f32::INFINITY));
    says(
        compile(Sequential::new(3).layer(constant)),
        &["constant", "inf"],
    );
    let uniform = Dense::new(1).kernel_initializer(Initializer::Uniform(1.0, -1.0));
    says(
        compile(Sequential::new(3).layer(uniform)),
        &["uniform", "order"],
    );
    let normal = Dense::new(1).bias_initializer(Initializer::Normal(0.0, -1.0));
    says(compile(Sequential::new(3).layer(normal)), &["normal", "-1"]);
    let other = Dataset::from_rows(&[[1.0, 2.0], [3.0, 5.0]], &[[0.0], [1.0]]).unwrap();
    let scaled = Sequential::new(3)
        .dense(1, Relu)
        .preprocessing(Scaler::standard(&other).unwrap());
    says(compile(scaled), &["preprocessing", "2 columns", "3 inputs"]);
}

#[test]
pub fn settings_of_activations_out_of_range_name_the_field() {
    let with = |activation: Activation| with(Dense::new(3).activation(activation));
    refuses(
        with(LeakyRelu(f32::INFINITY)),
        "slope",
        &["leaky_relu", "finite", "inf"],
    );
    refuses(with(Elu(f32::NAN)), "alpha", &["elu", "NaN"]);
    refuses(
        with(Activation::Celu(0.0)),
        "alpha",
        &["celu", "above 0", "got 0"],
    );
    refuses(with(Activation::Celu(f32::NAN)), "alpha", &["celu", "NaN"]);
    refuses(
        with(Activation::SoftShrink(-0.5)),
        "lambda",
        &["soft_shrink", "at least 0", "-0.5"],
    );
    refuses(
        with(Activation::HardShrink(-0.5)),
        "lambda",
        &["hard_shrink", "at least 0", "-0.5"],
    );
    refuses(with(Activation::HardShrink(f32::NAN)), "lambda", &["NaN"]);
    let rectify = |max_value, negative_slope, threshold| Activation::Rectify {
        max_value,
        negative_slope,
        threshold,
    };
    refuses(
        with(rectify(Some(-1.0), 0.0, 0.0)),
        "max_value",
        &["at least 0", "-1"],
    );
    refuses(
        with(rectify(Some(1.0), 0.0, 2.0)),
        "max_value",
        &["at least 2", "got 1"],
    );
    refuses(
        with(rectify(None, f32::NAN, 0.0)),
        "negative_slope",
        &["NaN"],
    );
    refuses(with(rectify(None, 0.0, f32::NAN)), "threshold", &["NaN"]);
    let threshold = |threshold, value| Activation::Threshold { threshold, value };
    refuses(with(threshold(f32::NAN, 0.0)), "threshold", &["NaN"]);
    refuses(with(threshold(0.0, f32::INFINITY)), "value", &["inf"]);
    refuses(
        with(Activation::Squareplus(-1.0)),
        "b",
        &["at least 0", "-1"],
    );
    refuses(with(Activation::Glu), "units", &["even", "got 3"]);
    says(Activation::from_name("relu7"), &["relu7", "relu6"]);
}

#[test]
pub fn settings_of_initializers_out_of_range_name_the_field() {
    let with = |initializer: Initializer| with(Dense::new(3).kernel_initializer(initializer));
    refuses(
        with(Initializer::Uniform(1.0, 0.0)),
        "uniform",
        &["in order"],
    );
    refuses(
        with(Initializer::Uniform(f32::NEG_INFINITY, 0.0)),
        "uniform",
        &["finite"],
    );
    refuses(with(Initializer::Normal(0.0, f32::NAN)), "normal", &["NaN"]);
    refuses(
        with(Initializer::TruncatedNormal(0.0, -1.0)),
        "truncated_normal",
        &["at least 0", "-1"],
    );
    refuses(with(Initializer::Orthogonal(f32::NAN)), "gain", &["NaN"]);
    refuses(with(Initializer::Identity(f32::INFINITY)), "gain", &["inf"]);
    refuses(with(Initializer::Constant(f32::NAN)), "constant", &["NaN"]);
    let scaled = |scale| Initializer::VarianceScaling {
        scale,
        fan: kiln::nn::Fan::In,
        distribution: kiln::nn::Distribution::Uniform,
    };
    refuses(with(scaled(0.0)), "scale", &["above 0", "got 0"]);
    refuses(with(scaled(f32::NAN)), "scale", &["NaN"]);
}

#[test]
pub fn settings_of_layers_out_of_range_name_the_field() {
    for rate in [1.0, -0.1, f32::NAN] {
        let got = format!("got {rate}");
        let words = ["at least 0 and below 1", &got];
        refuses(with(Dropout { rate }), "rate", &words);
        refuses(with(AlphaDropout { rate }), "rate", &words);
        refuses(with(GaussianDropout { rate }), "rate", &words);
    }
    refuses(
        with(GaussianNoise { deviation: -1.0 }),
        "deviation",
        &["at least 0", "-1"],
    );
    refuses(
        with(GaussianNoise {
            deviation: f32::NAN,
        }),
        "deviation",
        &["NaN"],
    );
    refuses(
        with(BatchNormalization {
            momentum: 1.5,
            ..Default::default()
        }),
        "momentum",
        &["1.5"],
    );
    refuses(
        with(BatchNormalization {
            momentum: -0.1,
            ..Default::default()
        }),
        "momentum",
        &["-0.1"],
    );
    refuses(
        with(BatchNormalization {
            epsilon: 0.0,
            ..Default::default()
        }),
        "epsilon",
        &["above 0", "got 0"],
    );
    refuses(
        with(LayerNormalization {
            epsilon: -1.0,
            ..Default::default()
        }),
        "epsilon",
        &["above 0", "-1"],
    );
    refuses(
        with(RMSNormalization {
            epsilon: f32::NAN,
            ..Default::default()
        }),
        "epsilon",
        &["above 0", "NaN"],
    );
    refuses(with(Rescaling::new(f32::NAN)), "scale", &["NaN"]);
    refuses(
        with(Rescaling {
            scale: 1.0,
            offset: f32::INFINITY,
        }),
        "offset",
        &["inf"],
    );
    refuses(
        with(PRelu {
            initializer: Initializer::Constant(f32::NAN),
            ..Default::default()
        }),
        "constant",
        &["NaN"],
    );
}

#[test]
pub fn penalties_and_constraints_out_of_range_name_the_field() {
    let penalised = |regularizer: Regularizer| with(Dense::new(3).kernel_regularizer(regularizer));
    refuses(
        penalised(Regularizer::L1(-0.1)),
        "l1",
        &["at least 0", "-0.1"],
    );
    refuses(penalised(Regularizer::L2(f32::NAN)), "l2", &["NaN"]);
    refuses(
        penalised(Regularizer::L1L2 { l1: 0.0, l2: -1.0 }),
        "l2",
        &["-1"],
    );
    let (l1, l2) = (0.0, f32::INFINITY);
    refuses(penalised(Regularizer::L1L2 { l1, l2 }), "l2", &["inf"]);
    refuses(
        penalised(Regularizer::Orthogonal {
            factor: -1.0,
            columns: false,
        }),
        "factor",
        &["-1"],
    );
    refuses(
        with(Dense::new(3).bias_regularizer(Regularizer::L1(-0.1))),
        "l1",
        &["-0.1"],
    );
    let constrained = |constraint: Constraint| with(Dense::new(3).kernel_constraint(constraint));
    refuses(
        constrained(Constraint::max_norm(0.0)),
        "max_value",
        &["above 0", "got 0"],
    );
    refuses(
        with(Dense::new(3).bias_constraint(Constraint::max_norm(f32::NAN))),
        "max_value",
        &["NaN"],
    );
    let between = |min_value, max_value, rate| Constraint::MinMaxNorm {
        min_value,
        max_value,
        rate,
        axis: 0,
    };
    refuses(
        constrained(between(-1.0, 1.0, 1.0)),
        "min_value",
        &["at least 0", "-1"],
    );
    refuses(
        constrained(between(2.0, 1.0, 1.0)),
        "max_value",
        &["min_value", "got 1"],
    );
    refuses(
        constrained(between(0.0, 1.0, 0.0)),
        "rate",
        &["(0, 1]", "got 0"],
    );
    let axis = 2;
    refuses(
        constrained(Constraint::UnitNorm { axis }),
        "axis",
        &["kernel", "2 dimensions", "got 2"],
    );
    let max_value = 1.0;
    refuses(
        with(Dense::new(3).bias_constraint(Constraint::MaxNorm { max_value, axis: 1 })),
        "axis",
        &["bias", "1 dimensions", "got 1"],
    );
    refuses(
        constrained(between(0.0, 1.0, 1.5)),
        "rate",
        &["(0, 1]", "1.5"],
    );
}

#[test]
pub fn shapes_that_a_layer_cannot_take_are_refused() {
    says(with(Reshape::new([3, 2])), &["[3, 2]", "[4]"]);
    says(with(Reshape::new([-1, -1])), &["[-1, -1]"]);
    says(with(Reshape::new([-2, 2])), &["[-2, 2]"]);
    says(with(Permute::new([2])), &["2"]);
    says(with(Permute::new([1, 1])), &["1"]);
    refuses(with(RepeatVector::new(0)), "n", &["at least 1"]);
    let (a, b) = (Input::named("a", 2), Input::named("b", 3));
    let merged = |symbol: kiln::nn::Symbol| {
        Functional::new([&a, &b], [("y", &symbol)]).compile_on(
            &Device::cpu(),
            MeanSquaredError,
            Adam::default(),
            [],
        )
    };
    says(merged(Add.on([&a, &b])), &["add", "[2]", "[3]"]);
    says(merged(Multiply.on([&a, &b])), &["mul", "[2]", "[3]"]);
    says(merged(Dot::new(1).on([&a, &b])), &["[2]", "[3]"]);
    says(merged(Concatenate { axis: 3 }.on([&a, &b])), &["3"]);
    says(merged(Add.on(&a)), &["add", "at least two"]);
}

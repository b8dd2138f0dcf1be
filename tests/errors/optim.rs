//! Optimizers and schedules.

use kiln::optim::{
    Adadelta, Adafactor, Adagrad, Adamax, Asgd, CosineAnnealing, CosineDecay, CosineDecayRestarts,
    Ftrl, Lamb, Lion, LossScale, LossScaleOptimizer, Muon, Nadam, OneCycle, PiecewiseConstant,
    PolynomialDecay, Radam, RmsProp, Rprop,
};
use kiln::prelude::*;

use super::{refuses, says};

pub fn all() {
    rates_and_moments_out_of_range_name_the_field_and_the_range();
    settings_of_one_optimizer_out_of_range_name_the_field();
    what_all_optimizers_share_is_checked_in_each();
    settings_that_exclude_each_other_are_refused();
    schedules_out_of_range_name_the_field();
    a_model_sets_no_rate_that_is_none();
    a_part_of_a_name_that_no_weight_has_is_refused();
}

fn with(optimizer: impl Optimizer + 'static) -> Result<Model> {
    Sequential::new(1)
        .dense(1, Linear)
        .compile_on(&Device::cpu(), MeanSquaredError, optimizer, [])
}

/// An optimizer with a field set.
macro_rules! set {
    ($name:ident { $($field:ident: $value:expr),* }) => {
        with($name { $($field: $value,)* ..$name::default() })
    };
}

#[test]
pub fn rates_and_moments_out_of_range_name_the_field_and_the_range() {
    for rate in [-0.1, f32::NAN, f32::INFINITY] {
        let got = format!("got {rate}");
        let words = ["at least 0 and finite", &got];
        refuses(with(Sgd::new(rate)), "learning_rate", &words);
        refuses(with(Adam::new(rate)), "learning_rate", &words);
        refuses(with(RmsProp::new(rate)), "learning_rate", &words);
        refuses(with(Adagrad::new(rate)), "learning_rate", &words);
        refuses(with(Adadelta::new(rate)), "learning_rate", &words);
        refuses(with(Adamax::new(rate)), "learning_rate", &words);
        refuses(with(Nadam::new(rate)), "learning_rate", &words);
        refuses(with(Ftrl::new(rate)), "learning_rate", &words);
        refuses(with(Lion::new(rate)), "learning_rate", &words);
        refuses(with(Lamb::new(rate)), "learning_rate", &words);
        refuses(with(Muon::new(rate)), "learning_rate", &words);
        refuses(with(Adafactor::new(rate)), "learning_rate", &words);
    }
    for beta in [1.0, -0.5, f32::NAN] {
        let got = format!("got {beta}");
        let words = ["at least 0 and below 1", &got];
        refuses(set!(Adam { beta_1: beta }), "beta_1", &words);
        refuses(set!(Adam { beta_2: beta }), "beta_2", &words);
        refuses(set!(Adamax { beta_1: beta }), "beta_1", &words);
        refuses(set!(Adamax { beta_2: beta }), "beta_2", &words);
        refuses(set!(Nadam { beta_1: beta }), "beta_1", &words);
        refuses(set!(Radam { beta_2: beta }), "beta_2", &words);
        refuses(set!(Lion { beta_1: beta }), "beta_1", &words);
        refuses(set!(Lion { beta_2: beta }), "beta_2", &words);
        refuses(set!(Lamb { beta_1: beta }), "beta_1", &words);
        refuses(set!(RmsProp { rho: beta }), "rho", &words);
        refuses(set!(RmsProp { momentum: beta }), "momentum", &words);
        refuses(set!(Adadelta { rho: beta }), "rho", &words);
        refuses(set!(Muon { adam_beta_1: beta }), "adam_beta_1", &words);
        refuses(set!(Muon { adam_beta_2: beta }), "adam_beta_2", &words);
        refuses(set!(Muon { momentum: beta }), "momentum", &words);
    }
    for epsilon in [0.0, -1e-7] {
        let got = format!("got {epsilon}");
        let words = ["above 0", &got];
        refuses(set!(Adam { epsilon: epsilon }), "epsilon", &words);
        refuses(set!(RmsProp { epsilon: epsilon }), "epsilon", &words);
        refuses(set!(Adagrad { epsilon: epsilon }), "epsilon", &words);
        refuses(set!(Adadelta { epsilon: epsilon }), "epsilon", &words);
        refuses(set!(Nadam { epsilon: epsilon }), "epsilon", &words);
        refuses(set!(Lamb { epsilon: epsilon }), "epsilon", &words);
        refuses(set!(Muon { epsilon: epsilon }), "epsilon", &words);
        refuses(set!(Adafactor { epsilon_1: epsilon }), "epsilon_1", &words);
        refuses(set!(Adafactor { epsilon_2: epsilon }), "epsilon_2", &words);
    }
}

#[test]
pub fn settings_of_one_optimizer_out_of_range_name_the_field() {
    says(with(Sgd::new(0.1).momentum(1.5)), &["momentum", "1.5"]);
    says(
        with(Sgd::new(0.1).momentum(0.9).dampening(1.5)),
        &["dampening", "1.5"],
    );
    refuses(
        set!(Adafactor { beta_2_decay: 0.1 }),
        "beta_2_decay",
        &["below 0", "0.1"],
    );
    refuses(
        set!(Adafactor {
            clip_threshold: 0.0
        }),
        "clip_threshold",
        &["above 0", "got 0"],
    );
    refuses(
        set!(Adagrad {
            initial_accumulator_value: -1.0
        }),
        "initial_accumulator_value",
        &["-1"],
    );
    refuses(
        set!(Ftrl {
            learning_rate_power: 0.5
        }),
        "learning_rate_power",
        &["at most 0", "0.5"],
    );
    refuses(
        set!(Ftrl {
            initial_accumulator_value: -1.0
        }),
        "initial_accumulator_value",
        &["-1"],
    );
    refuses(
        set!(Ftrl {
            l1_regularization_strength: -1.0
        }),
        "l1_regularization_strength",
        &["-1"],
    );
    refuses(
        set!(Ftrl {
            l2_regularization_strength: -1.0
        }),
        "l2_regularization_strength",
        &["-1"],
    );
    refuses(
        set!(Ftrl {
            l2_shrinkage_regularization_strength: -1.0
        }),
        "l2_shrinkage_regularization_strength",
        &["-1"],
    );
    refuses(set!(Ftrl { beta: f32::NAN }), "beta", &["NaN"]);
    refuses(
        set!(Nadam {
            momentum_decay: -1.0
        }),
        "momentum_decay",
        &["-1"],
    );
    refuses(set!(Muon { ns_steps: 0 }), "ns_steps", &["at least 1"]);
    refuses(
        set!(Muon {
            coefficients: [1.0, f32::NAN, 0.0]
        }),
        "coefficients",
        &["NaN"],
    );
    refuses(
        set!(Muon {
            adam_weight_decay: -0.1
        }),
        "adam_weight_decay",
        &["-0.1"],
    );
    refuses(
        set!(Muon {
            adam_lr_ratio: -0.1
        }),
        "adam_lr_ratio",
        &["-0.1"],
    );
    refuses(set!(Asgd { lambd: -1.0 }), "lambd", &["-1"]);
    refuses(set!(Asgd { alpha: f32::NAN }), "alpha", &["NaN"]);
    refuses(set!(Rprop { etas: [1.5, 2.0] }), "etas", &["1.5"]);
    refuses(set!(Rprop { etas: [0.5, 0.9] }), "etas", &["0.9"]);
    refuses(
        set!(Rprop {
            step_sizes: [0.0, 1.0]
        }),
        "step_sizes",
        &["above 0"],
    );
    refuses(
        set!(Rprop {
            step_sizes: [2.0, 1.0]
        }),
        "step_sizes",
        &["in order"],
    );
    let scaled = |scale: LossScale| with(LossScaleOptimizer::new(Adam::default(), scale));
    refuses(
        scaled(LossScale {
            initial_scale: 0.0,
            ..LossScale::default()
        }),
        "initial_scale",
        &["0"],
    );
    refuses(
        scaled(LossScale {
            dynamic_growth_steps: 0,
            ..LossScale::default()
        }),
        "dynamic_growth_steps",
        &["at least 1"],
    );
}

#[test]
pub fn what_all_optimizers_share_is_checked_in_each() {
    refuses(
        with(Adam::new(0.1).weight_decay(-0.1)),
        "weight_decay",
        &["at least 0", "-0.1"],
    );
    refuses(with(Sgd::new(0.1).l2(-0.1)), "l2", &["at least 0", "-0.1"]);
    refuses(
        with(RmsProp::new(0.1).clipnorm(0.0)),
        "clipnorm",
        &["above 0", "got 0"],
    );
    refuses(
        with(Ftrl::new(0.1).global_clipnorm(-1.0)),
        "global_clipnorm",
        &["above 0", "-1"],
    );
    refuses(
        with(Lion::new(0.1).clipvalue(f32::NAN)),
        "clipvalue",
        &["above 0", "NaN"],
    );
    let accumulated = Lamb::new(0.1).gradient_accumulation_steps(0);
    refuses(
        with(accumulated),
        "gradient_accumulation_steps",
        &["at least 1"],
    );
    refuses(
        with(Nadam::new(0.1).use_ema(1.5)),
        "ema_momentum",
        &["[0, 1]", "1.5"],
    );
    let never = Adam::new(0.1).use_ema(0.9).ema_overwrite_frequency(0);
    refuses(with(never), "ema_overwrite_frequency", &["at least 1"]);
    refuses(
        with(Adagrad::new(0.1).lookahead(0, 0.5)),
        "lookahead",
        &["at least 1"],
    );
    refuses(
        with(Adagrad::new(0.1).lookahead(5, 0.0)),
        "lookahead",
        &["(0, 1]", "got 0"],
    );
    let backwards = Muon::new(0.1).learning_rate_factor("dense", -1.0);
    refuses(
        with(backwards),
        "learning_rate_factors",
        &["at least 0", "-1"],
    );
}

#[test]
pub fn every_number_of_every_optimizer_has_a_range_and_names_its_field() {
    use kiln::optim::{Common, OptimizerConfig};
    use serde_json::{Map, Value, json};
    let object = |value: Value| match value {
        Value::Object(map) => map,
        other => panic!("no settings: {other}"),
    };
    let mut tried = 0;
    for config in OptimizerConfig::defaults() {
        let (name, own) = object(serde_json::to_value(&config).unwrap())
            .into_iter()
            .next()
            .unwrap();
        let own = object(own);
        let common = object(serde_json::to_value(Common::default()).unwrap());
        let is_number = |(_, value): &(&String, &Value)| value.is_number();
        let numbers = own.iter().filter(is_number).map(|pair| (false, pair));
        let shared = common.iter().filter(is_number).map(|pair| (true, pair));
        for (is_common, (field, value)) in numbers.chain(shared) {
            // A count of none, or numbers far below and above.
            let bad: &[Value] = match value.is_u64() {
                true => &[json!(0)],
                false => &[json!(-3.5), json!(3.5)],
            };
            let refused = bad.iter().filter_map(|bad| {
                let mut settings = own.clone();
                match is_common {
                    false => drop(settings.insert(field.clone(), bad.clone())),
                    true => {
                        let common = Map::from_iter([(field.clone(), bad.clone())]);
                        drop(settings.insert("common".into(), common.into()));
                    }
                }
                let config = Map::from_iter([(name.clone(), settings.into())]);
                let config: OptimizerConfig = serde_json::from_value(config.into()).unwrap();
                with(config).err()
            });
            let refused: Vec<Error> = refused.collect();
            assert!(!refused.is_empty(), "{name} takes any {field}");
            for error in refused {
                match &error {
                    Error::Argument { name: told, .. } => assert_eq!(told, field, "{name}"),
                    other => panic!("{name}, {field}: {other}"),
                }
                assert!(error.to_string().contains("must be"), "{error}");
                tried += 1;
            }
        }
    }
    assert!(tried > 100, "{tried}");
}

#[test]
pub fn settings_that_exclude_each_other_are_refused() {
    refuses(with(Sgd::new(0.1).nesterov()), "nesterov", &["momentum"]);
    refuses(
        with(Adam::new(0.1).clipnorm(1.0).clipvalue(1.0)),
        "clipnorm",
        &["clipvalue", "one way"],
    );
    refuses(
        with(Adam::new(0.1).use_ema(0.9).lookahead(5, 0.5)),
        "lookahead",
        &["use_ema"],
    );
    refuses(
        with(Muon::new(0.1).l2(0.1)),
        "l2",
        &["weight_decay is decoupled"],
    );
    refuses(
        with(Adafactor::new(0.1).l2(0.1)),
        "l2",
        &["weight_decay is decoupled"],
    );
}

#[test]
pub fn schedules_out_of_range_name_the_field() {
    let with = |schedule: Schedule| with(Sgd::new(schedule));
    refuses(with(Schedule::Constant(-1.0)), "learning_rate", &["-1"]);
    refuses(
        with(Schedule::exponential_decay(-0.1, 10, 0.9)),
        "initial",
        &["-0.1"],
    );
    refuses(
        with(Schedule::exponential_decay(0.1, 0, 0.9)),
        "decay_steps",
        &["at least 1"],
    );
    refuses(
        with(Schedule::exponential_decay(0.1, 10, 0.0)),
        "decay_rate",
        &["above 0"],
    );
    refuses(
        with(Schedule::inverse_time_decay(0.1, 0, 0.9)),
        "decay_steps",
        &["at least 1"],
    );
    refuses(
        with(Schedule::inverse_time_decay(0.1, 10, -1.0)),
        "decay_rate",
        &["-1"],
    );
    refuses(
        with(Schedule::polynomial_decay(0.1, 0)),
        "decay_steps",
        &["at least 1"],
    );
    let flat = Schedule::PolynomialDecay(PolynomialDecay {
        initial: 0.1,
        decay_steps: 10,
        end: 0.0,
        power: 0.0,
        cycle: false,
    });
    refuses(with(flat), "power", &["above 0"]);
    let below = Schedule::PolynomialDecay(PolynomialDecay {
        initial: 0.1,
        decay_steps: 10,
        end: -1.0,
        power: 1.0,
        cycle: false,
    });
    refuses(with(below), "end", &["-1"]);
    refuses(
        with(Schedule::cosine_decay(0.1, 0)),
        "decay_steps",
        &["at least 1"],
    );
    let cosine = |alpha, warmup_target| {
        Schedule::CosineDecay(CosineDecay {
            initial: 0.1,
            decay_steps: 10,
            alpha,
            warmup_target,
            warmup_steps: 0,
        })
    };
    refuses(with(cosine(1.5, None)), "alpha", &["1.5"]);
    refuses(with(cosine(0.0, Some(-1.0))), "warmup_target", &["-1"]);
    refuses(
        with(Schedule::cosine_decay_restarts(0.1, 0)),
        "first_decay_steps",
        &["at least 1"],
    );
    let restarts = |t_mul, m_mul, alpha| {
        Schedule::CosineDecayRestarts(CosineDecayRestarts {
            initial: 0.1,
            first_decay_steps: 10,
            t_mul,
            m_mul,
            alpha,
        })
    };
    refuses(with(restarts(0.5, 1.0, 0.0)), "t_mul", &["0.5"]);
    refuses(with(restarts(2.0, 0.0, 0.0)), "m_mul", &["above 0"]);
    refuses(with(restarts(2.0, 1.0, -0.5)), "alpha", &["-0.5"]);
    let annealing = |steps, minimum| {
        Schedule::CosineAnnealing(CosineAnnealing {
            initial: 0.1,
            steps,
            minimum,
        })
    };
    refuses(with(annealing(0, 0.0)), "steps", &["between 1 and 2^30"]);
    refuses(with(annealing(10, -0.5)), "minimum", &["-0.5"]);
    refuses(with(Schedule::one_cycle(0.1, 2)), "steps", &["2"]);
    let cycle = |share, div_factor, final_div_factor| {
        Schedule::OneCycle(OneCycle {
            top: 0.1,
            steps: 100,
            share,
            div_factor,
            final_div_factor,
            linear: false,
        })
    };
    refuses(with(cycle(1.0, 25.0, 1e4)), "share", &["1"]);
    refuses(
        with(cycle(0.3, 0.5, 1e4)),
        "div_factor",
        &["at least 1", "0.5"],
    );
    refuses(
        with(cycle(0.3, 25.0, 0.0)),
        "final_div_factor",
        &["at least 1", "got 0"],
    );
    let pieces = |boundaries: &[u32], values: &[f32]| {
        Schedule::PiecewiseConstant(PiecewiseConstant {
            boundaries: boundaries.to_vec(),
            values: values.to_vec(),
        })
    };
    refuses(
        with(pieces(&[5, 5], &[0.3, 0.2, 0.1])),
        "boundaries",
        &["5"],
    );
    refuses(
        with(pieces(&[1 << 24], &[0.3, 0.2])),
        "boundaries",
        &["16777216"],
    );
    refuses(with(pieces(&[5], &[0.3])), "values", &["1"]);
    refuses(with(pieces(&[5], &[0.3, -0.1])), "values", &["-0.1"]);
    refuses(with(Schedule::Table(Vec::new())), "table", &[]);
    refuses(
        with(Schedule::Table(vec![0.1, f32::NAN])),
        "table",
        &["NaN"],
    );
    refuses(
        with(Schedule::Constant(0.1).warmup(0.0, 0)),
        "steps",
        &["at least 1"],
    );
    refuses(
        with(Schedule::Constant(0.1).warmup(-1.0, 5)),
        "initial",
        &["-1"],
    );
    let twice = Schedule::Constant(0.1).warmup(0.0, 5).warmup(0.0, 5);
    refuses(with(twice), "then", &["warm"]);
    #[rustfmt::skip]
    let more = [
        (Schedule::Constant(f32::NAN), "learning_rate"),
        (Schedule::Constant(f32::INFINITY), "learning_rate"),
        (Schedule::Constant(-0.1).warmup(0.0, 5), "learning_rate"),
        (Schedule::exponential_decay(0.1, 10, f32::NAN), "decay_rate"),
        (Schedule::inverse_time_decay(0.1, 10, f32::NEG_INFINITY), "decay_rate"),
        (Schedule::cosine_decay(f32::NAN, 10), "initial"),
        (cosine(f32::NAN, None), "alpha"),
        (cosine(0.0, Some(f32::INFINITY)), "warmup_target"),
        (cosine(0.0, Some(0.1)).warmup(0.0, 5), "then"),
        (Schedule::cosine_decay_restarts(-0.1, 10), "initial"),
        (restarts(f32::NAN, 1.0, 0.0), "t_mul"),
        (Schedule::one_cycle(-0.1, 100), "top"),
        (Schedule::one_cycle(0.1, 3), "steps"),
        (cycle(0.3, 25.0, f32::INFINITY), "final_div_factor"),
        (Schedule::milestones(0.1, &[0], 0.5), "boundaries"),
    ];
    for (schedule, field) in more {
        refuses(with(schedule), field, &[]);
    }
}

#[test]
pub fn a_model_sets_no_rate_that_is_none() {
    let mut model = with(Sgd::new(0.1)).unwrap();
    refuses(model.set_learning_rate(-0.1), "learning_rate", &["-0.1"]);
    refuses(model.set_learning_rate(f32::NAN), "learning_rate", &["NaN"]);
    let mut model = with(Sgd::new(0.0)).unwrap();
    refuses(model.set_learning_rate(0.1), "learning_rate", &["0.1"]);
}

#[test]
pub fn a_part_of_a_name_that_no_weight_has_is_refused() {
    let said = ["`embeding`", "no weight", "dense/kernel, dense/bias"];
    let excluded = Adam::new(0.1).weight_decay(0.01);
    let excluded = excluded.exclude_from_weight_decay(["bias", "embeding"]);
    refuses(with(excluded.clone()), "exclude_from_weight_decay", &said);
    let scaled = LossScaleOptimizer::new(excluded, LossScale::default());
    refuses(with(scaled), "exclude_from_weight_decay", &said);
    let factor = Sgd::new(0.1).learning_rate_factor("embeding", 0.1);
    refuses(with(factor), "learning_rate_factors", &said);
    let muon = Muon {
        exclude_layers: vec!["dense".into(), "embeding".into()],
        ..Muon::default()
    };
    refuses(with(muon), "exclude_layers", &said);
    // An empty part is in every name, and would exclude all without a word.
    let said = ["empty text", "every name"];
    let excluded = Adam::new(0.1).exclude_from_weight_decay(["bias", ""]);
    refuses(with(excluded), "exclude_from_weight_decay", &said);
    let factor = Sgd::new(0.1).learning_rate_factor("", 0.1);
    refuses(with(factor), "learning_rate_factors", &said);
    let muon = Muon {
        exclude_layers: vec![String::new()],
        ..Muon::default()
    };
    refuses(with(muon), "exclude_layers", &said);
    // A layer that does not train has names too.
    let frozen = Sequential::new(1).layer(Dense::new(1).named("embeding").trainable(false));
    let adam = Adam::new(0.1).exclude_from_weight_decay(["embeding", "head/bias"]);
    let frozen = frozen.layer(Dense::new(1).named("head"));
    frozen
        .compile_on(&Device::cpu(), MeanSquaredError, adam, [])
        .unwrap();
}

//! Facts about optimizers: what they refuse, how many calls they are, and what goes with every formula.

use kiln::op::{Element, Known, Moment, RuleForm, RuleState, UpdateRule};
use kiln::optim::{
    Adafactor, Adagrad, Adam, AdamW, Asgd, Clock, Common, CommonSettings, Ftrl, Lion, Lookahead,
    Muon, Nadam, Optimizer, OptimizerConfig, Rates, RmsProp, Rprop, Schedule, Sgd, StepLength,
};
use kiln::prelude::*;
use kiln::{Plan, Session, check};

use crate::common;

/// A session whose program "step" updates parameters of the given lengths, ones at first, by gradients that the host
/// writes as `g0`, `g1`, …
struct Trial {
    plan: Plan,
    session: Session,
}

impl Trial {
    fn new(optimizer: &dyn Optimizer, parameters: &[(&str, &[usize])]) -> Self {
        optimizer.validate().unwrap();
        let graph = Graph::new();
        let clock = graph.clock("clock", 1, optimizer.rates());
        let tensors: Vec<(Tensor, Tensor)> = parameters
            .iter()
            .enumerate()
            .map(|(i, (name, shape))| {
                let ones = vec![1.0; shape.iter().product()];
                let gradient = graph.input(format!("g{i}"), *shape);
                (graph.parameter(*name, *shape, &ones), gradient)
            })
            .collect();
        let all: Vec<(&str, &Tensor, &Tensor)> = parameters
            .iter()
            .zip(&tensors)
            .map(|((name, _), (parameter, gradient))| (*name, parameter, gradient))
            .collect();
        let mut updates = vec![clock.indices.clone()];
        updates.extend(optimizer.updates(&all, &clock));
        let device = Device::cpu();
        let program = Program::new("step").update(&updates);
        let plan = Plan::compile(&graph, device.target(), [program]).unwrap();
        let session = device.open(&plan).unwrap();
        Trial { plan, session }
    }

    fn step(&mut self, gradient: f32) {
        let inputs = self
            .plan
            .variables
            .iter()
            .map(|variable| variable.name.clone());
        let inputs: Vec<String> = inputs.filter(|name| name.starts_with('g')).collect();
        for name in inputs {
            let len = self.session.read(&name).unwrap().len();
            self.session.write(&name, &vec![gradient; len]).unwrap();
        }
        self.session.run("step", 1).unwrap();
    }

    fn first(&mut self, name: &str) -> f32 {
        self.session.read(name).unwrap()[0]
    }

    /// Names of the calls but the clock's.
    fn calls(&self) -> Vec<&'static str> {
        let calls = self.plan.programs[0].calls.iter();
        calls
            .map(|call| call.op.name())
            .filter(|name| *name != "clock")
            .collect()
    }
}

fn near(value: f32, expected: f32) {
    assert!((value - expected).abs() < 1e-6, "{value}, not {expected}");
}

const TWO: [(&str, &[usize]); 2] = [("kernel", &[3, 2]), ("bias", &[2])];

#[test]
fn an_update_of_all_parameters_is_one_call_and_a_global_norm_one_more() {
    for mut config in OptimizerConfig::defaults() {
        let elementwise = !matches!(
            config,
            OptimizerConfig::Adafactor(_) | OptimizerConfig::Lamb(_) | OptimizerConfig::Muon(_)
        );
        if !elementwise {
            continue;
        }
        assert_eq!(Trial::new(&config, &TWO).calls().len(), 1, "{config:?}");
        *config.common_mut() = Common {
            weight_decay: 0.01,
            l2: 0.01,
            global_clipnorm: Some(1.0),
            use_ema: true,
            ..Common::default()
        };
        let trial = Trial::new(&config, &TWO);
        assert_eq!(trial.calls().len(), 2, "{config:?}: {:?}", trial.calls());
        assert_eq!(trial.calls()[0], "sum_of_squares");
        *config.common_mut() = Common {
            clipvalue: Some(1.0),
            gradient_accumulation_steps: 4,
            ..Common::default()
        };
        assert_eq!(Trial::new(&config, &TWO).calls().len(), 1, "{config:?}");
    }
}

#[test]
fn plain_gradient_descent_and_adam_keep_their_own_kernels() {
    assert_eq!(Trial::new(&Sgd::default(), &TWO).calls(), ["sgd"]);
    assert_eq!(Trial::new(&Adam::default(), &TWO).calls(), ["adam"]);
    assert_eq!(Trial::new(&AdamW::new(0.01), &TWO).calls(), ["update.adam"]);
}

#[test]
fn every_optimizer_takes_a_step_against_the_gradient_on_every_session() {
    for config in OptimizerConfig::defaults() {
        let mut trial = Trial::new(&config, &TWO);
        for _ in 0..3 {
            trial.step(0.5);
        }
        for (name, _) in TWO {
            let w = trial.first(name);
            assert!(w < 1.0 && w > 0.3, "{config:?}: {name} is {w}");
        }
    }
}

#[test]
fn settings_survive_a_file() {
    for mut config in OptimizerConfig::defaults() {
        config.common_mut().clipnorm = Some(2.0);
        config.common_mut().exclude_from_weight_decay = vec!["bias".into()];
        let text = serde_json::to_string(&config).unwrap();
        let read: OptimizerConfig = serde_json::from_str(&text).unwrap();
        assert_eq!(read, config, "{text}");
    }
    // As files were written before there were more settings.
    let old =
        r#"{"adam":{"learning_rate":{"constant":0.01},"beta_1":0.8,"beta_2":0.9,"epsilon":1e-6}}"#;
    let read: OptimizerConfig = serde_json::from_str(old).unwrap();
    let expected = Adam {
        beta_1: 0.8,
        beta_2: 0.9,
        epsilon: 1e-6,
        ..Adam::new(0.01)
    };
    assert_eq!(read, OptimizerConfig::Adam(expected));
}

#[test]
fn parameters_are_excluded_from_decay_and_slowed_by_their_names() {
    let sgd = Sgd::new(0.1)
        .weight_decay(0.5)
        .exclude_from_weight_decay(["bias"])
        .learning_rate_factor("bias", 0.1);
    let mut trial = Trial::new(&sgd, &TWO);
    trial.step(1.0);
    // 1 − 0.1·0.5·1 − 0.1·1 and 1 − 0.01·1.
    near(trial.first("kernel"), 0.85);
    near(trial.first("bias"), 0.99);
}

#[test]
fn coupled_decay_is_a_part_of_the_gradient() {
    let mut trial = Trial::new(&Sgd::new(0.1).momentum(0.9).l2(0.5), &TWO);
    trial.step(1.0);
    near(trial.first("kernel"), 0.85);
    near(trial.first("kernel.momentum"), -0.15);
}

#[test]
fn gradients_of_several_batches_make_one_update_of_their_mean() {
    for optimizer in [
        Sgd::new(0.1).gradient_accumulation_steps(2),
        Sgd::new(0.1)
            .gradient_accumulation_steps(2)
            .global_clipnorm(100.0),
        Sgd::new(0.1).gradient_accumulation_steps(2).use_ema(0.5),
    ] {
        let mut trial = Trial::new(&optimizer, &TWO);
        for (gradient, expected) in [(1.0, 1.0), (3.0, 0.8), (-1.0, 0.8), (-1.0, 0.9)] {
            trial.step(gradient);
            near(trial.first("kernel"), expected);
        }
    }
}

#[test]
fn norms_are_cut_alone_or_all_together() {
    // Norms √6 and √2, and √8 of both.
    let mut alone = Trial::new(&Sgd::new(1.0).clipnorm(1.5), &TWO);
    alone.step(1.0);
    near(alone.first("kernel"), 1.0 - 1.5 / 6f32.sqrt());
    near(alone.first("bias"), 0.0);
    let mut together = Trial::new(&Sgd::new(1.0).global_clipnorm(1.5), &TWO);
    together.step(1.0);
    near(together.first("kernel"), 1.0 - 1.5 / 8f32.sqrt());
    near(together.first("bias"), 1.0 - 1.5 / 8f32.sqrt());
    let mut elements = Trial::new(&Sgd::new(1.0).clipvalue(0.25), &TWO);
    elements.step(-3.0);
    near(elements.first("kernel"), 1.25);
}

#[test]
fn a_norm_whose_square_is_beyond_f32_keeps_the_gradients_direction() {
    // From where a square overflows to where the norm itself would.
    for gradient in [1e19, 1e20, -3e38] {
        let sign = 1f32.copysign(gradient);
        let mut alone = Trial::new(&Sgd::new(0.1).clipnorm(1.5), &TWO);
        alone.step(gradient);
        near(alone.first("kernel"), 1.0 - sign * 0.15 / 6f32.sqrt());
        near(alone.first("bias"), 1.0 - sign * 0.15 / 2f32.sqrt());
        let mut together = Trial::new(&Sgd::new(0.1).global_clipnorm(1.5), &TWO);
        together.step(gradient);
        near(together.first("kernel"), 1.0 - sign * 0.15 / 8f32.sqrt());
        near(together.first("bias"), 1.0 - sign * 0.15 / 8f32.sqrt());
    }
    let mut huge = Trial::new(&Sgd::new(1e-20).global_clipnorm(1e25), &TWO);
    huge.step(1e20);
    near(huge.first("kernel"), 0.0);
}

#[test]
fn muon_keeps_the_direction_of_gradients_whose_squares_f32_does_not_hold() {
    for muon in [Muon::new(0.1), Muon::new(0.1).pytorch()] {
        let moved = |gradient: f32| {
            let mut trial = Trial::new(&muon, &[("kernel", &[3, 5])]);
            trial.step(gradient);
            trial.first("kernel")
        };
        let (right, opposite) = (moved(1.0), moved(-1.0));
        assert!((right - opposite).abs() > 1e-2, "{right} {opposite}");
        for gradient in [1e15, 1e18, 3e18, 1e19, 1e20, 1e30, 3e37] {
            near(moved(gradient), right);
            near(moved(-gradient), opposite);
        }
    }
}

#[test]
fn a_model_whose_squared_gradient_overflows_is_clipped_and_goes_on_training() {
    for device in common::devices() {
        let sgd = Sgd::new(0.1).global_clipnorm(1.0);
        let mut model = Sequential::new(1)
            .dense(1, Linear)
            .compile_on(&device, MeanSquaredError, sgd, [])
            .unwrap();
        let zeros = [("dense/kernel", &[0.0f32][..]), ("dense/bias", &[0.0][..])];
        model.set_weights(zeros).unwrap();
        // Of the gradient (−2e20, −2e10) nothing but the kernel's part is left in its direction.
        let data = Dataset::from_rows(&[[1e10]], &[[1e10]]).unwrap();
        for step in [0.1, 0.2, 0.3] {
            model.fit(&data, Fit::steps(1).silent()).unwrap();
            near(model.weights().unwrap()[0].values[0], step);
        }
    }
}

#[test]
fn a_global_norm_is_over_more_tensors_than_one_call_takes() {
    let names: Vec<String> = (0..14).map(|i| format!("w{i}")).collect();
    let parameters: Vec<(&str, &[usize])> =
        names.iter().map(|name| (name.as_str(), &[2][..])).collect();
    let mut trial = Trial::new(&Sgd::new(1.0).global_clipnorm(1.0), &parameters);
    assert_eq!(trial.calls().len(), 4);
    trial.step(1.0);
    near(trial.first("w13"), 1.0 - 1.0 / 28f32.sqrt());
}

#[test]
fn a_mean_of_weights_begins_at_the_first_update_and_may_take_their_place() {
    let mut trial = Trial::new(&Sgd::new(0.1).use_ema(0.5).ema_overwrite_frequency(3), &TWO);
    trial.step(1.0);
    near(trial.first("kernel.average"), 0.9);
    trial.step(1.0);
    near(trial.first("kernel.average"), 0.85);
    near(trial.first("kernel"), 0.8);
    trial.step(1.0);
    near(trial.first("kernel.average"), 0.775);
    near(trial.first("kernel"), 0.775);
}

#[test]
fn slow_weights_follow_the_fast_ones_every_few_updates() {
    let mut trial = Trial::new(&Sgd::new(0.1).lookahead(2, 0.5), &TWO);
    for expected in [0.9, 0.9, 0.8, 0.8] {
        trial.step(1.0);
        near(trial.first("kernel"), expected);
    }
    near(trial.first("kernel.average"), 0.8);
}

#[test]
fn the_host_scales_the_learning_rate_without_another_plan() {
    for optimizer in [Sgd::new(0.1), Sgd::new(0.1).maximize()] {
        let sign = if optimizer.common.maximize { 1.0 } else { -1.0 };
        let mut trial = Trial::new(&optimizer, &TWO);
        trial.step(1.0);
        near(trial.first("kernel"), 1.0 + sign * 0.1);
        let before = trial.session.set_learning_rate_factor("clock", 0.5);
        near(before.unwrap(), 1.0);
        trial.step(1.0);
        near(trial.first("kernel"), 1.0 + sign * 0.15);
        assert!(
            trial
                .session
                .set_learning_rate_factor("clock", -1.0)
                .is_err()
        );
        assert!(trial.session.set_learning_rate_factor("none", 1.0).is_err());
    }
}

#[test]
fn a_parameter_that_is_not_given_is_frozen() {
    let graph = Graph::new();
    let w = graph.parameter("w", [2], &[1.0, 1.0]);
    let frozen = graph.parameter("frozen", [2], &[1.0, 1.0]);
    let adam = AdamW::new(0.1);
    let clock = graph.clock("clock", 1, adam.rates());
    let loss = w.mul(&frozen).sum();
    let updates = adam.minimize(&loss, &[("w", &w)], &clock);
    let device = Device::cpu();
    let plan = Plan::compile(
        &graph,
        device.target(),
        [Program::new("step").update(&updates)],
    )
    .unwrap();
    let mut session = device.open(&plan).unwrap();
    session.run("step", 2).unwrap();
    assert!(session.read("w").unwrap()[0] < 1.0);
    assert_eq!(session.read("frozen").unwrap(), [1.0, 1.0]);
}

#[test]
fn values_outside_their_range_are_refused_by_name() {
    let common = |common: Common| {
        OptimizerConfig::Sgd(Sgd {
            common,
            ..Sgd::default()
        })
    };
    let none = Common::default;
    let lookahead = |steps, share| Common {
        lookahead: Some(Lookahead { steps, share }),
        ..none()
    };
    #[rustfmt::skip]
    let refused = [
        (common(Common { weight_decay: -0.1, ..none() }), "weight_decay"),
        (common(Common { l2: f32::NAN, ..none() }), "l2"),
        (common(Common { clipnorm: Some(0.0), ..none() }), "clipnorm"),
        (common(Common { global_clipnorm: Some(-1.0), ..none() }), "global_clipnorm"),
        (common(Common { clipvalue: Some(f32::INFINITY), ..none() }), "clipvalue"),
        (common(Common { clipvalue: Some(1.0), clipnorm: Some(1.0), ..none() }), "clipnorm"),
        (common(Common { gradient_accumulation_steps: 0, ..none() }), "gradient_accumulation_steps"),
        (common(Common { ema_momentum: 1.5, ..none() }), "ema_momentum"),
        (common(Common { ema_overwrite_frequency: Some(0), ..none() }), "ema_overwrite_frequency"),
        (common(lookahead(0, 0.5)), "lookahead"),
        (common(lookahead(5, 0.0)), "lookahead"),
        (common(Common { use_ema: true, ..lookahead(5, 0.5) }), "lookahead"),
        (common(Common { learning_rate_factors: vec![("w".into(), -1.0)], ..none() }), "learning_rate_factors"),
        (OptimizerConfig::Sgd(Sgd::new(0.1).momentum(0.9).dampening(1.5)), "dampening"),
        (OptimizerConfig::RmsProp(RmsProp { rho: 1.0, ..RmsProp::default() }), "rho"),
        (OptimizerConfig::RmsProp(RmsProp::default().momentum(-0.1)), "momentum"),
        (OptimizerConfig::RmsProp(RmsProp { epsilon: 0.0, ..RmsProp::default() }), "epsilon"),
        (OptimizerConfig::Adagrad(Adagrad { initial_accumulator_value: -1.0, ..Adagrad::default() }), "initial_accumulator_value"),
        (OptimizerConfig::Nadam(Nadam { beta_1: 1.0, ..Nadam::default() }), "beta_1"),
        (OptimizerConfig::Nadam(Nadam { momentum_decay: -1.0, ..Nadam::default() }), "momentum_decay"),
        (OptimizerConfig::Lion(Lion { beta_2: f32::NAN, ..Lion::default() }), "beta_2"),
        (OptimizerConfig::Ftrl(Ftrl { learning_rate_power: 0.5, ..Ftrl::default() }), "learning_rate_power"),
        (OptimizerConfig::Ftrl(Ftrl { l1_regularization_strength: -0.5, ..Ftrl::default() }), "l1_regularization_strength"),
        (OptimizerConfig::Asgd(Asgd { lambd: -0.5, ..Asgd::default() }), "lambd"),
        (OptimizerConfig::Rprop(Rprop { etas: [1.5, 1.2], ..Rprop::default() }), "etas"),
        (OptimizerConfig::Rprop(Rprop { step_sizes: [1.0, 0.1], ..Rprop::default() }), "step_sizes"),
        (OptimizerConfig::Adafactor(Adafactor { beta_2_decay: 0.8, ..Adafactor::default() }), "beta_2_decay"),
        (OptimizerConfig::Adafactor(Adafactor { clip_threshold: 0.0, ..Adafactor::default() }), "clip_threshold"),
        (OptimizerConfig::Adafactor(Adafactor::default().l2(0.1)), "l2"),
        (OptimizerConfig::Muon(Muon { momentum: 1.0, ..Muon::default() }), "momentum"),
        (OptimizerConfig::Muon(Muon { ns_steps: 0, ..Muon::default() }), "ns_steps"),
        (OptimizerConfig::Muon(Muon { step_length: StepLength::Rms(0.0), ..Muon::default() }), "step_length"),
    ];
    for (config, field) in refused {
        match config.validate() {
            Err(Error::Argument { name, .. }) => assert_eq!(name, field, "{config:?}"),
            other => panic!("{config:?}: {other:?}"),
        }
    }
}

#[test]
fn fit_ends_with_the_running_mean_of_the_weights_in_their_place() {
    use kiln::prelude::*;
    let x: Vec<[f32; 2]> = (0..12)
        .map(|i| [i as f32 / 12.0, (i % 5) as f32 / 5.0])
        .collect();
    let y: Vec<[f32; 1]> = x.iter().map(|x| [x[0] - 2.0 * x[1]]).collect();
    let data = kiln::Dataset::from_rows(&x, &y).unwrap();
    let model = |optimizer: Sgd| {
        let network = Sequential::new(2).dense(1, Linear).seed(4);
        network
            .compile_on(&Device::cpu(), MeanSquaredError, optimizer, [])
            .unwrap()
    };
    let fit = |steps| Fit::steps(steps).batch_size(12).shuffle(false).silent();
    let numbers = |model: &mut Model| -> Vec<f32> {
        let weights = model.weights().unwrap();
        weights
            .into_iter()
            .flat_map(|weights| weights.values)
            .collect()
    };
    for overwrite in [None, Some(3), Some(1)] {
        // The same by hand: the weights after every step, and their mean, which takes their place every few steps.
        let mut by_hand = model(Sgd::new(0.2));
        let mut mean: Vec<f32> = Vec::new();
        for step in 1..=7u32 {
            by_hand.fit(&data, fit(1)).unwrap();
            let now = numbers(&mut by_hand);
            mean = match mean.is_empty() {
                true => now,
                false => mean
                    .iter()
                    .zip(&now)
                    .map(|(a, w)| 0.9 * a + 0.1 * w)
                    .collect(),
            };
            if overwrite.is_some_and(|every| step % every == 0) {
                let [w, b] = [&mean[..2], &mean[2..]];
                by_hand
                    .set_weights([("dense/kernel", w), ("dense/bias", b)])
                    .unwrap();
            }
        }
        let mut optimizer = Sgd::new(0.2).use_ema(0.9);
        if let Some(every) = overwrite {
            optimizer = optimizer.ema_overwrite_frequency(every);
        }
        let mut averaged = model(optimizer);
        averaged.fit(&data, fit(7)).unwrap();
        for (a, b) in numbers(&mut averaged).iter().zip(&mean) {
            assert!((a - b).abs() < 1e-5, "{overwrite:?}: {a} for {b}");
        }
    }
}

/// An optimizer from outside the crate: v ← μ·v + g, w ← w − η·v/(1 + |v|/limit).
#[derive(Debug, Clone)]
struct Soft {
    learning_rate: Schedule,
    momentum: f32,
    limit: f32,
    common: Common,
}

impl UpdateRule for Soft {
    fn form(&self) -> RuleForm {
        RuleForm {
            label: "update.soft",
            wgsl: "struct Rule { momentum: f32, soft_limit: f32 }

                fn take_step(p: Point, s: States) -> Next {
                    let v = params.rule.momentum * s.a + p.g;
                    let change = p.eta * v / (1.0 + abs(v) / params.rule.soft_limit);
                    return Next(p.w - change, States(v, s.b, s.c));
                }",
            numbers: vec![
                ("momentum", self.momentum.into()),
                ("soft_limit", self.limit.into()),
            ],
            states: vec![RuleState {
                name: "velocity",
                ..RuleState::default()
            }],
            ..RuleForm::default()
        }
    }

    fn step<N: Known>(&self, at: &Moment<N>) -> impl Fn(Element<N>, N) -> Element<N> {
        let (eta, one) = (at.eta, N::constant(1.0));
        let (mu, limit) = (N::given(self.momentum), N::given(self.limit));
        move |(w, [v, b, c]), g| {
            let v = mu * v + g;
            (w - eta * v / (one + v.magnitude() / limit), [v, b, c])
        }
    }
}

impl Optimizer for Soft {
    fn name(&self) -> &'static str {
        "soft"
    }

    fn validate(&self) -> kiln::Result<()> {
        self.learning_rate.validate()
    }

    fn rates(&self) -> Rates {
        self.common.rates(&self.learning_rate, self)
    }

    fn updates(&self, parameters: &[(&str, &Tensor, &Tensor)], clock: &Clock) -> Vec<Tensor> {
        self.common.updates(self, parameters, clock)
    }
}

#[test]
fn an_optimizer_of_ones_own_is_merged_into_slabs_and_checked_like_the_built_in_ones() {
    let soft = Soft {
        learning_rate: 0.1.into(),
        momentum: 0.5,
        limit: 2.0,
        common: Common::default(),
    };
    let mut trial = Trial::new(&soft, &TWO);
    assert_eq!(trial.calls(), ["update.soft"]);
    trial.step(1.0);
    near(trial.first("kernel"), 1.0 - 0.1 / 1.5);
    trial.step(1.0);
    near(trial.first("bias.velocity"), 1.5);
    near(trial.first("bias"), 1.0 - 0.1 / 1.5 - 0.15 / 1.75);
    let clipped = Soft {
        common: Common {
            global_clipnorm: Some(1.0),
            use_ema: true,
            ..Common::default()
        },
        ..soft.clone()
    };
    let calls = Trial::new(&clipped, &TWO).calls();
    assert_eq!(calls, ["sum_of_squares", "update.soft"]);
    let devices = common::devices();
    for device in &devices {
        for case in (0..6).flat_map(|number| soft.cases(number)) {
            check::parity(&case, device).unwrap();
        }
    }
    let x: Vec<[f32; 2]> = (0..12).map(|i| [i as f32 / 12.0, 0.5]).collect();
    let y: Vec<[f32; 1]> = x.iter().map(|x| [x[0] - 2.0 * x[1]]).collect();
    let data = kiln::Dataset::from_rows(&x, &y).unwrap();
    use kiln::prelude::*;
    for device in &devices {
        let network = Sequential::new(2).dense(1, Linear).seed(4);
        let mut model = network
            .compile_on(device, MeanSquaredError, soft.clone(), [])
            .unwrap();
        let history = model.fit(&data, Fit::epochs(400).silent()).unwrap();
        let losses = &history.step_losses;
        let (first, last) = (losses[0], losses[losses.len() - 1]);
        assert!(last < 0.1 * first, "{first} to {last} on {device}");
    }
}

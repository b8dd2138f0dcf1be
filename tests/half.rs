//! Facts about training with activations stored as f16: what it saves, that it learns, and what becomes of a step that overflows.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

mod common;

// In turns: wgpu panics where one thread waits for a device's queue while another submits to it.
use common::{alone, device, shipped};
use kiln::op::MatMul;
use kiln::optim::{Lookahead, LossScale, LossScaleOptimizer, OptimizerConfig};
use kiln::plan::{Class, Precision, Products, Target};
use kiln::prelude::*;
use kiln::{DType, Initial, Plan, Session, TensorType, Values};

fn half(device: &Device) -> Device {
    with_precision(device.clone(), Precision::Half)
}

fn with_precision(device: Device, precision: Precision) -> Device {
    device.with_target(|target| Target {
        precision,
        ..target
    })
}

/// A desktop GPU as a plan sees it.
fn gpu() -> Device {
    Device::cpu().with_target(|_| Target {
        max_storage_buffers: 16,
        max_binding_bytes: 1 << 30,
        max_buffer_bytes: 1 << 30,
        ..Target::new(Class::Gpu, None)
    })
}

/// The number that 16 bits stand for, as IEEE 754 has them.
fn half_value(bits: u16) -> f32 {
    let (exponent, fraction) = (i32::from(bits >> 10 & 0x1f), f64::from(bits & 0x3ff));
    let magnitude = match exponent {
        0 => fraction * 2f64.powi(-24),
        31 if fraction > 0.0 => f64::NAN,
        31 => f64::INFINITY,
        _ => (1024.0 + fraction) * 2f64.powi(exponent - 25),
    };
    let sign = if bits < 0x8000 { 1.0 } else { -1.0 };
    (sign * magnitude) as f32
}

/// The nearest number of 16 bits; of two that are as near the one whose bits are even.
fn nearest_half(number: f32, magnitudes: &[u16]) -> f32 {
    let x = f64::from(number.abs());
    // What lies above the middle between a number and the next belongs to the next.
    let is_passed = |&bits: &u16| {
        let ends = [bits, bits + 1].map(|bits| f64::from(half_value(bits)));
        let middle = if bits == 0x7bff {
            65_520.0
        } else {
            0.5 * (ends[0] + ends[1])
        };
        middle < x || middle == x && bits % 2 == 1
    };
    let bits = magnitudes.partition_point(is_passed);
    if number.is_nan() {
        number
    } else {
        half_value(bits as u16).copysign(number)
    }
}

/// The devices at hand, with every family of products that a plan may ask of them.
fn devices() -> Vec<Device> {
    let mut devices = vec![Device::cpu()];
    if let Some(device) = device() {
        for products in [Products::Subgroups, Products::Registers, Products::Shared] {
            if products != Products::Subgroups || device.target().subgroup.is_some() {
                let change = |target: Target| Target { products, ..target };
                devices.push(device.clone().with_target(change));
            }
        }
    }
    devices
}

fn classifier(device: &Device, widths: &[usize], optimizer: impl Optimizer + 'static) -> Model {
    let mut model = Sequential::new(widths[0]).seed(5);
    for (index, &units) in widths[1..].iter().enumerate() {
        let last = index + 2 == widths.len();
        model = model.dense(units, if last { Softmax } else { Relu });
    }
    let loss = SparseCategoricalCrossentropy;
    model
        .compile_on(device, loss, optimizer, [Accuracy])
        .unwrap()
}

#[test]
fn f16_halves_the_bytes_of_what_layers_hand_to_each_other() {
    // The same calls but for the types: a loss scale either way.
    let bytes = |device: &Device| {
        let optimizer = LossScaleOptimizer::new(Adam::default(), LossScale::default());
        let model = classifier(device, &[784, 1024, 512, 10], optimizer);
        let (_, plan) = model.inspect(60_000, 256).unwrap();
        let train = plan.program("train").unwrap();
        (train.bytes(), train.live_bytes, plan.to_string())
    };
    // On a GPU gradients beside f16 are calls of their own, which costs a part of what is saved.
    let ((single, ..), (stored, ..)) = (bytes(&gpu()), bytes(&half(&gpu())));
    assert!(stored < single, "{stored} and {single}");
    let adapter = Device::cpu().with_target(|_| Target::new(Class::CpuAdapter, Some(8)));
    for device in [adapter, Device::cpu()] {
        let (single, single_live, _) = bytes(&device);
        let (stored, stored_live, printed) = bytes(&half(&device));
        // An activation is written once and read by the next layer's product, the gradient of its weights and a derivative;
        // its gradient is written and read for weights, bias and, but in the first layer, for the layer before.
        let touched = 256 * (1024 * (4 + 3) + 512 * (4 + 4));
        assert_eq!(single - stored, 2 * touched, "{printed}");
        // The most are alive where all gradients of parameters are, which stay f32.
        assert!(stored_live <= single_live, "{printed}");
        assert!(printed.contains("activations stored as f16"), "{printed}");
        assert!(
            printed.contains("4 tensors between products are f16"),
            "{printed}"
        );
    }
}

#[test]
fn a_layer_of_odd_width_and_what_the_host_fetches_stay_f32() {
    let device = half(&gpu());
    let model = classifier(&device, &[20, 33, 10], Adam::default());
    let (_, plan) = model.inspect(100, 32).unwrap();
    assert!(plan.slots.iter().all(|slot| slot.dtype != DType::F16));
    let graph = Graph::new();
    let x = graph.input("x", [4, 6]);
    let w = graph.parameter("w", [6, 6], &[0.1; 36]);
    let hidden = x.matmul(&w).relu();
    let y = hidden.matmul(&w);
    let slots = |program: Program| {
        let plan = Plan::compile(&graph, device.target(), [program]).unwrap();
        plan.slots
            .iter()
            .filter(|slot| slot.dtype == DType::F16)
            .count()
    };
    assert_eq!(
        slots(Program::new("both").fetch("hidden", &hidden).fetch("y", &y)),
        0
    );
    assert_eq!(slots(Program::new("last").fetch("y", &y)), 1);
}

/// Products with a one: what is left of numbers that are stored, and what is loaded from them.
#[test]
fn every_family_of_kernels_stores_and_loads_16_bits_as_ieee_has_them() {
    let _alone = alone();
    let mut numbers = Vec::new();
    for bits in 0..0x7c00_u16 {
        let value = half_value(bits);
        let middle = 0.5 * (value + half_value(bits + 1));
        let middle = if middle.is_finite() { middle } else { 65_520.0 };
        numbers.extend([value, middle, middle.next_down(), middle.next_up()]);
    }
    numbers.extend([0.0, 1e-40, 2e-8, 1e9, f32::MAX, f32::INFINITY, f32::NAN]);
    let numbers: Vec<f32> = numbers
        .iter()
        .flat_map(|&number| [number, -number])
        .collect();
    let halves: Vec<f32> = (0..=u16::MAX).map(half_value).collect();
    let magnitudes: Vec<u16> = (0..0x7c00).collect();
    let graph = Graph::new();
    let x = graph.input("x", [numbers.len(), 1]);
    let ones = graph.parameter("ones", [1, 2], &[1.0, 1.0]);
    let one = graph.parameter("one", [1, 1], &[1.0]);
    let h = graph.variable("h", TensorType::f16([halves.len(), 1]), Initial::Zeros);
    let product = |half| MatMul {
        half,
        loads_half: !half,
        ..MatMul::default()
    };
    let stored = graph.apply_one(product(true), &[&x, &ones]);
    let loaded = graph.apply_one(product(false), &[&h, &one]);
    for device in devices() {
        let program = Program::new("both")
            .fetch("stored", &stored)
            .fetch("loaded", &loaded);
        let plan = Plan::compile(&graph, device.target(), [program]).unwrap();
        let mut session = device.open(&plan).unwrap();
        session.write("x", &numbers).unwrap();
        session.write("h", &halves).unwrap();
        session.run("both", 1).unwrap();
        let Values::F32(found) = session.read_values("stored").unwrap() else {
            panic!("f16 is read as f32");
        };
        for (pair, &number) in found.chunks(2).zip(&numbers) {
            let wanted = nearest_half(number, &magnitudes);
            for &found in pair {
                let same = found.to_bits() == wanted.to_bits() || found.is_nan() && wanted.is_nan();
                // Zero times a sign, summed from zero, may lose it.
                let zero = found == 0.0 && wanted == 0.0;
                assert!(
                    same || zero,
                    "{number:e}: {found:e}, not {wanted:e} on {device}"
                );
            }
        }
        let found = session.read("loaded").unwrap();
        for (bits, (&found, &wanted)) in found.iter().zip(&halves).enumerate() {
            let same = found == wanted || found.is_nan() && wanted.is_nan();
            assert!(same, "{bits:04x}: {found:e}, not {wanted:e} on {device}");
        }
    }
}

/// The 8×8 digits, a fifth of them held out.
fn digits() -> (Dataset, Dataset) {
    let digits = Csv::new().labels().read(shipped("digits.csv.gz")).unwrap();
    digits.scaled(1.0 / 16.0).unwrap().split(0.2, 1).unwrap()
}

#[test]
fn a_network_learns_as_well_with_f16_activations() {
    let _alone = alone();
    let (train, test) = digits();
    let accuracy = |device: &Device| {
        let mut model = classifier(device, &[64, 64, 32, 10], Adam::new(0.003));
        model
            .fit(&train, Fit::epochs(8).batch_size(32).silent())
            .unwrap();
        model.evaluate(&test).unwrap().metrics[0].1
    };
    for device in common::devices() {
        let (single, stored) = (accuracy(&device), accuracy(&half(&device)));
        println!("{single:.3} with f32, {stored:.3} with f16 on {device}");
        // Of 360 digits each is 0.3 %; between two seeds lies 1 %.
        assert!(
            single > 0.9 && (single - stored).abs() < 0.025,
            "{single} and {stored}"
        );
    }
}

#[test]
fn twenty_steps_end_where_the_reference_ends_with_the_same_plan() {
    let _alone = alone();
    let (train, _) = digits();
    let weights = |device: &Device| -> Vec<f32> {
        let mut model = classifier(device, &[64, 48, 32, 10], Sgd::new(0.05));
        let before = model.weights().unwrap();
        model
            .fit(&train, Fit::steps(20).batch_size(32).silent())
            .unwrap();
        let after = model.weights().unwrap();
        let pairs = before.iter().zip(&after);
        // How far each went.
        pairs
            .flat_map(|(b, a)| b.values.iter().zip(&a.values).map(|(b, a)| a - b))
            .collect()
    };
    let reference = weights(&half(&Device::reference()));
    let single = weights(&Device::reference());
    let furthest = reference
        .iter()
        .fold(0.0_f32, |most, moved| most.max(moved.abs()));
    let apart = |a: &[f32], b: &[f32]| {
        a.iter()
            .zip(b)
            .map(|(a, b)| (a - b).abs())
            .fold(0.0, f32::max)
            / furthest
    };
    // Rounding to 16 bits is there to be seen …
    let rounding = apart(&reference, &single);
    assert!(rounding > 1e-5 && rounding < 0.1, "{rounding}");
    for device in devices() {
        // … and devices do it alike: where a sum's own rounding decides between two neighbours they are 2⁻¹⁰ apart, which
        // is one number of the thousands in a gradient.
        let device = half(&device);
        let error = apart(&weights(&device), &reference);
        println!("{error:.1e} on {device}, {rounding:.1e} from f32");
        assert!(
            error < 2e-3 && error < rounding.max(1e-3),
            "{error} on {device}"
        );
    }
}

/// y = relu(x·W)·V with a squared error, trained with loss scaling.
fn scaled_step(device: &Device, settings: LossScale) -> Session {
    scaled_step_of(device, LossScaleOptimizer::new(Adam::new(0.01), settings))
}

fn scaled_step_of(device: &Device, optimizer: LossScaleOptimizer) -> Session {
    let graph = Graph::new();
    let numbers = |len: usize| {
        (0..len)
            .map(|i| ((i * 37) % 19) as f32 / 19.0 - 0.4)
            .collect()
    };
    let values: [Vec<f32>; 4] = [numbers(32), numbers(64), numbers(32), numbers(16)];
    let x = graph.constant([4, 8], &values[0]);
    let w = graph.parameter("w", [8, 8], &values[1]);
    let v = graph.parameter("v", [8, 4], &values[2]);
    let t = graph.constant([4, 4], &values[3]);
    let clock = graph.clock("clock", 4, optimizer.rates());
    let y = x.matmul(&w).relu().matmul(&v);
    let loss = y.squared_error(&t, 1.0).batch_mean(&clock.cursor);
    let updates = optimizer.minimize(&loss, &[("w", &w), ("v", &v)], &clock);
    let plan = Plan::compile(
        &graph,
        device.target(),
        [Program::new("step").update(&updates)],
    )
    .unwrap();
    device.open(&plan).unwrap()
}

/// Words of the scale's state: the bits of S, whether this step is skipped, steps skipped so far.
const VALUE: usize = 0;
const SKIP: usize = 3;
const SKIPPED: usize = 4;

/// The words of the scale's state, and S.
fn state(session: &mut Session) -> (Vec<u32>, f32) {
    let Values::U32(words) = session.read_values("loss_scale.state").unwrap() else {
        panic!("the state is words");
    };
    let scale = f32::from_bits(words[VALUE]);
    (words, scale)
}

#[test]
fn a_step_that_overflows_changes_no_parameter_and_halves_the_scale() {
    let _alone = alone();
    // Above 2¹⁶ for 16 bits, above 2¹²⁷ for f32.
    for (precision, power) in [(Precision::Half, 30), (Precision::Single, 99)] {
        for device in devices().into_iter().chain([Device::reference()]) {
            if precision == Precision::Single && device.is_reference() {
                continue;
            }
            let device = with_precision(device, precision);
            let initial_scale = 2_f32.powi(power);
            let mut session = scaled_step(
                &device,
                LossScale {
                    initial_scale,
                    dynamic_growth_steps: 3,
                },
            );
            if precision == Precision::Single {
                // Gradients beyond f32 itself.
                let v: Vec<f32> = session
                    .read("v")
                    .unwrap()
                    .iter()
                    .map(|v| v * 1e15)
                    .collect();
                session.write("v", &v).unwrap();
            }
            let names = ["w", "v", "w.m", "w.v", "v.m", "v.v"];
            let all = |session: &mut Session| -> Vec<Values> {
                names
                    .iter()
                    .map(|name| session.read_values(name).unwrap())
                    .collect()
            };
            let before = all(&mut session);
            for skipped in 1..=3 {
                session.run("step", 1).unwrap();
                let (words, scale) = state(&mut session);
                assert_eq!(all(&mut session), before, "{device}");
                assert_eq!((words[SKIP], words[SKIPPED]), (1, skipped), "{device}");
                assert_eq!(
                    scale,
                    initial_scale / 2_f32.powi(skipped as i32),
                    "{device}"
                );
                // The first update that is made is Adam's first.
                assert_eq!(session.read("clock.rates").unwrap()[1], 1.0, "{device}");
            }
        }
    }
}

#[test]
fn every_optimizer_leaves_all_its_states_alone_in_a_step_that_overflows() {
    let _alone = alone();
    let devices = common::devices();
    for mut inner in OptimizerConfig::defaults() {
        // Norms, a running mean of the weights, and a decay beside the formula itself.
        inner.common_mut().global_clipnorm = Some(1.0);
        inner.common_mut().use_ema = true;
        for device in &devices {
            let name = inner.name();
            let initial_scale = 2_f32.powi(30);
            let settings = LossScale {
                initial_scale,
                dynamic_growth_steps: 2000,
            };
            let optimizer = LossScaleOptimizer::new(inner.clone(), settings);
            let mut session = scaled_step_of(&half(device), optimizer);
            let kept = |session: &mut Session| {
                let mut all = session.snapshot().unwrap().variables;
                all.retain(|name, _| {
                    !name.starts_with("clock.") && !name.starts_with("loss_scale.")
                });
                all
            };
            let before = kept(&mut session);
            session.run("step", 1).unwrap();
            assert_eq!(kept(&mut session), before, "{name} on {device}");
            // Once the scale fits it trains.
            session.run("step", 40).unwrap();
            let (words, _) = state(&mut session);
            assert_eq!(words[SKIP], 0, "{name} on {device}");
            assert_ne!(kept(&mut session), before, "{name} on {device}");
        }
    }
}

#[test]
fn averages_and_series_of_every_optimizer_count_the_updates_that_are_made() {
    let _alone = alone();
    let devices = common::devices();
    let mut optimizers = OptimizerConfig::defaults();
    for optimizer in &mut optimizers {
        let common = optimizer.common_mut();
        (common.use_ema, common.ema_momentum) = (true, 0.9);
        common.ema_overwrite_frequency = Some(7);
    }
    let dampened = Sgd::new(0.01).momentum(0.9).dampening(0.5);
    let mut slow = Sgd::new(0.01);
    slow.common.lookahead = Some(Lookahead {
        steps: 5,
        share: 0.5,
    });
    optimizers.extend([OptimizerConfig::Sgd(dampened), OptimizerConfig::Sgd(slow)]);
    for inner in optimizers {
        for device in &devices {
            let run = |initial_scale: f32, steps: u64| {
                let settings = LossScale {
                    initial_scale,
                    dynamic_growth_steps: 2000,
                };
                let optimizer = LossScaleOptimizer::new(inner.clone(), settings);
                let mut session = scaled_step_of(&half(device), optimizer);
                session.run("step", steps).unwrap();
                let (words, scale) = state(&mut session);
                let mut all = session.snapshot().unwrap().variables;
                all.retain(|name, _| {
                    !name.starts_with("clock.") && !name.starts_with("loss_scale.")
                });
                (all, scale, words[SKIPPED])
            };
            let name = format!("{inner:?} on {device}");
            let (ended, scale, skipped) = run(2_f32.powi(24), 40);
            assert!(skipped > 0, "{name}");
            let (expected, _, none) = run(scale, 40 - u64::from(skipped));
            assert_eq!(none, 0, "{name}");
            assert_eq!(ended, expected, "{name}");
        }
    }
}

#[test]
fn the_scale_doubles_after_as_many_good_steps_as_asked_for() {
    let _alone = alone();
    for device in devices() {
        let settings = LossScale {
            initial_scale: 8.0,
            dynamic_growth_steps: 3,
        };
        let mut session = scaled_step(&half(&device), settings);
        let mut scales = Vec::new();
        for _ in 0..7 {
            session.run("step", 1).unwrap();
            let (words, scale) = state(&mut session);
            assert_eq!((words[SKIP], words[SKIPPED]), (0, 0), "{device}");
            scales.push(scale);
        }
        assert_eq!(scales, [8.0, 8.0, 16.0, 16.0, 16.0, 32.0, 32.0], "{device}");
    }
}

#[test]
fn a_scale_that_settles_trains_as_if_it_had_begun_there() {
    let _alone = alone();
    // Skipped steps leave no trace but in the scale: with data in order and full batches the same updates follow.
    for device in devices() {
        let run = |initial_scale: f32, steps: u64| {
            let settings = LossScale {
                initial_scale,
                dynamic_growth_steps: 2000,
            };
            let mut session = scaled_step(&half(&device), settings);
            session.run("step", steps).unwrap();
            let (words, scale) = state(&mut session);
            (session.read("w").unwrap(), scale, words[SKIPPED])
        };
        let (w, scale, skipped) = run(2_f32.powi(24), 40);
        assert!(skipped > 0, "{device}");
        let (same, same_scale, none) = run(scale, 40 - u64::from(skipped));
        assert_eq!((none, same_scale), (0, scale), "{device}");
        assert_eq!(w, same, "{device}");
    }
}

#[test]
fn a_scale_that_is_no_power_of_two_is_refused() {
    let adam = |initial_scale, dynamic_growth_steps| {
        let settings = LossScale {
            initial_scale,
            dynamic_growth_steps,
        };
        LossScaleOptimizer::new(Adam::default(), settings).validate()
    };
    adam(0.5, 1).unwrap();
    for refused in [3.0, 0.0, -2.0, f32::INFINITY, f32::NAN] {
        let message = adam(refused, 1).unwrap_err().to_string();
        assert!(
            message.contains("initial_scale: must be a power of two"),
            "{message}"
        );
    }
    let message = adam(1.0, 0).unwrap_err().to_string();
    assert!(
        message.contains("dynamic_growth_steps: must be at least 1"),
        "{message}"
    );
}

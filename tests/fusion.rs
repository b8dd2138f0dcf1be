//! Facts about the plan's rewrites: what they save, that they say so, and that nothing but time changes.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

mod common;

use common::{device, unfused};
use kiln::optim::{Optimizer as _, OptimizerConfig};
use kiln::plan::{Class, Products, Target};
use kiln::prelude::*;
use kiln::train::NonFinite;
use kiln::train::Takes;

/// A desktop GPU as a plan sees it: more storage buffers and larger ones than the least that WebGPU promises.
fn gpu() -> Target {
    Target {
        max_storage_buffers: 16,
        max_binding_bytes: 1 << 30,
        max_buffer_bytes: 1 << 30,
        ..Target::new(Class::Gpu, None)
    }
}

fn classifier(device: &Device, widths: &[usize], activation: Activation) -> Model {
    let mut model = Sequential::new(widths[0]);
    for (index, &units) in widths[1..].iter().enumerate() {
        let last = index + 2 == widths.len();
        model = model.dense(units, if last { Softmax } else { activation });
    }
    model
        .compile_on(
            device,
            SparseCategoricalCrossentropy,
            Adam::default(),
            [Accuracy],
        )
        .unwrap()
}

#[test]
fn a_step_of_an_mlp_takes_two_dispatches_a_layer_and_one_more() {
    for depth in 1..=12 {
        let plan = |buffers| {
            let device = Device::cpu().with_target(|_| Target {
                max_storage_buffers: buffers,
                ..gpu()
            });
            let model = classifier(&device, &deep(depth), Relu);
            model.inspect(60_000, 128).unwrap().1
        };
        let (few, plans) = (plan(8), [10, 11, 16].map(plan));
        for plan in plans {
            let train = plan.program("train").unwrap();
            let dispatches = train.dispatches();
            // The clock, a product forward for each layer, one back for each but the first, and the updates: those bind the
            // slabs in which X and dZ of the layers lie, and so take one dispatch however many layers there are.
            assert_eq!(dispatches, 2 * depth + 1, "{dispatches}:\n{plan}");
            let updates = train.calls.last().unwrap();
            assert!(updates.op.name().starts_with("layer_gradients"), "{plan}");
            assert!(updates.launches[0].bindings.len() <= 11, "{plan}");
            // A slab lives as a whole, but at the update all of it does: the peak is what it is without slabs.
            let (bytes, bound) = (plan.slot_bytes(), few.lower_bound_bytes());
            assert!(
                bytes as f64 <= 1.05 * bound as f64,
                "{bytes} of {bound}:\n{plan}\n{few}"
            );
            for call in &train.calls {
                for written in call.written() {
                    let operands = call.inputs.iter().chain(&call.outputs);
                    let sharing = operands.filter(|place| place.slot == written.slot);
                    assert_eq!(sharing.count(), 1, "{}:\n{plan}", call.op.name());
                }
            }
            // Evaluation is one dispatch a layer, prediction too.
            let predict = plan.program("predict").unwrap().dispatches();
            assert!(predict <= depth + 1, "{predict}:\n{plan}");
        }
        // Eight buffers bind one layer's X and dZ beside what an update takes, or those of all layers where their gradients
        // are stored: the update is a dispatch of its own then.
        let dispatches = few.program("train").unwrap().dispatches();
        let expected = (3 * depth).min(2 * depth + 2);
        assert_eq!(dispatches, expected, "{dispatches}:\n{few}");
    }
}

/// What takes gradients as they are stored: other rules, clipping by the norm of all.
#[test]
fn gradients_of_all_layers_are_one_dispatch_whatever_takes_them() {
    let device = Device::cpu().with_target(|_| gpu());
    let dispatches = |optimizer: &OptimizerConfig, depth: usize| {
        let mut model = Sequential::new(784);
        for &units in &deep(depth)[1..depth] {
            model = model.dense(units, Relu);
        }
        let model = model.dense(10, Softmax);
        let loss = SparseCategoricalCrossentropy;
        let model = model.compile_on(&device, loss, optimizer.clone(), []);
        let plan = model.unwrap().inspect(60_000, 128).unwrap().1;
        let train = plan.program("train").unwrap();
        let own = train.calls.iter();
        let own = own.filter(|call| call.op.name().starts_with("layer_gradients"));
        assert_eq!(own.count(), 1, "{}:\n{plan}", optimizer.name());
        train.dispatches()
    };
    let clipped = Adam::default().global_clipnorm(1.0);
    let all = OptimizerConfig::defaults().into_iter();
    // Muon's kernels lie apart from the biases, which take steps of Adam.
    let all = all.filter(|optimizer| optimizer.name() != "muon");
    for mut optimizer in all.chain([OptimizerConfig::Adam(clipped)]) {
        for depth in [2, 5, 12] {
            let more = dispatches(&optimizer, depth) - 2 * depth;
            println!("{}, {depth} layers: 2L + {more}", optimizer.name());
            // Norms of gradients, or of updates, are dispatches of their own.
            let normed = ["adafactor", "lamb"].contains(&optimizer.name());
            if !normed && optimizer.common_mut().global_clipnorm.is_none() {
                assert_eq!(more, 2 - usize::from(optimizer.name() == "adam"));
            }
        }
    }
}

#[test]
fn skipping_costs_a_gpu_three_dispatches_more_where_layers_are_three() {
    let device = Device::cpu().with_target(|_| gpu());
    let mut model = classifier(&device, &[200, 64, 64, 5], Relu);
    let targets = Targets::Labels {
        labels: vec![3; 8],
        classes: 5,
    };
    let data = Dataset::new(vec![0.5; 8 * 200], 200, targets).unwrap();
    let mut dispatches = |fit: Fit<'_>| {
        model.fit(&data, fit.batch_size(8).silent()).unwrap();
        let plan = model.plan().unwrap();
        plan.program("train").unwrap().dispatches()
    };
    assert_eq!(dispatches(Fit::steps(1)), 7);
    assert_eq!(dispatches(Fit::steps(1).on_non_finite(NonFinite::Skip)), 10);
}

/// There the batch is gathered and biases are summed apart, and the updates are one call of their own, because each of them
/// is faster so: `docs/optimisations.md` has the numbers.
#[test]
fn a_step_of_an_mlp_takes_four_dispatches_a_layer_and_three_more_on_a_cpu_adapter() {
    for depth in 1..=6 {
        let target = Target::new(Class::CpuAdapter, Some(8));
        let device = Device::cpu().with_target(|_| target);
        let model = classifier(&device, &deep(depth), Relu);
        let plan = model.inspect(60_000, 128).unwrap().1;
        let dispatches = plan.program("train").unwrap().dispatches();
        assert_eq!(dispatches, 4 * depth + 3, "{plan}");
    }
}

/// Widths of a network of `depth` layers.
fn deep(depth: usize) -> Vec<usize> {
    let widths = [784, 128, 64, 100, 80, 60, 33, 97, 128, 12, 256, 90];
    widths[..depth].iter().chain(&[10]).copied().collect()
}

/// Sums over more than 2047 inputs with few outputs are split among workgroups, since the few tiles would leave a GPU idle:
/// then the parts are added up in a dispatch more.
#[test]
fn a_long_sum_of_few_outputs_takes_a_dispatch_more() {
    let device = Device::cpu().with_target(|_| gpu());
    for (inputs, units, more) in [(2047, 128, 0), (3072, 128, 1), (3072, 1024, 0)] {
        let model = classifier(&device, &[inputs, units, 10], Relu);
        let (_, plan) = model.inspect(10_000, 128).unwrap();
        let dispatches = plan.program("train").unwrap().dispatches();
        assert_eq!(dispatches, 5 + more, "{inputs}-{units}-10:\n{plan}");
    }
}

/// The roofline of a step: fewest FLOPs, and bytes with the update fused.
fn roofline(widths: &[usize], batch: usize) -> (f64, f64) {
    let products: usize = widths.windows(2).map(|pair| pair[0] * pair[1]).sum();
    let parameters = products + widths[1..].iter().sum::<usize>();
    let flops = 6 * batch * products - 2 * batch * widths[0] * widths[1];
    let bytes = 32 * parameters + 24 * batch * widths.iter().sum::<usize>() + 8 * batch * widths[0];
    (flops as f64, bytes as f64)
}

#[test]
fn a_step_moves_and_computes_little_more_than_it_must() {
    // A tile is 16 elements wide at least. Beyond their edges tiles compute little where widths and batch are multiples of 16,
    // or large; of 33 to 57 columns, on no tile's edge, more than half. Narrower tiles would leave lanes of a workgroup idle
    // instead, which is the same loss uncounted.
    for (widths, batch, most) in [
        (&[784, 128, 10][..], 128, 1.05),
        (&[784, 1024, 1024, 10], 512, 1.05),
        (&[784, 128, 128, 10], 128, 1.05),
        (&[256, 256, 256, 256], 256, 1.05),
        (&[1000, 500, 250, 100], 100, 1.15),
        (&[100, 300, 200, 50], 64, 1.15),
        (&[96, 96, 96], 96, 1.15),
        (&[64, 64, 64, 32], 64, 1.05),
        (&[32, 32, 32, 32], 32, 1.15),
        (&[48, 96, 80, 64], 48, 1.15),
        (&[40, 50, 60, 36], 100, 1.5),
        (&[33, 45, 57, 39], 40, 1.7),
    ] {
        let device = Device::cpu().with_target(|_| gpu());
        let (_, plan) = classifier(&device, widths, Relu)
            .inspect(60_000, batch)
            .unwrap();
        let train = plan.program("train").unwrap();
        let (flops, bytes) = roofline(widths, batch);
        let moved = train.bytes() as f64 / bytes;
        assert!(moved <= 1.5, "{widths:?}: {moved} of the bytes:\n{plan}");
        let computed = train.padded_flops() as f64 / flops;
        println!("{widths:?}: {moved:.2} of the bytes, {computed:.3} of the FLOPs");
        assert!(
            computed <= most,
            "{widths:?}: {computed} of the FLOPs:\n{plan}"
        );
    }
}

#[test]
fn a_plan_says_what_its_rewrites_did_and_can_do_without() {
    let device = Device::cpu().with_target(|_| gpu());
    let plan = |device: &Device| {
        let (_, plan) = classifier(device, &[784, 128, 10], Relu)
            .inspect(1000, 32)
            .unwrap();
        plan
    };
    let fused = plan(&device);
    let plain = plan(&device.clone().with_target(unfused));
    let notes = &fused.program("train").unwrap().notes;
    assert!(notes.len() > 5, "{notes:?}");
    let printed = fused.to_string();
    assert!(notes.iter().all(|note| printed.contains(note.as_str())));
    assert!(
        plain
            .programs
            .iter()
            .all(|program| program.notes.is_empty())
    );
    let nodes = |plan: &kiln::Plan| -> usize {
        let calls = &plan.program("train").unwrap().calls;
        calls.iter().map(|call| call.merged).sum()
    };
    // A gather that several products take is counted with each.
    assert!(nodes(&fused) >= nodes(&plain));
    assert!(
        plain
            .program("train")
            .unwrap()
            .calls
            .iter()
            .all(|call| call.merged == 1)
    );
    assert!(fused.program("train").unwrap().bytes() < plain.program("train").unwrap().bytes());
}

/// A model to train: widths, hidden activation, last activation, loss, optimizer.
struct Setting {
    widths: &'static [usize],
    hidden: Activation,
    last: Activation,
    loss: Loss,
    adam: bool,
    bias: bool,
}

impl Setting {
    fn model(&self, device: &Device) -> Model {
        let mut model = Sequential::new(self.widths[0]).seed(3);
        for (index, &units) in self.widths[1..].iter().enumerate() {
            let last = index + 2 == self.widths.len();
            let layer = Dense::new(units).activation(if last { self.last } else { self.hidden });
            model = model.layer(if self.bias {
                layer
            } else {
                layer.without_bias()
            });
        }
        let optimizer: (Adam, Sgd) = (Adam::new(0.003), Sgd::new(0.05).momentum(0.8));
        if self.adam {
            model.compile_on(device, self.loss.clone(), optimizer.0, [Accuracy])
        } else {
            model.compile_on(device, self.loss.clone(), optimizer.1, [Accuracy])
        }
        .unwrap()
    }

    fn train(&self, device: &Device) -> (Vec<Vec<f32>>, Vec<f64>) {
        let mut model = self.model(device);
        let history = model
            .fit(&self.data(), Fit::steps(9).batch_size(33).silent())
            .unwrap();
        let accuracy = history.epochs.iter().map(|epoch| epoch.metrics[0].1);
        let measured = history
            .step_losses
            .iter()
            .copied()
            .chain(accuracy)
            .collect();
        let weights = model.weights().unwrap();
        (weights.into_iter().map(|w| w.values).collect(), measured)
    }

    /// 100 rows: the last batch of 33 has one.
    fn data(&self) -> Dataset {
        let (inputs, outputs) = (self.widths[0], self.widths[self.widths.len() - 1]);
        let number = |i: usize| ((i * 7919 + 13) % 1009) as f32 / 504.5 - 1.0;
        let features: Vec<f32> = (0..100 * inputs).map(number).collect();
        let class = |r: usize| {
            let sum: f32 = features[r * inputs..(r + 1) * inputs].iter().sum();
            ((sum * 3.0).abs() as usize) % outputs.max(2)
        };
        let targets = match self.loss.takes() {
            Takes::Numbers => Targets::Values {
                values: (0..100 * outputs).map(|i| number(i * 3 + 1)).collect(),
                columns: outputs,
            },
            _ => Targets::Labels {
                labels: (0..100).map(|r| class(r) as u32).collect(),
                classes: outputs.max(2),
            },
        };
        Dataset::new(features, inputs, targets).unwrap()
    }
}

/// All but the first are too large to train in one call.
fn settings() -> Vec<Setting> {
    let setting = |widths, hidden, last, loss, adam, bias| Setting {
        widths,
        hidden,
        last,
        loss,
        adam,
        bias,
    };
    let sparse = || SparseCategoricalCrossentropy;
    vec![
        setting(
            &[8, 10, 8, 1],
            Relu,
            Sigmoid,
            BinaryCrossentropy,
            true,
            true,
        ),
        setting(&[120, 33, 10], Relu, Softmax, sparse(), true, true),
        setting(&[500, 9], Relu, Softmax, sparse(), true, true),
        setting(
            &[64, 64, 17, 4],
            Tanh,
            Softmax,
            CategoricalCrossentropy,
            true,
            false,
        ),
        setting(&[97, 45, 2], Sigmoid, Linear, MeanSquaredError, true, true),
        setting(
            &[72, 56, 12, 8, 3],
            LeakyRelu(0.2),
            Softmax,
            sparse(),
            true,
            true,
        ),
        setting(
            &[72, 64, 40, 33, 20, 12, 16, 5],
            Relu,
            Softmax,
            sparse(),
            true,
            true,
        ),
        setting(
            &[90, 48, 32, 17, 24, 9],
            Tanh,
            Linear,
            MeanSquaredError,
            true,
            false,
        ),
        setting(&[133, 40, 5], Tanh, Linear, HalfSquaredError, false, true),
        setting(
            &[300, 15, 1],
            Sigmoid,
            Sigmoid,
            BinaryCrossentropy,
            false,
            false,
        ),
    ]
}

/// The devices that plans are tried on: among them the device of the tests as a GPU, with either family of products.
fn devices() -> Vec<Device> {
    let mut devices = vec![Device::cpu(), Device::reference()];
    if let Some(device) = device() {
        devices.push(device.clone());
        if device.adapter_summary().is_some() {
            for products in [Products::Shared, Products::Registers] {
                devices.push(device.clone().with_target(|target| Target {
                    class: Class::Gpu,
                    products,
                    ..target
                }));
            }
        }
    }
    devices
}

/// The specification is the unfused graph in f64.
#[test]
fn fused_plans_train_as_the_unfused_graph_in_f64() {
    let devices = devices();
    let mut compared = 0;
    for (number, setting) in settings().iter().enumerate() {
        let (weights, measured) = setting.train(&Device::reference().with_target(unfused));
        for device in &devices {
            if setting.widths.len() > 5 && setting.adam && device.target().class == Class::Gpu {
                let (_, plan) = setting.model(device).inspect(100, 33).unwrap();
                let calls = &plan.program("train").unwrap().calls;
                let updates = calls.iter();
                let updates = updates.filter(|call| call.op.name().starts_with("layer_gradients"));
                let dispatches: usize = updates.map(|call| call.launches.len()).sum();
                let whole = device.target().products == Products::Shared;
                assert_eq!(dispatches == 1, whole, "{plan}");
            }
            let (own, own_measured) = setting.train(device);
            let what = format!("setting {number} on {device}, {}", device.target());
            for (a, b) in own_measured.iter().zip(&measured) {
                assert!(
                    (a - b).abs() <= 1e-4 * b.abs().max(0.01),
                    "{what}: {a} for {b}"
                );
            }
            for (own, weights) in own.iter().zip(&weights) {
                let scale = weights.iter().fold(1e-3f32, |max, w| max.max(w.abs()));
                for (a, b) in own.iter().zip(weights) {
                    assert!((a - b).abs() <= 1e-3 * scale, "{what}: {a} for {b}");
                    compared += 1;
                }
            }
        }
    }
    println!("{compared} weights on {} devices", devices.len());
    assert!(compared > 30_000 * devices.len());
}

/// The data that a model takes is finite; what becomes NaN on the way, or is written past the model, must not be lost in
/// a maximum, a comparison or a select.
#[test]
fn a_nan_in_a_row_shows_in_the_losses_of_this_step_and_the_next_fused_or_not() {
    let (rows, place) = (33, 5);
    let devices = devices();
    let plain = devices[..3.min(devices.len())].iter();
    let plain = plain.map(|device| device.clone().with_target(unfused));
    let mut tried = 0;
    for device in devices.iter().cloned().chain(plain) {
        // Every loss, hidden function and kind of fusion, each opened once: first with numbers, then with the NaN.
        for number in [0, 1, 3, 4, 5, 6, 9] {
            let setting = &settings()[number];
            let (_, plan) = setting.model(&device).inspect(rows, rows).unwrap();
            let what = format!("setting {number} on {device}, {}", plan.target);
            let ring = plan.variable("train.ring").unwrap().kind.shape.clone();
            let row: usize = ring.dims()[1..].iter().product();
            let mut session = device.open(&plan).unwrap();
            let mut x = setting.data().features()[..rows * setting.widths[0]].to_vec();
            for bad in [false, true] {
                if bad {
                    x[place * setting.widths[0] + setting.widths[0] / 2] = f32::NAN;
                }
                session.write("train.x.0", &x).unwrap();
                session.start_clock("train", rows as u32, None).unwrap();
                session.run("train", 2).unwrap();
                let sums = session.read("train.ring").unwrap();
                for step in 0..2 {
                    let loss: f32 = sums[step * row..][..ring.dims()[2]].iter().sum();
                    assert_eq!(loss.is_finite(), !bad, "{what}: {loss} at step {step}");
                    tried += 1;
                }
            }
        }
    }
    println!("{tried} losses");
    assert!(tried >= 4 * 7 * 2 * 2, "{tried}");
}

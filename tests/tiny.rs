//! Training steps of small networks as one call, against the graph that they replace, on the f64 reference.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

mod common;

use common::{device, unfused};
use kiln::nn::Activation;
use kiln::optim::{OptimizerConfig, Schedule};
use kiln::plan::{Class, Target};
use kiln::prelude::*;
use kiln::train::Takes;
use kiln::{Plan, Session, Values};

/// The names of a training program's variables that steps change.
const RING: &str = "train.ring";

/// What a network is made of: input columns, layers, loss, metric, rows of the data, batch.
struct Net {
    inputs: usize,
    layers: Vec<(usize, Activation, bool)>,
    loss: Loss,
    metrics: Vec<Metric>,
    rows: usize,
    batch: usize,
    shuffle: bool,
}

impl Net {
    fn plan(&self, device: &Device, optimizer: OptimizerConfig) -> Plan {
        let mut model = Sequential::new(self.inputs).seed(7);
        for &(units, activation, bias) in &self.layers {
            let layer = Dense::new(units).activation(activation);
            model = model.layer(if bias { layer } else { layer.without_bias() });
        }
        let metrics = self.metrics.clone();
        let model = model.compile_on(device, self.loss.clone(), optimizer, metrics);
        let model = model.unwrap();
        model.inspect(self.rows, self.batch).unwrap().1
    }

    /// A session with data written and the clock set.
    fn open(&self, device: &Device, plan: &Plan) -> Session {
        let mut session = device.open(plan).unwrap();
        let mut state = 12_345u32;
        let mut draw = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / (1 << 24) as f32
        };
        let x: Vec<f32> = (0..self.rows * self.inputs)
            .map(|_| 2.0 * draw() - 1.0)
            .collect();
        session.write("train.x.0", &x).unwrap();
        let outputs = self.layers.last().unwrap().0;
        let labels: Vec<u32> = (0..self.rows)
            .map(|_| (draw() * outputs as f32) as u32)
            .collect();
        if self.loss.takes() == Takes::Labels {
            session.write_labels("train.y.0", &labels).unwrap();
        } else {
            let one_hot =
                |&label: &u32| (0..outputs as u32).map(move |j| f32::from(u8::from(j == label)));
            let mut y: Vec<f32> = labels.iter().flat_map(one_hot).collect();
            if outputs == 1 {
                y.iter_mut()
                    .for_each(|y| *y = f32::from(u8::from(draw() > 0.5)));
            }
            session.write("train.y.0", &y).unwrap();
        }
        let shuffle = self.shuffle.then_some(3);
        session
            .start_clock("train", self.rows as u32, shuffle)
            .unwrap();
        session
    }
}

fn floats(values: Values) -> Vec<f64> {
    match values {
        Values::F32(values) => values.into_iter().map(f64::from).collect(),
        Values::F64(values) => values,
        Values::U32(values) => values.into_iter().map(f64::from).collect(),
    }
}

/// A CPU session that runs what plans for GPUs hold: its own keep the calls of larger networks apart.
fn with_gpu_plans(device: Device) -> Device {
    device.with_target(|target| Target {
        class: Class::Gpu,
        ..target
    })
}

/// Trains on the device with the one call and on the reference with all of them, and compares every variable.
fn compare(net: &Net, device: &Device, optimizer: OptimizerConfig, steps: u64) {
    let what = format!(
        "{:?} {:?} batch {} of {} rows",
        net.layers, net.loss, net.batch, net.rows
    );
    let reference = Device::reference().with_target(unfused);
    let plan = net.plan(device, optimizer.clone());
    let specification = net.plan(&reference, optimizer);
    let train = plan.program("train").unwrap();
    assert_eq!(train.calls.len(), 1, "{what}: {:?}", train.notes);
    assert!(
        train.notes[0].contains("network.train"),
        "{:?}",
        train.notes
    );
    assert!(specification.program("train").unwrap().calls.len() > 5);
    let mut session = net.open(device, &plan);
    let mut expected = net.open(&reference, &specification);
    session.run("train", steps).unwrap();
    expected.run("train", steps).unwrap();
    let names = plan.variables.iter().map(|variable| &variable.name);
    // A pair for each part.
    let numbers = 2 * net.batch.div_ceil(32);
    let (mut compared, mut counted, mut elsewhere) = (0, 0, 0);
    for name in names.filter(|name| !name.starts_with("predict")) {
        let got = floats(session.read_values(name).unwrap());
        let wanted = floats(expected.read_values(name).unwrap());
        // Rates of 0.02 and gradients that are off by 1e-5 for sums of 256 terms of f32 move no weight by more in so few
        // steps; a wrong term moves it by the rate.
        let bound = |wanted: f64| match name.as_str() {
            RING => 2e-3 * (1.0 + wanted.abs()),
            _ => 4e-4 * (1.0 + wanted.abs()),
        };
        let is_accuracy = |i: usize| name == RING && net.metrics.len() == 1 && i / numbers % 2 == 1;
        assert_eq!(got.len(), wanted.len(), "{what}: {name}");
        for (i, (&got, &wanted)) in got.iter().zip(&wanted).enumerate() {
            let error = (got - wanted).abs();
            // A row at the threshold may be counted otherwise: one, and hardly ever.
            if is_accuracy(i) && error > 1e-3 {
                assert!(
                    error <= 1.0 + 1e-3,
                    "{what}: {name}[{i}] is {got}, not {wanted}"
                );
                elsewhere += 1;
            } else {
                assert!(
                    error <= bound(wanted),
                    "{what}: {name}[{i}] is {got}, not {wanted}"
                );
            }
            counted += u64::from(is_accuracy(i) && wanted != 0.0);
            compared += 1;
        }
    }
    // A wrong count is wrong in every step, or in every epoch's last.
    assert!(elsewhere <= 1, "{what}: {elsewhere} counts of rows differ");
    assert!(
        net.metrics.is_empty() || counted >= steps / 2,
        "{what}: {counted} counts"
    );
    assert!(compared > 100, "{what}: {compared} numbers compared");
}

fn adam(rate: impl Into<Schedule>) -> OptimizerConfig {
    OptimizerConfig::Adam(kiln::optim::Adam {
        // Small gradients would otherwise count as large ones, and their errors with them.
        epsilon: 1e-2,
        ..kiln::optim::Adam::new(rate)
    })
}

fn nets() -> Vec<Net> {
    let relu = |units| (units, Relu, true);
    let net = |inputs, layers: Vec<_>, loss: Loss, metrics: &[Metric], rows, batch| Net {
        inputs,
        layers,
        loss,
        metrics: metrics.to_vec(),
        rows,
        batch,
        shuffle: rows % 2 == 1,
    };
    let bce = || BinaryCrossentropy;
    vec![
        net(
            8,
            vec![relu(10), relu(8), (1, Sigmoid, true)],
            bce(),
            &[Accuracy],
            768,
            32,
        ),
        net(1, vec![(1, Linear, true)], HalfSquaredError, &[], 1, 1),
        net(
            2,
            vec![(3, Tanh, false), (1, Sigmoid, true)],
            bce().from_probabilities(),
            &[Accuracy],
            17,
            3,
        ),
        net(
            5,
            vec![(17, Activation::LeakyRelu(0.2), true), (5, Softmax, true)],
            SparseCategoricalCrossentropy,
            &[Accuracy],
            101,
            33,
        ),
        net(
            17,
            vec![
                relu(5),
                (3, Tanh, true),
                (5, Sigmoid, false),
                (2, Softmax, true),
            ],
            CategoricalCrossentropy,
            &[Accuracy],
            250,
            64,
        ),
        net(
            3,
            vec![(1, Tanh, true), (3, Linear, false)],
            MeanSquaredError,
            &[],
            333,
            100,
        ),
        net(
            2,
            vec![(5, Sigmoid, true), (2, Sigmoid, true)],
            HalfSquaredError,
            &[Metric::BinaryAccuracy(0.4)],
            70,
            65,
        ),
        net(
            4,
            vec![relu(17), (1, Linear, true)],
            bce().from_logits(),
            &[],
            1000,
            256,
        ),
        net(
            6,
            vec![relu(3), (2, Sigmoid, true)],
            bce(),
            &[Metric::BinaryAccuracy(0.5)],
            40,
            5,
        ),
    ]
}

#[test]
fn a_step_in_one_call_is_the_step_in_many() {
    let Some(device) = device() else { return };
    let [cpu, reference] = [Device::cpu(), Device::reference()].map(with_gpu_plans);
    for device in [device, &cpu, &reference] {
        for (i, net) in nets().iter().enumerate() {
            let sgd = |rate| kiln::optim::Sgd::new(rate);
            let optimizers = [
                adam(0.02),
                OptimizerConfig::Sgd(sgd(0.05)),
                OptimizerConfig::Sgd(sgd(0.02).momentum(0.9)),
                OptimizerConfig::Sgd(sgd(0.02).momentum(0.8).nesterov()),
            ];
            compare(net, device, optimizers[i % 4].clone(), 11);
            compare(net, device, adam(Schedule::cosine_decay(0.02, 9)), 13);
        }
    }
}

#[test]
fn every_schedule_gives_the_rates_of_the_clock() {
    let Some(device) = device() else { return };
    let net = &nets()[2];
    for schedule in [
        Schedule::exponential_decay(0.02, 7, 0.9),
        Schedule::inverse_time_decay(0.03, 5, 0.5),
        Schedule::polynomial_decay(0.02, 30),
        Schedule::cosine_decay(0.02, 40),
    ] {
        compare(net, device, adam(schedule.clone()), 17);
    }
}

#[test]
fn a_run_in_parts_gives_the_bits_of_a_run_at_once() {
    let Some(device) = device() else { return };
    let net = &nets()[0];
    let plan = net.plan(device, OptimizerConfig::default());
    let mut runs = Vec::new();
    for parts in [&[777u64][..], &[1, 2, 3, 4, 500, 267], &[776, 1]] {
        let mut session = net.open(device, &plan);
        for &steps in parts {
            session.run("train", steps).unwrap();
        }
        let snapshot = session.snapshot().unwrap();
        let ring = session.read("train.ring").unwrap();
        runs.push(format!("{:?} {ring:?}", snapshot.variables));
    }
    assert!(runs.iter().all(|run| *run == runs[0]));
}

/// 8-10-8-1 on a CPU adapter, whose loops end after some number of iterations in all.
fn tiny(rows: usize, batch: usize) -> Plan {
    let device = Device::cpu().with_target(|_| Target::new(Class::CpuAdapter, Some(8)));
    let net = Net {
        inputs: 8,
        layers: vec![(10, Relu, true), (8, Relu, true), (1, Sigmoid, true)],
        loss: BinaryCrossentropy,
        metrics: vec![Accuracy],
        rows,
        batch,
        shuffle: true,
    };
    net.plan(&device, OptimizerConfig::default())
}

#[test]
fn a_step_of_a_small_network_counts_the_bytes_of_its_batch_alone() {
    let bytes = |rows| {
        let plan = tiny(rows, 32);
        let train = plan.program("train").unwrap();
        assert_eq!(train.calls.len(), 1, "{plan}");
        train.bytes()
    };
    let (few, many) = (bytes(768), bytes(60_000));
    assert_eq!(few, many);
    // x and y of a batch, and 187 parameters with m and v read and written: blocks of 4 × 4 have room for more.
    let (batch, slabs) = (32 * 9 * 4, 187 * 24);
    assert!((batch + slabs..batch + 3 * slabs).contains(&few), "{few}");
}

#[test]
fn a_dispatch_does_as_many_steps_as_the_loops_of_a_driver_allow() {
    let steps = |batch| {
        tiny(768, batch)
            .program("train")
            .unwrap()
            .steps_per_dispatch()
    };
    let counted = [16, 32, 64, 128, 256].map(steps);
    assert_eq!(counted, [512, 512, 256, 128, 64]);
}

/// A processor's workgroup memory is memory: all of it may be filled, with few lanes beside it.
#[test]
fn a_cpu_adapter_takes_larger_networks_than_a_gpu_in_one_call() {
    let net = Net {
        inputs: 64,
        layers: vec![(16, Relu, true), (16, Relu, true), (10, Softmax, true)],
        loss: SparseCategoricalCrossentropy,
        metrics: vec![Accuracy],
        rows: 200,
        batch: 64,
        shuffle: true,
    };
    let calls = |class, max_workgroup_bytes| {
        let target = Target {
            max_workgroup_bytes,
            ..Target::new(class, None)
        };
        let plan = net.plan(&Device::cpu().with_target(|_| target), adam(0.02));
        plan.program("train").unwrap().calls.len()
    };
    assert!(calls(Class::Gpu, 48 << 10) > 3);
    assert!(calls(Class::CpuAdapter, 16 << 10) > 3);
    assert_eq!(calls(Class::CpuAdapter, 32 << 10), 1);
    let Some(device) = device() else { return };
    let target = device.target();
    if target.class == Class::CpuAdapter && target.max_workgroup_bytes >= 32 << 10 {
        compare(&net, device, adam(0.02), 13);
    }
}

#[test]
fn a_network_that_is_not_small_stays_as_it_is() {
    let device = with_gpu_plans(Device::cpu());
    let net = Net {
        inputs: 100,
        layers: vec![(100, Relu, true), (1, Sigmoid, true)],
        loss: BinaryCrossentropy,
        metrics: Vec::new(),
        rows: 50,
        batch: 32,
        shuffle: false,
    };
    let plan = net.plan(&device, OptimizerConfig::default());
    let train = plan.program("train").unwrap();
    assert!(train.calls.len() > 3);
    assert!(
        train.notes[0].contains("10201 parameters are more than 4096"),
        "{:?}",
        train.notes
    );
}

//! Facts about populations: each member trains as it would alone.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

mod common;

use std::pin::pin;
use std::task::{Context, Waker};
use std::time::Duration;

use common::{alone, device, devices};
use kiln::Options;
use kiln::optim::OptimizerConfig;
use kiln::prelude::*;
use kiln::train::{
    Checkpoints, Curve, Every, Interrupt, Member, Population, Reduction, Stop, Weights,
};

fn data(rows: usize) -> Dataset {
    let number = |i: usize| ((i * 7919 + 13) % 1009) as f32 / 504.5 - 1.0;
    let features: Vec<f32> = (0..rows * 8).map(number).collect();
    let above = |row: &[f32]| u32::from(row.iter().sum::<f32>() > 0.0);
    let labels = features.chunks(8).map(above).collect();
    Dataset::new(features, 8, Targets::Labels { labels, classes: 2 }).unwrap()
}

fn network() -> Sequential {
    Sequential::new(8)
        .dense(10, Relu)
        .dense(8, Relu)
        .dense(1, Sigmoid)
}

fn members() -> Vec<Member> {
    (0..5)
        .map(|i| Member {
            seed: 10 + i,
            learning_rate: 0.001 * (i + 1) as f32,
        })
        .collect()
}

fn population(device: &Device) -> Population {
    let optimizer = OptimizerConfig::default();
    Population::new(
        network(),
        members(),
        device,
        BinaryCrossentropy,
        optimizer,
        [Accuracy],
    )
    .unwrap()
}

/// A model of a member's seed and rate.
fn model(member: &Member, device: &Device) -> Model {
    let (loss, optimizer) = (BinaryCrossentropy, Adam::new(member.learning_rate));
    let network = network().seed(member.seed);
    network
        .compile_on(device, loss, optimizer, [Accuracy])
        .unwrap()
}

fn fit<'a>(epochs: u64) -> Fit<'a> {
    Fit::epochs(epochs).batch_size(32).silent()
}

/// The weights of all members.
fn weights(population: &mut Population) -> Vec<Vec<Weights>> {
    let own = |index| population.member(index).unwrap().weights().unwrap();
    (0..members().len()).map(own).collect()
}

#[test]
fn a_member_trains_as_a_model_of_its_seed_and_rate() {
    let _alone = alone();
    let data = data(100);
    for device in &devices() {
        let mut population = population(device);
        let histories = population.fit(&data, fit(4)).unwrap();
        assert_eq!(histories.len(), 5);
        for (index, member) in members().iter().enumerate() {
            let mut alone = model(member, device);
            let history = alone.fit(&data, fit(4)).unwrap();
            let own = population.member(index).unwrap().weights().unwrap();
            for (own, alone) in own.iter().zip(alone.weights().unwrap()) {
                assert_eq!(own.name, alone.name);
                for (a, b) in own.values.iter().zip(&alone.values) {
                    let same = a.to_bits() == b.to_bits();
                    assert!(
                        same,
                        "{} of member {index} on {device}: {a} for {b}",
                        own.name
                    );
                }
            }
            let losses = histories[index].loss().into_iter().zip(history.loss());
            for (a, b) in losses {
                assert!((a - b).abs() < 1e-4, "{a} for {b}");
            }
            assert_eq!(histories[index].stop, history.stop);
        }
        assert!(
            histories
                .windows(2)
                .all(|pair| pair[0].loss() != pair[1].loss())
        );
    }
}

#[test]
fn a_population_takes_no_more_dispatches_than_one_network() {
    let _alone = alone();
    let Some(device) = device() else { return };
    if device.adapter_summary().is_none() {
        return;
    }
    let data = data(100);
    let dispatches = |count: usize| {
        let optimizer = OptimizerConfig::default();
        let members = members().into_iter().take(count);
        let mut population = Population::new(
            network(),
            members,
            device,
            BinaryCrossentropy,
            optimizer,
            [],
        )
        .unwrap();
        let histories = population.fit(&data, Fit::steps(8).silent()).unwrap();
        histories[0].counters.dispatches
    };
    assert_eq!(dispatches(5), dispatches(1));
    assert!(dispatches(5) <= 2, "{}", dispatches(5));
}

#[test]
fn a_run_in_two_parts_ends_in_the_same_bits() {
    let _alone = alone();
    let data = data(70);
    let device = device().cloned().unwrap_or_else(Device::cpu);
    let after = |runs: &[u64]| {
        let mut population = population(&device);
        for &epochs in runs {
            population.fit(&data, fit(epochs)).unwrap();
        }
        weights(&mut population)
    };
    assert_eq!(after(&[5]), after(&[2, 3]));
}

#[test]
fn a_member_ends_at_the_loss_as_it_would_alone_and_the_population_with_the_last() {
    let _alone = alone();
    let (data, others) = (data(100), data(40));
    for device in &devices() {
        let until = || Fit::epochs(60).batch_size(32).until_loss(0.66).silent();
        let mut population = population(device);
        let histories = population.fit(&data, until().validation(&others)).unwrap();
        let mut ends = Vec::new();
        for (index, member) in members().iter().enumerate() {
            let mut alone = model(member, device);
            let history = alone.fit(&data, until()).unwrap();
            let own = &histories[index];
            assert_eq!(
                own.epochs.len(),
                history.epochs.len(),
                "member {index} on {device}"
            );
            assert_eq!(own.steps, history.steps);
            assert_eq!(
                matches!(own.stop, Stop::Loss { .. }),
                matches!(history.stop, Stop::Loss { .. })
            );
            let mut model = population.member(index).unwrap();
            for (own, alone) in model
                .weights()
                .unwrap()
                .iter()
                .zip(alone.weights().unwrap())
            {
                assert!(
                    own.values == alone.values,
                    "{} of member {index} on {device}",
                    own.name
                );
            }
            // The last epoch's validation is what the member's weights give.
            let measured = model.evaluate(&others).unwrap();
            let last = own.epochs.last().unwrap();
            assert!((last.val_loss.unwrap() - measured.loss).abs() < 1e-6);
            assert_eq!(last.val_metrics, measured.metrics);
            assert!(own.epochs.iter().all(|epoch| epoch.val_loss.is_some()));
            ends.push(own.steps);
        }
        ends.sort_unstable();
        ends.dedup();
        assert!(ends.len() > 1, "{ends:?}");
    }
}

#[test]
fn the_best_member_and_the_mean_prediction_follow_from_the_members() {
    let data = data(64);
    let mut population = population(&Device::cpu());
    let histories = population.fit(&data, fit(3)).unwrap();
    let best = population.best(&histories);
    let last = |history: &History| history.loss()[2];
    assert!(
        histories
            .iter()
            .all(|history| last(&histories[best]) <= last(history))
    );
    let rows = &data.features()[..16];
    let mean = population.predict(rows).unwrap();
    let mut expected = [0.0f64; 2];
    for index in 0..5 {
        let own = population.member(index).unwrap().predict(rows).unwrap();
        for (sum, &value) in expected.iter_mut().zip(&own.values) {
            *sum += f64::from(value) / 5.0;
        }
    }
    for (mean, expected) in mean.iter().zip(expected) {
        assert!((f64::from(*mean) - expected).abs() < 1e-6);
    }
}

#[test]
fn what_a_population_cannot_do_is_refused_in_words() {
    let new = |network: &Sequential, members: Vec<Member>| {
        let optimizer = OptimizerConfig::default();
        Population::new(
            network,
            members,
            &Device::cpu(),
            BinaryCrossentropy,
            optimizer,
            [],
        )
    };
    let says = |error: Error, words: &str| {
        let text = error.to_string();
        assert!(text.contains(words), "{text}");
    };
    says(new(&network(), Vec::new()).unwrap_err(), "at least one");
    let wrong = Member {
        seed: 0,
        learning_rate: f32::NAN,
    };
    says(new(&network(), vec![wrong]).unwrap_err(), "learning_rate");
    let large = Sequential::new(8).dense(900, Relu).dense(1, Sigmoid);
    let mut large = new(&large, members()).unwrap();
    says(
        large.fit(&data(50), fit(1)).unwrap_err(),
        "9001 parameters are more than 4096",
    );
    let mut population = population(&Device::cpu());
    for beyond in [
        fit(1).class_weight([(0, 2.0)]),
        fit(1).steps_per_epoch(3),
        fit(1).chunk_rows(20),
    ] {
        let error = population.fit(&data(50), beyond).unwrap_err();
        says(error, "a population takes");
    }
    says(population.member(5).unwrap_err(), "there are 5 members");
}

#[test]
fn members_take_means_under_all_their_names_and_weights_of_validation_rows_count() {
    let _alone = alone();
    let trained = |loss: Loss, metric: Metric, device: &Device| {
        let rows = data(100);
        let weights = (0..100).map(|row| (row % 7) as f32).collect();
        let validation = data(100).with_weights(weights).unwrap();
        let optimizer = OptimizerConfig::default();
        let made = Population::new(
            network(),
            members(),
            device,
            loss.clone(),
            optimizer,
            [metric],
        );
        let mut population = made.unwrap();
        let histories = population.fit(&rows, fit(2).validation(&validation))?;
        for (index, history) in histories.iter().enumerate() {
            let told = history.epochs[1].val_loss.unwrap();
            let alone = population.member(index)?.evaluate(&validation)?.loss;
            assert!((told - alone).abs() < 1e-6, "{loss}: {told}, {alone}");
        }
        Ok::<_, Error>(histories)
    };
    for device in devices() {
        let loss = |histories: &[History]| histories.iter().map(History::loss).collect::<Vec<_>>();
        let plain = trained(BinaryCrossentropy, Accuracy, &device).unwrap();
        for reduction in [Reduction::Mean, Reduction::MeanWithSampleWeight] {
            let named = BinaryCrossentropy.reduction(reduction);
            let named = trained(named, Accuracy, &device).unwrap();
            assert_eq!(loss(&named), loss(&plain), "{reduction:?}");
            let weighed = reduction == Reduction::MeanWithSampleWeight;
            let differ = named[0].epochs[1].val_loss != plain[0].epochs[1].val_loss;
            assert_eq!(differ, weighed, "{reduction:?}");
        }
        for (spec, metric, word) in [
            (
                BinaryCrossentropy.reduction(Reduction::Sum),
                Accuracy,
                "reduction=sum",
            ),
            (Loss::huber(1.0), Accuracy, "huber"),
            (BinaryCrossentropy, Metric::Auc(Curve::Roc), "auc"),
        ] {
            let refused = trained(spec, metric, &device).unwrap_err().to_string();
            for word in [word, "population", "default reduction"] {
                assert!(refused.contains(word), "{refused}");
            }
        }
    }
}

#[test]
fn an_interrupt_ends_all_members_after_the_running_steps_with_their_histories() {
    let _alone = alone();
    let data = data(100);
    for device in devices() {
        let interrupt = Interrupt::default();
        let mut stopped = population(&device);
        // Raised beforehand, and in the midst of the run.
        for wait in [None, Some(std::time::Duration::from_millis(30))] {
            let raising = interrupt.clone();
            let raise = move || {
                if let Some(time) = wait {
                    std::thread::sleep(time);
                }
                raising.raise();
            };
            let raised = match wait {
                None => {
                    raise();
                    None
                }
                Some(_) => Some(std::thread::spawn(raise)),
            };
            let endless = fit(100_000_000).interrupt(&interrupt);
            let histories = stopped.fit(&data, endless).unwrap();
            if let Some(thread) = raised {
                thread.join().unwrap();
            }
            interrupt.lower();
            assert_eq!(histories.len(), 5);
            let steps = histories[0].steps;
            assert!(steps > 0);
            for history in &histories {
                assert_eq!(history.stop, Stop::Interrupted, "{device}");
                assert_eq!(history.steps, steps);
                assert_eq!(history.step_losses.len() as u64, steps);
                // Four steps an epoch, and what was done of the last.
                assert_eq!(history.epochs.len() as u64, steps.div_ceil(4));
            }
            if wait.is_some() {
                continue;
            }
            // The weights are those of that many steps.
            let mut whole = population(&device);
            whole.fit(&data, fit(u64::MAX).max_steps(steps)).unwrap();
            assert_eq!(weights(&mut stopped), weights(&mut whole), "{device}");
        }
    }
}

#[test]
fn a_run_that_ends_within_an_epoch_goes_on_with_the_next_as_a_model_does() {
    let _alone = alone();
    // Four steps an epoch.
    let data = data(100);
    for device in devices() {
        let raised = Interrupt::default();
        raised.raise();
        for first in [fit(9).max_steps(6), fit(100_000_000).interrupt(&raised)] {
            let mut population = population(&device);
            let steps = population.fit(&data, first).unwrap()[0].steps;
            // A last epoch of two steps shows what the first call ended in, whatever the interrupt left.
            let calls = || [fit(u64::MAX).max_steps(6), fit(2)];
            for call in calls() {
                population.fit(&data, call).unwrap();
            }
            let own = weights(&mut population);
            for (member, own) in members().iter().zip(own) {
                let mut alone = model(member, &device);
                for call in [fit(u64::MAX).max_steps(steps)].into_iter().chain(calls()) {
                    alone.fit(&data, call).unwrap();
                }
                assert!(own == alone.weights().unwrap(), "{member:?} on {device}");
            }
        }
    }
}

#[test]
fn a_run_that_fails_keeps_what_its_members_have_come_to_and_is_gone_on_with() {
    let _alone = alone();
    let Some(device) = device().filter(|device| device.adapter_summary().is_some()) else {
        return;
    };
    let (data, others) = (data(100), data(40));
    let until = |epochs| {
        let fit = Fit::epochs(epochs).batch_size(32).until_loss(0.66).silent();
        fit.validation(&others)
    };
    let calls = || device.calls().iter().map(|(_, count)| count).sum::<u64>();
    let mut undisturbed = population(device);
    undisturbed.fit(&data, until(1)).unwrap();
    let before = calls();
    let histories = undisturbed.fit(&data, until(60)).unwrap();
    let total = calls() - before;
    let mut ends: Vec<u64> = histories.iter().map(|history| history.steps).collect();
    ends.sort_unstable();
    assert!(ends[0] < ends[4], "{ends:?}");

    let (mut failed, mut after_an_end) = (0, 0);
    for call in (total / 2..total).step_by((total / 50).max(1) as usize) {
        let mut disturbed = population(device);
        disturbed.fit(&data, until(1)).unwrap();
        device.inject(kiln::gpu::Fault {
            call,
            kind: kiln::gpu::FaultKind::Error,
        });
        let Err(error) = disturbed.fit(&data, until(60)) else {
            panic!("call {call} of {total} did not fail");
        };
        // What fails there leaves the device alive, and all steps submitted have run.
        if !error.to_string().contains("reading a mapped buffer") {
            continue;
        }
        let own = weights(&mut disturbed);
        // It ended after some epoch, those members that had ended before with the weights of then.
        let same = (1..=ends[4] / 4).find_map(|epochs| {
            let mut whole = population(device);
            whole.fit(&data, until(1)).unwrap();
            whole.fit(&data, until(epochs)).unwrap();
            (weights(&mut whole) == own).then_some((epochs, whole))
        });
        let Some((epochs, mut whole)) = same else {
            panic!("no epoch of {ends:?} steps ends in these weights");
        };
        after_an_end += u64::from(epochs * 4 > ends[0]);
        failed += 1;
        for population in [&mut whole, &mut disturbed] {
            population.fit(&data, fit(2)).unwrap();
        }
        let same = weights(&mut whole) == weights(&mut disturbed);
        assert!(same, "{epochs} epochs");
        if failed == 2 {
            break;
        }
    }
    assert!(after_an_end > 0, "{failed} runs failed");
}

/// The least budget of bytes with which an outcome is one.
fn least(most: u64, works: impl Fn(u64) -> bool) -> u64 {
    let (mut low, mut high) = (0, most);
    while high - low > 256 {
        let middle = (low + high) / 2;
        match works(middle) {
            true => high = middle,
            false => low = middle,
        }
    }
    high
}

#[test]
fn a_population_without_memory_to_read_it_goes_on_in_its_session() {
    let _alone = alone();
    if !common::may_open() {
        return;
    }
    // Weights that take more than what a run reads as it goes.
    let narrow = data(100);
    let wide: Vec<f32> = narrow
        .features()
        .chunks(8)
        .flat_map(|row| row.repeat(8))
        .collect();
    let data = Dataset::new(wide, 64, narrow.targets().clone()).unwrap();
    let made = |device: &Device| {
        let network = Sequential::new(64).dense(24, Tanh).dense(1, Sigmoid);
        let members = (0..3).map(|seed| Member {
            seed,
            learning_rate: 0.002 * (seed % 3) as f32,
        });
        let optimizer = OptimizerConfig::default();
        Population::new(network, members, device, BinaryCrossentropy, optimizer, []).unwrap()
    };
    let losses = |histories: Vec<History>| {
        let losses = histories.into_iter().map(|history| history.step_losses);
        losses.collect::<Vec<_>>()
    };
    let budgeted = |budget| {
        let options = Options {
            budget,
            ..Options::default()
        };
        common::open(options).unwrap()
    };
    // Some members end before the others, and go on from there in the second call.
    let first = || fit(5).until_loss(0.66);
    let (expected, peak) = {
        let device = budgeted(None);
        if device.adapter_summary().is_none() {
            return;
        }
        let mut population = made(&device);
        let histories = population.fit(&data, first()).unwrap();
        let early = histories.iter().filter(|history| history.steps < 20);
        println!("{} of 3 end early", early.clone().count());
        assert!((1..3).contains(&early.count()));
        let second = population.fit(&data, fit(2)).unwrap();
        (
            [losses(histories), losses(second)],
            device.counters().peak_bytes,
        )
    };
    let budget = least(peak, |budget| {
        let device = budgeted(Some(budget));
        made(&device).fit(&data, first()).is_ok()
    });
    println!("{budget} of {peak} bytes do");
    let device = budgeted(Some(budget));
    let mut population = made(&device);
    let histories = population.fit(&data, first()).unwrap();
    let unread = population.member(0).unwrap_err();
    assert!(matches!(unread, Error::OutOfMemory { .. }), "{unread}");
    let second = population.fit(&data, fit(2)).unwrap();
    assert!([losses(histories), losses(second)] == expected);
}

/// What a run reports, by bits.
fn reported(histories: &[History]) -> Vec<(Vec<u64>, u64, Stop)> {
    let one = |history: &History| {
        let losses = history.step_losses.iter().copied();
        let epochs = history.epochs.iter();
        let figures = epochs.flat_map(|epoch| [Some(epoch.loss), epoch.val_loss]);
        let bits = losses.chain(figures.flatten()).map(f64::to_bits);
        (bits.collect(), history.steps, history.stop.clone())
    };
    histories.iter().map(one).collect()
}

#[test]
fn a_population_resumed_from_its_checkpoints_ends_in_the_same_bits() {
    let _alone = alone();
    let (data, others) = (data(100), data(40));
    let folder = std::env::temp_dir().join(format!("kiln-population-{}", std::process::id()));
    for device in devices() {
        std::fs::remove_dir_all(&folder).ok();
        let until = || fit(60).until_loss(0.66).validation(&others);
        let mut whole = population(&device);
        let expected = whole.fit(&data, until()).unwrap();
        let mut ends: Vec<u64> = expected.iter().map(|history| history.steps).collect();
        ends.sort_unstable();
        // In the midst of an epoch of four steps, with a member that has ended and others that have not.
        let cut = ends[0] + 2;
        assert!(cut < ends[4], "{ends:?}");
        let checkpoints = || Checkpoints::in_folder(&folder).every(Every::Steps(3));
        let first = until().max_steps(cut).checkpoints(checkpoints());
        population(&device).fit(&data, first).unwrap();
        let mut resumed = population(&device);
        let rest = until().checkpoints(checkpoints()).resume_from(&folder);
        let histories = resumed.fit(&data, rest).unwrap();
        assert_eq!(reported(&histories), reported(&expected), "{device}");
        assert!(weights(&mut resumed) == weights(&mut whole), "{device}");
        assert!(histories[0].notes[0].contains("resumed from"));
        // Training goes on from there as well.
        for population in [&mut resumed, &mut whole] {
            population.fit(&data, fit(2)).unwrap();
        }
        assert!(weights(&mut resumed) == weights(&mut whole), "{device}");
        // A model takes no state of a population.
        let mut alone = model(&members()[0], &device);
        let refused = fit(60).validation(&others).resume_from(&folder);
        let error = alone.fit(&data, refused).unwrap_err().to_string();
        assert!(error.contains("a population of 5"), "{error}");
    }
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn checkpoints_of_the_best_epoch_are_refused_for_a_population() {
    let folder = std::env::temp_dir().join("kiln-population-no-best");
    let best = Checkpoints::in_folder(&folder).keep_best("loss");
    let mut population = population(&Device::cpu());
    let error = population.fit(&data(50), fit(1).checkpoints(best));
    let error = error.unwrap_err().to_string();
    assert!(error.contains("checkpoints of the last states"), "{error}");
    assert!(!folder.exists(), "refused before the folder is made");
}

#[test]
fn the_best_member_by_a_figure_is_that_of_the_best_last_epoch() {
    let population = population(&Device::cpu());
    let epoch = |loss: f64, val_loss: f64, accuracy: f64| kiln::train::Epoch {
        loss,
        metrics: vec![("accuracy".into(), accuracy)],
        val_loss: Some(val_loss),
        val_metrics: vec![("accuracy".into(), accuracy)],
        samples: 1,
        time: std::time::Duration::ZERO,
    };
    let history = |epochs: Vec<kiln::train::Epoch>| History {
        epochs,
        stop: Stop::Epochs(2),
        steps: 2,
        step_losses: Vec::new(),
        first_step: std::time::Duration::ZERO,
        notes: Vec::new(),
        counters: Default::default(),
    };
    // The first has learnt its rows by heart; the third was best once; the fourth is no number.
    let histories = [
        history(vec![epoch(0.2, 0.9, 0.6), epoch(0.1, 1.5, 0.5)]),
        history(vec![epoch(0.5, 0.6, 0.7), epoch(0.4, 0.4, 0.8)]),
        history(vec![epoch(0.5, 0.1, 0.9), epoch(0.4, 0.5, 0.9)]),
        history(vec![epoch(f64::NAN, f64::NAN, f64::NAN)]),
        history(vec![]),
    ];
    let best = |figure: &str| population.best_by(&histories, figure);
    assert_eq!(population.best(&histories), 0);
    assert_eq!(best("loss").unwrap(), 0);
    assert_eq!(best("val_loss").unwrap(), 1);
    assert_eq!(best("val_accuracy").unwrap(), 2);
    let lowest = kiln::train::Monitor::new("accuracy").mode(kiln::train::Mode::Min);
    assert_eq!(population.best_by(&histories, lowest).unwrap(), 0);
    let refusal = best("val_los").unwrap_err().to_string();
    assert!(
        refusal.contains("val_los") && refusal.contains("val_accuracy"),
        "{refusal}"
    );
    let refusal = population.best_by(&histories[3..], "val_loss").unwrap_err();
    assert!(refusal.to_string().contains("`val_loss`"), "{refusal}");
    let refusal = population.best_by(&[], "val_loss").unwrap_err();
    assert!(refusal.to_string().contains("validation"), "{refusal}");
}

#[test]
fn members_keep_what_they_learned_in_a_first_run_that_was_dropped() {
    let _alone = alone();
    let data = data(200);
    for device in devices() {
        let drawn = |index: usize| model(&members()[index], &device).weights().unwrap();
        let of_gpu = device.adapter_summary().is_some();
        let mut population = population(&device);
        {
            let endless = fit(1 << 20).slice(Duration::ZERO);
            let mut training = pin!(population.fit_async(&data, endless));
            let mut context = Context::from_waker(Waker::noop());
            // A busy machine may take long to compile what a GPU is to run.
            let before = device.counters();
            let mut polls = 0;
            while polls < 300 || of_gpu && device.counters().since(&before).submits < 20 {
                assert!(training.as_mut().poll(&mut context).is_pending());
                polls += 1;
            }
        }
        for index in 0..members().len() {
            let learned = population.member(index).unwrap().weights().unwrap();
            assert!(learned != drawn(index), "{device}: member {index}");
        }
        // And they go on from there.
        let histories = population.fit(&data, fit(2)).unwrap();
        assert!(histories.iter().all(|own| own.epochs.len() == 2));
    }
}

#[test]
fn a_population_tries_out_one_network_however_many_members_it_has() {
    use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
    static RECORDED: AtomicUsize = AtomicUsize::new(0);
    let recorded = |count: u64| {
        let counted = kiln::nn::Lambda::new(|x| {
            RECORDED.fetch_add(1, Relaxed);
            x[0].clone()
        });
        let network = Sequential::new(8).layer(counted).dense(1, Sigmoid);
        let members = (0..count).map(|seed| Member {
            seed,
            learning_rate: 0.01,
        });
        let before = RECORDED.load(Relaxed);
        let optimizer = OptimizerConfig::default();
        let (loss, device) = (BinaryCrossentropy, Device::cpu());
        let refused = Population::new(network, members, &device, loss, optimizer, []);
        assert!(refused.unwrap_err().to_string().contains("lambda"));
        RECORDED.load(Relaxed) - before
    };
    assert_eq!(recorded(1), recorded(60));
    // The rate of each is looked at all the same.
    let mut members = members();
    members[4].learning_rate = -0.1;
    let optimizer = OptimizerConfig::default();
    let refused = Population::new(
        network(),
        members,
        &Device::cpu(),
        BinaryCrossentropy,
        optimizer,
        [],
    );
    assert!(refused.unwrap_err().to_string().contains("-0.1"));
}

//! How far a device may be off after one step: errors carried forward and back beside the numbers of the reference.

use crate::contract::Sample;
use crate::number::{Tracked, UNIT};
use crate::op::cross_entropy::{logits_error, logits_slope_errors};
use crate::op::cursor::{ROWS, STEP, WORDS};
use crate::op::permutation::Permutation;
use crate::op::record::{Parts, place};
use crate::op::shape::rows::RowTarget;
use crate::op::{Accuracy, AdvanceClock, Form, RATES, RingColumn, RowLoss};

use super::{Network, NetworkLayer, NetworkOperands, StepRule};

pub(super) fn bound(network: &Network, sample: &Sample<'_>) -> Vec<Vec<f64>> {
    let NetworkOperands { cursor, .. } = network.operands();
    let mut bounds: Vec<Vec<f64>> = sample.results[..cursor]
        .iter()
        .map(|result| vec![0.0; result.len()])
        .collect();
    for member in 0..network.members {
        let words = &sample.inputs[cursor][member * WORDS..][..WORDS];
        let mut state: Vec<u32> = words.iter().map(|&word| word as u32).collect();
        let mut rates = [0.0; RATES];
        rates.copy_from_slice(&sample.inputs[0][member * RATES..][..RATES]);
        let step = state[STEP];
        let (state, order) = network.clock.begin(&mut state, &mut rates);
        let mut rate = network.clock.rate_error(step, rates[3]);
        if network.own_rates {
            (rates[0], rate) = (rates[3], 0.0);
        }
        let of_rates = &mut bounds[0][member * RATES..][..RATES];
        let power = |i: usize| UNIT * rates[i].abs() + 1e-37;
        of_rates.copy_from_slice(&[rate, power(1), power(2), 0.0]);
        // 1 − βᵗ keeps the error of the power, and of the second one the root is taken.
        let amplified = |i: usize| UNIT * rates[i] / (1.0 - rates[i]);
        let powers = match network.rule {
            StepRule::Adam(_) => amplified(1) + amplified(2),
            _ => 0.0,
        };
        // The relative error of what an update multiplies by.
        let relative = powers + rate / rates[0].abs().max(1e-37) + UNIT;
        let gradient = gradient(network, sample, member, &state, order, &mut bounds[1]);
        let rates = (&rates[..], relative);
        update(network, sample, member, rates, &gradient, &mut bounds);
    }
    bounds.push(vec![0.0; sample.results[cursor].len()]);
    bounds
}

/// The gradient's elements in the order of the layers, kernel before bias; the bounds of the ring's sums on the way.
fn gradient(
    network: &Network,
    sample: &Sample<'_>,
    member: usize,
    state: &[u32; WORDS],
    order: Permutation,
    ring_bound: &mut [f64],
) -> Vec<Tracked> {
    let NetworkOperands { x, y, .. } = network.operands();
    let ring = sample.signature.inputs[1].shape.dims();
    let ring = &ring[ring.len() - 3..];
    let start = member * ring.iter().product::<usize>();
    let parts = Parts::of(network.clock.batch);
    let counted = (state[ROWS] as usize).min(network.clock.batch);
    let share = 1.0 / counted.max(1) as f64;
    let sums = |column| place(state[STEP], ring, column);
    for column in 0..network.columns.len() {
        ring_bound[start..][sums(column)].fill(1e-37);
    }
    let slab = network.slab(sample);
    let w = &sample.inputs[2][member * slab..][..slab];
    let mut gradient = vec![Tracked::exact(0.0); network.parameters()];
    let mut magnitudes = vec![0.0; gradient.len()];
    let labels = sample.signature.inputs[y].shape.rank() == 1;
    for r in 0..counted {
        let [row] = AdvanceClock::rows::<1>(state, order, r as u32);
        let row = (row as usize).min(sample.signature.inputs[x].shape.dims()[0] - 1);
        let outputs = network.outputs();
        let target: Vec<f64> = if labels {
            let label = sample.inputs[y][row] as usize;
            let share = |j| f64::from(u8::from(j == label));
            (0..outputs).map(share).collect()
        } else {
            sample.inputs[y][row * outputs..][..outputs].to_vec()
        };
        let inputs = &sample.inputs[x][row * network.inputs..][..network.inputs];
        let (layers, before) = forward(network, w, inputs);
        let after = &layers[layers.len() - 1];
        let read = |of_before: bool| if of_before { &before } else { after };
        let (loss, mut dy) = of_loss(network.loss, read(network.loss_before), &target, share);
        for (c, column) in network.columns.iter().enumerate() {
            let Tracked { value, error } = match *column {
                RingColumn::Loss => loss,
                RingColumn::Accuracy { kind, before } => {
                    let p = read(before);
                    let target = Some(RowTarget::Shares(&target));
                    let error = if is_sure(p, kind) { 3.0 * UNIT } else { 1.0 };
                    let value = kind.of_row(&values(p), target);
                    Tracked { value, error }
                }
            };
            let at = start + sums(c).start + 2 * (r / parts.rows);
            for bound in &mut ring_bound[at..at + 2] {
                *bound += error + Sample::gamma(parts.rows) * (value.abs() + error);
            }
        }
        let mut end = gradient.len();
        let last = network.layers.len();
        for (l, (fan_in, layer)) in network.layers().enumerate().rev() {
            if let Some(f) = layer
                .function
                .filter(|_| l + 1 < last || !network.loss_before)
            {
                for (dy, &y) in dy.iter_mut().zip(&layers[l + 1]) {
                    *dy = *dy * f.tracked_slope(y);
                }
            }
            let mut add = |i: usize, x: Tracked, d: Tracked| {
                gradient[i].value += x.value * d.value;
                gradient[i].error += x.error * (d.value.abs() + d.error) + x.value.abs() * d.error;
                magnitudes[i] += (x.value * d.value).abs();
            };
            if layer.bias.is_some() {
                end -= layer.units;
                (0..layer.units).for_each(|j| add(end + j, Tracked::exact(1.0), dy[j]));
            }
            end -= fan_in * layer.units;
            for (i, &x) in layers[l].iter().enumerate() {
                (0..layer.units).for_each(|j| add(end + i * layer.units + j, x, dy[j]));
            }
            dy = before_layer(w, fan_in, layer, &dy);
        }
    }
    for (g, magnitude) in gradient.iter_mut().zip(magnitudes) {
        g.error += Sample::gamma(counted + 8) * (magnitude + g.error);
    }
    gradient
}

fn values(numbers: &[Tracked]) -> Vec<f64> {
    numbers.iter().map(|number| number.value).collect()
}

/// The sum of products with exact factors, in whatever order a device adds its `count` terms.
fn sum_of_products(count: usize, pairs: impl Iterator<Item = (f64, Tracked)>) -> Tracked {
    let (mut sum, mut magnitude) = (Tracked::exact(0.0), 0.0);
    for (factor, number) in pairs {
        sum.value += factor * number.value;
        sum.error += factor.abs() * number.error;
        magnitude += (factor * number.value).abs();
    }
    sum.error += Sample::gamma(count) * (magnitude + sum.error);
    sum
}

/// The numbers of a row, of the inputs and of all layers, and those of the last layer before its function.
fn forward(network: &Network, w: &[f64], inputs: &[f64]) -> (Vec<Vec<Tracked>>, Vec<Tracked>) {
    let mut layers: Vec<Vec<Tracked>> = vec![inputs.iter().copied().map(Tracked::exact).collect()];
    let mut before = Vec::new();
    for (fan_in, layer) in network.layers() {
        let x = &layers[layers.len() - 1];
        let unit = |j: usize| {
            let bias = layer.bias.map(|bias| (w[bias + j], Tracked::exact(1.0)));
            let weights = (0..fan_in).map(|i| w[layer.kernel + i * layer.units + j]);
            let products = weights.zip(x.iter().copied());
            sum_of_products(fan_in + 2, products.chain(bias))
        };
        before = (0..layer.units).map(unit).collect();
        let value = |&z: &Tracked| layer.function.map_or(z, |f| f.tracked(z));
        layers.push(before.iter().map(value).collect());
    }
    (layers, before)
}

/// The slopes by what a layer takes, from those by what it gives before its function.
fn before_layer(w: &[f64], fan_in: usize, layer: &NetworkLayer, dy: &[Tracked]) -> Vec<Tracked> {
    let slope = |i: usize| {
        let weights = &w[layer.kernel + i * layer.units..][..layer.units];
        let pairs = weights.iter().copied().zip(dy.iter().copied());
        sum_of_products(layer.units, pairs)
    };
    (0..fan_in).map(slope).collect()
}

/// A row's loss, and the slopes by each of the numbers y that it reads, times `share`, which is off by a division.
fn of_loss(loss: RowLoss, y: &[Tracked], t: &[f64], share: f64) -> (Tracked, Vec<Tracked>) {
    let numbers = values(y);
    let columns = y.len() as f64;
    let target = Some(RowTarget::Shares(t));
    let mut slopes = vec![0.0; y.len()];
    loss.slopes_of_row(&numbers, target, 1.0, &mut slopes);
    let value: f64 = loss.of_row(&numbers, target);
    let widest = y.iter().map(|y| y.error).fold(0.0, f64::max);
    let powers: f64 = numbers.iter().map(|z| z.exp()).sum();
    // The error of the formula itself, and how fast its slope grows.
    let (own, own_slopes, growth): (f64, Vec<f64>, Vec<f64>) = match loss {
        RowLoss::Squared(scale) => {
            let scale = f64::from(scale).abs();
            let slopes = slopes.iter().map(|slope| 3.0 * UNIT * slope.abs());
            let own = Sample::gamma(y.len() + 3) * value.abs();
            (own, slopes.collect(), vec![2.0 * scale; y.len()])
        }
        RowLoss::Binary(form) => {
            let pairs = || numbers.iter().zip(t);
            let terms: f64 = pairs().map(|(&y, &t)| form.term_error(y, t)).sum();
            let slopes = pairs().map(|(&y, &t)| form.slope_error(y, t) / columns);
            let growth = y.iter().map(|p| match form {
                Form::Logits => 0.25 / columns,
                Form::Probabilities => {
                    let inside = p.value.min(1.0 - p.value) - p.error;
                    inside.max(1e-7).powi(-2) / columns
                }
            });
            let own = (terms + Sample::gamma(y.len() + 6) * value.abs() * columns) / columns;
            (own, slopes.collect(), growth.collect())
        }
        RowLoss::CrossEntropy => {
            let weight: f64 = t.iter().map(|t| t.abs()).sum();
            // For softmax, p moves by p·(its own error and the widest).
            let growth = numbers.iter().map(|z| 2.2 * weight * z.exp() / powers);
            let own = logits_error(&numbers, t);
            (own, logits_slope_errors(&numbers, t), growth.collect())
        }
    };
    let carried = y.iter().zip(&slopes).zip(&growth);
    let carried = carried.map(|((y, slope), growth)| (slope.abs() + growth * widest) * y.error);
    let loss = Tracked {
        value,
        error: own + carried.sum::<f64>() + 1e-37,
    };
    let slopes = slopes.iter().zip(own_slopes).zip(growth);
    let slopes = slopes.map(|((slope, own), growth)| Tracked {
        value: slope * share,
        error: share * (own + growth * widest + 12.0 * UNIT * slope.abs()) + 1e-37,
    });
    (loss, slopes.collect())
}

/// Whether an accuracy is the same for all numbers within their errors.
fn is_sure(p: &[Tracked], kind: Accuracy) -> bool {
    if let Accuracy::Binary { threshold } = kind {
        let far = |p: &Tracked| (p.value - f64::from(threshold)).abs() > p.error;
        return p.iter().all(far);
    }
    let best = p.iter().map(|p| p.value).fold(f64::NEG_INFINITY, f64::max);
    let error = p.iter().map(|p| p.error).fold(0.0, f64::max);
    p.iter().filter(|p| p.value >= best - 2.0 * error).count() == 1
}

fn update(
    network: &Network,
    sample: &Sample<'_>,
    member: usize,
    (rates, relative): (&[f64], f64),
    gradient: &[Tracked],
    bounds: &mut [Vec<f64>],
) {
    let slab = network.slab(sample);
    let mut gradient = gradient.iter();
    let rate = Tracked {
        value: rates[0],
        error: rates[0].abs() * relative,
    };
    for (fan_in, layer) in network.layers() {
        let kernel = layer.kernel..layer.kernel + fan_in * layer.units;
        let bias = layer.bias.map(|bias| bias..bias + layer.units);
        for (at, &g) in kernel.chain(bias.into_iter().flatten()).zip(&mut gradient) {
            let i = member * slab + at;
            let before = |s: usize| Tracked::exact(sample.inputs[s][i]);
            match network.rule {
                StepRule::Adam(rule) => {
                    let before = [2, 3, 4].map(|s| sample.inputs[s][i]);
                    let errors = rule.errors(before, g, rates);
                    for (slab, error) in (2..).zip(errors) {
                        bounds[slab][i] = error;
                    }
                    let moved = (sample.results[2][i] - before[0]).abs();
                    bounds[2][i] += 1.1 * moved * relative;
                }
                StepRule::Momentum(rule) => {
                    let step = rate * g;
                    let v = rule.velocity(before(3), step);
                    bounds[3][i] = v.error;
                    bounds[2][i] = rule.weight(before(2), v, step).error;
                }
                StepRule::Sgd => bounds[2][i] = (before(2) - rate * g).error,
            }
        }
    }
}

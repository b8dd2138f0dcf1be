//! The step on the processor: rows along the vectors, 32 at a time, so that every inner loop is over neighbours.
//!
//! All of it is inlined into `compute`, so that it is compiled for the vectors of whatever calls that.

use crate::contract::{Compute, Io};
use crate::number::Real;
use crate::number::parallel::{Table, share, threads};
use crate::op::cursor::{ROWS, STEP, WORDS};
use crate::op::permutation::Permutation;
use crate::op::pointwise::functions::{Relu, Sigmoid, Tanh};
use crate::op::record::{Parts, place, store};
use crate::op::shape::rows::TargetRows;
use crate::op::{AdvanceClock, Function, RATES, UnaryFunction};

use super::losses::Chunk;
use super::{LANES, Lanes, MAX_PARAMETERS, MAX_VALUES, Network, NetworkOperands, StepRule};

impl Compute for Network {
    #[inline(always)]
    fn compute<T: Real>(&self, io: &mut Io<'_, T>) {
        // The workspace is on the stack and zeroed each time: no larger than it has to be.
        if self.values() <= 32 && self.parameters() <= 256 {
            self.step::<T, 32, 256>(io);
        } else if self.values() <= 96 && self.parameters() <= 1024 {
            self.step::<T, 96, 1024>(io);
        } else {
            self.step::<T, MAX_VALUES, MAX_PARAMETERS>(io);
        }
    }
}

/// Cursors and rates, rings, weights and states of all members, or of some.
type NetworkMembers<'a, T> = (
    (Table<&'a mut [u32]>, Table<&'a mut [T]>),
    Table<&'a mut [T]>,
    Table<&'a mut [T]>,
    Table<&'a mut [T]>,
    Table<&'a mut [T]>,
);

/// One member's numbers.
struct NetworkMember<'a, T> {
    rates: &'a [T],
    /// The step's row of the ring.
    sums: &'a mut [T],
    w: &'a mut [T],
    states: [&'a mut [T]; 2],
}

struct NetworkBatch<'a, T> {
    state: [u32; WORDS],
    order: Permutation,
    x: &'a [T],
    y: TargetRows<'a, T>,
    data_rows: usize,
}

impl Network {
    #[inline(always)]
    fn step<T: Real, const VALUES: usize, const PARAMETERS: usize>(&self, io: &mut Io<'_, T>) {
        let NetworkOperands { cursor, x, y } = self.operands();
        let (x_values, targets, data_rows) = (io.input(x), TargetRows::of(io, y), io.dims(x)[0]);
        let ring_dims = io.dims(1);
        let ring_dims = &ring_dims[ring_dims.len() - 3..];
        let ring_len: usize = ring_dims.iter().product();
        let len = io.dims(2).last().copied().unwrap_or(0);
        let (words, [rates, rings, w, first, second]) = io.words_and_outputs(cursor, cursor);
        let own = |slab: &[T]| if slab.is_empty() { 0 } else { len };
        let lens = [own(first), own(second)];
        let members = (
            (Table(words, WORDS), Table(rates, RATES)),
            Table(rings, ring_len),
            Table(w, len),
            Table(first, lens[0]),
            Table(second, lens[1]),
        );
        // A member's step is worth a thread's while, and its numbers do not depend on which.
        let pieces = if T::REFERENCE {
            1
        } else {
            self.pieces().min(threads())
        };
        // In the closure that is inlined: one outside of it would be compiled for the oldest processors.
        let body = |_, members: NetworkMembers<'_, T>| {
            T::vectorized(
                #[inline(always)]
                || {
                    let ((words, rates), rings, w, first, second) = members;
                    let members = words.0.chunks_exact_mut(WORDS);
                    let members = members.zip(rates.0.chunks_exact_mut(RATES));
                    let members = members.zip(rings.0.chunks_exact_mut(ring_len));
                    let members = members.zip(w.0.chunks_exact_mut(len));
                    for (index, (((words, rates), ring), w)) in members.enumerate() {
                        let (state, order) = self.clock.begin(words, rates);
                        if self.own_rates {
                            rates[0] = rates[3];
                        }
                        let start = place(state[STEP], ring_dims, 0).start;
                        let batch = NetworkBatch {
                            state,
                            order,
                            x: x_values,
                            y: targets,
                            data_rows,
                        };
                        let member = NetworkMember {
                            rates,
                            sums: &mut ring[start..start + ring_dims[1] * ring_dims[2]],
                            w,
                            states: [
                                &mut first.0[index * lens[0]..][..lens[0]],
                                &mut second.0[index * lens[1]..][..lens[1]],
                            ],
                        };
                        self.train::<T, VALUES, PARAMETERS>(&batch, member);
                    }
                },
            )
        };
        share(0, self.members, pieces, 1, members, &body);
    }

    #[inline(always)]
    fn train<T: Real, const VALUES: usize, const PARAMETERS: usize>(
        &self,
        batch: &NetworkBatch<'_, T>,
        mut member: NetworkMember<'_, T>,
    ) {
        // Numbers of each row: inputs, then the layers' outputs, then the last layer's before its function.
        let mut values = [[T::zero(); LANES]; VALUES];
        // dL/d of the same.
        let mut slopes = [[T::zero(); LANES]; VALUES];
        let mut gradient = [T::zero(); PARAMETERS];
        let counted = (batch.state[ROWS] as usize).min(self.clock.batch);
        let share = T::one() / T::constant(counted.max(1) as f64);
        member.sums.fill(T::zero());
        let parts = Parts::of(self.clock.batch);
        for chunk in 0..counted.div_ceil(LANES) {
            let first = chunk * LANES;
            // After the end row 0 stands in, as in the clock's indices; its slopes are zeros.
            let rows: [u32; LANES] = AdvanceClock::rows(&batch.state, batch.order, first as u32);
            let rows = rows.map(|row| (row as usize).min(batch.data_rows - 1));
            for (lane, &row) in rows.iter().enumerate() {
                let x = &batch.x[row * self.inputs..][..self.inputs];
                for (values, &x) in values.iter_mut().zip(x) {
                    values[lane] = x;
                }
            }
            self.forward(&mut values, member.w);
            let live = (counted - first).min(LANES);
            let part = chunk * LANES / parts.rows;
            let chunk = Chunk {
                targets: batch.y,
                rows: &rows,
                live,
                share,
            };
            self.losses(&chunk, &values, &mut slopes, |c, sum| {
                let pair = &mut member.sums[2 * (c * parts.count + part)..][..2];
                store(pair, pair[0].double() + pair[1].double() + sum);
            });
            self.backward(&values, &mut slopes, &mut gradient, member.w, live);
        }
        let mut at = 0;
        for (inputs, layer) in self.layers() {
            let kernel = inputs * layer.units;
            self.update(&mut member, layer.kernel, &gradient[at..at + kernel]);
            at += kernel;
            if let Some(bias) = layer.bias {
                self.update(&mut member, bias, &gradient[at..at + layer.units]);
                at += layer.units;
            }
        }
    }

    #[inline(always)]
    fn forward<T: Real>(&self, values: &mut [Lanes<T>], w: &[T]) {
        let mut from = 0;
        for (index, (inputs, layer)) in self.layers().enumerate() {
            let units = layer.units;
            let (x, y) = values[from..].split_at_mut(inputs);
            let kernel = &w[layer.kernel..][..inputs * units];
            let last = index + 1 == self.layers.len();
            let function = layer.function.map(Inlined::of);
            for j in 0..units {
                let mut sum = [layer.bias.map_or(T::zero(), |bias| w[bias + j]); LANES];
                for (x, row) in x.iter().zip(kernel.chunks_exact(units)) {
                    let weight = row[j];
                    for (sum, &x) in sum.iter_mut().zip(x) {
                        *sum += weight * x;
                    }
                }
                if last {
                    y[units + j] = sum;
                }
                if let Some(function) = function {
                    function.apply(&mut sum);
                }
                y[j] = sum;
            }
            from += inputs;
        }
    }

    /// Adds these rows' share to the gradient, layer by layer from the last.
    #[inline(always)]
    fn backward<T: Real>(
        &self,
        values: &[Lanes<T>],
        slopes: &mut [Lanes<T>],
        gradient: &mut [T],
        w: &[T],
        live: usize,
    ) {
        // After the rows that count slopes are zeros.
        let vectors = live.div_ceil(PARTIAL);
        let mut partial = [[T::zero(); PARTIAL]; AT_ONCE];
        let mut end = self.parameters();
        let mut to = self.values() - self.outputs();
        for (index, (inputs, layer)) in self.layers().enumerate().rev() {
            let units = layer.units;
            let from = to - units - inputs;
            let (x_slopes, z_slopes) = slopes[from..to].split_at_mut(inputs);
            let (x, y) = values[from..to].split_at(inputs);
            let last = index + 1 == self.layers.len();
            if let Some(function) = layer.function.filter(|_| !(last && self.loss_before)) {
                let function = Inlined::of(function);
                for (slopes, y) in z_slopes.iter_mut().zip(y) {
                    function.descend(slopes, y);
                }
            }
            for slopes in z_slopes.iter_mut() {
                for slope in slopes {
                    *slope = slope.faded();
                }
            }
            if layer.bias.is_some() {
                end -= units;
                for (gradient, slopes) in gradient[end..].iter_mut().zip(&*z_slopes) {
                    *gradient += total(slopes);
                }
            }
            end -= inputs * units;
            let kernel = gradient[end..].chunks_exact_mut(units);
            for (x, row) in x.iter().zip(kernel) {
                for (row, slopes) in row.chunks_mut(AT_ONCE).zip(z_slopes.chunks(AT_ONCE)) {
                    let (fours, rest) = slopes.as_chunks::<4>();
                    let (own, last) = partial.split_at_mut(4 * fours.len());
                    for (partial, slopes) in own.as_chunks_mut().0.iter_mut().zip(fours) {
                        products(x, slopes, vectors, partial);
                    }
                    for (partial, slopes) in last.as_chunks_mut().0.iter_mut().zip(rest) {
                        products(x, std::array::from_ref(slopes), vectors, partial);
                    }
                    for (gradient, &partial) in row.iter_mut().zip(&partial) {
                        *gradient += folded(partial);
                    }
                }
            }
            if index > 0 {
                let kernel = w[layer.kernel..].chunks_exact(units);
                for (x_slopes, row) in x_slopes.iter_mut().zip(kernel) {
                    let mut sum = [T::zero(); LANES];
                    for (slopes, &weight) in z_slopes.iter().zip(row) {
                        for (sum, &slope) in sum.iter_mut().zip(slopes) {
                            *sum += weight * slope;
                        }
                    }
                    *x_slopes = sum;
                }
            }
            to -= units;
        }
    }

    #[inline(always)]
    fn update<T: Real>(&self, member: &mut NetworkMember<'_, T>, at: usize, g: &[T]) {
        let range = at..at + g.len();
        let w = &mut member.w[range.clone()];
        let [first, second] = &mut member.states;
        match self.rule {
            StepRule::Sgd => {
                for (w, &g) in w.iter_mut().zip(g) {
                    *w = *w - member.rates[0] * g;
                }
            }
            StepRule::Momentum(rule) => rule.step(w, &mut first[range], g, member.rates),
            StepRule::Adam(rule) => {
                rule.step(
                    w,
                    &mut first[range.clone()],
                    &mut second[range],
                    g,
                    member.rates,
                );
            }
        }
    }
}

/// A layer's function, told apart once for all units: which one it is takes a call by pointer to see.
#[derive(Clone, Copy)]
enum Inlined {
    Relu,
    Tanh,
    Sigmoid,
    Other(Function),
}

impl Inlined {
    fn of(function: Function) -> Self {
        if function.is::<Relu>() {
            Inlined::Relu
        } else if function.is::<Tanh>() {
            Inlined::Tanh
        } else if function.is::<Sigmoid>() {
            Inlined::Sigmoid
        } else {
            Inlined::Other(function)
        }
    }

    /// y = f(y).
    #[inline(always)]
    fn apply<T: Real>(self, y: &mut Lanes<T>) {
        match self {
            Inlined::Relu => *y = y.map(|z| Relu::value(z, [0.0; 3])),
            Inlined::Tanh => *y = y.map(|z| Tanh::value(z, [0.0; 3])),
            Inlined::Sigmoid => *y = y.map(|z| Sigmoid::value(z, [0.0; 3])),
            Inlined::Other(function) => function.apply(y),
        }
    }

    /// dz = dy·f′(y).
    #[inline(always)]
    fn descend<T: Real>(self, slopes: &mut Lanes<T>, y: &Lanes<T>) {
        #[inline(always)]
        fn each<T: Real>(slopes: &mut Lanes<T>, y: &Lanes<T>, derivative: impl Fn(T) -> T) {
            for (slope, &y) in slopes.iter_mut().zip(y) {
                *slope = *slope * derivative(y);
            }
        }
        match self {
            Inlined::Relu => each(slopes, y, |y| Relu::slope(y, [0.0; 3])),
            Inlined::Tanh => each(slopes, y, |y| Tanh::slope(y, [0.0; 3])),
            Inlined::Sigmoid => each(slopes, y, |y| Sigmoid::slope(y, [0.0; 3])),
            Inlined::Other(function) => function.apply_slope(y, slopes),
        }
    }
}

/// Partial sums that fill a vector register, so that the loop needs no order among its terms.
const PARTIAL: usize = 8;

/// Units whose products are kept before they are folded.
const AT_ONCE: usize = 32;

/// Partial sums of a·b over the given number of leading vectors, for each b.
///
/// They are left in memory, and the number of vectors is not a constant: else the compiler goes along the b instead of
/// along the rows, with a shuffle for every number, at four times the instructions.
#[inline(always)]
fn products<T: Real, const N: usize>(
    a: &Lanes<T>,
    b: &[Lanes<T>; N],
    vectors: usize,
    partial: &mut [[T; PARTIAL]; N],
) {
    let mut sums = [[T::zero(); PARTIAL]; N];
    for vector in 0..vectors.min(LANES / PARTIAL) {
        let at = vector * PARTIAL;
        for (sums, b) in sums.iter_mut().zip(b) {
            for k in 0..PARTIAL {
                sums[k] += a[at + k] * b[at + k];
            }
        }
    }
    *partial = sums;
}

#[inline(always)]
fn total<T: Real>(a: &Lanes<T>) -> T {
    let mut sums = [T::zero(); PARTIAL];
    for first in (0..LANES).step_by(PARTIAL) {
        for k in 0..PARTIAL {
            sums[k] += a[first + k];
        }
    }
    folded(sums)
}

#[inline(always)]
fn folded<T: Real>(sums: [T; PARTIAL]) -> T {
    let four: [T; 4] = std::array::from_fn(|k| sums[k] + sums[k + 4]);
    (four[0] + four[2]) + (four[1] + four[3])
}

//! The CPU form of an op: one function, generic over f32 and f64, on slices.

use crate::number::{Machine, Real};

use super::Signature;

/// The most operands that one call may have.
pub(crate) const MAX_OPERANDS: usize = 12;

/// An op's arithmetic on the processor.
pub trait Compute {
    /// Reads the inputs and fills the outputs of `io`.
    ///
    /// Marked `#[inline(always)]`, its loops are compiled for AVX2 and AVX-512 too. A call has at most twelve operands.
    fn compute<T: Real>(&self, io: &mut Io<'_, T>);
}

/// [`Compute`] for both float types, object-safe; follows from it for every op.
pub trait DynCompute {
    /// The product: f32.
    fn compute_f32(&self, io: &mut Io<'_, f32>);
    /// The reference: f64.
    fn compute_f64(&self, io: &mut Io<'_, f64>);
}

impl<O: Compute> DynCompute for O {
    /// Compiled once for each width of vectors, of which the processor at hand gets its widest; see [`Machine::vectorized`].
    fn compute_f32(&self, io: &mut Io<'_, f32>) {
        f32::vectorized(
            #[inline(always)]
            || self.compute(io),
        );
    }

    fn compute_f64(&self, io: &mut Io<'_, f64>) {
        self.compute(io);
    }
}

/// Elements that an op reads.
#[derive(Debug, Clone, Copy)]
pub(crate) enum View<'a, T> {
    /// Numbers.
    Floats(&'a [T]),
    /// Integers.
    Words(&'a [u32]),
}

/// Elements that an op writes.
#[derive(Debug)]
pub(crate) enum ViewMut<'a, T> {
    /// Numbers.
    Floats(&'a mut [T]),
    /// Integers.
    Words(&'a mut [u32]),
}

/// The operands of one call on the processor.
///
/// Inputs keep their argument positions; those updated in place are not among the readable ones but come first among
/// the written, in the order of [`Op::writes`](super::Op::writes), before the outputs.
pub struct Io<'a, T> {
    /// The operands' types.
    pub signature: &'a Signature,
    inputs: [Option<View<'a, T>>; MAX_OPERANDS],
    written: [Option<ViewMut<'a, T>>; MAX_OPERANDS],
}

impl<'a, T: Real> Io<'a, T> {
    /// No operands yet.
    #[inline(always)]
    pub(crate) fn empty(signature: &'a Signature) -> Self {
        Io {
            signature,
            inputs: [const { None }; MAX_OPERANDS],
            written: [const { None }; MAX_OPERANDS],
        }
    }

    /// Binds the input of that argument position.
    #[inline(always)]
    pub(crate) fn set_input(&mut self, i: usize, view: Option<View<'a, T>>) {
        self.inputs[i] = view;
    }

    /// Binds the `i`-th written operand.
    #[inline(always)]
    pub(crate) fn set_written(&mut self, i: usize, view: Option<ViewMut<'a, T>>) {
        self.written[i] = view;
    }

    /// The sizes of input `i`.
    pub(crate) fn dims(&self, i: usize) -> &'a [usize] {
        self.signature.inputs[i].shape.dims()
    }

    /// Input `i` as a matrix: the last dimension as columns.
    pub fn matrix(&self, i: usize) -> (usize, usize) {
        self.signature.inputs[i].shape.rows_and_columns()
    }

    /// Whether input `i` holds integers.
    pub(crate) fn is_words(&self, i: usize) -> bool {
        matches!(self.inputs[i], Some(View::Words(_)))
    }

    /// The numbers of input `i`.
    pub fn input(&self, i: usize) -> &'a [T] {
        match self.inputs[i] {
            Some(View::Floats(values)) => values,
            _ => unreachable!("the shape rule admitted input {i} as numbers"),
        }
    }

    /// The integers of input `i`.
    pub fn words(&self, i: usize) -> &'a [u32] {
        match self.inputs[i] {
            Some(View::Words(values)) => values,
            _ => unreachable!("the shape rule admitted input {i} as integers"),
        }
    }

    /// The `i`-th written operand, numbers.
    pub fn output(&mut self, i: usize) -> &mut [T] {
        match &mut self.written[i] {
            Some(ViewMut::Floats(values)) => values,
            _ => unreachable!("written operand {i} holds numbers"),
        }
    }

    /// The `i`-th written operand, integers.
    pub fn output_words(&mut self, i: usize) -> &mut [u32] {
        match &mut self.written[i] {
            Some(ViewMut::Words(values)) => values,
            _ => unreachable!("written operand {i} holds integers"),
        }
    }

    /// The first `count` written operands at once, numbers all, of up to `N`.
    pub(crate) fn first_outputs<const N: usize>(&mut self, count: usize) -> [Option<&mut [T]>; N] {
        let mut written = self.written.iter_mut().take(count);
        std::array::from_fn(|_| match written.next() {
            Some(Some(ViewMut::Floats(values))) => Some(&mut **values),
            _ => None,
        })
    }

    /// The first `N` written operands at once, numbers all.
    pub fn outputs<const N: usize>(&mut self) -> [&mut [T]; N] {
        let mut written = self.written.iter_mut();
        std::array::from_fn(|i| match written.next() {
            Some(Some(ViewMut::Floats(values))) => &mut **values,
            _ => unreachable!("written operand {i} holds numbers"),
        })
    }

    /// Written operand `words`, integers, beside the first `count`, numbers all, of up to `N`; those beyond are empty.
    pub(crate) fn words_and_outputs<const N: usize>(
        &mut self,
        words: usize,
        count: usize,
    ) -> (&mut [u32], [&mut [T]; N]) {
        let (first, rest) = self.written.split_at_mut(count);
        let mut first = first.iter_mut();
        let outputs = std::array::from_fn(|_| match first.next() {
            Some(Some(ViewMut::Floats(values))) => &mut **values,
            _ => &mut [][..],
        });
        match &mut rest[words - count] {
            Some(ViewMut::Words(values)) => (values, outputs),
            _ => unreachable!("written operand {words} holds integers"),
        }
    }
}

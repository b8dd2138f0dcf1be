//! A matrix product that ends as a layer does: Y = f(op(A)·op(B) + bias), or dX = (dY·Wᵀ) ⊙ f′, in one dispatch.
//!
//! Models are not written in it: the plan joins `matmul`, `add` and a function, or `matmul` and a function's derivative,
//! and where it pays the gathering of A's rows too. So it has no gradient of its own.

use std::borrow::Cow;

use crate::contract::{Compute, Entry, Io, Launches, Op, Sample, Signature, expect_dtype};
use crate::number::{Product, Real, Tracked, UNIT};
use crate::op::Function;
use crate::op::gather::row_of;
use crate::target::Target;
use crate::{DType, TensorType};

use super::{
    COMBINE, Halves, LANES, MatMul, Operands, REGISTERS, TILED, VECTOR, launches, rounding,
};

/// The longest sum beside f16: every kernel computes it in one piece within the iterations that every driver allows.
const MAX_K_OF_HALF: usize = 1 << 14;

/// The line in [`op::all`](crate::op::all).
pub const ENTRY: Entry = Entry {
    name: "dense",
    shaders: &[TILED, REGISTERS, LANES, VECTOR, COMBINE],
    cases: super::dense_cases::cases,
};

/// What happens to the product, after the bias.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum End {
    /// It is the result.
    Plain,
    /// It goes through a function.
    Function(Function),
    /// It is multiplied by a function's derivative, which is computed from what the function saved.
    Slope(Function),
}

/// Y = f(op(A)·op(B) + bias). Inputs: A, B; then, as far as the fields ask for them, indices u32 \[rows\], bias
/// \[columns of Y\], saved (as Y).
#[derive(Debug, Clone, Copy)]
pub struct Dense {
    /// Which of the operands are stored transposed.
    pub matmul: MatMul,
    /// A's stored rows are rows of a data set, chosen by indices; an index beyond the last row stands for that row.
    pub gather: bool,
    /// A bias is added to every row.
    pub bias: bool,
    /// What the result goes through.
    pub end: End,
    /// Whether the result is stored as f16; its rows must be even then.
    pub half: bool,
}

impl Dense {
    /// The positions of indices, bias and saved among the inputs.
    fn positions(&self) -> [Option<usize>; 3] {
        let mut next = 2;
        [self.gather, self.bias, matches!(self.end, End::Slope(_))].map(|there| {
            there.then(|| {
                next += 1;
                next - 1
            })
        })
    }

    fn inputs(&self) -> usize {
        2 + self.positions().iter().flatten().count()
    }

    /// Which input may be f16: all numbers but a data set and a bias.
    fn takes_half(&self, input: usize) -> bool {
        let [_, _, saved] = self.positions();
        match input {
            0 => !self.gather,
            1 => true,
            _ => saved == Some(input),
        }
    }

    /// A as the product sees it: as many stored rows as there are indices.
    fn gathered<'a>(&self, inputs: &'a [TensorType]) -> Cow<'a, TensorType> {
        let a = &inputs[0];
        match (self.gather, a.shape.dims()) {
            (true, &[_, columns]) => {
                Cow::Owned(TensorType::f32([inputs[2].elements() as usize, columns]))
            }
            _ => Cow::Borrowed(a),
        }
    }

    fn product(&self, inputs: &[TensorType]) -> Result<Product, String> {
        self.matmul.product(&self.gathered(inputs), &inputs[1])
    }

    fn of(&self, signature: &Signature) -> Product {
        self.product(&signature.inputs)
            .unwrap_or_else(|_source| unreachable!("the shape rule admitted these shapes"))
    }

    /// A's stored rows, gathered where they are.
    fn rows<T: Real>(&self, a: &[T], dims: &[usize], indices: &[u32]) -> Vec<T> {
        let (rows, columns) = (dims[0], dims[1]);
        indices
            .iter()
            .flat_map(|&index| {
                let start = row_of(index, rows) * columns;
                a[start..start + columns].iter().copied()
            })
            .collect()
    }
}

impl Op for Dense {
    fn name(&self) -> &'static str {
        match self.end {
            End::Slope(_) => "dense.backward",
            _ => "dense",
        }
    }

    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>, String> {
        if inputs.len() != self.inputs() {
            return Err(format!(
                "takes {} inputs, got {}",
                self.inputs(),
                inputs.len()
            ));
        }
        let [indices, bias, saved] = self.positions();
        for (i, input) in inputs.iter().enumerate() {
            let dtype = match input.dtype {
                DType::F16 if self.takes_half(i) => DType::F16,
                _ if indices == Some(i) => DType::U32,
                _ => DType::F32,
            };
            expect_dtype("an operand", input, dtype)?;
        }
        let product = self.product(inputs)?;
        let y = TensorType {
            dtype: if self.half { DType::F16 } else { DType::F32 },
            ..TensorType::f32([product.m, product.n])
        };
        if self.half && !product.n.is_multiple_of(2) {
            return Err(format!("rows of f16 must be even, got {y}"));
        }
        let saved_half = saved.is_some_and(|i| inputs[i].dtype == DType::F16);
        if (self.half || saved_half) && product.k > MAX_K_OF_HALF {
            return Err(format!(
                "beside f16 sums of {MAX_K_OF_HALF} are the longest, got {}",
                product.k
            ));
        }
        if let Some(bias) = bias.map(|i| &inputs[i])
            && bias.shape.dims() != [product.n]
        {
            return Err(format!("the bias of {y} is {bias}"));
        }
        if let Some(saved) = saved.map(|i| &inputs[i])
            && saved.shape != y.shape
        {
            return Err(format!("the derivative of {y} would come from {saved}"));
        }
        Ok(vec![y])
    }

    fn touched(&self, signature: &Signature, input: usize) -> u64 {
        match (input, self.gather) {
            (0, true) => self.gathered(&signature.inputs).elements(),
            _ => signature.inputs[input].elements(),
        }
    }

    fn launch(&self, signature: &Signature, target: &Target) -> Result<Launches, String> {
        let [indices, bias, saved] = self.positions();
        let rows = signature.inputs[0].shape.dims()[0];
        let last = u32::try_from(rows - 1)
            .map_err(|_source| format!("{rows} rows are more than 32 bits can number"))?;
        let is_half = |input: usize| signature.inputs[input].dtype == DType::F16;
        let operands = Operands {
            indices: indices.map(|input| (input, last)),
            bias,
            function: match self.end {
                End::Plain => None,
                End::Function(f) | End::Slope(f) => Some(f),
            },
            saved,
            halves: Halves {
                a: is_half(0),
                b: is_half(1),
                saved: saved.is_some_and(is_half),
                c: self.half,
            },
        };
        launches(&self.of(signature), &operands, target)
    }

    fn bound(&self, sample: &Sample<'_>) -> Vec<Vec<f64>> {
        let product = self.of(sample.signature);
        let [indices, bias, saved] = self.positions();
        let input = |i: usize| sample.inputs[i].as_slice();
        let a = match indices {
            Some(i) => {
                let numbers: Vec<u32> = input(i).iter().map(|&index| index as u32).collect();
                self.rows(input(0), sample.signature.inputs[0].shape.dims(), &numbers)
            }
            None => input(0).to_vec(),
        };
        let mut errors = rounding(&product, &a, input(1));
        let mut sums = vec![0.0; product.m * product.n];
        product.plain(&a, input(1), &mut sums);
        for (at, (error, sum)) in errors.iter_mut().zip(&mut sums).enumerate() {
            if let Some(bias) = bias {
                *sum += input(bias)[at % product.n];
                *error += 2.0 * UNIT * sum.abs();
            }
            let tracked = Tracked {
                value: *sum,
                error: *error,
            };
            match self.end {
                End::Plain => {}
                End::Function(f) => *error = f.tracked(tracked).error,
                End::Slope(f) => {
                    let saved = Tracked::exact(saved.map_or(0.0, |i| input(i)[at]));
                    *error = (tracked * f.tracked_slope(saved)).error;
                }
            }
        }
        vec![errors]
    }
}

impl Compute for Dense {
    #[inline(always)]
    fn compute<T: Real>(&self, io: &mut Io<'_, T>) {
        let product = self.of(io.signature);
        let [indices, bias, saved] = self.positions();
        let (a, b) = (io.input(0), io.input(1));
        // Only plans for GPUs gather here, so that this allocates in tests only.
        let gathered = indices.map(|i| self.rows(a, io.dims(0), io.words(i)));
        let (bias, saved) = (bias.map(|i| io.input(i)), saved.map(|i| io.input(i)));
        let y = io.output(0);
        let finish = |first: usize, rows: &mut [T]| {
            T::vectorized(
                #[inline(always)]
                || {
                    if let Some(bias) = bias {
                        for row in rows.chunks_exact_mut(product.n) {
                            for (y, &bias) in row.iter_mut().zip(bias) {
                                *y += bias;
                            }
                        }
                    }
                    match self.end {
                        End::Plain => {}
                        End::Function(f) => f.apply(rows),
                        End::Slope(f) => {
                            let saved = saved.map_or(&[][..], |saved| &saved[first * product.n..]);
                            f.apply_slope(saved, rows);
                        }
                    }
                },
            );
        };
        let a = gathered.as_deref().unwrap_or(a);
        T::product(&product, a, b, y, &finish);
    }
}

//! A matrix product that ends as a layer does: Y = f(op(A)·op(B) + bias), or dX = (dY·Wᵀ) ⊙ f′, in one dispatch.
//!
//! Models are not written in it: the plan joins `matmul`, `add` and a function, or `matmul` and a function's derivative,
//! and where it pays the gathering of A's rows too. So it has no gradient of its own.

use std::borrow::Cow;

use crate::contract::{
    Case, Compute, Entry, Fill, Io, Launches, Op, Sample, Signature, expect_dtype,
};
use crate::number::{Product, Real, Tracked, UNIT};
use crate::op::gather::row_of;
use crate::op::pointwise::functions::{LeakyRelu, Relu, Sigmoid, Tanh};
use crate::op::{Function, UnaryFunction};
use crate::target::Target;
use crate::{DType, TensorType};

use super::{
    COMBINE, Halves, LANES, MatMul, Operands, REGISTERS, TILED, VECTOR, launches, rounding,
};

/// The longest sum beside f16: every kernel computes it in one piece within the iterations that every driver allows.
const MOST_K_OF_HALF: usize = 1 << 14;

/// The line in [`op::all`](crate::op::all).
pub const ENTRY: Entry = Entry {
    name: "dense",
    shaders: &[TILED, REGISTERS, LANES, VECTOR, COMBINE],
    cases,
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
        if (self.half || saved_half) && product.k > MOST_K_OF_HALF {
            return Err(format!(
                "beside f16 sums of {MOST_K_OF_HALF} are the longest, got {}",
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
        let product = self.of(io.signature());
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

fn cases() -> Vec<Case> {
    let shapes = [
        (1, 1, 1),
        (1, 257, 33),
        (2, 3, 1),
        (3, 2, 17),
        (17, 33, 5),
        (32, 10, 8),
        (33, 1, 10),
        (64, 64, 64),
        (65, 63, 66),
        (128, 10, 257),
        (130, 127, 129),
        (5, 7, 1000),
        (3, 2, 70_000),
        // A vector, or a few.
        (1, 1000, 255),
        (1, 33, 64),
        (257, 1, 130),
        (4, 130, 516),
        (7, 66, 1023),
        (67, 6, 513),
        // With fewer slices of k than rows.
        (7, 66, 96),
        (65, 8, 64),
    ];
    let ends = [
        End::Function(Relu::function()),
        End::Plain,
        End::Function(Sigmoid::function()),
        End::Slope(Relu::function()),
        End::Function(Tanh::function()),
        End::Slope(Sigmoid::function()),
        End::Function(LeakyRelu::function()),
        End::Slope(Tanh::function()),
        End::Slope(LeakyRelu::function()),
    ];
    let mut cases = Vec::new();
    for (number, (m, n, k)) in shapes.into_iter().enumerate() {
        for turn in 0..4 {
            let end = ends[(number * 4 + turn) % ends.len()];
            let slope = matches!(end, End::Slope(_));
            let [transpose_a, transpose_b] = [turn == 3, slope];
            // The gradient of the first layer's weights gathers the rows of a transposed A.
            let gather = turn % 2 == 1;
            let op = Dense {
                matmul: MatMul {
                    transpose_a,
                    transpose_b,
                },
                gather,
                bias: !slope && turn != 3,
                end,
                half: false,
            };
            let (rows, columns) = if transpose_a { (k, m) } else { (m, k) };
            let stored = if gather { rows + 3 } else { rows };
            // Short terms, so that functions are not saturated everywhere.
            let most = 1.0 / (k as f32).sqrt();
            let mut case = Case::new(op)
                .input(&[stored, columns], Fill::Uniform(-1.0, 1.0))
                .input(
                    &if transpose_b { [n, k] } else { [k, n] },
                    Fill::Uniform(-most, most),
                );
            if gather {
                // Some rows never come, and some numbers lie behind the end.
                case = case
                    .words(&[rows], Fill::Below(stored as u32 + 2))
                    .without_nan();
            }
            if op.bias {
                case = case.input(&[n], Fill::Uniform(-0.5, 0.5));
            }
            if slope {
                case = case.constant(&[m, n], Fill::Uniform(-1.0, 1.0));
            }
            cases.push(case.without_gradient());
        }
    }
    cases.extend(halves());
    cases
}

/// Operands stored as f16: a layer, the gradient that enters the layer before, the gradient of weights.
fn halves() -> Vec<Case> {
    let shapes = [
        (3, 2, 17),
        (33, 10, 8),
        (17, 34, 6),
        (65, 66, 63),
        (64, 64, 64),
        (5, 7, 1000),
        (1, 34, 130),
        (6, 34, 130),
        (34, 6, 130),
    ];
    let mut cases = Vec::new();
    for (m, n, k) in shapes {
        for (turn, end) in [
            End::Function(Relu::function()),
            End::Slope(Tanh::function()),
            End::Plain,
        ]
        .into_iter()
        .enumerate()
        {
            let [transpose_a, transpose_b] = [turn == 2, turn == 1];
            let op = Dense {
                matmul: MatMul {
                    transpose_a,
                    transpose_b,
                },
                gather: false,
                bias: turn == 0,
                end,
                // The gradient of weights is a parameter's, and f32.
                half: turn != 2 && n % 2 == 0,
            };
            let (a, b) = (
                TensorType::f16(if transpose_a { [k, m] } else { [m, k] }),
                [k, n],
            );
            let most = 1.0 / (k as f32).sqrt();
            let weights = Fill::Uniform(-most, most);
            let mut case = Case::new(op).input(a.shape.dims(), Fill::Uniform(-1.0, 1.0));
            case.inputs[0].0 = a;
            case = match turn {
                0 => case
                    .input(&b, weights)
                    .input(&[n], Fill::Uniform(-0.5, 0.5)),
                1 => case
                    .input(&[n, k], weights)
                    .constant(&[m, n], Fill::Uniform(-1.0, 1.0)),
                _ => case.input(&b, weights),
            };
            // What is saved, and the gradient that a product for weights takes.
            match turn {
                1 => case.inputs[2].0.dtype = DType::F16,
                2 => case.inputs[1].0.dtype = DType::F16,
                _ => {}
            }
            cases.push(case.without_gradient());
        }
    }
    cases
}

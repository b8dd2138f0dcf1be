//! Matrix product: Y = f(op(A)·op(B) + bias), where op transposes or not, or dX = (dY·Wᵀ) ⊙ f′, in one dispatch.
//!
//! Graphs hold plain products, whose gradients are dA = dY·Bᵀ and dB = Aᵀ·dY, each in the transposition that A and B are
//! stored in, so that no transposed copy is made. The plan joins them with a bias and a function, or with a function's
//! derivative, and where it pays with the gathering of A's rows; such a product has no gradient of its own.

use std::borrow::Cow;

use crate::contract::{Compute, Entry, Io, Launches, Op, Sample, Signature, Vjp, expect_dtype};
use crate::number::{Product, Real, Tracked, UNIT};
use crate::op::Function;
use crate::op::gather::gathered;
use crate::target::Target;
use crate::{DType, Tensor, TensorType};

mod cases;
mod choose;
mod launches;
mod layer_gradients;
mod layout;

pub use choose::candidates;
pub use layer_gradients::{ENTRY as LAYER_GRADIENTS, LayerGradients, LayerPart, LayerSlab};

use launches::{COMBINE, Halves, LANES, Operands, REGISTERS, TILED, VECTOR, launches};

pub const ENTRY: Entry = Entry::new(
    "matmul",
    &[TILED, REGISTERS, LANES, VECTOR, COMBINE],
    cases::plain,
);

/// The line of products that end as layers do.
pub const DENSE: Entry = Entry {
    name: "dense",
    cases: cases::dense,
    ..ENTRY
};

/// The longest sum beside f16: every kernel computes it in one piece within the iterations that every driver allows.
const MAX_K_OF_HALF: usize = 1 << 14;

/// What happens to a product, after the bias.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub enum End {
    /// It is the result.
    #[default]
    Plain,
    /// It goes through a function.
    Function(Function),
    /// It is multiplied by a function's derivative, which is computed from what the function saved.
    Slope(Function),
}

/// Y `[m, n]` from A `[m, k]` and B `[k, n]`; stored `[k, m]` and `[n, k]` where transposed. The default is the plain product.
///
/// Inputs: A, B; then, as far as the fields ask for them, indices u32 \[rows\], bias \[n\], saved \[m, n\].
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct MatMul {
    /// A is stored `[k, m]`.
    pub transpose_a: bool,
    /// B is stored `[n, k]`.
    pub transpose_b: bool,
    /// A's stored rows are rows of a data set, chosen by indices; an index beyond the last row stands for that row.
    pub gather: bool,
    /// A bias is added to every row.
    pub bias: bool,
    /// What the result goes through.
    pub end: End,
    /// Whether operands may be stored as f16: all numbers but a data set and a bias.
    pub loads_half: bool,
    /// Whether the result is stored as f16; its rows must be even then.
    pub half: bool,
}

impl MatMul {
    /// The product of operands that are stored so or so, and nothing else.
    pub(crate) fn plain(transpose_a: bool, transpose_b: bool) -> Self {
        MatMul {
            transpose_a,
            transpose_b,
            ..MatMul::default()
        }
    }

    fn is_plain(&self) -> bool {
        *self == MatMul::plain(self.transpose_a, self.transpose_b)
    }

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

    fn takes_half(&self, input: usize) -> bool {
        let [_, _, saved] = self.positions();
        self.loads_half
            && match input {
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

    /// m, n and k, or why the shapes do not fit.
    fn product(&self, inputs: &[TensorType]) -> Result<Product, String> {
        let (a, b) = (self.gathered(inputs), &inputs[1]);
        let &MatMul {
            transpose_a,
            transpose_b,
            ..
        } = self;
        let (&[a0, a1], &[b0, b1]) = (a.shape.dims(), b.shape.dims()) else {
            return Err(format!("takes two matrices, got {a} × {b}"));
        };
        let (m, k) = if transpose_a { (a1, a0) } else { (a0, a1) };
        let (k_b, n) = if transpose_b { (b1, b0) } else { (b0, b1) };
        if k != k_b {
            let mark = |transposed| if transposed { "ᵀ" } else { "" };
            let (ta, tb) = (mark(transpose_a), mark(transpose_b));
            return Err(format!(
                "inner dimensions differ: {}{ta} × {}{tb}",
                a.shape, b.shape
            ));
        }
        Ok(Product {
            m,
            n,
            k,
            transpose_a,
            transpose_b,
        })
    }

    fn of(&self, signature: &Signature) -> Product {
        self.product(&signature.inputs)
            .unwrap_or_else(|_source| unreachable!("the shape rule admitted these shapes"))
    }
}

impl Op for MatMul {
    fn name(&self) -> &'static str {
        match self.end {
            End::Slope(_) => "dense.backward",
            _ if self.is_plain() => "matmul",
            _ => "dense",
        }
    }

    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>, String> {
        let [indices, bias, saved] = self.positions();
        let wanted = 2 + self.positions().iter().flatten().count();
        if inputs.len() != wanted {
            return Err(format!("takes {wanted} inputs, got {}", inputs.len()));
        }
        for (i, input) in inputs.iter().enumerate() {
            let dtype = match input.dtype {
                DType::F16 if self.takes_half(i) => DType::F16,
                _ if indices == Some(i) => DType::U32,
                _ => DType::F32,
            };
            let name = ["a", "b"].get(i).unwrap_or(&"an operand");
            expect_dtype(name, input, dtype)?;
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
        match input {
            0 => self.gathered(&signature.inputs).elements(),
            _ => signature.inputs[input].elements(),
        }
    }

    fn sums_nothing_to_zero(&self) -> bool {
        self.is_plain()
    }

    fn gradient(&self, vjp: &Vjp<'_>) -> Result<Vec<Option<Tensor>>, String> {
        if !self.is_plain() {
            return Err("a product that ends in more has no gradient".into());
        }
        let (a, b, dy) = (&vjp.inputs[0], &vjp.inputs[1], vjp.dy()?);
        let product = |a: &Tensor, transpose_a, b: &Tensor, transpose_b| {
            a.graph()
                .apply_one(MatMul::plain(transpose_a, transpose_b), &[a, b])
        };
        // With A stored as op(A)ᵀ its gradient is the transpose of dY·op(B)ᵀ, which is op(B)·dYᵀ.
        let da = || {
            if self.transpose_a {
                product(b, self.transpose_b, dy, true)
            } else {
                product(dy, false, b, !self.transpose_b)
            }
        };
        let db = || {
            if self.transpose_b {
                product(dy, true, a, self.transpose_a)
            } else {
                product(a, !self.transpose_a, dy, false)
            }
        };
        Ok(vec![vjp.wanted[0].then(da), vjp.wanted[1].then(db)])
    }

    fn launch(&self, signature: &Signature, target: &Target) -> Result<Launches, String> {
        let [indices, bias, saved] = self.positions();
        let rows = signature.inputs[0].shape.dims()[0];
        let last = u32::try_from(rows.saturating_sub(1))
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
        let stored = sample.signature.inputs[0].shape.rows_and_columns();
        let a = match indices {
            Some(i) => gathered(
                input(0),
                stored.into(),
                input(i).iter().map(|&index| index as u32),
            ),
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

/// γₖ·(|A|·|B|), whatever the order of the sum.
pub(super) fn rounding(product: &Product, a: &[f64], b: &[f64]) -> Vec<f64> {
    let magnitude = |values: &[f64]| values.iter().map(|value| value.abs()).collect::<Vec<_>>();
    let mut terms = vec![0.0; product.m * product.n];
    product.plain(&magnitude(a), &magnitude(b), &mut terms);
    for terms in &mut terms {
        *terms = Sample::gamma(product.k) * *terms + 1e-37;
    }
    terms
}

impl Compute for MatMul {
    #[inline(always)]
    fn compute<T: Real>(&self, io: &mut Io<'_, T>) {
        let product = self.of(io.signature);
        let [indices, bias, saved] = self.positions();
        let (a, b) = (io.input(0), io.input(1));
        if self.is_plain() {
            return T::product(&product, a, b, io.output(0), &|_, _| {});
        }
        // Only plans for GPUs gather here, so that this allocates in tests only.
        let stored = io.matrix(0).into();
        let gathered = indices.map(|i| gathered(a, stored, io.words(i).iter().copied()));
        let (bias, saved) = (bias.map(|i| io.input(i)), saved.map(|i| io.input(i)));
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
        T::product(&product, a, b, io.output(0), &finish);
    }
}

/// # Products
impl Tensor {
    /// The matrix product of `[m, k]` and `[k, n]`, `[m, n]`.
    #[track_caller]
    pub fn matmul(&self, b: &Tensor) -> Tensor {
        self.graph().apply_one(MatMul::default(), &[self, b])
    }
}

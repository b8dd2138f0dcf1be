//! Sums over a dimension: y = Σᵣ x`[…, r, …]`; dx repeats dy along it.

use crate::contract::{
    Binding, Case, Compute, Entry, Fill, Io, Launch, Launches, Op, Sample, Shader, Signature, Vjp,
    arity, expect_dtype, shader, shapes,
};
use crate::number::Real;
use crate::number::parallel::{Table, pieces};
use crate::target::Target;
use crate::{DType, Shape, Tensor, TensorType};

const SHADER: Shader = shader!("sum", "halves");

pub const ENTRY: Entry = Entry::new("sum", &[SHADER], cases);

/// The longest sum of one invocation where there are too few outputs to fill the device.
const CHUNK: u64 = 256;

/// The sum over dimensions `first..last` of x, which are dropped; all others stay. x may be f16.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Sum {
    pub first: usize,
    pub last: usize,
}

/// dx of a sum: dy repeated to `shape`.
#[derive(Debug, Clone)]
pub(super) struct Backward {
    pub sum: Sum,
    pub shape: Shape,
}

impl Sum {
    /// The input as `[outer, reduced, inner]`.
    fn folded(self, x: &Shape) -> [u64; 3] {
        let size = |dims: &[usize]| {
            let sizes = dims.iter().map(|&dim| dim as u64);
            sizes.fold(1, u64::saturating_mul)
        };
        let dims = x.dims();
        [
            size(&dims[..self.first]),
            size(&dims[self.first..self.last]),
            size(&dims[self.last..]),
        ]
    }
}

impl Op for Sum {
    fn name(&self) -> &'static str {
        "sum"
    }

    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>, String> {
        let [x] = arity::<1>(inputs)?;
        if x.dtype != DType::F16 {
            expect_dtype("x", x, DType::F32)?;
        }
        let dims = x.shape.dims();
        if self.first > self.last || self.last > dims.len() {
            return Err(format!(
                "dimensions {}..{} of {}",
                self.first, self.last, x.shape
            ));
        }
        Ok(vec![TensorType::f32(
            [&dims[..self.first], &dims[self.last..]].concat(),
        )])
    }

    fn sums_nothing_to_zero(&self) -> bool {
        true
    }

    fn gradient(&self, vjp: &Vjp<'_>) -> Result<Vec<Option<Tensor>>, String> {
        let x = &vjp.inputs[0];
        Ok(vec![Some(x.graph().apply_one(
            Backward {
                sum: *self,
                shape: x.shape(),
            },
            &[vjp.dy()?],
        ))])
    }

    fn launch(&self, signature: &Signature, target: &Target) -> Result<Launches, String> {
        let [outer, mut reduced, inner] = self.folded(&signature.inputs[0].shape);
        let mut launches = Launches::default();
        let mut from = Binding::Input(0);
        loop {
            // Partial sums are f32.
            let half = from == Binding::Input(0) && signature.inputs[0].dtype == DType::F16;
            let few = outer * inner < 1024;
            let most = if few {
                CHUNK
            } else {
                target.max_iterations.min(1 << 16)
            };
            let parts = if reduced <= most {
                1
            } else {
                reduced.div_ceil(most)
            };
            let to = if parts == 1 {
                Binding::Output(0)
            } else {
                Binding::Scratch(launches.scratch.len())
            };
            launches.launches.push(
                Launch::new(SHADER, if half { "forward_half" } else { "forward" })
                    .param("outer", outer as usize)
                    .param("reduced", reduced as usize)
                    .param("inner", inner as usize)
                    .param("parts", parts as usize)
                    .bind(from)
                    .bind(to)
                    .over(outer * parts * inner, 64)
                    .iterations(reduced.div_ceil(parts))
                    .flops(outer * reduced * inner),
            );
            if parts == 1 {
                return Ok(launches);
            }
            launches.scratch.push(outer * parts * inner);
            (from, reduced) = (to, parts);
        }
    }

    fn bound(&self, sample: &Sample<'_>) -> Vec<Vec<f64>> {
        // γ of the whole length: a sum in parts has fewer roundings.
        let [outer, reduced, inner] = self
            .folded(&sample.signature.inputs[0].shape)
            .map(|size| size as usize);
        let mut terms = vec![0.0; outer * inner];
        for (t, x) in sample.inputs[0].iter().enumerate() {
            terms[t / (reduced * inner) * inner + t % inner] += x.abs();
        }
        vec![
            terms
                .into_iter()
                .map(|terms| Sample::gamma(reduced) * terms + 1e-37)
                .collect(),
        ]
    }
}

impl Compute for Sum {
    #[inline(always)]
    fn compute<T: Real>(&self, io: &mut Io<'_, T>) {
        let [_, reduced, inner] = self
            .folded(&io.signature.inputs[0].shape)
            .map(|size| size as usize);
        let x = io.input(0);
        let y = io.output(0);
        if inner == 1 {
            let operands = (y, Table(x, reduced));
            let rows = x.len() / reduced.max(1);
            pieces::<T, _>(
                rows,
                4 * reduced,
                operands,
                #[inline(always)]
                |_, (y, Table(x, _))| {
                    for (y, row) in y.iter_mut().zip(x.chunks_exact(reduced)) {
                        *y = T::total(row);
                    }
                },
            );
            return;
        }
        y.fill(T::zero());
        for (y, block) in y
            .chunks_exact_mut(inner)
            .zip(x.chunks_exact(reduced * inner))
        {
            // Cut between columns, so that each sum stays in one order.
            pieces::<T, _>(
                inner,
                4 * reduced,
                y,
                #[inline(always)]
                |first, y| {
                    for row in block.chunks_exact(inner) {
                        for (y, &x) in y.iter_mut().zip(&row[first..]) {
                            *y += x;
                        }
                    }
                },
            );
        }
    }
}

impl Op for Backward {
    fn name(&self) -> &'static str {
        "sum.backward"
    }

    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>, String> {
        let [_] = arity::<1>(inputs)?;
        Ok(vec![TensorType::f32(&self.shape)])
    }

    fn gradient(&self, vjp: &Vjp<'_>) -> Result<Vec<Option<Tensor>>, String> {
        Ok(vec![Some(
            vjp.inputs[0].graph().apply_one(self.sum, &[vjp.dy()?]),
        )])
    }

    fn launch(&self, _signature: &Signature, _target: &Target) -> Result<Launches, String> {
        let [outer, reduced, inner] = self.sum.folded(&self.shape);
        Ok(Launch::new(SHADER, "backward")
            .param("outer", outer as usize)
            .param("reduced", reduced as usize)
            .param("inner", inner as usize)
            .param("parts", 1u32)
            .bind_all(1, 1)
            .over(outer * reduced * inner, 64)
            .into())
    }

    fn bound(&self, sample: &Sample<'_>) -> Vec<Vec<f64>> {
        // A copy.
        vec![sample.relative(0, 0.0)]
    }
}

impl Compute for Backward {
    #[inline(always)]
    fn compute<T: Real>(&self, io: &mut Io<'_, T>) {
        let [_, reduced, inner] = self.sum.folded(&self.shape).map(|size| size as usize);
        let dy = io.input(0);
        for (block, dy) in io
            .output(0)
            .chunks_exact_mut(reduced * inner)
            .zip(dy.chunks_exact(inner))
        {
            for row in block.chunks_exact_mut(inner) {
                row.copy_from_slice(dy);
            }
        }
    }
}

fn cases() -> Vec<Case> {
    let shapes: [(&[usize], (usize, usize)); 17] = shapes![
        1: (0, 1); 2: (0, 1); 17: (0, 1); 257: (0, 1); 1000: (0, 1); 70_000: (0, 1); 33 x 10: (0, 1);
        33 x 10: (1, 2); 33 x 10: (0, 2); 256 x 255: (0, 1); 255 x 256: (1, 2); 2 x 3 x 5: (1, 2);
        2 x 300 x 5: (1, 2); 3 x 4 x 5 x 6: (1, 3); 3 x 4 x 5 x 6: (2, 2); 70_000 x 3: (0, 1);
        3 x 70_000: (1, 2)
    ];
    let mut cases = Vec::new();
    for (shape, (first, last)) in shapes {
        let sum = Sum { first, last };
        let case = Case::new(sum).input(shape, Fill::Uniform(-2.0, 3.0));
        let mut half = case.clone().without_gradient();
        half.inputs[0].0.dtype = DType::F16;
        cases.extend([case, half]);
        let reduced = [&shape[..first], &shape[last..]].concat();
        cases.push(
            Case::new(Backward {
                sum,
                shape: shape.into(),
            })
            .input(&reduced, Fill::Uniform(-2.0, 2.0)),
        );
    }
    cases
}

//! The gradients of dense layers' parameters and their step of Adam in one call: [W; b] ← Adam([X | 1]ᵀ·dZ).
//!
//! The gradient is never stored, and the bias' gradient rides with that of W: it is the row of a column of ones. Models are
//! not written in it: the plan joins the products, the sums over rows and the update. On a GPU that lets a kernel bind what the
//! layers' X and dZ lie in, all layers share a dispatch.

use crate::cpu::{Product, Real};
use crate::op::gather::row_of;
use crate::op::sgd::check_factor;
use crate::op::{
    Adam, Compute, Entry, Io, Launches, Op, RATES, Sample, Signature, UNIT, expect_dtype,
};
use crate::plan::Target;
use crate::{DType, TensorType};

use super::rounding;

mod cases;
mod launches;
mod text;

use launches::{ONE, ONE_LANES, ONE_REGISTERS};

/// The line in [`op::all`](crate::op::all). The shader of several layers is made for them.
pub const ENTRY: Entry = Entry {
    name: "layer_updates",
    shaders: &[ONE, ONE_REGISTERS, ONE_LANES],
    cases: cases::cases,
};

/// Inputs before the operands: w, m, v and the rates.
const FIRST: usize = 4;

/// Where a matrix of the batch lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LayerPart {
    /// Which of the operands holds it.
    pub operand: usize,
    /// Where it begins there, in elements: a multiple of 4.
    pub at: usize,
}

/// A layer's place in the slabs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LayerSlab {
    /// Rows of W.
    pub inputs: usize,
    /// Columns of W.
    pub units: usize,
    /// Where W begins in the slabs, in elements.
    pub kernel_at: usize,
    /// Where b begins; none of a layer without.
    pub bias_at: Option<usize>,
    /// X \[batch, inputs\].
    pub x: LayerPart,
    /// dZ \[batch, units\].
    pub dz: LayerPart,
}

impl LayerSlab {
    /// Rows of \[W; b\].
    fn rows(&self) -> usize {
        self.inputs + usize::from(self.bias_at.is_some())
    }

    /// Its matrices of the batch, with their columns.
    fn parts(&self) -> [(LayerPart, usize); 2] {
        [(self.x, self.inputs), (self.dz, self.units)]
    }
}

/// A step of Adam for all parameters of some layers. Inputs: slabs w, m and v, updated in place; the clock's rates; operands
/// in which X and dZ of the layers lie, one or several in each; and where `gather` says so indices u32 \[batch\], by which
/// the rows of the first X are chosen from a data set, which is an operand by itself.
#[derive(Debug, Clone)]
pub struct LayerUpdates {
    /// The update.
    pub rule: Adam,
    /// The layers, first to last.
    pub layers: Vec<LayerSlab>,
    /// Rows of every X and dZ.
    pub batch: usize,
    /// Whether the first X is a data set.
    pub gather: bool,
}

impl LayerUpdates {
    /// How many operands the layers' matrices lie in.
    fn operands(&self) -> usize {
        let parts = self.layers.iter().flat_map(LayerSlab::parts);
        parts.map(|(part, _)| part.operand + 1).max().unwrap_or(0)
    }

    /// The input with the indices.
    fn indices(&self) -> Option<usize> {
        self.gather.then_some(FIRST + self.operands())
    }

    /// A matrix of the batch in the operand that holds it; all of a data set.
    fn matrix<'a, T>(&self, operand: &'a [T], (part, columns): (LayerPart, usize)) -> &'a [T] {
        match self.gather && part == self.layers[0].x {
            true => operand,
            false => &operand[part.at..][..self.batch * columns],
        }
    }

    /// The product that gives a layer's gradient of W.
    fn product(layer: &LayerSlab, batch: usize) -> Product {
        Product {
            m: layer.inputs,
            n: layer.units,
            k: batch,
            transpose_a: true,
            transpose_b: false,
        }
    }

    /// X of a layer as the product sees it.
    fn rows<T: Copy>(
        &self,
        index: usize,
        x: &[T],
        columns: usize,
        indices: Option<&[u32]>,
    ) -> Vec<T> {
        match indices {
            Some(indices) if index == 0 => {
                let rows = x.len() / columns;
                let row = |&index: &u32| &x[row_of(index, rows) * columns..][..columns];
                indices.iter().flat_map(row).copied().collect()
            }
            _ => x.to_vec(),
        }
    }
}

impl Op for LayerUpdates {
    fn name(&self) -> &'static str {
        "layer_updates.adam"
    }

    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>, String> {
        let wanted = FIRST + self.operands() + usize::from(self.gather);
        if inputs.len() != wanted || self.layers.is_empty() {
            return Err(format!(
                "{} layers take {wanted} inputs, got {}",
                self.layers.len(),
                inputs.len()
            ));
        }
        check_factor("beta_1", self.rule.beta_1)?;
        check_factor("beta_2", self.rule.beta_2)?;
        for (i, input) in inputs.iter().enumerate() {
            let words = self.indices() == Some(i);
            expect_dtype(
                "an operand",
                input,
                if words { DType::U32 } else { DType::F32 },
            )?;
        }
        let len = inputs[0].elements();
        if inputs[1] != inputs[0] || inputs[2] != inputs[0] || inputs[3] != TensorType::f32([RATES])
        {
            return Err(format!(
                "w, m, v and rates are {} {} {} {}",
                inputs[0], inputs[1], inputs[2], inputs[3]
            ));
        }
        let data = self.indices().map(|i| &inputs[i]);
        if let Some(indices) = data
            && indices.elements() != self.batch as u64
        {
            return Err(format!("{indices} indices for {} rows", self.batch));
        }
        for (index, layer) in self.layers.iter().enumerate() {
            let inside = |(part, columns): (LayerPart, usize)| {
                let operand = &inputs[FIRST + part.operand];
                if self.gather && part.operand == self.layers[0].x.operand {
                    let dims = operand.shape.dims();
                    return index == 0 && part.at == 0 && dims.len() == 2 && dims[1] == columns;
                }
                let end = part.at as u64 + (self.batch * columns) as u64;
                part.at.is_multiple_of(4) && end <= operand.elements()
            };
            let end = (layer.kernel_at + layer.inputs * layer.units)
                .max(layer.bias_at.map_or(0, |at| at + layer.units));
            if !layer.parts().into_iter().all(inside) || end as u64 > len {
                return Err(format!(
                    "layer {index}, {layer:?}, lies beyond the operands {}",
                    inputs
                        .iter()
                        .map(ToString::to_string)
                        .collect::<Vec<_>>()
                        .join(" ")
                ));
            }
        }
        Ok(Vec::new())
    }

    fn writes(&self) -> &[usize] {
        &[0, 1, 2]
    }

    fn touched(&self, signature: &Signature, input: usize) -> u64 {
        let all = signature.inputs[input].elements();
        if input < FIRST || Some(input) == self.indices() {
            return all;
        }
        let parts = self.layers.iter().flat_map(LayerSlab::parts);
        let own = parts.filter(|(part, _)| part.operand == input - FIRST);
        let rows: usize = own.map(|(_, columns)| columns).sum();
        all.min((self.batch * rows) as u64)
    }

    fn launch(&self, signature: &Signature, target: &Target) -> Result<Launches, String> {
        self.launches(signature, target)
    }

    fn bound(&self, sample: &Sample<'_>) -> Vec<Vec<f64>> {
        let [m, v, rates] = [1, 2, 3].map(|i| &sample.inputs[i]);
        let batch = self.batch;
        let indices: Option<Vec<u32>> = self
            .indices()
            .map(|i| sample.inputs[i].iter().map(|&index| index as u32).collect());
        let matrix =
            |part: (LayerPart, usize)| self.matrix(&sample.inputs[FIRST + part.0.operand], part);
        let mut bounds = vec![vec![0.0; m.len()]; 3];
        for (index, layer) in self.layers.iter().enumerate() {
            let x = self.rows(
                index,
                matrix(layer.parts()[0]),
                layer.inputs,
                indices.as_deref(),
            );
            let dz = matrix(layer.parts()[1]);
            let product = Self::product(layer, batch);
            let mut parts = vec![(layer.kernel_at, product, x)];
            if let Some(at) = layer.bias_at {
                let ones = Product { m: 1, ..product };
                parts.push((at, ones, vec![1.0; batch]));
            }
            for (at, product, x) in parts {
                let mut g = vec![0.0; product.m * product.n];
                product.plain(&x, dz, &mut g);
                let errors = rounding(&product, &x, dz);
                for (i, (&g, &g_error)) in g.iter().zip(&errors).enumerate() {
                    let i = at + i;
                    let after = [0, 1, 2].map(|result| sample.results[result][i]);
                    let g_error = g_error + UNIT * g.abs();
                    let errors = self.rule.errors([m[i], v[i]], g, g_error, rates, after);
                    for (bounds, error) in bounds.iter_mut().zip(errors) {
                        bounds[i] = error;
                    }
                }
            }
        }
        bounds
    }
}

impl Compute for LayerUpdates {
    /// Only plans for GPUs hold this op, so that what it allocates is allocated in tests only.
    #[inline(always)]
    fn compute<T: Real>(&self, io: &mut Io<'_, T>) {
        let batch = self.batch;
        let rates = io.input(3);
        let indices = self.indices().map(|i| io.words(i));
        for (index, layer) in self.layers.iter().enumerate() {
            let [x, dz] = layer
                .parts()
                .map(|part| self.matrix(io.input(FIRST + part.0.operand), part));
            let x = self.rows(index, x, layer.inputs, indices);
            let product = Self::product(layer, batch);
            let mut g = vec![T::zero(); layer.inputs * layer.units];
            T::product(&product, &x, dz, &mut g, &|_, _| {});
            let [w, m, v] = io.outputs();
            let mut step = |at: usize, g: &[T]| {
                let range = at..at + g.len();
                self.rule.step(
                    &mut w[range.clone()],
                    &mut m[range.clone()],
                    &mut v[range],
                    g,
                    rates,
                );
            };
            step(layer.kernel_at, &g);
            if let Some(at) = layer.bias_at {
                let mut sums = vec![T::zero(); layer.units];
                for row in dz.chunks_exact(layer.units) {
                    for (sum, &dz) in sums.iter_mut().zip(row) {
                        *sum += dz;
                    }
                }
                step(at, &sums);
            }
        }
    }
}

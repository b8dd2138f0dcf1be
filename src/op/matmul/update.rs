//! The gradients of dense layers' parameters and their step of Adam in one call: [W; b] ← Adam([X | 1]ᵀ·dZ).
//!
//! The gradient is never stored, and the bias' gradient rides with that of W: it is the row of a column of ones. Models are
//! not written in it: the plan joins the products, the sums over rows and the update. On a GPU that lets a kernel bind enough,
//! up to three layers share a dispatch.

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

use launches::{MANY, ONE, ONE_LANES, ONE_REGISTERS};

/// The line in [`op::all`](crate::op::all).
pub const ENTRY: Entry = Entry {
    name: "layer_updates",
    shaders: &[ONE, ONE_REGISTERS, ONE_LANES, MANY],
    cases: cases::cases,
};

/// Most layers of one call, and of one dispatch.
pub const MOST_LAYERS: usize = 3;

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
}

impl LayerSlab {
    /// Rows of \[W; b\].
    fn rows(&self) -> usize {
        self.inputs + usize::from(self.bias_at.is_some())
    }
}

/// A step of Adam for all parameters of up to three layers. Inputs: slabs w, m and v, updated in place; the clock's rates;
/// X \[batch, inputs\] and dZ \[batch, units\] of each layer; and where `gather` says so indices u32 \[batch\], by which the
/// rows of the first X are chosen from a data set.
#[derive(Debug, Clone)]
pub struct LayerUpdates {
    /// The update.
    pub rule: Adam,
    /// The layers, first to last.
    pub layers: Vec<LayerSlab>,
    /// Whether the first X is a data set.
    pub gather: bool,
}

impl LayerUpdates {
    /// The input with the indices.
    fn indices(&self) -> Option<usize> {
        self.gather.then_some(4 + 2 * self.layers.len())
    }

    fn batch(&self, inputs: &[TensorType]) -> usize {
        inputs[5].shape.rows_and_columns().0
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
        let wanted = 4 + 2 * self.layers.len() + usize::from(self.gather);
        if inputs.len() != wanted || !(1..=MOST_LAYERS).contains(&self.layers.len()) {
            return Err(format!(
                "{} layers take {wanted} inputs, got {}; {MOST_LAYERS} layers are the most",
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
        let batch = self.batch(inputs);
        for (index, layer) in self.layers.iter().enumerate() {
            let (x, dz) = (&inputs[4 + 2 * index], &inputs[5 + 2 * index]);
            let rows = match self.indices() {
                Some(i) if index == 0 => inputs[i].elements() as usize,
                _ => x.shape.rows_and_columns().0,
            };
            let fits = x.shape.rank() == 2
                && x.shape.rows_and_columns().1 == layer.inputs
                && dz.shape.dims() == [batch, layer.units]
                && rows == batch;
            let end = (layer.kernel_at + layer.inputs * layer.units)
                .max(layer.bias_at.map_or(0, |at| at + layer.units));
            if !fits || end as u64 > len {
                return Err(format!(
                    "layer {index}, {layer:?}, does not fit x {x} and dz {dz}"
                ));
            }
        }
        Ok(Vec::new())
    }

    fn writes(&self) -> &[usize] {
        &[0, 1, 2]
    }

    fn touched(&self, signature: &Signature, input: usize) -> u64 {
        match (input, self.gather) {
            (4, true) => (self.batch(&signature.inputs) * self.layers[0].inputs) as u64,
            _ => signature.inputs[input].elements(),
        }
    }

    fn launch(&self, signature: &Signature, target: &Target) -> Result<Launches, String> {
        self.launches(signature, target)
    }

    fn bound(&self, sample: &Sample<'_>) -> Vec<Vec<f64>> {
        let [m, v, rates] = [1, 2, 3].map(|i| &sample.inputs[i]);
        let batch = self.batch(&sample.signature.inputs);
        let indices: Option<Vec<u32>> = self
            .indices()
            .map(|i| sample.inputs[i].iter().map(|&index| index as u32).collect());
        let mut bounds = vec![vec![0.0; m.len()]; 3];
        for (index, layer) in self.layers.iter().enumerate() {
            let x = self.rows(
                index,
                &sample.inputs[4 + 2 * index],
                layer.inputs,
                indices.as_deref(),
            );
            let dz = &sample.inputs[5 + 2 * index];
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
        let batch = self.batch(&io.signature().inputs);
        let rates = io.input(3);
        let indices = self.indices().map(|i| io.words(i));
        for (index, layer) in self.layers.iter().enumerate() {
            let x = self.rows(index, io.input(4 + 2 * index), layer.inputs, indices);
            let dz = io.input(5 + 2 * index);
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

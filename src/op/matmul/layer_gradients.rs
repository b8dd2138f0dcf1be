//! The gradients of dense layers' parameters in one call, dW = Xᵀ·dZ and db = Σ rows of dZ for any number of layers.
//!
//! They go to the slab of all parameters' gradients, whatever reads them there; or, where nothing but Adam does, each is
//! taken where it is computed and never stored. Models are not written in it: the plan joins the products, the sums over
//! rows and the update.

use crate::contract::{Compute, Entry, Io, Launches, Op, Sample, Signature, expect_dtype};
use crate::number::{Product, Real, Tracked, UNIT};
use crate::op::gather::gathered;
use crate::op::sgd::check_factor;
use crate::op::{Adam, RATES};
use crate::target::Target;
use crate::{DType, TensorType};

use super::rounding;

mod cases;
mod launches;
mod text;

pub const ENTRY: Entry = Entry::new("layer_gradients", &[], cases::cases);

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
    /// X and dZ, with their columns.
    fn parts(&self) -> [(LayerPart, usize); 2] {
        [(self.x, self.inputs), (self.dz, self.units)]
    }

    /// One past the last of its places in the slabs.
    fn end(&self) -> usize {
        let bias = self.bias_at.map_or(0, |at| at + self.units);
        bias.max(self.kernel_at + self.inputs * self.units)
    }
}

/// Inputs: the slab of gradients, written, of which each layer's part is; or with an update the slabs w, m and v, updated in
/// place, and the clock's rates. Then the operands in which X and dZ of the layers lie, one or several in each; and where `gather` says so
/// indices u32 \[batch\], by which the rows of the first X are chosen from a data set, which is an operand by itself.
#[derive(Debug, Clone)]
pub struct LayerGradients {
    /// The update that takes the gradients, if they are not stored.
    pub update: Option<Adam>,
    /// The layers, first to last.
    pub layers: Vec<LayerSlab>,
    /// Rows of every X and dZ.
    pub batch: usize,
    /// Whether the first X is a data set.
    pub gather: bool,
}

impl LayerGradients {
    /// Slabs that are written: the first inputs.
    fn slabs(&self) -> usize {
        if self.update.is_some() { 3 } else { 1 }
    }

    /// Inputs before the operands: the slabs, and the rates.
    fn first(&self) -> usize {
        self.slabs() + usize::from(self.update.is_some())
    }

    /// How many operands the layers' matrices lie in.
    fn operands(&self) -> usize {
        let parts = self.layers.iter().flat_map(LayerSlab::parts);
        parts.map(|(part, _)| part.operand + 1).max().unwrap_or(0)
    }

    /// The input with the indices.
    fn indices(&self) -> Option<usize> {
        self.gather.then_some(self.first() + self.operands())
    }

    /// A matrix of the batch in the operand that holds it; all of a data set.
    fn matrix<'a, T>(&self, operand: &'a [T], (part, columns): (LayerPart, usize)) -> &'a [T] {
        if self.gather && part == self.layers[0].x {
            operand
        } else {
            &operand[part.at..][..self.batch * columns]
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
    fn rows<T: Copy>(&self, layer: usize, x: &[T], indices: Option<&[u32]>) -> Vec<T> {
        let columns = self.layers[layer].inputs;
        match indices {
            Some(indices) if layer == 0 => {
                let stored = [x.len() / columns, columns];
                gathered(x, stored, indices.iter().copied())
            }
            _ => x.to_vec(),
        }
    }
}

/// The types, one after the other.
fn named(types: &[TensorType]) -> String {
    let names: Vec<String> = types.iter().map(ToString::to_string).collect();
    names.join(" ")
}

impl Op for LayerGradients {
    fn name(&self) -> &'static str {
        match self.update {
            Some(_) => "layer_gradients.adam",
            None => "layer_gradients",
        }
    }

    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>, String> {
        let wanted = self.first() + self.operands() + usize::from(self.gather);
        if inputs.len() != wanted || self.layers.is_empty() {
            return Err(format!(
                "{} layers take {wanted} inputs, got {}",
                self.layers.len(),
                inputs.len()
            ));
        }
        if let Some(rule) = self.update {
            check_factor("beta_1", rule.beta_1)?;
            check_factor("beta_2", rule.beta_2)?;
        }
        for (i, input) in inputs.iter().enumerate() {
            let words = self.indices() == Some(i);
            expect_dtype(
                "an operand",
                input,
                if words { DType::U32 } else { DType::F32 },
            )?;
        }
        let len = inputs[0].elements();
        let slabs = &inputs[..self.slabs()];
        let rates = self.update.map(|_| &inputs[self.slabs()]);
        if slabs.iter().any(|slab| *slab != slabs[0])
            || rates.is_some_and(|rates| *rates != TensorType::f32([RATES]))
        {
            return Err(format!(
                "slabs and rates are {}",
                named(&inputs[..self.first()])
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
                let operand = &inputs[self.first() + part.operand];
                if self.gather && part.operand == self.layers[0].x.operand {
                    let dims = operand.shape.dims();
                    return index == 0 && part.at == 0 && dims.len() == 2 && dims[1] == columns;
                }
                let end = part.at as u64 + (self.batch * columns) as u64;
                part.at.is_multiple_of(4) && end <= operand.elements()
            };
            if !layer.parts().into_iter().all(inside) || layer.end() as u64 > len {
                return Err(format!(
                    "layer {index}, {layer:?}, lies beyond the operands {}",
                    named(inputs)
                ));
            }
        }
        Ok(Vec::new())
    }

    fn writes(&self) -> &[usize] {
        &[0, 1, 2][..self.slabs()]
    }

    fn touched(&self, signature: &Signature, input: usize) -> u64 {
        let all = signature.inputs[input].elements();
        if input < self.slabs() {
            let own = self.layers.iter();
            let own = own.map(|l| (l.inputs + usize::from(l.bias_at.is_some())) * l.units);
            return all.min(own.sum::<usize>() as u64);
        }
        if input < self.first() || Some(input) == self.indices() {
            return all;
        }
        let parts = self.layers.iter().flat_map(LayerSlab::parts);
        let own = parts.filter(|(part, _)| part.operand == input - self.first());
        let rows: usize = own.map(|(_, columns)| columns).sum();
        all.min((self.batch * rows) as u64)
    }

    fn launch(&self, signature: &Signature, target: &Target) -> Result<Launches, String> {
        self.launches(signature, target)
    }

    fn bound(&self, sample: &Sample<'_>) -> Vec<Vec<f64>> {
        let batch = self.batch;
        let indices: Option<Vec<u32>> = self
            .indices()
            .map(|i| sample.inputs[i].iter().map(|&index| index as u32).collect());
        let matrix = |part: (LayerPart, usize)| {
            self.matrix(&sample.inputs[self.first() + part.0.operand], part)
        };
        let mut bounds = vec![vec![0.0; sample.inputs[0].len()]; self.slabs()];
        for (index, layer) in self.layers.iter().enumerate() {
            let x = self.rows(index, matrix(layer.parts()[0]), indices.as_deref());
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
                    let g_error = g_error + UNIT * g.abs();
                    let Some(rule) = self.update else {
                        bounds[0][i] = g_error;
                        continue;
                    };
                    let before = [0, 1, 2].map(|slab| sample.inputs[slab][i]);
                    let g = Tracked {
                        value: g,
                        error: g_error,
                    };
                    let errors = rule.errors(before, g, &sample.inputs[3]);
                    for (bounds, error) in bounds.iter_mut().zip(errors) {
                        bounds[i] = error;
                    }
                }
            }
        }
        bounds
    }
}

impl Compute for LayerGradients {
    /// Only plans for GPUs hold this op, so that what it allocates is allocated in tests only.
    #[inline(always)]
    fn compute<T: Real>(&self, io: &mut Io<'_, T>) {
        let batch = self.batch;
        let rates = self.update.map(|rule| (rule, io.input(self.slabs())));
        let indices = self.indices().map(|i| io.words(i));
        for (index, layer) in self.layers.iter().enumerate() {
            let [x, dz] = layer
                .parts()
                .map(|part| self.matrix(io.input(self.first() + part.0.operand), part));
            let x = self.rows(index, x, indices);
            let product = Self::product(layer, batch);
            let mut g = vec![T::zero(); layer.inputs * layer.units];
            T::product(&product, &x, dz, &mut g, &|_, _| {});
            let mut put = |at: usize, g: &[T]| {
                let range = at..at + g.len();
                let Some((rule, rates)) = rates else {
                    io.output(0)[range].copy_from_slice(g);
                    return;
                };
                let [w, m, v] = io.outputs().map(|slab| &mut slab[range.clone()]);
                rule.step(w, m, v, g, rates);
            };
            put(layer.kernel_at, &g);
            if let Some(at) = layer.bias_at {
                let mut sums = vec![T::zero(); layer.units];
                for row in dz.chunks_exact(layer.units) {
                    for (sum, &dz) in sums.iter_mut().zip(row) {
                        *sum += dz;
                    }
                }
                put(at, &sums);
            }
        }
    }
}

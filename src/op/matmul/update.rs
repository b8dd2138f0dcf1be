//! The gradients of dense layers' parameters and their step of Adam in one call: [W; b] ← Adam([X | 1]ᵀ·dZ).
//!
//! The gradient is never stored, and the bias' gradient rides with that of W: it is the row of a column of ones. Models are
//! not written in it: the plan joins the products, the sums over rows and the update. On a GPU that lets a kernel bind enough,
//! up to three layers share a dispatch.

use crate::cpu::{Product, Real};
use crate::op::gather::row_of;
use crate::op::launch::shader;
use crate::op::sgd::check_factor;
use crate::op::{
    Adam, Binding, Case, Compute, Entry, Fill, Io, Launch, Launches, Op, RATES, Sample, Shader,
    Signature, UNIT, expect_dtype,
};
use crate::plan::{Class, Products, Target};
use crate::{DType, TensorType};

use super::choose::{Choice, Tile, build, choose};
use super::rounding;

const ONE: Shader = shader!(
    "matmul",
    "matmul_blocks",
    "matmul_update",
    "matmul_update_one"
);
const ONE_REGISTERS: Shader = shader!(
    "matmul_registers",
    "matmul_blocks",
    "matmul_update",
    "matmul_update_one"
);
const ONE_LANES: Shader = shader!(
    "matmul_subgroup",
    "matmul_blocks",
    "matmul_update",
    "matmul_update_one"
);
const MANY: Shader = shader!(
    "matmul",
    "matmul_blocks",
    "matmul_update",
    "matmul_update_many"
);

/// The line in [`op::all`](crate::op::all).
pub const ENTRY: Entry = Entry {
    name: "layer_updates",
    shaders: &[ONE, ONE_REGISTERS, ONE_LANES, MANY],
    cases,
};

/// Most layers of one call, and of one dispatch.
pub const MOST_LAYERS: usize = 3;

/// Storage buffers that a dispatch of several layers binds.
const BINDINGS_OF_MANY: u32 = 11;

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

    /// The last row of the data set.
    fn last(&self, signature: &Signature) -> usize {
        match self.gather {
            true => signature.inputs[4].shape.dims()[0] - 1,
            false => 0,
        }
    }

    fn with_rule(&self, launch: Launch) -> Launch {
        let constants = self.rule.constants().into_iter();
        constants.fold(launch, |launch, (name, value)| launch.param(name, value))
    }

    /// The dispatch of one layer alone.
    fn one(&self, index: usize, signature: &Signature, target: &Target) -> Result<Launch, String> {
        let layer = &self.layers[index];
        let batch = self.batch(&signature.inputs);
        let size = |size: usize| {
            u32::try_from(size).map_err(|_source| format!("a dimension of {size} is too large"))
        };
        let shape = [size(layer.rows())?, size(layer.units)?, size(batch)?];
        let Choice {
            entry,
            swapped,
            tile,
            ..
        } = choose(
            shape[0],
            shape[1],
            shape[2],
            true,
            false,
            target.tuning.products,
            target.subgroup,
        );
        // A gradient that takes its step at once cannot wait for other splits of it.
        let choice = build(entry, shape, true, false, swapped, tile, 1);
        if choice.k_pass < shape[2] {
            return Err(format!(
                "a batch of {batch} takes more loop iterations than a dispatch may run"
            ));
        }
        let (a, b) = if swapped { (5, 4) } else { (4, 5) };
        let gather = if self.gather && index == 0 {
            1 + u32::from(swapped)
        } else {
            0
        };
        let shader = match entry {
            "lanes" => ONE_LANES,
            "registers" => ONE_REGISTERS,
            _ => ONE,
        };
        let mut launch = Launch::new(shader, entry);
        launch.overrides = choice.overrides.clone();
        let stored = [layer.inputs, layer.units].map(|len| len.is_multiple_of(4));
        let [a_vec, b_vec] = if swapped {
            [stored[1], stored[0]]
        } else {
            stored
        };
        for (name, value) in &mut launch.overrides {
            match *name {
                "A_VEC" => *value = f64::from(a_vec),
                "B_VEC" => *value = f64::from(b_vec),
                _ => {}
            }
        }
        Ok(self
            .with_rule(launch)
            .set("GATHER", gather)
            .set("ONES", 1 + u32::from(swapped))
            .param("m", choice.shape[0])
            .param("n", choice.shape[1])
            .param("k", batch)
            .param("tiles_n", choice.tiles[0])
            .param("tiles", choice.tiles[1])
            .param("inputs", layer.inputs)
            .param("kernel_at", layer.kernel_at)
            .param("bias_at", layer.bias_at.unwrap_or(0))
            .param("last", self.last(signature))
            // Never read where there is nothing to gather.
            .bind(Binding::Input(self.indices().unwrap_or(5)))
            .bind(Binding::Input(3))
            .bind(Binding::Input(a + 2 * index))
            .bind(Binding::Input(b + 2 * index))
            .bind(Binding::Input(0))
            .bind(Binding::Input(1))
            .bind(Binding::Input(2))
            .grid(choice.grid)
            .iterations(choice.iterations_per_invocation)
            .flops(self.flops(index, batch)))
    }

    fn flops(&self, index: usize, batch: usize) -> u64 {
        let layer = &self.layers[index];
        (layer.rows() * layer.units) as u64 * (2 * batch as u64 + 12)
    }

    /// The dispatch of all layers.
    fn many(&self, signature: &Signature) -> Result<Launch, String> {
        const TILE: Tile = Tile([32, 32, 16], [1, 1]);
        const FIELDS: [[&str; 6]; MOST_LAYERS] = [
            [
                "inputs_0",
                "rows_0",
                "units_0",
                "kernel_at_0",
                "bias_at_0",
                "end_0",
            ],
            [
                "inputs_1",
                "rows_1",
                "units_1",
                "kernel_at_1",
                "bias_at_1",
                "end_1",
            ],
            [
                "inputs_2",
                "rows_2",
                "units_2",
                "kernel_at_2",
                "bias_at_2",
                "end_2",
            ],
        ];
        let batch = self.batch(&signature.inputs);
        let mut tiles = 0;
        let mut fields = Vec::new();
        let mut bindings = Vec::new();
        for (index, names) in FIELDS.into_iter().enumerate() {
            let none = LayerSlab {
                inputs: 0,
                units: 0,
                kernel_at: 0,
                bias_at: None,
            };
            let layer = self.layers.get(index).unwrap_or(&none);
            tiles += layer.rows().div_ceil(TILE.0[0] as usize)
                * layer.units.div_ceil(TILE.0[1] as usize);
            let values = [
                layer.inputs,
                layer.rows(),
                layer.units,
                layer.kernel_at,
                layer.bias_at.unwrap_or(0),
                tiles,
            ];
            fields.extend(names.into_iter().zip(values));
            // No tile belongs to a layer that is not there.
            let there = if index < self.layers.len() { index } else { 0 };
            bindings.extend([4 + 2 * there, 5 + 2 * there]);
        }
        let count =
            u32::try_from(tiles).map_err(|_source| format!("{tiles} tiles are too many"))?;
        let shape = [
            TILE.0[0],
            TILE.0[1],
            u32::try_from(batch).unwrap_or(u32::MAX),
        ];
        let choice = build("tiled", shape, true, false, false, TILE, 1);
        let mut launch = Launch::new(MANY, "tiled");
        launch.overrides = choice.overrides.clone();
        for (name, value) in &mut launch.overrides {
            let fours = |len: fn(&LayerSlab) -> usize| {
                f64::from(self.layers.iter().all(|l| len(l).is_multiple_of(4)))
            };
            match *name {
                "A_VEC" => *value = fours(|layer| layer.inputs),
                "B_VEC" => *value = fours(|layer| layer.units),
                _ => {}
            }
        }
        let launch = fields
            .into_iter()
            .fold(launch, |launch, (name, value)| launch.param(name, value));
        let launch = self
            .with_rule(launch)
            .set("GATHER", u32::from(self.gather))
            .set("ONES", 1u32)
            .param("k", batch)
            .param("tiles", tiles)
            .param("last", self.last(signature))
            .bind(Binding::Input(self.indices().unwrap_or(5)))
            .bind(Binding::Input(3));
        const MOST_GROUPS: u32 = 32_768;
        Ok(bindings
            .into_iter()
            .chain([0, 1, 2])
            .fold(launch, |launch, input| launch.bind(Binding::Input(input)))
            .grid([count.min(MOST_GROUPS), count.div_ceil(MOST_GROUPS), 1])
            .iterations(choice.iterations_per_invocation)
            .flops((0..self.layers.len()).map(|l| self.flops(l, batch)).sum()))
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
        let shared = target.class == Class::Gpu
            && target.tuning.products == Products::Shared
            && target.max_storage_buffers >= BINDINGS_OF_MANY;
        let launches = if shared && self.layers.len() > 1 {
            vec![self.many(signature)?]
        } else {
            (0..self.layers.len())
                .map(|index| self.one(index, signature, target))
                .collect::<Result<_, _>>()?
        };
        Ok(Launches {
            scratch: Vec::new(),
            launches,
        })
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

fn cases() -> Vec<Case> {
    // Batch and widths.
    let shapes: [(usize, &[usize]); 16] = [
        (1, &[1, 1]),
        (2, &[3, 1]),
        (3, &[2, 17]),
        (17, &[33, 5]),
        (32, &[8, 10]),
        (33, &[10, 1]),
        (64, &[64, 64]),
        (65, &[63, 66]),
        (128, &[257, 10]),
        (130, &[127, 129]),
        (32, &[8, 10, 8]),
        (33, &[5, 7, 3]),
        (64, &[32, 64, 10]),
        (32, &[8, 10, 8, 1]),
        (100, &[36, 64, 100, 12]),
        (1000, &[20, 33, 17, 9]),
    ];
    let rule = Adam {
        beta_1: 0.9,
        beta_2: 0.999,
        epsilon: 1e-7,
    };
    let mut cases = Vec::new();
    for (number, (batch, widths)) in shapes.into_iter().enumerate() {
        for gather in [false, true] {
            let mut len = 0;
            let mut layers = Vec::new();
            for (index, pair) in widths.windows(2).enumerate() {
                let kernel_at = len;
                len += (pair[0] * pair[1]).next_multiple_of(64);
                // Some layers have no bias.
                let bias_at = (number + index) % 3 < 2;
                let bias_at = bias_at.then_some(len);
                len += pair[1].next_multiple_of(64);
                layers.push(LayerSlab {
                    inputs: pair[0],
                    units: pair[1],
                    kernel_at,
                    bias_at,
                });
            }
            let op = LayerUpdates {
                rule,
                layers,
                gather,
            };
            let mut case = Case::new(op)
                .constant(&[len], Fill::Uniform(-1.0, 1.0))
                .constant(&[len], Fill::Uniform(-0.1, 0.1))
                .constant(&[len], Fill::Uniform(0.01, 1.0))
                .constant(&[RATES], Fill::Values(vec![0.001, 0.9, 0.999, 0.0]));
            for (index, pair) in widths.windows(2).enumerate() {
                let rows = if gather && index == 0 {
                    batch + 3
                } else {
                    batch
                };
                case = case
                    .constant(&[rows, pair[0]], Fill::Uniform(-1.0, 1.0))
                    .constant(&[batch, pair[1]], Fill::Uniform(-0.5, 0.5));
            }
            cases.push(if gather {
                case.words(&[batch], Fill::Below(batch as u32 + 5))
            } else {
                case
            });
        }
    }
    cases
}

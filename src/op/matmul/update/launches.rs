//! The dispatches of layers' gradients with their updates: a layer's alone, or all in one.

use crate::op::launch::shader;
use crate::op::{Binding, Launch, Launches, Shader, Signature};
use crate::plan::{Class, ProductShape, Products, Target};

use super::super::choose::{Choice, Tile, build, choose};
use super::{FIRST, LayerSlab, LayerUpdates};

pub(super) const ONE: Shader = shader!(
    "matmul",
    "matmul_blocks",
    "matmul_update",
    "matmul_update_one"
);
pub(super) const ONE_REGISTERS: Shader = shader!(
    "matmul_registers",
    "matmul_blocks",
    "matmul_update",
    "matmul_update_one"
);
pub(super) const ONE_LANES: Shader = shader!(
    "matmul_subgroup",
    "matmul_blocks",
    "matmul_update",
    "matmul_update_one"
);
/// Storage buffers that a dispatch of several layers binds beside the operands of X and dZ: indices, rates, w, m and v.
const OTHER_BINDINGS: u32 = 5;

/// dW = Xᵀ·dZ.
fn gradient(sizes: [u32; 3]) -> ProductShape {
    ProductShape {
        sizes,
        transpose_a: true,
        transpose_b: false,
    }
}

/// Most operands of X and dZ in one call.
const MOST_OPERANDS: u32 = 6;

impl LayerUpdates {
    /// Most operands that X and dZ of a call's layers may lie in, and whether one dispatch can do all of these layers.
    pub fn most_operands(target: &Target) -> (usize, bool) {
        let bound = target.max_storage_buffers.saturating_sub(OTHER_BINDINGS);
        let together =
            target.class == Class::Gpu && target.tuning.products == Products::Shared && bound >= 4;
        match together {
            true => (bound.min(MOST_OPERANDS) as usize, true),
            false => (MOST_OPERANDS as usize, false),
        }
    }

    pub(super) fn launches(
        &self,
        signature: &Signature,
        target: &Target,
    ) -> Result<Launches, String> {
        let (most, together) = Self::most_operands(target);
        let shared = together && self.operands() <= most;
        let launches = if shared && self.layers.len() > 1 {
            vec![self.many(signature, target)?]
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

    /// The dispatch of one layer alone.
    fn one(&self, index: usize, signature: &Signature, target: &Target) -> Result<Launch, String> {
        let layer = &self.layers[index];
        let batch = self.batch;
        let size = |size: usize| {
            u32::try_from(size).map_err(|_source| format!("a dimension of {size} is too large"))
        };
        let shape = gradient([size(layer.rows())?, size(layer.units)?, size(batch)?]);
        // A gradient that takes its step at once cannot wait for other splits of it.
        let choice = choose(shape, target).in_one_piece(shape, target);
        let Choice { entry, swapped, .. } = choice;
        if choice.k_pass < shape.sizes[2] {
            return Err(format!(
                "a batch of {batch} takes more loop iterations than a dispatch may run"
            ));
        }
        let (a, b) = match swapped {
            false => (layer.x, layer.dz),
            true => (layer.dz, layer.x),
        };
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
            .param("a_at", a.at / 4)
            .param("b_at", b.at / 4)
            // Never read where there is nothing to gather.
            .bind(Binding::Input(self.indices().unwrap_or(FIRST)))
            .bind(Binding::Input(3))
            .bind(Binding::Input(FIRST + a.operand))
            .bind(Binding::Input(FIRST + b.operand))
            .bind(Binding::Input(0))
            .bind(Binding::Input(1))
            .bind(Binding::Input(2))
            .grid(choice.grid)
            .iterations(choice.iterations_per_invocation)
            .flops(self.flops(index, batch))
            .padded_flops(choice.padded_flops(shape.sizes[2])))
    }

    /// The dispatch of all layers.
    fn many(&self, signature: &Signature, target: &Target) -> Result<Launch, String> {
        let size = |size: usize| u32::try_from(size).unwrap_or(u32::MAX);
        let matrices: Vec<[u32; 2]> = self
            .layers
            .iter()
            .map(|layer| [size(layer.rows()), size(layer.units)])
            .collect();
        let tile = Tile::small(&matrices);
        let batch = self.batch;
        let [tall, wide, _] = tile.0.map(|side| side as usize);
        let mut tiles = 0;
        let mut ends = Vec::new();
        for layer in &self.layers {
            tiles += layer.rows().div_ceil(tall) * layer.units.div_ceil(wide);
            ends.push(tiles);
        }
        let count =
            u32::try_from(tiles).map_err(|_source| format!("{tiles} tiles are too many"))?;
        let shape = gradient([tile.0[0], tile.0[1], size(batch)]);
        let choice = build("tiled", shape, false, tile, 1, target);
        let mut launch = Launch::new(self.shader(&ends), "tiled");
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
        let launch = self
            .with_rule(launch)
            .set("GATHER", u32::from(self.gather))
            .set("ONES", 1u32)
            .param("k", batch)
            .param("tiles", tiles)
            .param("last", self.last(signature))
            .bind(Binding::Input(self.indices().unwrap_or(FIRST)))
            .bind(Binding::Input(3));
        const MOST_GROUPS: u32 = 32_768;
        Ok((FIRST..FIRST + self.operands())
            .chain([0, 1, 2])
            .fold(launch, |launch, input| launch.bind(Binding::Input(input)))
            .grid([count.min(MOST_GROUPS), count.div_ceil(MOST_GROUPS), 1])
            .iterations(choice.iterations_per_invocation)
            .flops((0..self.layers.len()).map(|l| self.flops(l, batch)).sum())
            .padded_flops(tiles as u64 * choice.padded_flops(shape.sizes[2])))
    }

    /// The last row of the data set.
    fn last(&self, signature: &Signature) -> usize {
        match self.gather {
            true => {
                signature.inputs[FIRST + self.layers[0].x.operand]
                    .shape
                    .dims()[0]
                    - 1
            }
            false => 0,
        }
    }

    fn with_rule(&self, launch: Launch) -> Launch {
        let constants = self.rule.constants().into_iter();
        constants.fold(launch, |launch, (name, value)| launch.param(name, value))
    }

    fn flops(&self, index: usize, batch: usize) -> u64 {
        let layer = &self.layers[index];
        (layer.rows() * layer.units) as u64 * (2 * batch as u64 + 12)
    }
}

//! The dispatches of layers' gradients with their updates: a layer's alone, or up to three in one.

use crate::op::launch::shader;
use crate::op::{Binding, Launch, Launches, Shader, Signature};
use crate::plan::{Class, Products, Target};

use super::super::choose::{Choice, Tile, build, choose};
use super::{LayerSlab, LayerUpdates, MOST_LAYERS};

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
pub(super) const MANY: Shader = shader!(
    "matmul",
    "matmul_blocks",
    "matmul_update",
    "matmul_update_many"
);

/// Storage buffers that a dispatch of several layers binds.
const BINDINGS_OF_MANY: u32 = 11;

impl LayerUpdates {
    pub(super) fn launches(
        &self,
        signature: &Signature,
        target: &Target,
    ) -> Result<Launches, String> {
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
            .flops(self.flops(index, batch))
            .padded_flops(choice.padded_flops(shape[2])))
    }

    /// The dispatch of all layers.
    fn many(&self, signature: &Signature) -> Result<Launch, String> {
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
        let size = |size: usize| u32::try_from(size).unwrap_or(u32::MAX);
        let matrices: Vec<[u32; 2]> = self
            .layers
            .iter()
            .map(|layer| [size(layer.rows()), size(layer.units)])
            .collect();
        let tile = Tile::small(&matrices);
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
            tiles += layer.rows().div_ceil(tile.0[0] as usize)
                * layer.units.div_ceil(tile.0[1] as usize);
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
            tile.0[0],
            tile.0[1],
            u32::try_from(batch).unwrap_or(u32::MAX),
        ];
        let choice = build("tiled", shape, true, false, false, tile, 1);
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
            .flops((0..self.layers.len()).map(|l| self.flops(l, batch)).sum())
            .padded_flops(tiles as u64 * choice.padded_flops(shape[2])))
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

    fn flops(&self, index: usize, batch: usize) -> u64 {
        let layer = &self.layers[index];
        (layer.rows() * layer.units) as u64 * (2 * batch as u64 + 12)
    }
}

//! The dispatches of layers' gradients: one for all of them where a device binds what X and dZ lie in, else one a layer.

use std::ops::Range;

use crate::contract::{Binding, Launch, Launches, Signature};
use crate::target::{Class, ProductShape, Products, Target};

use super::super::choose::Tile;
use super::super::layout::build;
use super::{LayerGradients, LayerSlab};

/// Most operands of X and dZ in one call.
const MAX_OPERANDS: usize = 6;

impl LayerGradients {
    /// Whether a target computes gradients so: the kernel is the one that GPUs multiply matrices with.
    pub fn suits(target: &Target) -> bool {
        target.class == Class::Gpu && target.products == Products::Shared
    }

    /// Most operands that X and dZ of a call's layers may lie in.
    pub fn most_operands(update: bool, target: &Target) -> usize {
        // Beside them: the indices, and g, or w, m, v and the rates.
        let others = if update { 5 } else { 2 };
        let bound = target.max_storage_buffers.saturating_sub(others) as usize;
        // A layer by itself has two.
        bound.clamp(2, MAX_OPERANDS)
    }

    pub(super) fn launches(
        &self,
        signature: &Signature,
        target: &Target,
    ) -> Result<Launches, String> {
        let most = Self::most_operands(self.update.is_some(), target);
        let count = self.layers.len();
        let layers: Vec<Range<usize>> = if self.operands() <= most {
            std::iter::once(0..count).collect()
        } else {
            // A call made for another target, as in a test.
            (0..count).map(|layer| layer..layer + 1).collect()
        };
        let launches = layers
            .into_iter()
            .map(|layers| self.launch_of(layers, signature, target))
            .collect::<Result<_, _>>()?;
        Ok(Launches {
            scratch: Vec::new(),
            launches,
        })
    }

    /// The dispatch of some of the layers.
    fn launch_of(
        &self,
        layers: Range<usize>,
        signature: &Signature,
        target: &Target,
    ) -> Result<Launch, String> {
        let size = |size: usize| u32::try_from(size).unwrap_or(u32::MAX);
        let own = &self.layers[layers.clone()];
        let matrices: Vec<[u32; 2]> = own
            .iter()
            .map(|layer| [size(layer.inputs), size(layer.units)])
            .collect();
        let tile = Tile::of_all(&matrices);
        let [tall, wide, _] = tile.0.map(|side| side as usize);
        let mut tiles = 0;
        let mut ends = Vec::new();
        for layer in own {
            tiles += layer.inputs.div_ceil(tall) * layer.units.div_ceil(wide);
            ends.push(tiles);
        }
        let count =
            u32::try_from(tiles).map_err(|_source| format!("{tiles} tiles are too many"))?;
        let batch = self.batch;
        let shape = ProductShape {
            sizes: [tile.0[0], tile.0[1], size(batch)],
            transpose_a: true,
            transpose_b: false,
        };
        let choice = build("tiled", shape, false, tile, 1, target);
        if choice.k_pass < shape.sizes[2] {
            // A gradient that takes its step at once cannot wait for the rest of its sum.
            return Err(format!(
                "a batch of {batch} takes more loop iterations than a dispatch may run"
            ));
        }
        let parts = own.iter().flat_map(LayerSlab::parts);
        let mut operands: Vec<usize> = parts.map(|(part, _)| part.operand).collect();
        operands.sort_unstable();
        operands.dedup();
        let mut launch = Launch::new(self.shader(layers.clone(), &ends, &operands), "tiled");
        launch.overrides = choice.overrides.clone();
        // Gradients have their places among the parameters, not in a C that could be transposed.
        launch.overrides.retain(|(name, _)| *name != "TC");
        for (name, value) in &mut launch.overrides {
            let fours = |len: fn(&LayerSlab) -> usize| {
                f64::from(own.iter().all(|layer| len(layer).is_multiple_of(4)))
            };
            match *name {
                "A_VEC" => *value = fours(|layer| layer.inputs),
                "B_VEC" => *value = fours(|layer| layer.units),
                _ => {}
            }
        }
        let constants = self.update.iter().flat_map(|rule| rule.constants());
        let launch = constants.fold(launch, |launch, (name, value)| launch.param(name, value));
        let bound = (0..self.first()).chain(operands.iter().map(|operand| self.first() + operand));
        let launch = launch
            .set("GATHER", self.gather && layers.start == 0)
            .set("SUMS", own.iter().any(|layer| layer.bias_at.is_some()))
            .param("k", batch)
            .param("tiles", tiles)
            .param("last", self.last(signature))
            // Never read where there is nothing to gather.
            .bind(Binding::Input(self.indices().unwrap_or(self.first())));
        Ok(bound
            .fold(launch, |launch, input| launch.bind(Binding::Input(input)))
            .grid([
                count.min(target.max_workgroups),
                count.div_ceil(target.max_workgroups.max(1)),
                1,
            ])
            .iterations(choice.iterations_per_invocation)
            .flops(own.iter().map(|layer| self.flops(layer)).sum())
            .padded_flops(tiles as u64 * choice.padded_flops(shape.sizes[2])))
    }

    /// The last row of the data set.
    fn last(&self, signature: &Signature) -> usize {
        if self.gather {
            let x = &signature.inputs[self.first() + self.layers[0].x.operand];
            x.shape.dims()[0] - 1
        } else {
            0
        }
    }

    fn flops(&self, layer: &LayerSlab) -> u64 {
        let rows = layer.inputs + usize::from(layer.bias_at.is_some());
        let update = if self.update.is_some() { 12 } else { 0 };
        (rows * layer.units) as u64 * (2 * self.batch as u64 + update)
    }
}

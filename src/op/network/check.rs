//! What a whole training step in one call may be: the types of its operands, its kinds, and what a target has room for.

use crate::schedule::Schedule;
use crate::target::{Class, Target};
use crate::{DType, TensorType};

use super::super::cursor::WORDS;
use super::super::record::Parts;
use super::super::sgd::check_factor;
use super::super::{Accuracy, Function, RATES, RowLoss};
use super::{
    MAX_BATCH, MAX_PARAMETERS, MAX_VALUES, MAX_VECTORS, MAX_VECTORS_ON_CPU_ADAPTERS, Network,
    NetworkLayer, NetworkOperands, RingColumn, StepRule, WORKGROUP_VECTORS, text,
};

impl Network {
    /// Why it stays many calls on that target.
    pub(crate) fn fits(&self, target: &Target) -> Result<(), String> {
        if self.clock.rates.learning_rate.table().is_some()
            || self.clock.rates.update_count.is_some()
        {
            return Err("its clock has a table, or counts updates".into());
        }
        if matches!(
            self.clock.rates.learning_rate,
            Schedule::CosineDecayRestarts(_)
        ) {
            return Err("its learning rate restarts, which takes a loop in every step".into());
        }
        for (what, size, most) in [
            ("parameters", self.parameters(), MAX_PARAMETERS),
            ("values of a row", self.values(), MAX_VALUES),
            ("rows of a batch", self.clock.batch, MAX_BATCH),
        ] {
            if size > most {
                return Err(format!("{size} {what} are more than {most}"));
            }
        }
        if target.has_shaders() {
            let (most, memory) = Self::budget(target);
            let text = text::Text::of(self, memory);
            if text.vectors() > most {
                let vectors = text.vectors();
                return Err(format!(
                    "{vectors} vectors of parameters are more than {most}"
                ));
            }
            if text.workgroup_vectors() > memory {
                let bytes = 16 * text.workgroup_vectors();
                return Err(format!("{bytes} bytes of workgroup memory are too many"));
            }
            let needed = 6 + self.rule.states();
            if target.max_storage_buffers < needed as u32 {
                return Err(format!("{needed} storage buffers are too many"));
            }
            if text.iterations() > target.max_iterations {
                return Err(format!(
                    "{} loop iterations are too many",
                    text.iterations()
                ));
            }
        }
        Ok(())
    }

    /// Most vectors of parameters, and vectors of workgroup memory. A processor's memory is memory: there all that the driver
    /// lets a kernel have costs nothing. On a GPU it is what keeps other workgroups out, and the lanes are few then.
    pub(super) fn budget(target: &Target) -> (usize, usize) {
        match target.class {
            Class::CpuAdapter => (
                MAX_VECTORS_ON_CPU_ADAPTERS,
                target.max_workgroup_bytes as usize / 16,
            ),
            _ => (MAX_VECTORS, WORKGROUP_VECTORS),
        }
    }

    pub(super) fn check(&self, inputs: &[TensorType]) -> Result<(), String> {
        let NetworkOperands { cursor, x, y } = self.operands();
        if inputs.len() != y + 1 {
            return Err(format!("takes {} inputs, got {}", y + 1, inputs.len()));
        }
        let stacked = |kind: TensorType| match self.members {
            1 => kind,
            members => TensorType {
                shape: [&[members], kind.shape.dims()].concat().into(),
                ..kind
            },
        };
        let expect = |name: &str, i: usize, kind: TensorType| {
            if inputs[i] == kind {
                return Ok(());
            }
            Err(format!("{name} must be {kind}, got {}", inputs[i]))
        };
        let end = |(fan_in, layer): (usize, &NetworkLayer)| {
            let kernel = layer.kernel + fan_in * layer.units;
            layer
                .bias
                .map_or(kernel, |bias| kernel.max(bias + layer.units))
        };
        let least = self.layers().map(end).max().unwrap_or(0);
        let len = inputs[2].shape.dims().last().copied().unwrap_or(0);
        if len < least || !len.is_multiple_of(4) {
            return Err(format!(
                "the slab of parameters needs {least} elements in vectors of four, got {len}"
            ));
        }
        for state in 2..cursor {
            expect("a slab", state, stacked(TensorType::f32([len])))?;
        }
        let ring = inputs[1].shape.dims();
        let rows = ring[ring.len().saturating_sub(3)..].first().copied();
        let shape = [
            rows.unwrap_or(0).max(1),
            self.columns.len(),
            Parts::of(self.clock.batch).numbers(),
        ];
        expect("ring", 1, stacked(TensorType::f32(shape)))?;
        expect("rates", 0, stacked(TensorType::f32([RATES])))?;
        expect("cursor", cursor, stacked(TensorType::u32([WORDS])))?;
        let n = inputs[x].shape.dims().first().copied().unwrap_or(0);
        if n == 0 {
            return Err(format!("x must have rows, got {}", inputs[x]));
        }
        expect("x", x, TensorType::f32([n, self.inputs]))?;
        match inputs[y].dtype {
            DType::F32 | DType::F16 | DType::U8 => {
                expect("y", y, TensorType::f32([n, self.outputs()]))
            }
            DType::U32 => expect("y", y, TensorType::u32([n])),
        }
    }

    /// Refuses what neither form computes.
    pub(super) fn check_kinds(&self, labels: bool) -> Result<(), String> {
        let function =
            |layer: &NetworkLayer| layer.function.is_none_or(Function::in_small_networks);
        if self.layers.is_empty() || !self.layers.iter().all(function) || self.members == 0 {
            return Err("takes layers with functions whose slope follows from the output".into());
        }
        if self.columns.is_empty() {
            return Err("needs something to record".into());
        }
        if labels && !matches!(self.loss, RowLoss::CrossEntropy) {
            return Err(format!("{:?} takes numbers for targets", self.loss));
        }
        for column in &self.columns {
            if let RingColumn::Accuracy { kind, .. } = column
                && matches!(kind, Accuracy::Sparse) != labels
            {
                return Err(format!("{kind:?} does not suit the targets"));
            }
        }
        if self.own_rates && !matches!(self.clock.rates.learning_rate, Schedule::Constant(_)) {
            return Err("members' own rates are constant".into());
        }
        match self.rule {
            StepRule::Sgd => Ok(()),
            StepRule::Momentum(rule) => check_factor("momentum", rule.momentum),
            StepRule::Adam(rule) => {
                check_factor("beta_1", rule.beta_1)?;
                check_factor("beta_2", rule.beta_2)
            }
        }
    }
}

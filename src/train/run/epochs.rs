//! The end of an epoch: its figures, the members that end with it, what callbacks do.

use crate::edge::WallTime;
use crate::graph::Role;
use crate::session::ElementsRef;
use crate::train::callback::is_same;
use crate::train::epoch_sums::EpochFigures;
use crate::train::history::{Epoch, Stop};
use crate::train::model::Model;
use crate::{Result, Snapshot, TensorType, Values};

use super::Run;

impl Run<'_> {
    /// Reports an epoch with these figures, one set of them for each member.
    pub(super) async fn end_epoch(
        &mut self,
        model: &mut Model,
        figures: Vec<EpochFigures>,
    ) -> Result<()> {
        model.epochs += 1;
        let begun = WallTime::now();
        let mut validated = self.validate(model).await?.into_iter();
        let mut time = std::mem::take(&mut self.epoch_time);
        if validated.len() > 0 {
            time += begun.elapsed();
            self.heard = WallTime::now();
        }
        let mut reached = Vec::new();
        for (index, figures) in figures.into_iter().enumerate() {
            let validated = validated.next().flatten();
            let member = &mut self.members[index];
            if member.ended.is_some() {
                continue;
            }
            let loss = figures.loss();
            let val_loss = validated.as_ref().map(|measured| measured.loss);
            let epoch = Epoch {
                loss,
                metrics: self.metrics.report(&figures)?,
                val_loss,
                val_metrics: validated.map_or(Vec::new(), |measured| measured.metrics),
                samples: figures.samples,
                time,
            };
            let number = member.history.epochs.len() as u64;
            self.progress.epoch(number, &epoch);
            member.history.epochs.push(epoch);
            if let Some(threshold) = self.fit.target_loss
                && (loss <= threshold || is_same(loss, threshold))
            {
                member.stop = Some(Stop::Loss { loss, threshold });
                reached.push(index);
            }
        }
        self.end_members(model, &reached).await?;
        if !self.fit.callbacks.0.is_empty() {
            model.hand_on_in_run().await?;
        }
        self.call(model, |callback, moment| callback.epoch(moment))
    }

    /// Ends members that have come to the loss asked for; the run ends with the last of them.
    async fn end_members(&mut self, model: &mut Model, reached: &[usize]) -> Result<()> {
        let Some(&first) = reached.first() else {
            return Ok(());
        };
        if self.members.iter().all(|member| member.stop.is_some()) {
            self.stop.clone_from(&self.members[first].stop);
            return Ok(());
        }
        for &index in reached {
            let own = self.numbers_of(model, index).await?;
            self.members[index].ended = Some(own);
        }
        Ok(())
    }

    /// A member's parts of all that members learn: weights, states of the optimizer, rates.
    async fn numbers_of(&mut self, model: &mut Model, index: usize) -> Result<Snapshot> {
        let count = self.members.len();
        let session = model.session(self.pass.capacity).await?;
        let variables = session.plan().variables.iter();
        let states = variables.filter(|variable| variable.role == Role::State);
        let names: Vec<String> = states.map(|variable| variable.name.clone()).collect();
        let mut snapshot = Snapshot::default();
        // One after the other, so that no more than one needs room.
        for name in names {
            let all = session.read_async(&name).await?;
            let len = all.len() / count;
            let own = all[index * len..(index + 1) * len].to_vec();
            let value = (TensorType::f32([len]), Values::F32(own));
            snapshot.variables.insert(name, value);
        }
        Ok(snapshot)
    }

    /// Sets members that ended before the others back to what they had come to.
    pub(super) async fn put_back_ended(&mut self, model: &mut Model) -> Result<()> {
        for (index, member) in self.members.iter().enumerate() {
            let Some(ended) = &member.ended else {
                continue;
            };
            let session = model.session(self.pass.capacity).await?;
            for (name, (_, values)) in &ended.variables {
                if let (Values::F32(own), Some(all)) = (values, session.plan().handle(name)) {
                    session.put(all, index * own.len(), ElementsRef::F32(own))?;
                }
            }
        }
        Ok(())
    }

    /// Sets ended members back in what the host has, where there is no session.
    pub(super) fn put_back_on_host(&self, model: &mut Model) {
        for (index, member) in self.members.iter().enumerate() {
            let ended = member.ended.iter().flat_map(|ended| &ended.variables);
            for (name, (_, own)) in ended {
                let all = model.engine.kept.variables.get_mut(name);
                if let (Values::F32(own), Some((_, Values::F32(all)))) = (own, all)
                    && let Some(part) = all.get_mut(index * own.len()..(index + 1) * own.len())
                {
                    part.copy_from_slice(own);
                }
            }
        }
    }
}

//! Measuring between epochs: in the session of the run, or for the members of a population in a session of its own.

use crate::Result;
use crate::train::evaluation::{Evaluation, load, measure};
use crate::train::feed::evaluation_place;
use crate::train::model::Model;
use crate::train::prepare::Prepared;
use crate::train::programs::{Capacity, MemberLayout};
use crate::train::recovery::Recovery;

use super::Run;

/// What a run measures after every epoch.
pub(in crate::train) enum Validation<'a> {
    /// The model, in the session of the run.
    Own(&'a Prepared<'a>),
    Lent(Box<Validator<'a>>),
}

/// A model to which members lend their weights one after the other, to be measured on data that it uploads once.
pub(in crate::train) struct Validator<'a> {
    model: Model,
    data: &'a Prepared<'a>,
    layout: &'a MemberLayout,
    /// What the session that holds the data serves.
    loaded: Option<Capacity>,
}

impl<'a> Validator<'a> {
    pub fn new(model: Model, data: &'a Prepared<'a>, layout: &'a MemberLayout) -> Self {
        Validator {
            model,
            data,
            layout,
            loaded: None,
        }
    }

    /// The figures of a member, on a device made again where it is lost meanwhile.
    async fn measure(&mut self, slabs: &[f32], member: usize) -> Result<Evaluation> {
        let own: Vec<_> = self.layout.weights(slabs, member).collect();
        self.model.set_weights_async(own).await?;
        let mut tries = Recovery::default().tries;
        loop {
            match self.measure_once().await {
                Err(error) => self.model.engine.try_again(&mut tries, error)?,
                done => return done,
            }
        }
    }

    async fn measure_once(&mut self) -> Result<Evaluation> {
        let (model, data) = (&mut self.model, self.data);
        // A device that was lost while weights were set took the data along.
        let open = model.engine.capacity();
        let loaded = |loaded: &Capacity| open.covers(loaded) && !model.engine.is_lost();
        let capacity = if let Some(loaded) = self.loaded.filter(loaded) {
            loaded
        } else {
            let place = evaluation_place(model, data, &[], None)?;
            let capacity = Capacity::evaluating(place);
            load(model, capacity, data).await?;
            *self.loaded.insert(capacity)
        };
        let metrics = model.recipe().metrics()?;
        measure(model, capacity, data, &metrics).await
    }
}

impl Run<'_> {
    /// The figures of every member on the data to validate on; none of those that have ended, and without such data.
    pub(super) async fn validate(&mut self, model: &mut Model) -> Result<Vec<Option<Evaluation>>> {
        let capacity = self.pass.capacity;
        match &mut self.validation {
            None => Ok(Vec::new()),
            Some(Validation::Own(data)) => {
                let measured = measure(model, capacity, data, &self.metrics).await?;
                Ok(vec![Some(measured)])
            }
            Some(Validation::Lent(validator)) => {
                let session = model.session(capacity).await?;
                let slabs = session.read_async(MemberLayout::WEIGHTS).await?;
                let mut measured = Vec::new();
                for (index, member) in self.members.iter().enumerate() {
                    measured.push(match member.ended {
                        Some(_) => None,
                        None => Some(validator.measure(&slabs, index).await?),
                    });
                }
                Ok(measured)
            }
        }
    }
}

//! What the members of a population have learned, on the host: for the next session, and for the loss of the device.

use std::time::{Duration, Instant};

use crate::nn::Functional;
use crate::session::ElementsRef;
use crate::train::history::Stop;
use crate::train::keeper::interval;
use crate::train::ledger::Ledger;
use crate::{Error, Result, Role, Session, Values};

use super::Population;
use super::open::{MemberState, ParameterPlace, PopulationSession};
use super::run::{Run, Setup};

/// Weights, states of the optimizers and rates of all members.
#[derive(Debug, Clone)]
pub(super) struct PopulationState {
    /// By the name of the variable, all members' one after the other.
    variables: MemberState,
    places: Vec<ParameterPlace>,
    /// Elements of a member's slab.
    slab: usize,
    /// The variable with the weights.
    weights: String,
}

/// The weights of all members.
#[derive(Debug)]
pub(super) struct Learned {
    slabs: Vec<f32>,
    places: Vec<ParameterPlace>,
    /// Elements of a member's slab.
    slab: usize,
}

impl Learned {
    /// Those of a member, for [`Model::set_weights`](crate::train::Model::set_weights).
    pub fn of(&self, index: usize) -> impl Iterator<Item = (&str, &[f32])> {
        let slab = &self.slabs[index * self.slab..(index + 1) * self.slab];
        let places = self.places.iter();
        places.map(move |(name, at, len)| (name.as_str(), &slab[*at..at + len]))
    }
}

impl PopulationSession {
    /// The members' weights, of the slabs that were read.
    pub fn learned(&self, slabs: Vec<f32>, architecture: &Functional) -> Learned {
        Learned {
            slabs,
            places: self.places(architecture),
            slab: self.slab,
        }
    }

    /// Sets members back to what they had come to.
    fn put_back(&mut self, members: &[Option<MemberState>]) -> Result<()> {
        for (index, kept) in members.iter().enumerate() {
            for (name, values) in kept.iter().flatten() {
                if let Some(handle) = self.session.plan().handle(name) {
                    let values = ElementsRef::F32(values);
                    self.session.put(handle, index * values.len(), values)?;
                }
            }
        }
        Ok(())
    }

    /// What all members have come to.
    pub async fn carried(&mut self, architecture: &Functional) -> Result<PopulationState> {
        let snapshot = self.session.snapshot_async(|role| role == Role::State);
        let variables = snapshot.await?.variables.into_iter();
        let numbers = |(name, (_, values))| {
            let values = match values {
                Values::F32(values) => values,
                Values::F64(values) => values.into_iter().map(|value| value as f32).collect(),
                // Counts are where a run is, and no state.
                Values::U32(_) => return None,
            };
            Some((name, values))
        };
        Ok(PopulationState {
            variables: variables.filter_map(numbers).collect(),
            places: self.places(architecture),
            slab: self.slab,
            weights: self.slabs[0].clone(),
        })
    }
}

impl PopulationState {
    pub fn learned(&self) -> Learned {
        let mut variables = self.variables.iter();
        let weights = variables.find(|(name, _)| *name == self.weights);
        Learned {
            slabs: weights.map_or(Vec::new(), |(_, values)| values.clone()),
            places: self.places.clone(),
            slab: self.slab,
        }
    }

    /// Sets a session to it.
    pub fn write(&self, session: &mut Session) -> Result<()> {
        let mut variables = self.variables.iter();
        variables.try_for_each(|(name, values)| session.write(name, values))
    }

    /// Sets members back to what they had come to.
    fn put_back(&mut self, members: &[Option<MemberState>]) {
        for (name, all) in &mut self.variables {
            let len = (all.len() / members.len()).max(1);
            for (own, kept) in all.chunks_exact_mut(len).zip(members) {
                let mut kept = kept.iter().flatten();
                if let Some((_, values)) = kept.find(|(known, _)| *known == *name) {
                    own.copy_from_slice(values);
                }
            }
        }
    }
}

/// Where a run stood when what its members had learned came to the host: what it goes back to where its device is lost.
#[derive(Debug)]
pub(super) struct Savepoint {
    done: u64,
    total: u64,
    members: Vec<MemberSavepoint>,
    at: Instant,
    /// What bringing it there took.
    cost: Duration,
}

/// What there was of a member's run.
#[derive(Debug)]
struct MemberSavepoint {
    ledger: Ledger,
    steps: u64,
    losses: usize,
    epochs: usize,
    stop: Stop,
    ended: bool,
}

impl Run<'_> {
    /// Notes where the run stands, which is where what the members have learned is on the host.
    pub fn mark(&mut self, cost: Duration) {
        let members = self.histories.iter().zip(&self.ledgers).zip(&self.ended);
        let marked = members.map(|((history, ledger), ended)| MemberSavepoint {
            ledger: ledger.clone(),
            steps: history.steps,
            losses: history.step_losses.len(),
            epochs: history.epochs.len(),
            stop: history.stop.clone(),
            ended: ended.is_some(),
        });
        self.kept = Some(Savepoint {
            done: self.done,
            total: self.total,
            members: marked.collect(),
            at: Instant::now(),
            cost,
        });
    }

    /// Goes back to where it marked.
    fn rewind(&mut self) {
        let Some(kept) = &self.kept else { return };
        (self.done, self.submitted, self.total) = (kept.done, kept.done, kept.total);
        let members = self.histories.iter_mut().zip(&mut self.ledgers);
        for (((history, ledger), ended), marked) in members.zip(&mut self.ended).zip(&kept.members)
        {
            *ledger = marked.ledger.clone();
            history.steps = marked.steps;
            history.step_losses.truncate(marked.losses);
            history.epochs.truncate(marked.epochs);
            history.stop = marked.stop.clone();
            if !marked.ended {
                *ended = None;
            }
        }
    }

    /// Whether what the members have learned should come to the host.
    pub fn is_late(&self) -> bool {
        self.recovers
            && self.done < self.total
            && self.kept.as_ref().is_some_and(|kept| {
                let every = self.fit.recovery.every;
                kept.at.elapsed() >= every.unwrap_or(interval(kept.cost))
            })
    }

    /// Brings what the members have learned to the host, with nothing under way. Where there is no memory for it the run
    /// goes on without.
    pub async fn keep(
        &mut self,
        open: &mut PopulationSession,
        architecture: &Functional,
        carried: &mut Option<PopulationState>,
    ) -> Result<()> {
        let begun = Instant::now();
        match open.carried(architecture).await {
            Ok(now) => {
                *carried = Some(now);
                self.mark(begun.elapsed());
                let (step, seconds) = (self.done, begun.elapsed().as_secs_f64());
                tracing::debug!(step, seconds, "state kept");
                Ok(())
            }
            Err(error @ Error::OutOfMemory { .. }) => {
                tracing::warn!(%error, step = self.done, "no memory to keep the state of the run");
                if let Some(kept) = &mut self.kept {
                    kept.at = begun;
                }
                Ok(())
            }
            Err(error) => Err(error),
        }
    }
}

impl Population {
    /// Brings what the session has learned to the host.
    ///
    /// # Errors
    ///
    /// What reading it raises. Where it went with the device, the members are what the host has from then on.
    pub(super) async fn carry(&mut self) -> Result<()> {
        let Some(open) = self.open.as_mut().filter(|_| self.behind) else {
            return Ok(());
        };
        match open.carried(&self.architecture).await {
            Ok(carried) => (self.carried, self.behind) = (Some(carried), false),
            Err(error) => {
                if open.session.is_lost() {
                    (self.open, self.behind) = (None, false);
                }
                return Err(error);
            }
        }
        Ok(())
    }

    /// Runs a run to its end, through losses of the device.
    pub(super) async fn train_on(&mut self, run: &mut Run<'_>, setup: &Setup<'_>) -> Result<()> {
        let mut tries = run.fit.recovery.tries;
        let mut outcome = self.begin(run, setup).await;
        while let Err(Error::DeviceLost { during, message }) = &outcome
            && run.recovers
            && tries > 0
        {
            let step = run.done;
            tracing::warn!(step, during, reason = message, "device lost in training");
            tries -= 1;
            self.leave(run);
            outcome = self.begin(run, setup).await;
        }
        outcome
    }

    /// Leaves a session that is gone, and goes back to what the host has.
    fn leave(&mut self, run: &mut Run<'_>) {
        (self.open, self.behind) = (None, false);
        run.rewind();
    }

    /// At the end of a run: those that ended before go back to what they had come to, and what all have learned comes to
    /// the host. Where there is no memory for it there, it stays with the session.
    pub(super) async fn finish(&mut self, run: &mut Run<'_>) -> Result<()> {
        // In the session first, which takes no reading: what is read, or stays there, is then what they end with.
        let put_back = match &mut self.open {
            Some(open) => open.put_back(&run.ended),
            None => Ok(()),
        };
        match self.carry().await {
            Err(error @ Error::OutOfMemory { .. }) if put_back.is_ok() => {
                tracing::warn!(%error, "no memory to keep what the members have learned on the host");
                return Ok(());
            }
            outcome => outcome?,
        }
        run.mark(Duration::ZERO);
        if let Err(error) = put_back {
            // The next one begins with what the host has.
            tracing::debug!(%error, "a session is left");
            self.open = None;
            self.put_back(&run.ended);
        }
        Ok(())
    }

    /// Sets members back to what they had come to, in what the host has.
    fn put_back(&mut self, ended: &[Option<MemberState>]) {
        if let Some(carried) = &mut self.carried {
            carried.put_back(ended);
        }
    }

    /// After a run that failed: the members keep what they had come to, on the device or, where that is gone, in the last
    /// state that came to the host. Returns the steps of the run that this is behind.
    pub(super) async fn keep_what_is_left(&mut self, run: &mut Run<'_>) -> u64 {
        let answers = |population: &Population| {
            let open = population.open.as_ref();
            population.behind && open.is_some_and(|open| !open.session.is_lost())
        };
        if answers(self) {
            let submitted = run.submitted;
            match self.finish(run).await {
                // With all that was submitted, on the host or, where that has no memory, in the session.
                Ok(()) => return submitted,
                Err(error) => {
                    tracing::warn!(%error, "what the members have learned could not be read");
                }
            }
            if answers(self) {
                return submitted;
            }
        }
        let lost = self.behind || run.before.is_some();
        self.leave(run);
        self.put_back(&run.ended);
        if lost {
            tracing::error!(
                step = run.done,
                "training gives up; the members are as they were in this step"
            );
        }
        // Without a state of this run on the host they are where an earlier one left them.
        run.kept.as_ref().map_or(0, |kept| kept.done)
    }
}

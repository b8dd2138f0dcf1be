//! What is asked of a model: `fit`, `evaluate`, `predict`, and where numbers stop being finite.

use crate::data::{Features, LearnedNames};
use crate::edge::{WallTime, slice};
use crate::{Dataset, Error, Result};

use super::evaluation::{self, Evaluation};
use super::feed::{Batches, Feeder};
use super::fit::Fit;
use super::history::History;
use super::model::Model;
use super::non_finite::FirstNonFinite;
use super::predict::{self, Predictions};
use super::run::{Validation, fit_on};
use super::sizes::MAX_BATCH;
use super::state::RunState;
use super::trace;

impl Model {
    /// Trains on `data` and reports every epoch.
    ///
    /// A second call goes on where the first ended, with the optimizer's state. The run ends after the epochs or steps
    /// asked for or at the target loss, whichever comes first; [`History::stop`] says which.
    ///
    /// # Errors
    ///
    /// Settings out of range, data that does not fit the model (with the row), a device that fails, and
    /// [`Error::NonFinite`] when the loss becomes NaN or infinite.
    pub fn fit(&mut self, data: &Dataset, fit: Fit<'_>) -> Result<History> {
        let device = self.device().clone();
        device.block_on(self.fit_async(data, fit))
    }

    /// [`Model::fit`] without blocking the thread: a poll works for a [slice](Fit::slice) of 2 ms, on every device, and asks to be
    /// polled again at once. The first polls take longer: they check the data, open a session, which compiles its kernels, and
    /// upload the rows. So does a step that an op takes most of. Callbacks take what they take, and so do the files of
    /// [`Fit::checkpoints`] and the search for the op that made a NaN, which are done within a poll.
    ///
    /// The future is `Send` and needs no executor of its own: it runs under tokio (`spawn` too), smol, in a loop of polls, and
    /// within a frame's budget by [`Device::poll_for`](crate::Device::poll_for). Where it is dropped the step under way is
    /// finished, and the model stays as that left it, which the next run goes on from; [`Callback::end`](super::Callback::end) is
    /// not called then. A raised [`Fit::interrupt`] ends the run with its history after what is under way, a slice's work.
    ///
    /// # Errors
    ///
    /// The errors of [`Model::fit`].
    pub fn fit_async(
        &mut self,
        data: &Dataset,
        fit: Fit<'_>,
    ) -> impl Future<Output = Result<History>> + Send {
        slice::sliced(fit.slice, async move {
            let begun = WallTime::now();
            fit.validate()?;
            self.share().await?;
            let _call = self.remember_names().await?;
            let outcome = self.fit_whole(data, fit, begun).await;
            self.settle_names(outcome.is_ok());
            outcome
        })
    }

    async fn fit_whole(
        &mut self,
        data: &Dataset,
        mut fit: Fit<'_>,
        begun: WallTime,
    ) -> Result<History> {
        if fit.steps_per_epoch.is_some() {
            let message = "is for batches from an iterator; a data set's epoch is all of its rows";
            return Err(Error::argument("steps_per_epoch", message));
        }
        self.learn_from_state(&mut fit)?;
        let parts = fit.split(data)?;
        let (train, validation) = match &parts {
            Some((train, validation)) => (train, Some(validation)),
            None => (data, fit.validation),
        };
        let prepared = self.recipe().prepare_weighted(train, &fit.class_weight)?;
        let feeder = Feeder::whole(&prepared);
        self.fit_fed(feeder, LearnedNames::of(train), validation, fit, begun)
            .await
    }

    /// Trains on the batches that an iterator gives, which may go on for ever, and reports every epoch.
    ///
    /// The iterator's pieces hold any number of rows each; they are cut into batches of [`Fit::batch_size`] in the order in
    /// which they come, and brought to the device in [parts](Fit::chunk_rows), so that nothing is uploaded step by step.
    /// [`Fit::steps_per_epoch`] batches are an epoch; without it, all that come are one. Where the iterator ends the run does,
    /// after its last row; no piece is taken that the run does not need. The order is the iterator's own, whatever
    /// [`Fit::shuffle`] says.
    ///
    /// A run that goes on ([`Fit::resume`], [`Fit::resume_from`]) takes the iterator's first row as the next one: give an
    /// iterator that begins after the rows that the state has seen, [`RunState::steps`](super::RunState::steps) batches of the
    /// run. Kiln cannot tell, and passes over none by itself.
    ///
    /// ```
    /// use kiln::prelude::*;
    ///
    /// // Batches as they might come from a simulation.
    /// let batches = (0..).map(|i| {
    ///     let x = [(i % 7) as f32 / 7.0, (i % 5) as f32 / 5.0];
    ///     Dataset::from_rows(&[x], &[[x[0] - x[1]]])
    /// });
    /// let model = Sequential::new(2).dense(8, Tanh).dense(1, Linear);
    /// let mut model = model.compile_on(&Device::cpu(), MeanSquaredError, Adam::new(0.01), [])?;
    /// let fit = Fit::epochs(5).batch_size(16).steps_per_epoch(20);
    /// let history = model.fit_batches(batches, fit.silent())?;
    /// assert_eq!((history.epochs.len(), history.steps), (5, 100));
    /// # Ok::<(), kiln::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// The errors of [`Model::fit`]; the errors of the iterator; a share for validation, which rows without an end have not; several
    /// epochs without `steps_per_epoch`.
    pub fn fit_batches<'a>(
        &mut self,
        batches: impl IntoIterator<Item = Result<Dataset>, IntoIter: Send + 'a>,
        fit: Fit<'a>,
    ) -> Result<History> {
        let device = self.device().clone();
        device.block_on(self.fit_batches_async(batches, fit))
    }

    /// [`Model::fit_batches`] without blocking the thread, but where the iterator does: see [`Model::fit_async`].
    ///
    /// # Errors
    ///
    /// The errors of [`Model::fit_batches`].
    pub fn fit_batches_async<'a>(
        &mut self,
        batches: impl IntoIterator<Item = Result<Dataset>, IntoIter: Send + 'a>,
        fit: Fit<'a>,
    ) -> impl Future<Output = Result<History>> + Send {
        let batches = batches.into_iter();
        slice::sliced(fit.slice, async move {
            let begun = WallTime::now();
            fit.validate()?;
            self.share().await?;
            let _call = self.remember_names().await?;
            let outcome = self.fit_pieces(batches, fit, begun).await;
            self.settle_names(outcome.is_ok());
            outcome
        })
    }

    async fn fit_pieces<'a>(
        &mut self,
        batches: impl Iterator<Item = Result<Dataset>> + Send + 'a,
        mut fit: Fit<'a>,
        begun: WallTime,
    ) -> Result<History> {
        if fit.validation_split > 0.0 {
            let message = "needs a data set; give the rows to validate on by `validation`";
            return Err(Error::argument("validation_split", message));
        }
        if fit.steps_per_epoch.is_none() && fit.epochs > 1 && fit.steps.is_none() {
            let message = format!("must be given for {} epochs of batches", fit.epochs);
            return Err(Error::argument("steps_per_epoch", message));
        }
        let most = u64::from(u32::MAX) / fit.batch_size as u64;
        if fit.batch_size > MAX_BATCH {
            let message = format!("must be at most {MAX_BATCH}, got {}", fit.batch_size);
            return Err(Error::argument("batch_size", message));
        }
        if let Some(steps) = fit.steps_per_epoch.filter(|&steps| steps > most) {
            let message = format!(
                "must be at most {most} for batches of {} rows, got {steps}",
                fit.batch_size
            );
            return Err(Error::argument("steps_per_epoch", message));
        }
        self.learn_from_state(&mut fit)?;
        let steps = fit.steps_per_epoch;
        fit.shuffle = false;
        let mut batches = Batches::new(batches, &fit.class_weight, steps);
        let Some((_, weights)) = batches.take(&self.recipe())? else {
            return Err(Error::data("the iterator gives no batch"));
        };
        let names = std::mem::take(&mut batches.names);
        let feeder = Feeder::batches(batches, fit.batch_size, weights);
        self.fit_fed(feeder, names, fit.validation, fit, begun)
            .await
    }

    async fn fit_fed<'a>(
        &mut self,
        feeder: Feeder<'a>,
        names: LearnedNames,
        validation: Option<&'a Dataset>,
        fit: Fit<'a>,
        begun: WallTime,
    ) -> Result<History> {
        self.begin_to_learn().await?;
        self.architecture.names.learn(names);
        let outcome = self.fit_validated(feeder, validation, fit, begun).await;
        match (outcome, self.share().await) {
            (Ok(history), Err(error @ Error::OutOfMemory { .. })) => {
                tracing::warn!(%error, "what was learned is handed on when the model is used next");
                Ok(history)
            }
            (Ok(_), Err(error)) => Err(error),
            (outcome, _) => outcome,
        }
    }

    async fn fit_validated<'a>(
        &mut self,
        feeder: Feeder<'a>,
        validation: Option<&'a Dataset>,
        fit: Fit<'a>,
        begun: WallTime,
    ) -> Result<History> {
        let prepare = |data| self.recipe().prepare_evaluation(data);
        let validation = validation.map(prepare).transpose()?;
        let validation = validation.as_ref().map(Validation::Own);
        let mut histories = fit_on(self, feeder, validation, fit, begun).await?;
        let history = histories.pop();
        history.ok_or_else(|| Error::argument("fit", "there is no network to train"))
    }

    /// Loss and metrics over `data`, averaged over its rows.
    ///
    /// Rows that find no room at once within the [budget](crate::Options), or in the device's bindings, come in parts; the
    /// numbers are the same bits, but where so little is left that batches are smaller than 1024 rows too: then sums are
    /// rounded elsewhere, and fractions of a batch ([`Loss::Dice`](crate::train::Loss::Dice), a mean without an ignored class) are
    /// of smaller ones. Without a budget, rows that the bindings hold but the memory does not are
    /// [`Error::OutOfMemory`]. A callback may evaluate on any data while its run goes on, in what the run leaves of the budget.
    ///
    /// # Errors
    ///
    /// Data that does not fit the model, with the row; memory, a device that fails.
    pub fn evaluate(&mut self, data: &Dataset) -> Result<Evaluation> {
        let device = self.device().clone();
        device.block_on(self.evaluate_async(data))
    }

    /// [`Model::evaluate`] without blocking the thread, in slices of 2 ms: see [`Model::fit_async`].
    ///
    /// # Errors
    ///
    /// The errors of [`Model::evaluate`].
    pub fn evaluate_async(
        &mut self,
        data: &Dataset,
    ) -> impl Future<Output = Result<Evaluation>> + Send {
        slice::sliced(None, async move {
            self.share().await?;
            let prepared = self.recipe().prepare_evaluation(data)?;
            evaluation::evaluate(self, &prepared).await
        })
    }

    /// The model's outputs for rows of input, preprocessed first if the model has such steps.
    ///
    /// Rows come from a data set, a slice of numbers (row-major) or an array of rows; no rows give no predictions. A model of
    /// several inputs takes them from a data set that names them, or as `&[("a", &a[..]), ("b", &b)]`.
    ///
    /// # Errors
    ///
    /// Rows that do not fit the model's inputs; memory, a device that fails.
    pub fn predict<'a>(&mut self, rows: impl Into<Features<'a>>) -> Result<Predictions> {
        let device = self.device().clone();
        device.block_on(self.predict_async(rows))
    }

    /// [`Model::predict`] without blocking the thread, in slices of 2 ms: see [`Model::fit_async`].
    ///
    /// # Errors
    ///
    /// The errors of [`Model::predict`].
    pub fn predict_async<'a>(
        &mut self,
        rows: impl Into<Features<'a>>,
    ) -> impl Future<Output = Result<Predictions>> + Send {
        let rows = rows.into();
        slice::sliced(None, async move {
            self.share().await?;
            let features = self.recipe().arranged(rows)?;
            predict::predict(self, &features).await
        })
    }

    /// [`Model::predict`] into memory of one's own, row-major, the outputs of a model of several side by side: for loops that
    /// predict again and again, such as those of control. From the second call on it allocates nothing on a CPU session, for rows of
    /// one input in its own type, with scalers and imputers too.
    ///
    /// ```
    /// use kiln::prelude::*;
    ///
    /// let model = Sequential::new(3).dense(8, Tanh).dense(2, Linear);
    /// let mut model = model.compile_on(&Device::cpu(), MeanSquaredError, Adam::new(0.01), [])?;
    /// let mut out = [0.0; 2];
    /// for step in 0..10 {
    ///     model.predict_into(&[step as f32, 0.5, -0.5], &mut out)?;
    /// }
    /// assert_eq!(out[..], model.predict(&[9.0, 0.5, -0.5])?.values[..]);
    /// # Ok::<(), kiln::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// The errors of [`Model::predict`], and [`Error::Argument`] where `out` has not exactly as many places as the outputs need.
    pub fn predict_into<'a>(
        &mut self,
        rows: impl Into<Features<'a>>,
        out: &mut [f32],
    ) -> Result<()> {
        let device = self.device().clone();
        device.block_on(predict::predict_into(self, rows.into(), out))
    }

    /// Trains for one pass over the rows in their own order, from the weights as they are, on the processor in f32, op by op
    /// as the model was written, until a number is not finite: where that comes from; none if all of them are finite. The
    /// model itself stays as it is.
    ///
    /// ```
    /// use kiln::nn::Lambda;
    /// use kiln::prelude::*;
    ///
    /// let data = Dataset::from_rows(&[[1.0], [2.0]], &[[0.0], [1.0]])?;
    /// // 0/0.
    /// let model = Sequential::new(1).layer(Lambda::new(|x| x[0].sub(&x[0]).div(&x[0].sub(&x[0])))).dense(1, Linear);
    /// let mut model = model.compile_on(&Device::cpu(), MeanSquaredError, Adam::new(0.01), [])?;
    /// let found = model.find_nan(&data, 2)?;
    /// assert!(found.is_some_and(|found| found.layer.as_deref() == Some("lambda")));
    /// # Ok::<(), kiln::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// A batch size of 0, data that does not fit the model, memory.
    pub fn find_nan(
        &mut self,
        data: &Dataset,
        batch_size: usize,
    ) -> Result<Option<FirstNonFinite>> {
        trace::first_not_finite(self, data, batch_size)
    }

    /// The last state of a run that ended because its device was gone; none afterwards, and where there is none.
    /// [`Fit::resume`](super::Fit::resume) goes on from it. The model's weights are those of that state.
    pub fn take_unfinished(&mut self) -> Option<RunState> {
        self.unfinished.take().map(|state| *state)
    }
}

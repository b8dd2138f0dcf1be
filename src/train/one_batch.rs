//! `train_on_batch`: steps on single batches, for loops of one's own.

use crate::edge::WallTime;
use crate::{Dataset, Error, Result};

use super::engine::KeptAt;
use super::evaluation::Evaluation;
use super::fit::Fit;
use super::model::Model;
use super::non_finite::NonFinite;
use super::recovery::Recovery;

impl Model {
    /// One step on these rows as a batch, in their own order: loss and metrics as they were before its update. For loops of one's
    /// own, such as those of reinforcement learning; losses that are not finite are told, not refused, and epochs are not counted.
    /// Running means of weights (`use_ema`) take the weights' place where a [`fit`](Self::fit) ends, not here.
    ///
    /// A batch of at most as many rows as the largest before it goes through the same session, as the last rows of an epoch do;
    /// a larger one opens a session anew, which on a GPU compiles kernels: give the largest first.
    ///
    /// The weights stay on the device, and are read back about once a second: where the device is lost, the call that meets it
    /// fails with [`Error::DeviceLost`], and the model goes on from the step at which they were read. As long as a
    /// [part](Self::part) of the model is there, they are read back in each step, for the part to have them.
    ///
    /// ```
    /// use kiln::prelude::*;
    ///
    /// let model = Sequential::new(2).dense(8, Tanh).dense(1, Linear);
    /// let mut model = model.compile_on(&Device::cpu(), MeanSquaredError, Adam::new(0.01), [])?;
    /// let batch = Dataset::from_rows(&[[0.0, 1.0], [1.0, 0.5]], &[[1.0], [0.5]])?;
    /// let first = model.train_on_batch(&batch)?.loss;
    /// for _ in 0..20 {
    ///     model.train_on_batch(&batch)?;
    /// }
    /// assert!(model.evaluate(&batch)?.loss < first);
    /// # Ok::<(), kiln::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// The errors of [`Model::fit`] but [`Error::NonFinite`].
    pub fn train_on_batch(&mut self, batch: &Dataset) -> Result<Evaluation> {
        self.engine.refuse_in_run("train_on_batch")?;
        // A run that was dropped counts its epochs; the step on this batch counts none.
        self.settle_now()?;
        let epochs = self.epochs;
        if !self.engine.unread {
            self.engine.kept_at = Some(KeptAt {
                steps: self.steps,
                micro: self.micro,
                at: WallTime::now(),
            });
        }
        let recovery = Recovery {
            tries: 0,
            ..Recovery::default()
        };
        let fit = Fit::steps(1).batch_size(batch.rows().max(1)).shuffle(false);
        let fit = fit.on_non_finite(NonFinite::GoOn).recovery(recovery);
        let outcome = self.fit(batch, fit.on_one_batch().silent());
        self.epochs = epochs;
        let history = outcome.inspect_err(|_| {
            self.engine.loss_is_told = true;
            self.fall_back();
        })?;
        let epoch = history.epochs.into_iter().next();
        let epoch = epoch.ok_or_else(|| Error::data("there are no rows to train on"))?;
        Ok(Evaluation {
            loss: epoch.loss,
            metrics: epoch.metrics,
            confusion: None,
        })
    }

    /// Goes back to the step on a batch at which the host last read the model, where its device was lost since and that was told.
    pub(super) fn fall_back(&mut self) {
        let told = std::mem::take(&mut self.engine.loss_is_told);
        if !told || !self.engine.unread || !self.engine.is_lost() {
            return;
        }
        let Some(kept_at) = self.engine.kept_at.take() else {
            return;
        };
        tracing::warn!(
            from = self.steps,
            to = kept_at.steps,
            "the model goes back to what was read of it before its device was lost"
        );
        self.engine.close();
        self.engine.unread = false;
        (self.steps, self.micro) = (kept_at.steps, kept_at.micro);
    }
}

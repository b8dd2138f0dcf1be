//! Callbacks: what is done beside the training itself, at the end of epochs or between steps.
//!
//! | file | what it holds |
//! |---|---|
//! | `mod` | [`Callback`], what it sees ([`Moment`]) and when ([`Timing`]) |
//! | `monitor` | [`Monitor`]: a figure of an epoch, and which way it gets better |
//! | `early_stopping`, `stop_at`, `stop_after`, `terminate_on_nan` | stop rules |
//! | `learning_rate` | [`ReduceOnPlateau`], [`LearningRateScheduler`] |
//! | `model_checkpoint`, `template` | [`ModelCheckpoint`]: files of the model as it trains, and their names |
//! | `log` | [`CsvLog`], [`JsonLines`] |
//! | `tensor_board` | [`TensorBoard`]: event files |
//! | `lambda` | [`Lambda`]: a closure |

mod early_stopping;
mod lambda;
mod learning_rate;
mod log;
mod model_checkpoint;
mod monitor;
mod stop_after;
mod stop_at;
mod template;
mod tensor_board;
mod terminate_on_nan;

use std::fmt;
use std::time::Duration;

use crate::{Error, Result};

use super::history::{History, figure};
use super::{Kept, Model, Stop};

pub use early_stopping::EarlyStopping;
pub use lambda::Lambda;
pub use learning_rate::{LearningRateScheduler, ReduceOnPlateau};
pub use log::{CsvLog, JsonLines};
pub use model_checkpoint::ModelCheckpoint;
pub use monitor::{Mode, Monitor};
pub(super) use monitor::{at_least_one, is_same};
pub use stop_after::StopAfter;
pub use stop_at::StopAt;
pub use tensor_board::TensorBoard;
pub use terminate_on_nan::TerminateOnNaN;

/// When a callback is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Timing {
    /// After every epoch, as soon as its figures are known. The device may be at work on later epochs by then, so the
    /// callback must neither read nor change the model; it costs the training nothing.
    Overlapping,
    /// After every epoch, before the next begins: the model is what the epoch left.
    Epochs,
    /// The times of [`Timing::Epochs`], and [`Callback::steps`] is called whenever this many steps are done, at least 1, before the
    /// next begin.
    Steps(u64),
}

/// Something that is done beside the training: logs, files, stop rules, changes of the learning rate.
///
/// ```
/// use kiln::prelude::*;
/// use kiln::train::{Callback, Moment};
///
/// /// Stops when the loss has not fallen by a tenth in an epoch.
/// #[derive(Default)]
/// struct Impatient(Option<f64>);
///
/// impl Callback for Impatient {
///     fn epoch(&mut self, moment: &mut Moment<'_>) -> Result<()> {
///         let loss = moment.figure("loss")?;
///         if self.0.is_some_and(|before| loss > 0.9 * before) {
///             moment.stop(format!("the loss still is {loss:.3}"));
///         }
///         self.0 = Some(loss);
///         Ok(())
///     }
/// }
///
/// let data = Dataset::from_rows(&[[0., 0.], [0., 1.], [1., 0.], [1., 1.]], &[[0.], [1.], [1.], [0.]])?;
/// let model = Sequential::new(2).dense(8, Tanh).dense(1, Sigmoid);
/// let mut model = model.compile_on(&Device::cpu(), BinaryCrossentropy, Adam::new(0.01), [])?;
/// let history = model.fit(&data, Fit::epochs(500).silent().callback(Impatient::default()))?;
/// assert!(history.epochs.len() < 500);
/// # Ok::<(), kiln::Error>(())
/// ```
pub trait Callback: Send {
    /// When the callback is called; default: before the next epoch begins.
    fn timing(&self) -> Timing {
        Timing::Epochs
    }

    /// Before the first step. Settings that do not fit are refused here, before any work is done.
    fn begin(&mut self, moment: &mut Moment<'_>) -> Result<()> {
        let _unused = moment;
        Ok(())
    }

    /// After every epoch, and after the part of one that a run ends within.
    fn epoch(&mut self, moment: &mut Moment<'_>) -> Result<()> {
        let _unused = moment;
        Ok(())
    }

    /// After as many steps as [`Timing::Steps`] asks for.
    fn steps(&mut self, moment: &mut Moment<'_>) -> Result<()> {
        let _unused = moment;
        Ok(())
    }

    /// After the last step, also where a run ends by an error of another callback; not where the future of
    /// [`fit_async`](super::Model::fit_async) is dropped before.
    fn end(&mut self, moment: &mut Moment<'_>) -> Result<()> {
        let _unused = moment;
        Ok(())
    }

    /// The state from which the callback goes on in a resumed run as if it had never stopped; default: none.
    fn state(&self) -> Result<Kept> {
        Ok(Kept::default())
    }

    /// Takes a state that [`state`](Self::state) gave, after [`begin`](Self::begin) where the run goes on in another call.
    fn restore(&mut self, kept: &Kept) -> Result<()> {
        let _unused = kept;
        Ok(())
    }
}

/// A callback that is lent, to read what it holds when the run is over.
impl<C: Callback + ?Sized> Callback for &mut C {
    fn timing(&self) -> Timing {
        (**self).timing()
    }

    fn begin(&mut self, moment: &mut Moment<'_>) -> Result<()> {
        (**self).begin(moment)
    }

    fn epoch(&mut self, moment: &mut Moment<'_>) -> Result<()> {
        (**self).epoch(moment)
    }

    fn steps(&mut self, moment: &mut Moment<'_>) -> Result<()> {
        (**self).steps(moment)
    }

    fn end(&mut self, moment: &mut Moment<'_>) -> Result<()> {
        (**self).end(moment)
    }

    fn state(&self) -> Result<Kept> {
        (**self).state()
    }

    fn restore(&mut self, kept: &Kept) -> Result<()> {
        (**self).restore(kept)
    }
}

#[derive(Default)]
pub(super) struct Callbacks<'a>(pub Vec<Box<dyn Callback + 'a>>);

impl fmt::Debug for Callbacks<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} callbacks", self.0.len())
    }
}

impl Callbacks<'_> {
    /// Refuses one that would be called every 0 steps.
    pub fn validate(&self) -> Result<()> {
        let mut timings = self.0.iter().map(|callback| callback.timing());
        if timings.any(|timing| timing == Timing::Steps(0)) {
            let message = "must be at least 1, got 0; it is what a callback's `every` sets";
            return Err(Error::argument("Timing::Steps", message));
        }
        Ok(())
    }

    /// Whether one must be called before the next epoch begins.
    pub fn wait(&self) -> bool {
        let mut timings = self.0.iter().map(|callback| callback.timing());
        timings.any(|timing| timing != Timing::Overlapping)
    }

    /// The numbers of steps after which some are called.
    pub fn every(&self) -> Vec<u64> {
        let timings = self.0.iter().map(|callback| callback.timing());
        let steps = timings.filter_map(|timing| match timing {
            Timing::Steps(steps) => Some(steps),
            _ => None,
        });
        steps.collect()
    }
}

/// A run as a callback sees it.
pub struct Moment<'a> {
    /// The model. Read or change it only where [`Timing`] says that the device waits.
    pub model: &'a mut Model,
    /// The epochs and losses so far; the last epoch is the one that has just ended.
    pub history: &'a History,
    /// Steps of this run so far: its batches, or their [parts](super::Fit::micro_batches).
    pub step: u64,
    /// Time since `fit` was called, and before that where the run is resumed.
    pub elapsed: Duration,
    /// Whether the run goes on from the state of another: in [`Callback::begin`] what was done is not known yet.
    pub resumed: bool,
    pub(super) validates: bool,
    /// Set by [`Moment::stop`].
    pub(super) stop: Option<Stop>,
}

impl Moment<'_> {
    /// The number of the epoch that has just ended, counted from 1 within this run; 0 before the first.
    pub fn epoch(&self) -> u64 {
        self.history.epochs.len() as u64
    }

    /// A figure of the epoch that has just ended, by Keras' name: `loss`, `accuracy`, `val_loss` …
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] with the names that there are.
    pub fn figure(&self, name: &str) -> Result<f64> {
        figure(self.history.epochs.last(), name)
    }

    /// Ends the run after this epoch or these steps, for a reason that [`History::stop`] and its `Display` tell. A text is a
    /// [`Stop::Callback`]; after [`Stop::Paused`] the run goes on where it is resumed from its state.
    pub fn stop(&mut self, reason: impl Into<Stop>) {
        self.stop.get_or_insert(reason.into());
    }
}

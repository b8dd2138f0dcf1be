//! A flag that ends a run from outside: from another thread, a signal, a button.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Ends the runs that were given it ([`Fit::interrupt`](super::Fit::interrupt)) after the steps that are under way, with
/// their history and weights kept. Clones share one flag.
///
/// ```
/// use kiln::train::Interrupt;
///
/// let interrupt = Interrupt::default();
/// let button = interrupt.clone();
/// std::thread::spawn(move || button.raise()).join().unwrap();
/// assert!(interrupt.is_raised());
/// ```
#[derive(Debug, Clone, Default)]
pub struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// One that Ctrl-C raises, and a termination signal; the second one ends the process. Only one may be made in a
    /// process.
    ///
    /// # Errors
    ///
    /// [`Error::Argument`](crate::Error::Argument) where the program handles these signals already.
    #[cfg(feature = "ctrl-c")]
    pub fn on_ctrl_c() -> crate::Result<Self> {
        let interrupt = Self::default();
        let raised = interrupt.clone();
        let handler = move || {
            if raised.is_raised() {
                std::process::exit(130);
            }
            raised.raise();
        };
        ctrlc::set_handler(handler).map_err(|refusal| {
            crate::Error::argument("ctrl_c", format!("cannot be handled: {refusal}"))
        })?;
        Ok(interrupt)
    }

    /// Ends the runs.
    pub fn raise(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Lets runs go on that begin from now on.
    pub fn lower(&self) {
        self.0.store(false, Ordering::Relaxed);
    }

    /// Whether it was raised.
    pub fn is_raised(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

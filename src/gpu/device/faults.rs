//! Faults on purpose: the n-th call through the door fails, so that tests see what a failing driver does.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

use crate::gpu::options::{Fault, FaultKind};

use super::fair_lock::locked;

/// What passes the door, by what is asked of wgpu.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::gpu) enum WgpuCall {
    Adapters,
    Open,
    Buffer,
    Write,
    /// A pipeline with its module and layouts.
    Pipeline,
    Bind,
    Timestamps,
    Submit,
    /// Asking to be told when the work submitted has ended.
    Signal,
    Map,
    Wait,
    Read,
}

/// The names of the calls in the order of the enum.
const NAMES: &str =
    "adapters open buffer write pipeline bind timestamps submit signal map wait read";

/// The calls of a device so far, and the faults that wait for theirs.
#[derive(Debug, Default)]
pub(super) struct Faults {
    calls: AtomicU64,
    of_each: [AtomicU64; WgpuCall::Read as usize + 1],
    fired: AtomicU64,
    armed: AtomicBool,
    waiting: Mutex<Vec<Fault>>,
}

impl Faults {
    /// The faults of a device that is about to be opened.
    pub fn of(fault: Option<Fault>) -> Self {
        let faults = Faults::default();
        if let Some(fault) = fault {
            faults.arm(fault);
        }
        faults
    }

    /// Lets a fault wait, at a call counted from now on.
    pub fn arm(&self, fault: Fault) {
        let call = self.calls.load(Relaxed).saturating_add(fault.call);
        locked(&self.waiting).push(Fault { call, ..fault });
        self.armed.store(true, Relaxed);
    }

    /// Counts a call; how it is to fail, if it is.
    pub fn pass(&self, call: WgpuCall) -> Option<FaultKind> {
        let number = self.calls.fetch_add(1, Relaxed) + 1;
        self.of_each[call as usize].fetch_add(1, Relaxed);
        if !self.armed.load(Relaxed) {
            return None;
        }
        let mut waiting = locked(&self.waiting);
        let due = |fault: &Fault| match fault.kind {
            FaultKind::Map => number >= fault.call && call == WgpuCall::Map,
            _ => number == fault.call,
        };
        let place = waiting.iter().position(due)?;
        let fault = waiting.swap_remove(place);
        self.armed.store(!waiting.is_empty(), Relaxed);
        self.fired.fetch_add(1, Relaxed);
        Some(fault.kind)
    }

    pub fn fired(&self) -> u64 {
        self.fired.load(Relaxed)
    }

    /// Calls so far, by what they ask.
    pub fn by_call(&self) -> Vec<(&'static str, u64)> {
        let counts = self.of_each.iter().map(|count| count.load(Relaxed));
        NAMES.split(' ').zip(counts).collect()
    }
}

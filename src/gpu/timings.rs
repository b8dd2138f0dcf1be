//! The times of the dispatches of a step.

/// One dispatch, measured.
#[derive(Debug, Clone)]
pub struct LaunchTiming {
    /// The call of the program, and the dispatch of the call.
    pub at: (usize, usize),
    /// The op and its kernel: `dense (matmul.tiled)`.
    pub label: String,
    /// Seconds from the begin of the step to the begin of the dispatch.
    pub begin: f64,
    /// Seconds that it took: the median of the steps measured.
    pub seconds: f64,
}

/// The dispatches of one step, measured.
#[derive(Debug, Clone, Default)]
pub struct Profile {
    /// In the order they ran.
    pub timings: Vec<LaunchTiming>,
    /// Whether the device's clock measured whole steps, a pass for each dispatch. Else each dispatch was repeated alone,
    /// the host took the time, and the variables hold nonsense afterwards.
    pub timestamps: bool,
}

impl Profile {
    /// Calls of a CPU session, each with the seconds that it took alone.
    pub(crate) fn of_calls(calls: Vec<(String, f64)>) -> Self {
        let mut begin = 0.0;
        let timing = |(index, (label, seconds))| {
            begin += seconds;
            LaunchTiming {
                at: (index, 0),
                label,
                begin: begin - seconds,
                seconds,
            }
        };
        Profile {
            timings: calls.into_iter().enumerate().map(timing).collect(),
            timestamps: false,
        }
    }

    /// Seconds of all dispatches.
    pub fn seconds(&self) -> f64 {
        self.timings.iter().map(|timing| timing.seconds).sum()
    }
}

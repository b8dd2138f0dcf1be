//! A schedule as the shader sees it.

use crate::contract::Param;
use crate::schedule::Schedule;

/// The number of the schedule in the shader, and its params.
pub(in crate::op) fn schedule(schedule: &Schedule) -> (u32, [(&'static str, Param); 10]) {
    let own = schedule.device();
    let params = [
        ("initial", own.initial.into()),
        ("rate", own.rate.into()),
        ("end", own.end.into()),
        ("power", own.power.into()),
        ("top", own.top.into()),
        ("decay_steps", own.decay_steps.into()),
        ("warmup_steps", own.warmup_steps.into()),
        ("staircase", own.staircase.into()),
        ("start", own.start.into()),
        ("climb", own.climb.into()),
    ];
    (own.kind, params)
}

//! The time of every dispatch of a step: by the device's own clock where it has one, else by repeating each alone.

use crate::Result;
use crate::edge::WallTime;
use crate::plan::Place;

use super::device::{MAX_TIMESTAMPS, Purpose, Timestamps};
use super::readback::Readback;
use super::session::Session;
use super::timings::{LaunchTiming, Profile};

/// Dispatches that one query set has room for: two timestamps each.
const MAX_TIMED: usize = MAX_TIMESTAMPS / 2;

impl Session {
    /// Measures every dispatch of a program `repeat` times.
    pub async fn profile(&mut self, program: usize, repeat: u64) -> Result<Profile> {
        let mut labels = Vec::new();
        for (c, call) in self.plan.programs[program].calls.iter().enumerate() {
            for (l, launch) in call.launches.iter().enumerate() {
                labels.push(((c, l), call.label(launch)));
            }
        }
        // The first run waits for what came before, and drivers compile in it.
        self.run(program, 1)?;
        let count = labels.len();
        let queries = match count {
            1..=MAX_TIMED => self.device.timestamps(2 * count as u32)?,
            _ => None,
        };
        let timestamps = queries.is_some();
        let mut samples = vec![Vec::new(); count];
        match queries {
            Some(queries) => {
                for _ in 0..repeat {
                    let times = self.step_by_timestamps(program, &queries).await?;
                    for (sample, time) in samples.iter_mut().zip(times) {
                        sample.push(time);
                    }
                }
            }
            None => {
                for (index, sample) in samples.iter_mut().enumerate() {
                    sample.push((0.0, self.alone(program, index, repeat).await?));
                }
            }
        }
        let mut begin = 0.0;
        let timings = labels
            .into_iter()
            .zip(samples)
            .map(|((at, label), sample)| {
                let seconds = median(sample.iter().map(|(_, seconds)| *seconds).collect());
                let begun = if timestamps {
                    median(sample.iter().map(|(begin, _)| *begin).collect())
                } else {
                    begin
                };
                begin += seconds;
                LaunchTiming {
                    at,
                    label,
                    begin: begun,
                    seconds,
                }
            });
        let timings = timings.collect();
        Ok(Profile {
            timings,
            timestamps,
        })
    }

    /// One step with a pass for each dispatch: begin after the step's, and duration, in seconds.
    async fn step_by_timestamps(
        &mut self,
        program: usize,
        queries: &Timestamps,
    ) -> Result<Vec<(f64, f64)>> {
        let bytes = 16 * self.programs[program].len() as u64;
        let resolved = self
            .device
            .buffer("timestamps", bytes, Purpose::Timestamps)?;
        let staging = self.take_staging(bytes)?;
        let dispatches = &self.programs[program];
        let submission = self.device.submit(|recorder| {
            for (first, dispatch) in (0..).step_by(2).zip(dispatches) {
                recorder.timed_pass(queries, first, |pass| dispatch.record(pass, 0));
            }
            recorder.resolve(queries, 2 * dispatches.len() as u32, &resolved);
            recorder.copy((&resolved, 0), (&staging, 0), bytes);
        })?;
        let readback = Readback::begin(&self.device, Some((staging, bytes)), submission)?;
        let (ticks, _staging) = readback
            .finish(&self.device, |bytes| {
                bytes
                    .chunks_exact(8)
                    .map(|word| word.iter().rev().fold(0u64, |n, &b| n << 8 | u64::from(b)))
                    .collect::<Vec<_>>()
            })
            .await?;
        let start = ticks.first().copied().unwrap_or(0);
        let seconds = |from: u64, to: u64| to.saturating_sub(from) as f64 * queries.period;
        let times = ticks
            .chunks_exact(2)
            .map(|pair| (seconds(start, pair[0]), seconds(pair[0], pair[1])));
        Ok(times.collect())
    }

    /// Seconds of one dispatch when it runs `repeat` times in a row, by the host's clock.
    async fn alone(&mut self, program: usize, index: usize, repeat: u64) -> Result<f64> {
        let any = Place {
            slot: 0,
            offset: 0,
            len: 1,
        };
        let mut seconds = 0.0;
        // The first waits for what was submitted before.
        for repeat in [1, repeat.max(2)] {
            let begun = WallTime::now();
            let dispatch = &self.programs[program][index];
            self.device.submit(|recorder| {
                recorder.pass(|pass| {
                    for _ in 0..repeat {
                        dispatch.record(pass, 0);
                    }
                });
            })?;
            self.read(any, |_| ()).await?;
            seconds = begun.elapsed().as_secs_f64() / repeat as f64;
        }
        Ok(seconds)
    }
}

/// The middle value; 0 of none.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}

//! Stops when time or energy is used up.

use std::path::PathBuf;
use std::time::Duration;

use crate::edge::WallTime;
use crate::edge::files;
use crate::train::Stop;
use crate::{Error, Result};

use super::{Callback, Moment, Timing};

/// Ends a call of `fit` when a budget is used up, looked at between steps; the steps that run are finished. A run
/// resumed from its state has a budget anew.
#[derive(Debug, Clone)]
pub struct StopAfter {
    budget: Budget,
    every: u64,
    begun: WallTime,
}

#[derive(Debug, Clone)]
enum Budget {
    Time(Duration),
    Energy { joules: f64, meter: Option<Meter> },
}

impl StopAfter {
    /// After this many seconds since the run began or was resumed.
    ///
    /// A number that is no duration (NaN, below 0, beyond 2⁶⁴) is refused when the run begins.
    pub fn seconds(seconds: f64) -> Self {
        let time = Duration::try_from_secs_f64(seconds).unwrap_or(Duration::ZERO);
        StopAfter {
            budget: Budget::Time(time),
            every: 64,
            begun: WallTime::now(),
        }
    }

    /// After this many joules of the processors, as Linux' power capping counts them (`/sys/class/powercap`). Where the
    /// machine does not tell, or only to the administrator, the run is refused before it begins.
    pub fn joules(joules: f64) -> Self {
        StopAfter {
            budget: Budget::Energy {
                joules,
                meter: None,
            },
            every: 64,
            begun: WallTime::now(),
        }
    }

    /// Looks whenever this many steps are done; default 64. Fewer cost more: the device waits each time.
    pub fn every(mut self, steps: u64) -> Self {
        self.every = steps;
        self
    }

    fn check(&mut self, moment: &mut Moment<'_>) -> Result<()> {
        match &mut self.budget {
            Budget::Time(time) if self.begun.elapsed() >= *time => {
                let seconds = time.as_secs_f64();
                moment.stop(Stop::Paused(format!("{seconds} seconds are over")));
            }
            Budget::Energy {
                joules,
                meter: Some(meter),
            } => {
                let used = meter.used()?;
                if used >= *joules {
                    let reason = format!("{used:.1} of {joules} joules are used");
                    moment.stop(Stop::Paused(reason));
                }
            }
            _ => {}
        }
        Ok(())
    }
}

impl Callback for StopAfter {
    fn timing(&self) -> Timing {
        Timing::Steps(self.every)
    }

    fn begin(&mut self, _moment: &mut Moment<'_>) -> Result<()> {
        self.begun = WallTime::now();
        match &mut self.budget {
            Budget::Time(time) if time.is_zero() => Err(Error::argument(
                "seconds",
                "must be a finite number above 0",
            )),
            Budget::Time(_) => Ok(()),
            Budget::Energy { joules, .. } if !(*joules > 0.0 && joules.is_finite()) => {
                Err(Error::argument(
                    "joules",
                    format!("must be above 0 and finite, got {joules}"),
                ))
            }
            Budget::Energy { meter, .. } => {
                *meter = Some(Meter::open()?);
                Ok(())
            }
        }
    }

    fn epoch(&mut self, moment: &mut Moment<'_>) -> Result<()> {
        self.check(moment)
    }

    fn steps(&mut self, moment: &mut Moment<'_>) -> Result<()> {
        self.check(moment)
    }
}

/// Energy counters of the processors' packages, in microjoules, which begin again at 0 when they reach their range.
#[derive(Debug, Clone)]
struct Meter {
    packages: Vec<Package>,
}

#[derive(Debug, Clone)]
struct Package {
    folder: PathBuf,
    range: u64,
    last: u64,
    used: u64,
}

impl Meter {
    fn open() -> Result<Self> {
        let refuse = |why: &str| {
            Error::argument(
                "joules",
                format!("cannot be counted here: {why}; stop after seconds or steps instead"),
            )
        };
        let zones = files::read_dir("/sys/class/powercap");
        let zones = zones.map_err(|refusal| refuse(&format!("/sys/class/powercap: {refusal}")))?;
        let mut packages = Vec::new();
        for zone in zones.filter_map(std::result::Result::ok) {
            // Packages are `intel-rapl:0`, `intel-rapl:1` …; their parts, counted in them, have one more number.
            let name = zone.file_name();
            let name = name.to_string_lossy();
            if name.starts_with("intel-rapl:") && name.matches(':').count() == 1 {
                let folder = zone.path();
                let read = |file: &str| {
                    let path = folder.join(file);
                    count(&path).map_err(|why| refuse(&format!("{}: {why}", path.display())))
                };
                packages.push(Package {
                    range: read("max_energy_range_uj")?,
                    last: read("energy_uj")?,
                    used: 0,
                    folder,
                });
            }
        }
        if packages.is_empty() {
            return Err(refuse("no processor has an energy counter"));
        }
        Ok(Meter { packages })
    }

    /// Joules since the meter was opened.
    fn used(&mut self) -> Result<f64> {
        let mut joules = 0.0;
        for package in &mut self.packages {
            let path = package.folder.join("energy_uj");
            let now =
                count(&path).map_err(|why| Error::data(format!("{}: {why}", path.display())))?;
            package.used += match now.checked_sub(package.last) {
                Some(used) => used,
                None => package.range.saturating_sub(package.last) + now,
            };
            package.last = now;
            joules += package.used as f64 * 1e-6;
        }
        Ok(joules)
    }
}

fn count(path: &std::path::Path) -> Result<u64, String> {
    let text = files::read_to_string(path).map_err(|refusal| refusal.to_string())?;
    let count = text.trim().parse::<u64>();
    count.map_err(|refusal| refusal.to_string())
}

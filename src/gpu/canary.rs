//! A canary: what drivers are known to get wrong, tried out when a device is opened, within milliseconds.
//!
//! What Kiln's kernels go round anyway is told and no more; a loop that ends early makes plans count their iterations; a driver
//! whose results nobody could trust is refused.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use crate::contract::{Binding, Launch, Shader, shader};
use crate::edge::WallTime;
use crate::target::Target;
use crate::{Error, Result};

use super::device::{Device, Kernel, Purpose, locked};
use super::readback::Readback;
use super::request::{kernels, params, request};

/// Iterations of the longest loop that is tried: more than the cap that Mesa's llvmpipe had until version 23.
const ITERATIONS: u32 = 70_000;

/// Dispatches in a row.
const ROUNDS: u32 = 8;

/// Words of `found`, and of each of two neighbours.
const WORDS: usize = 64;

/// A quiet NaN with a payload, and numbers whose tanh is 1.
const INPUTS: [u32; 8] = [0x7fc0_1234, 0x4232_0000, 0x42c8_0000, 7, 11, 13, 17, 19];

/// What one trial found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What was tried.
    pub name: &'static str,
    /// How it is with the driver.
    pub verdict: Verdict,
    /// What came out, in words.
    pub found: String,
}

/// What a finding means for what runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The driver does what WGSL says.
    Sound,
    /// Not as WGSL says, or as it need not say; kernels and plans go round it.
    Avoided,
    /// Nothing that this driver computes can be trusted.
    Unsound,
}

/// What is known of a driver.
#[derive(Debug, Clone)]
pub struct Canary {
    /// Every trial.
    pub findings: Vec<Finding>,
    /// Seconds that they took, compiling included.
    pub seconds: f64,
    /// The iterations at which the driver ended a loop, if it did.
    loop_cap: Option<u32>,
}

/// By adapter and driver, for the process. Not on disk: what a driver computes depends on more than the name and version that
/// it gives, on Mesa's environment variables for one, and a finding out of date would be a silent wrong result.
static KNOWN: Mutex<Option<HashMap<String, Arc<Canary>>>> = Mutex::new(None);

impl Canary {
    /// What is known of a device's driver, tried out the first time in a process.
    pub(crate) async fn of(device: &Device) -> Result<Arc<Self>> {
        let key = device.summary().to_string();
        let known = || locked(&KNOWN);
        if let Some(canary) = known().as_ref().and_then(|known| known.get(&key)) {
            return Ok(Arc::clone(canary));
        }
        let canary = Arc::new(tried(device).await?);
        for finding in &canary.findings {
            let Finding {
                name,
                verdict,
                found,
            } = finding;
            match verdict {
                Verdict::Sound => tracing::debug!(device = key, name, found, "canary: sound"),
                Verdict::Avoided => tracing::info!(device = key, name, found, "canary: avoided"),
                Verdict::Unsound => tracing::error!(device = key, name, found, "canary: unsound"),
            }
        }
        known()
            .get_or_insert_default()
            .insert(key, Arc::clone(&canary));
        Ok(canary)
    }

    /// What is wrong with results.
    fn unsound(&self) -> impl Iterator<Item = &Finding> {
        let findings = self.findings.iter();
        findings.filter(|finding| finding.verdict == Verdict::Unsound)
    }

    /// Whether results can be trusted.
    pub fn is_sound(&self) -> bool {
        self.unsound().next().is_none()
    }

    /// Refuses a driver whose results cannot be trusted, with what it got wrong.
    pub(crate) fn check(&self, device: &Device) -> Result<()> {
        if self.is_sound() {
            return Ok(());
        }
        let told = self.unsound();
        let told = told.map(|finding| format!("{}: {}", finding.name, finding.found));
        let told: Vec<String> = told.collect();
        Err(Error::Device {
            message: format!(
                "{} computes wrong results ({}); update its driver or use another device",
                device.summary(),
                told.join("; ")
            ),
        })
    }

    /// The target with what the driver cannot do ruled out.
    pub(crate) fn restrict(&self, target: Target) -> Target {
        let Some(cap) = self.loop_cap else {
            return target;
        };
        Target {
            // Some room, as the driver counts all loops of an invocation.
            max_iterations: target.max_iterations.min(u64::from(cap - cap / 12)),
            ..target
        }
    }
}

/// What it dispatches.
fn launches() -> Vec<Launch> {
    let launch = |entry, round: u32| {
        Launch::new(text(), entry)
            .param("iterations", ITERATIONS)
            .param("round", round)
            .bind(Binding::Input(0))
            .bind(Binding::Output(0))
    };
    let mut launches = vec![
        launch("count_loops", 0).iterations(u64::from(ITERATIONS)),
        launch("keep_nans", 0),
        launch("squash", 1),
        launch("cross_barriers", 0),
    ];
    launches.extend((1..=ROUNDS).map(|round| launch("follow", round)));
    let mut neighbours = launch("write_neighbours", 5);
    neighbours.bindings = vec![Binding::Output(0), Binding::Output(1)];
    launches.push(neighbours);
    launches
}

fn text() -> Shader {
    shader!("canary")
}

/// Runs every trial, twice in one submission each, and looks at what came out.
async fn tried(device: &Device) -> Result<Canary> {
    let begun = WallTime::now();
    let alignment = device.target().alignment;
    let launches = launches();
    let written = |binding: Binding| matches!(binding, Binding::Output(_));
    let requests = launches.iter();
    let requests = requests.map(|launch| request(device, launch, written));
    let requests: Vec<_> = requests.collect::<Result<_>>()?;
    let kernels = kernels(device, &requests)?;

    let bytes = 4 * WORDS as u64;
    let part = bytes.next_multiple_of(alignment);
    let x = device.buffer("the canary's input", part, Purpose::Tensors)?;
    device.upload(&x, 0, bytemuck::cast_slice(&INPUTS))?;
    let found = device.buffer("the canary's findings", 3 * part, Purpose::Tensors)?;
    let counted: Vec<u32> = (0..WORDS as u32).collect();
    for neighbour in [part, 2 * part] {
        device.upload(&found, neighbour, bytemuck::cast_slice(&counted))?;
    }
    let (params, own) = params(device, "the canary's params", alignment, &requests)?;
    let mut dispatches: Vec<(&Kernel, _)> = Vec::new();
    for ((kernel, launch), (from, len)) in kernels.iter().zip(&launches).zip(own) {
        let [first, second] = match launch.bindings[..] {
            [Binding::Output(_), _] => [(&found, part, bytes), (&found, 2 * part, bytes)],
            _ => [(&x, 0, bytes), (&found, 0, bytes)],
        };
        let bindings = device.bind("the canary", kernel, &[(&params, from, len), first, second])?;
        dispatches.push((kernel, bindings));
    }
    let staging = device.buffer("the canary's readback", 3 * part, Purpose::Readback)?;
    let submission = device.submit(|recorder| {
        recorder.pass(|pass| {
            for (kernel, bindings) in &dispatches {
                pass.dispatch(kernel, bindings, [1, 1, 1]);
            }
        });
        recorder.copy((&found, 0), (&staging, 0), 3 * part);
    })?;
    let readback = Readback::begin(device, Some((staging, 3 * part)), submission)?;
    let (words, _staging) = readback
        .finish(device, bytemuck::pod_collect_to_vec::<u8, u32>)
        .await?;
    let part = (part / 4) as usize;
    Ok(judged(&words, part, begun.elapsed().as_secs_f64()))
}

/// What the lanes of a workgroup hold after they have handed their numbers on 16 times.
fn across_barriers() -> Vec<u32> {
    let first = |i: u32| i.wrapping_mul(2_654_435_761).wrapping_add(INPUTS[0]);
    (0..16).fold((0..64).map(first).collect(), |lanes: Vec<u32>, i| {
        let other = |local: u32| lanes[(63 - ((local + i) & 63)) as usize];
        let next = (0..64).map(|local| other(local).wrapping_mul(3).wrapping_add(i));
        next.collect()
    })
}

/// The findings from what came out: `found`, and after it the two neighbours, `part` words apart.
fn judged(words: &[u32], part: usize, seconds: f64) -> Canary {
    let word = |index: usize| words.get(index).copied().unwrap_or(0);
    let mut findings = Vec::new();
    let mut tell = |name, verdict, found: String| {
        findings.push(Finding {
            name,
            verdict,
            found,
        });
    };
    let sound_or = |sound: bool, other: Verdict| if sound { Verdict::Sound } else { other };

    let count = word(0);
    let loop_cap = (count < ITERATIONS).then_some(count);
    // A loop that ends at once is no cap that a plan could stay below.
    let usable = if count >= 1024 {
        Verdict::Avoided
    } else {
        Verdict::Unsound
    };
    let told = match loop_cap {
        None => format!("a loop of {ITERATIONS} ran to its end"),
        Some(cap) => format!("a loop of {ITERATIONS} ended after {cap}"),
    };
    tell("loops", sound_or(loop_cap.is_none(), usable), told);

    let is_nan = |bits: u32| bits & 0x7fff_ffff > 0x7f80_0000;
    let (stored, kept, lost, unequal) = (word(2), word(3), word(4), word(5));
    // Kernels tell NaNs by their bits: Mesa makes a `max` of that `select` where it compiles GLSL.
    let verdict = match (is_nan(stored), is_nan(kept) && is_nan(lost) && unequal == 1) {
        (false, _) => Verdict::Unsound,
        (true, false) => Verdict::Avoided,
        (true, true) => Verdict::Sound,
    };
    let told = format!(
        "stored as {stored:#010x}, select keeps {kept:#010x}, max gives {lost:#010x}, x != x is {}",
        unequal == 1
    );
    tell("NaN", verdict, told);

    let one = |bits: u32| (f32::from_bits(bits) - 1.0).abs() < 1e-3;
    let (first, second) = (f32::from_bits(word(6)), f32::from_bits(word(7)));
    let told = format!("of 44.5 and 100: {first} and {second}");
    let sound = one(word(6)) && one(word(7));
    tell("tanh", sound_or(sound, Verdict::Avoided), told);

    let lanes = across_barriers();
    let wrong = (0..48).filter(|&i| word(16 + i) != lanes[i]).count();
    let told = format!("{wrong} of 48 words wrong after 33 barriers");
    tell("barriers", sound_or(wrong == 0, Verdict::Unsound), told);

    let ordered = (1..=ROUNDS).fold(0u32, |n, round| n.wrapping_mul(3).wrapping_add(round));
    let told = format!(
        "{ROUNDS} dispatches in a row gave {}, {ordered} in order",
        word(8)
    );
    tell(
        "order",
        sound_or(word(8) == ordered, Verdict::Unsound),
        told,
    );

    let wrong = |i: usize| {
        let sum = i as u32 + (63 - i) as u32 + 5;
        word(part + i) != sum || word(2 * part + i) != 3 * sum
    };
    let wrong = (0..WORDS).filter(|&i| wrong(i)).count();
    let told = format!("{wrong} of {WORDS} words wrong in two parts of a buffer, both written");
    tell("aliasing", sound_or(wrong == 0, Verdict::Unsound), told);

    Canary {
        findings,
        seconds,
        loop_cap,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gpu::kernel::Module;
    use crate::target::Class;

    /// What a driver without faults finds.
    fn sound() -> Vec<u32> {
        let mut words = vec![0; 3 * WORDS];
        words[0] = ITERATIONS;
        words[2..6].copy_from_slice(&[INPUTS[0], INPUTS[0], INPUTS[0], 1]);
        words[6..8].copy_from_slice(&[1f32.to_bits(); 2]);
        words[8] = (1..=ROUNDS).fold(0, |n, round| n * 3 + round);
        words[16..64].copy_from_slice(&across_barriers()[..48]);
        for i in 0..WORDS {
            words[WORDS + i] = 68;
            words[2 * WORDS + i] = 204;
        }
        words
    }

    fn verdicts(change: impl FnOnce(&mut Vec<u32>)) -> Vec<(&'static str, Verdict)> {
        let mut words = sound();
        change(&mut words);
        let canary = judged(&words, WORDS, 0.0);
        let bad = canary.findings.into_iter();
        let bad = bad.filter(|finding| finding.verdict != Verdict::Sound);
        bad.map(|finding| (finding.name, finding.verdict)).collect()
    }

    #[test]
    fn each_fault_of_a_driver_is_found_and_no_other() {
        assert_eq!(verdicts(|_| ()), []);
        let avoided = |name| vec![(name, Verdict::Avoided)];
        let unsound = |name| vec![(name, Verdict::Unsound)];
        assert_eq!(verdicts(|words| words[0] = 65_535), avoided("loops"));
        assert_eq!(verdicts(|words| words[0] = 3), unsound("loops"));
        assert_eq!(verdicts(|words| words[4] = 0), avoided("NaN"));
        assert_eq!(verdicts(|words| words[5] = 0), avoided("NaN"));
        assert_eq!(verdicts(|words| words[3] = 0), avoided("NaN"));
        assert_eq!(verdicts(|words| words[2] = 0), unsound("NaN"));
        assert_eq!(
            verdicts(|words| words[7] = f32::NAN.to_bits()),
            avoided("tanh")
        );
        assert_eq!(verdicts(|words| words[20] += 1), unsound("barriers"));
        assert_eq!(verdicts(|words| words[8] -= 1), unsound("order"));
        assert_eq!(verdicts(|words| words[WORDS] = 0), unsound("aliasing"));
    }

    #[test]
    fn every_entry_point_of_the_canary_is_launched() {
        let (module, _) = Module::parse(&text()).unwrap();
        let launches = launches();
        for entry in module.entries {
            let mut launches = launches.iter();
            assert!(
                launches.any(|launch| launch.entry == entry.name),
                "{}",
                entry.name
            );
        }
    }

    #[test]
    fn a_driver_that_ends_loops_early_lowers_the_iterations_of_plans() {
        let mut words = sound();
        words[0] = 65_535;
        let target = judged(&words, WORDS, 0.0).restrict(Target::new(Class::Gpu, None));
        assert_eq!(target.max_iterations, 60_074);
        let free = judged(&sound(), WORDS, 0.0).restrict(Target::new(Class::Gpu, None));
        assert_eq!(free.max_iterations, u64::MAX);
    }
}

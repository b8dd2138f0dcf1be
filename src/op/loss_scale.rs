//! Dynamic loss scaling (Micikevicius et al., 2018), as in Keras' `LossScaleOptimizer` and PyTorch's `GradScaler`: gradients
//! are computed S times too large, so that small ones are not lost in 16 bits, and divided by S before they are used.
//!
//! If any of them is then no finite number, the step's updates are skipped and S is halved; after a number of steps
//! in a row without that, S doubles. S, a power of two, is kept on the device: see `optim::LossScale` for the whole step.

use crate::contract::{
    Binding, Case, Compute, Entry, Fill, Io, Launch, Launches, Op, Sample, Shader, Signature,
    arity, expect_dtype, fold, shader, shapes,
};
use crate::number::Real;
use crate::target::Target;
use crate::{DType, TensorType};

use super::cursor::{SCALE, STEP, WORDS};
use super::{LONG_RATES, RATES, rate};

const SHADER: Shader = shader!("loss_scale");

pub const ENTRY: Entry = Entry::new("loss_scale", &[SHADER], cases);

/// S stays between the two, which are far beyond what any training takes it to.
const MIN_SCALE: f32 = 1.0 / (1u128 << 100) as f32;
const MAX_SCALE: f32 = (1u128 << 100) as f32;

/// The words of a loss scale's state.
pub mod scale {
    /// The bits of S, an f32; 0 before the first step.
    pub const VALUE: usize = 0;
    /// Steps in a row without a number that is not finite.
    pub const GOOD: usize = 1;
    /// Whether this step has found one.
    pub const FOUND: usize = 2;
    /// Whether this step's updates are skipped.
    pub const SKIP: usize = 3;
    /// Steps skipped so far.
    pub const SKIPPED: usize = 4;
    /// Words in all; the last three are reserved.
    pub const WORDS: usize = 8;
}

/// What [`EndScale`] keeps of the clock's rates.
pub const POWERS: usize = 4;

/// The places in a clock's rates of what a skipped step must not advance: β₁ᵗ, β₂ᵗ, and two numbers of an optimizer's series.
pub fn power_at(i: usize) -> usize {
    if i > 1 { i + 4 } else { i + 1 }
}

/// Begins a step: S goes to the cursor's word [`SCALE`], and is dL/dL. Inputs: state u32 \[8\]; cursor, updated in place; output:
/// S, a scalar.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ScaleLoss {
    /// S before the first step: a power of two.
    pub first: f32,
}

/// g/S. Inputs: g; cursor; state, updated in place, which learns whether any of g is no finite number. Output: as g.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unscale;

/// Ends the gradients of a step: decides whether it is skipped, and S for the next. Inputs: cursor; state, powers \[4\] and the
/// clock's rates, updated in place: of a skipped step βᵗ go back to what they were, and it is counted, so that the next is no
/// later update.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EndScale {
    /// Steps in a row after which S doubles, at least 1; none where S is 1 for ever.
    pub growth_steps: Option<u32>,
}

impl EndScale {
    /// Steps after which S doubles, and the range that it is kept in.
    fn rule(self) -> (u32, f32, f32) {
        match self.growth_steps {
            Some(steps) => (steps, MIN_SCALE, MAX_SCALE),
            None => (u32::MAX, 1.0, 1.0),
        }
    }
}

fn expect(name: &str, given: &TensorType, wanted: TensorType) -> Result<(), String> {
    if *given == wanted {
        return Ok(());
    }
    Err(format!("{name} must be {wanted}, got {given}"))
}

fn launch(
    entry: &'static str,
    len: u64,
    rates: u64,
    first: f32,
    (growth_steps, least, most): (u32, f32, f32),
) -> Launch {
    Launch::new(SHADER, entry)
        .param("len", len as usize)
        .param("rates", rates as usize)
        .param("growth_steps", growth_steps)
        .param("first", first)
        .param("least", least)
        .param("most", most)
}

impl Op for ScaleLoss {
    fn name(&self) -> &'static str {
        "loss_scale.begin"
    }

    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>, String> {
        let [state, cursor] = arity::<2>(inputs)?;
        expect("state", state, TensorType::u32([scale::WORDS]))?;
        expect("cursor", cursor, TensorType::u32([WORDS]))?;
        let bits = self.first.to_bits();
        if !(MIN_SCALE..=MAX_SCALE).contains(&self.first) || bits & 0x7f_ffff != 0 {
            return Err(format!("S must be a power of two, got {}", self.first));
        }
        Ok(vec![TensorType::f32([])])
    }

    fn writes(&self) -> &[usize] {
        &[1]
    }

    fn launch(&self, _signature: &Signature, _target: &Target) -> Result<Launches, String> {
        Ok(launch("begin", 1, 0, self.first, (1, MIN_SCALE, MAX_SCALE))
            .bind(Binding::Input(0))
            .bind(Binding::Input(1))
            .bind(Binding::Output(0))
            .into())
    }

    fn bound(&self, _sample: &Sample<'_>) -> Vec<Vec<f64>> {
        // Copies.
        vec![vec![0.0; WORDS], vec![0.0]]
    }
}

impl Compute for ScaleLoss {
    #[inline(always)]
    fn compute<T: Real>(&self, io: &mut Io<'_, T>) {
        let bits = match io.words(0)[scale::VALUE] {
            0 => self.first.to_bits(),
            bits => bits,
        };
        io.output_words(0)[SCALE] = bits;
        io.output(1)[0] = T::constant(f64::from(f32::from_bits(bits)));
    }
}

impl Op for Unscale {
    fn name(&self) -> &'static str {
        "loss_scale.unscale"
    }

    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>, String> {
        let [g, cursor, state] = arity::<3>(inputs)?;
        expect_dtype("g", g, DType::F32)?;
        expect("cursor", cursor, TensorType::u32([WORDS]))?;
        expect("state", state, TensorType::u32([scale::WORDS]))?;
        Ok(vec![g.clone()])
    }

    fn writes(&self) -> &[usize] {
        &[2]
    }

    fn launch(&self, signature: &Signature, _target: &Target) -> Result<Launches, String> {
        const WORKGROUP: u32 = 256;
        let len = signature.inputs[0].elements();
        Ok(launch("unscale", len, 0, 1.0, (1, MIN_SCALE, MAX_SCALE))
            .set("WORKGROUP", WORKGROUP)
            .bind_all(3, 1)
            .grid(fold(len.div_ceil(4), WORKGROUP))
            .flops(len)
            .into())
    }

    fn bound(&self, sample: &Sample<'_>) -> Vec<Vec<f64>> {
        // WGSL lets 1/S, a power of two, be 2.5 units off.
        vec![vec![0.0; scale::WORDS], sample.relative(1, 3.0)]
    }
}

impl Compute for Unscale {
    #[inline(always)]
    fn compute<T: Real>(&self, io: &mut Io<'_, T>) {
        let share = T::one() / T::constant(f64::from(f32::from_bits(io.words(1)[SCALE])));
        let g = io.input(0);
        // A sum that cannot be finite if any element is not; f32 may overflow it otherwise, so elements are asked then.
        let unsure = !T::total(g).is_finite();
        if unsure && g.iter().any(|g| !g.is_finite()) {
            io.output_words(0)[scale::FOUND] = 1;
        }
        for (unscaled, &g) in io.output(1).iter_mut().zip(g) {
            *unscaled = g * share;
        }
    }
}

impl Op for EndScale {
    fn name(&self) -> &'static str {
        "loss_scale.end"
    }

    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>, String> {
        let [cursor, state, powers, rates] = arity::<4>(inputs)?;
        expect("cursor", cursor, TensorType::u32([WORDS]))?;
        expect("state", state, TensorType::u32([scale::WORDS]))?;
        expect("powers", powers, TensorType::f32([POWERS]))?;
        expect_dtype("rates", rates, DType::F32)?;
        if rates.elements() < RATES as u64 || rates.shape.rank() != 1 {
            return Err(format!("rates must be those of a clock, got {rates}"));
        }
        if self.growth_steps == Some(0) {
            return Err("growth_steps must be at least 1, got 0".into());
        }
        Ok(Vec::new())
    }

    fn writes(&self) -> &[usize] {
        &[1, 2, 3]
    }

    fn launch(&self, signature: &Signature, _target: &Target) -> Result<Launches, String> {
        let rates = signature.inputs[3].elements();
        Ok(launch("end", 1, rates, 1.0, self.rule())
            .bind_all(4, 0)
            .iterations(POWERS as u64 + 1)
            .into())
    }

    fn bound(&self, sample: &Sample<'_>) -> Vec<Vec<f64>> {
        // Copies, counts, and products by two.
        sample
            .results
            .iter()
            .map(|result| vec![0.0; result.len()])
            .collect()
    }
}

impl Compute for EndScale {
    #[inline(always)]
    fn compute<T: Real>(&self, io: &mut Io<'_, T>) {
        let (before, step) = (f32::from_bits(io.words(0)[SCALE]), io.words(0)[STEP]);
        let state = io.output_words(0);
        let skip = state[scale::FOUND] != 0;
        let (growth_steps, least, most) = self.rule();
        let mut next = before;
        if skip {
            next = (0.5 * before).max(least);
            state[scale::GOOD] = 0;
            state[scale::SKIPPED] = state[scale::SKIPPED].wrapping_add(1);
        } else {
            state[scale::GOOD] += 1;
            if state[scale::GOOD] >= growth_steps {
                next = (2.0 * before).min(most);
                state[scale::GOOD] = 0;
            }
        }
        state[scale::VALUE] = next.to_bits();
        state[scale::FOUND] = 0;
        state[scale::SKIP] = u32::from(skip);
        let mut kept = [T::zero(); POWERS];
        kept.copy_from_slice(io.output(1));
        let rates = io.output(2);
        for (power, at) in kept.iter_mut().zip((0..POWERS).map(power_at)) {
            if at >= rates.len() {
                break;
            }
            if skip {
                rates[at] = if step == 1 { T::one() } else { *power };
            }
            *power = rates[at];
        }
        if skip && rates.len() > rate::SKIPPED {
            rates[rate::SKIPPED] += T::one();
        }
        io.output(1).copy_from_slice(&kept);
    }
}

fn cases() -> Vec<Case> {
    let cursor = |step: u32, scale: f32| {
        let mut words = vec![0; WORDS];
        (words[STEP], words[SCALE]) = (step, scale.to_bits());
        Fill::Words(words)
    };
    let state = |value: u32, good, found| {
        let mut words = vec![0; scale::WORDS];
        words[scale::VALUE] = value;
        (words[scale::GOOD], words[scale::FOUND]) = (good, found);
        Fill::Words(words)
    };
    let mut cases = Vec::new();
    for value in [0, 1_f32.to_bits(), 32_768_f32.to_bits()] {
        cases.push(
            Case::new(ScaleLoss { first: 1024.0 })
                .words(&[scale::WORDS], state(value, 3, 0))
                .words(&[WORDS], cursor(5, 4.0)),
        );
    }
    let shapes: [&[usize]; 12] = shapes![
        scalar; 1; 2; 3; 17; 33 x 10; 255; 256; 257; 2 x 3 x 5 x 7; 1000; 70_000
    ];
    for (number, shape) in shapes.into_iter().enumerate() {
        let scale = [1.0, 1024.0, 65_536.0, 0.5][number % 4];
        let unscale = |fill| {
            Case::new(Unscale)
                .input(shape, fill)
                .words(&[WORDS], cursor(5, scale))
                .words(&[scale::WORDS], state(0, 0, (number % 2) as u32))
                .without_gradient()
        };
        cases.push(unscale(Fill::Uniform(-2.0, 2.0)));
        // The last element alone is not finite; and numbers whose sum would not be.
        let len: usize = shape.iter().product();
        let mut values = vec![1.0; len];
        values[len - 1] = [f32::INFINITY, f32::NEG_INFINITY][number % 2];
        cases.push(unscale(Fill::Values(values)));
        cases.push(unscale(Fill::Values(vec![3e38; len])));
    }
    for rates in [RATES, LONG_RATES] {
        for found in [0, 1] {
            for (step, good, first) in [
                (1, 0, 32_768.0),
                (2, 1, 4.0),
                (9, 2, 1.0),
                (70_000, 2, MAX_SCALE),
                (3, 0, MIN_SCALE),
            ] {
                for growth_steps in [Some(3), None] {
                    let value = if growth_steps.is_some() { first } else { 1.0 };
                    let mut numbers: Vec<f32> = (0..rates).map(|i| 0.1 + 0.07 * i as f32).collect();
                    if let Some(skipped) = numbers.get_mut(rate::SKIPPED) {
                        *skipped = (step / 2) as f32;
                    }
                    cases.push(
                        Case::new(EndScale { growth_steps })
                            .words(&[WORDS], cursor(step, value))
                            .words(&[scale::WORDS], state(0, good, found))
                            .constant(&[POWERS], Fill::Uniform(0.1, 0.9))
                            .constant(&[rates], Fill::Values(numbers)),
                    );
                }
            }
        }
    }
    cases
}

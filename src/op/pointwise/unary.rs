//! The trait of a function of one number: the one door for Kiln's own functions and for those of a program that uses it.

use crate::number::{Dual, Number};

use super::Function;

/// Up to three numbers that a function is set by, in the order of [`UnaryFunction::SETTINGS`]; zeros after them.
pub type Settings = [f32; 3];

/// A function of one number, y = f(x), applied element by element by [`Tensor::map`](crate::Tensor::map).
///
/// Its formulas run on the CPU session and on the f64 reference; how far a device may be off, and gradients of gradients,
/// follow from them. The WGSL text is the only second writing, which the harness of [`check`](crate::check) holds against
/// the first. NaN must give NaN: where a formula chooses and could lose it, it ends in [`Number::keep_nan`].
///
/// ```
/// use kiln::op::{Number, Settings, UnaryFunction};
/// use kiln::prelude::*;
///
/// /// x³ on the right of 0, 0 on the left.
/// struct Ramp;
///
/// impl UnaryFunction for Ramp {
///     const NAME: &'static str = "ramp";
///     const WGSL: &'static str = "
///         fn ramp_value(x: f32, c: vec3<f32>) -> f32 { return keep_nan(x, select(0.0, x * x * x, x > 0.0)); }
///         fn ramp_slope(x: f32, c: vec3<f32>) -> f32 { return keep_nan(x, select(0.0, 3.0 * x * x, x > 0.0)); }";
///
///     fn value<N: Number>(x: N, _: Settings) -> N {
///         let zero = N::constant(0.0);
///         x.keep_nan(N::choose(zero.is_less(x), x * x * x, zero))
///     }
/// }
///
/// let graph = Graph::new();
/// let x = graph.parameter("x", [2], &[-1.0, 2.0]);
/// let y = x.map(Ramp::function());
/// let dx = &graph.gradients(&y, &[&x])[0];
/// let device = Device::cpu();
/// let program = Program::new("both").fetch("y", &y).fetch("dx", dx);
/// let plan = kiln::Plan::compile(&graph, device.target(), [program])?;
/// let mut session = device.open(&plan)?;
/// session.run("both", 1)?;
/// assert_eq!(session.read("y")?, [0.0, 8.0]);
/// assert_eq!(session.read("dx")?, [0.0, 12.0]);
/// # Ok::<(), kiln::Error>(())
/// ```
pub trait UnaryFunction: Sized + 'static {
    /// The name in plans and errors, in lower case with underscores. The WGSL functions begin with it.
    const NAME: &'static str;

    /// What it is set by: at most three numbers.
    const SETTINGS: &'static [Setting] = &[];

    /// Two functions in WGSL, and what they call beside `shaders/functions.wgsl` and `shaders/prelude.wgsl`:
    /// `NAME_value(x: f32, c: vec3<f32>) -> f32` and `NAME_slope(saved: f32, c: vec3<f32>) -> f32`, with the settings in
    /// `c`. The WGSL of Kiln's own functions is in `shaders/functions.wgsl`.
    const WGSL: &'static str = "";

    /// Whether f′ is 0 wherever there is one.
    const FLAT: bool = false;

    /// Whether the product of a layer may end in this function: |f′| has a bound, so that rounding before it stays
    /// rounding. The function must save its output then.
    const ENDS_LAYERS: bool = false;

    /// f(x).
    fn value<N: Number>(x: N, settings: Settings) -> N;

    /// f′, from the saved output or input; by default from the input, by differentiating [`value`](Self::value).
    #[inline(always)]
    fn slope<N: Number>(saved: N, settings: Settings) -> N {
        Self::value(Dual::variable(saved), settings).slope
    }

    /// Whether f′ is computed from the output; else from the input.
    fn saves_output(_settings: Settings) -> bool {
        false
    }

    /// What is wrong with settings of which each by itself is allowed: the setting's name and a sentence without it.
    ///
    /// # Errors
    ///
    /// Whatever the function refuses; nothing by default.
    fn fits(_settings: Settings) -> Result<(), (&'static str, String)> {
        Ok(())
    }

    /// What it is tested on.
    fn tried() -> Tried {
        Tried::default()
    }

    /// The function with the defaults of its settings.
    fn function() -> Function {
        Function::of::<Self>(&[])
    }
}

/// A number that a function is set by.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Setting {
    /// The name.
    pub name: &'static str,
    /// What it is where nothing is said.
    pub default: f32,
    /// What it may be.
    pub allowed: Allowed,
}

impl Setting {
    pub(super) const fn new(name: &'static str, default: f32, allowed: Allowed) -> Self {
        Setting {
            name,
            default,
            allowed,
        }
    }

    /// What is wrong with a value.
    pub(super) fn refusal(&self, value: f32) -> Option<String> {
        let (fits, wanted) = match self.allowed {
            Allowed::Unchecked => (true, ""),
            Allowed::Any => (!value.is_nan(), "a number"),
            Allowed::Finite => (value.is_finite(), "finite"),
            Allowed::AboveZero => (value > 0.0 && value.is_finite(), "above 0 and finite"),
            Allowed::AtLeastZero => (value >= 0.0 && value.is_finite(), "at least 0 and finite"),
        };
        (!fits).then(|| format!("must be {wanted}, got {value}"))
    }
}

/// The range of a setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Allowed {
    /// Anything; a NaN shows in the result.
    Unchecked,
    /// Any number, infinities among them, but no NaN.
    Any,
    /// Any finite number.
    Finite,
    /// Above 0 and finite.
    AboveZero,
    /// 0 or above, and finite.
    AtLeastZero,
}

/// What a function is tested on.
#[derive(Debug, Clone, Copy)]
pub struct Tried {
    /// Settings; none for the defaults alone.
    pub settings: &'static [Settings],
    /// Settings for numbers between 0.1 and 6 alone.
    pub also: &'static [Settings],
    /// What x is drawn between.
    pub range: (f32, f32),
    /// What the saved output is drawn between; as x where nothing is said.
    pub saved: Option<(f32, f32)>,
    /// How far from 0 it is tried beyond its range, at saturated ends and near 0; not at all for 0.
    pub farthest: f32,
    /// Whether it is tried up to ±3e38, where its formula could overflow, but not its value.
    pub huge: bool,
    /// Whether it jumps with these settings, so that differences say nothing about its slope.
    pub jumps: fn(Settings) -> bool,
}

impl Tried {
    /// These settings.
    pub(super) fn of(settings: &'static [Settings]) -> Self {
        Tried {
            settings,
            ..Tried::default()
        }
    }

    /// Up to ±3e38 too.
    pub(super) fn far_out() -> Self {
        Tried {
            huge: true,
            ..Tried::default()
        }
    }
}

impl Default for Tried {
    fn default() -> Self {
        Tried {
            settings: &[],
            also: &[],
            range: (-6.0, 6.0),
            saved: None,
            farthest: 100.0,
            huge: false,
            jumps: |_| false,
        }
    }
}

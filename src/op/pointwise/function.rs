//! A function of one number as a value: which one, and its settings.

use std::any::{Any, TypeId};
use std::fmt;

use crate::contract::{Launch, Shader};
use crate::number::{Dual, Real, Tracked};

use super::functions::{LeakyRelu, Relu, Sigmoid, Tanh};
use super::graph_number::GraphNumber;
use super::loops::Loops;
use super::unary::{Setting, Settings, Tried, UnaryFunction};

/// A function of one number with its settings: `Function::of::<Elu>(&[1.0])`, or by its name. See [`UnaryFunction`].
#[derive(Clone, Copy)]
pub struct Function {
    pub(super) formulas: &'static Formulas,
    /// With zeros after them.
    pub(crate) settings: Settings,
}

/// What is known of a type that is a [`UnaryFunction`], without the type.
pub(super) struct Formulas {
    pub name: &'static str,
    settings: &'static [Setting],
    wgsl: &'static str,
    pub flat: bool,
    ends_layers: bool,
    kind: fn() -> TypeId,
    saves_output: fn(Settings) -> bool,
    fits: fn(Settings) -> std::result::Result<(), (&'static str, String)>,
    pub tried: fn() -> Tried,
    f32: Loops<f32>,
    f64: Loops<f64>,
    tracked_value: fn(Tracked, Settings) -> Tracked,
    tracked_slope: fn(Tracked, Settings) -> Tracked,
    second: for<'a> fn(GraphNumber<'a>, Settings) -> GraphNumber<'a>,
}

impl Formulas {
    pub const fn of<F: UnaryFunction>() -> Self {
        Formulas {
            name: F::NAME,
            settings: F::SETTINGS,
            wgsl: F::WGSL,
            flat: F::FLAT,
            ends_layers: F::ENDS_LAYERS,
            kind: TypeId::of::<F>,
            saves_output: F::saves_output,
            fits: F::fits,
            tried: F::tried,
            f32: Loops::of::<F>(),
            f64: Loops::of::<F>(),
            tracked_value: F::value,
            tracked_slope: F::slope,
            second: second::<F>,
        }
    }
}

/// The derivative of f′ by what it is computed from.
fn second<'a, F: UnaryFunction>(saved: GraphNumber<'a>, settings: Settings) -> GraphNumber<'a> {
    F::slope(Dual::variable(saved), settings).slope
}

impl Function {
    /// The function of a type with these settings; those that are not given keep their defaults.
    pub fn of<F: UnaryFunction>(settings: &[f32]) -> Self {
        Function::with(const { &Formulas::of::<F>() }, settings)
    }

    pub(super) fn with(formulas: &'static Formulas, given: &[f32]) -> Self {
        let mut settings = [0.0; 3];
        let own = formulas.settings.iter().enumerate();
        for (place, (i, setting)) in settings.iter_mut().zip(own) {
            *place = given.get(i).copied().unwrap_or(setting.default);
        }
        Function { formulas, settings }
    }

    /// Whether it is this function, with whatever settings.
    pub(crate) fn is<F: UnaryFunction>(self) -> bool {
        (self.formulas.kind)() == TypeId::of::<F>()
    }

    /// Whether f′ is computed from the output; else from the input.
    pub(super) fn saves_output(self) -> bool {
        (self.formulas.saves_output)(self.settings)
    }

    /// Whether a layer may end in it: see [`UnaryFunction::ENDS_LAYERS`].
    pub(crate) fn ends_layers(self) -> bool {
        self.formulas.ends_layers && self.saves_output()
    }

    /// Whether whole steps of small networks may have it: their kernel writes these functions out for four numbers at once.
    pub(crate) fn in_small_networks(self) -> bool {
        let written = self.is::<Relu>() || self.is::<LeakyRelu>();
        (written || self.is::<Tanh>() || self.is::<Sigmoid>()) && self.ends_layers()
    }

    /// What is wrong with a setting: its name, and a sentence without it.
    pub(crate) fn refusal(self) -> Option<(&'static str, String)> {
        let settings = self.formulas.settings.iter().zip(self.settings);
        let alone =
            |(setting, value): (&Setting, f32)| Some((setting.name, setting.refusal(value)?));
        let together = || (self.formulas.fits)(self.settings).err();
        settings
            .map(alone)
            .find_map(|refused| refused)
            .or_else(together)
    }

    /// f of a number with its rounding error.
    pub(in crate::op) fn tracked(self, x: Tracked) -> Tracked {
        (self.formulas.tracked_value)(x, self.settings)
    }

    /// f′ of a saved number with its rounding error.
    pub(in crate::op) fn tracked_slope(self, saved: Tracked) -> Tracked {
        (self.formulas.tracked_slope)(saved, self.settings)
    }

    /// f″ from the saved value: what f′ changes by with the output or input that it is computed from.
    pub(super) fn second(self, saved: GraphNumber<'_>) -> GraphNumber<'_> {
        (self.formulas.second)(saved, self.settings)
    }

    /// y = f(y) of every element.
    pub(in crate::op) fn apply<T: Real>(self, values: &mut [T]) {
        (self.loops().apply)(values, self.settings);
    }

    /// dx = dx·f′ of every element, from the saved output or input.
    pub(in crate::op) fn apply_slope<T: Real>(self, saved: &[T], slopes: &mut [T]) {
        (self.loops().apply_slope)(saved, slopes, self.settings);
    }

    /// The loops over numbers of a type.
    pub(super) fn loops<T: Real>(self) -> &'static Loops<T> {
        let all: [&'static dyn Any; 2] = [&self.formulas.f32, &self.formulas.f64];
        all.into_iter()
            .find_map(<dyn Any>::downcast_ref)
            .unwrap_or_else(|| unreachable!("there are two float types"))
    }

    /// `shader`, in which `value_of` and `slope_of` are this function's.
    fn shader(self, shader: Shader) -> Shader {
        let Formulas { name, wgsl, .. } = self.formulas;
        let own = format!(
            "fn value_of(x: f32, c: vec3<f32>) -> f32 {{ return {name}_value(x, c); }}\n\
             fn slope_of(saved: f32, c: vec3<f32>) -> f32 {{ return {name}_slope(saved, c); }}\n{wgsl}\n"
        );
        Shader {
            source: shader.source.replace(IDENTITY, &own).into(),
            ..shader
        }
    }

    /// Gives a launch whose shader ends in `identity.wgsl` the function instead, and its `params` the settings.
    pub(in crate::op) fn describe(function: Option<Self>, mut launch: Launch) -> Launch {
        let [first, second, third] = function.map_or([0.0; 3], |f| f.settings);
        if let Some(function) = function {
            launch.shader = function.shader(launch.shader);
        }
        let launch = launch.param("first", first).param("second", second);
        launch.param("third", third)
    }
}

/// What stands for the function in a shader that is given none.
const IDENTITY: &str = include_str!(concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/shaders/identity.wgsl"
));

impl PartialEq for Function {
    fn eq(&self, other: &Self) -> bool {
        (self.formulas.kind)() == (other.formulas.kind)() && self.settings == other.settings
    }
}

impl fmt::Debug for Function {
    /// The name, with the settings where it has some.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.formulas.name)?;
        let settings = self.formulas.settings.iter().zip(self.settings);
        let settings: Vec<String> = settings
            .map(|(s, value)| format!("{} {value}", s.name))
            .collect();
        if settings.is_empty() {
            return Ok(());
        }
        write!(f, "({})", settings.join(", "))
    }
}

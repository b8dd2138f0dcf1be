//! A GPU dispatch as plain data: shader, entry point, overrides, params, bindings, grid.

use std::borrow::Cow;
use std::fmt;

/// A WGSL module: the text of `shaders/<name>.wgsl` followed by the prelude, or a text made for one network.
#[derive(Clone)]
pub struct Shader {
    /// The file's name without its ending.
    pub name: &'static str,
    /// The whole text.
    pub source: Cow<'static, str>,
}

/// `shaders/prelude.wgsl`.
const PRELUDE: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/shaders/prelude.wgsl"));

/// How a text begins to tell that it was written for one network alone.
pub(crate) const WRITTEN_FOR: &str = "// Written for ";

impl Shader {
    /// A kernel of one's own, followed by the prelude that Kiln's kernels share: `linear_index`, `is_nan`, `tanh_accurate` and
    /// the other functions of `shaders/prelude.wgsl`.
    ///
    /// Binding 0 is `params`, a struct of u32 and f32; the others follow in the order in which the launch binds them. A
    /// text that is no WGSL, or is bound otherwise, is an error when the plan is opened on an adapter.
    ///
    /// ```
    /// use kiln::op::Shader;
    ///
    /// let text = "
    ///     struct Params { len: u32 }
    ///     @group(0) @binding(0) var<uniform> params: Params;
    ///     @group(0) @binding(1) var<storage, read> x: array<f32>;
    ///     @group(0) @binding(2) var<storage, read_write> y: array<f32>;
    ///
    ///     @compute @workgroup_size(64)
    ///     fn forward(@builtin(global_invocation_id) id: vec3<u32>) {
    ///         if id.x < params.len { y[id.x] = tanh_accurate(x[id.x]); }
    ///     }";
    /// let shader = Shader::with_prelude("tangent", text);
    /// assert!(shader.source.starts_with(text) && shader.source.contains("fn tanh_accurate"));
    /// ```
    pub fn with_prelude(name: &'static str, text: &str) -> Self {
        Shader {
            name,
            source: format!("{text}\n{PRELUDE}").into(),
        }
    }
}

impl fmt::Debug for Shader {
    /// The name; the text would fill pages.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.wgsl", self.name)
    }
}

/// The shader of a file in `shaders/`, as a constant, followed by the parts that it shares with others.
macro_rules! shader {
    ($name:literal $(, $part:literal)*) => {
        $crate::contract::Shader {
            name: $name,
            source: std::borrow::Cow::Borrowed(concat!(
                include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/shaders/", $name, ".wgsl")),
                "\n",
                $(include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/shaders/", $part, ".wgsl")), "\n",)*
                include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/shaders/prelude.wgsl"))
            )),
        }
    };
}
pub(crate) use shader;

/// The text of a file in `shaders/`.
macro_rules! wgsl {
    ($($name:literal),+) => {
        include_str!(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/shaders/",
            $($name,)+
            ".wgsl"
        ))
    };
}
pub(crate) use wgsl;

/// The value of a field of a kernel's `params`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Param {
    /// A size, an index, a switch.
    U32(u32),
    /// A factor.
    F32(f32),
}

impl From<u32> for Param {
    fn from(value: u32) -> Self {
        Param::U32(value)
    }
}

impl From<usize> for Param {
    /// Sizes are checked against the adapter's limits, which are far below `u32::MAX`, before a launch is used.
    fn from(value: usize) -> Self {
        Param::U32(u32::try_from(value).unwrap_or(u32::MAX))
    }
}

impl From<bool> for Param {
    /// A switch: 1 or 0.
    fn from(value: bool) -> Self {
        Param::U32(value.into())
    }
}

impl From<f32> for Param {
    fn from(value: f32) -> Self {
        Param::F32(value)
    }
}

/// What is bound after `params`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Binding {
    /// The op's input of that index.
    Input(usize),
    /// The op's output of that index.
    Output(usize),
    /// The launch's scratch tensor of that index.
    Scratch(usize),
}

/// One dispatch.
#[derive(Debug, Clone)]
pub struct Launch {
    /// The module.
    pub shader: Shader,
    /// The entry point, a verb: `forward`, `backward`, `update`.
    pub entry: &'static str,
    /// Values of the module's override constants; those not named keep their defaults.
    pub overrides: Vec<(&'static str, f64)>,
    /// Values of every field of `params`, by name.
    pub params: Vec<(&'static str, Param)>,
    /// What bindings 1, 2, … hold, in the order of the entry point's declarations.
    pub bindings: Vec<Binding>,
    /// A word of an operand: where it is not 0 the dispatch does nothing. See `Guarded`.
    pub guard: Option<(Binding, u32)>,
    /// Workgroups in x, y, z.
    pub grid: [u32; 3],
    /// The most steps of the program that one dispatch does: a power of two. Above 1 the launch is its program's only one, and
    /// its params have a field `steps` for the number that a dispatch is to do.
    pub steps: u32,
    /// The most loop iterations that one invocation runs, all loops together.
    pub iterations: u64,
    /// Floating-point operations, for the roofline.
    pub flops: u64,
    /// Floating-point operations that the kernel executes, with those of tiles that overhang the result.
    pub padded_flops: u64,
}

impl Launch {
    /// A dispatch of `entry` with nothing else set; the builder methods below add the rest.
    pub fn new(shader: Shader, entry: &'static str) -> Self {
        Launch {
            shader,
            entry,
            overrides: Vec::new(),
            params: Vec::new(),
            bindings: Vec::new(),
            guard: None,
            grid: [1, 1, 1],
            steps: 1,
            iterations: 0,
            flops: 0,
            padded_flops: 0,
        }
    }

    /// Sets an override constant.
    pub fn set(mut self, name: &'static str, value: impl Into<f64>) -> Self {
        self.overrides.push((name, value.into()));
        self
    }

    /// Gives a field of `params` its value.
    pub fn param(mut self, name: &'static str, value: impl Into<Param>) -> Self {
        self.params.push((name, value.into()));
        self
    }

    /// Binds the next binding.
    pub fn bind(mut self, binding: Binding) -> Self {
        self.bindings.push(binding);
        self
    }

    /// Binds inputs `0..inputs`, then outputs `0..outputs`.
    pub fn bind_all(mut self, inputs: usize, outputs: usize) -> Self {
        self.bindings.extend(
            (0..inputs)
                .map(Binding::Input)
                .chain((0..outputs).map(Binding::Output)),
        );
        self
    }

    /// An invocation to each of `threads`, in workgroups of `size`: sets the override `WORKGROUP`, and the grid as
    /// [`fold`] says.
    pub(crate) fn over(self, threads: u64, size: u32) -> Self {
        self.set("WORKGROUP", size).grid(fold(threads, size))
    }

    /// Sets the number of workgroups.
    pub fn grid(mut self, grid: [u32; 3]) -> Self {
        self.grid = grid;
        self
    }

    /// Sets the most steps of a dispatch, and gives the params' field `steps` its value for one.
    pub(crate) fn steps(mut self, most: u32) -> Self {
        self.steps = most;
        self.param("steps", 1u32)
    }

    /// Sets the loop iterations of one invocation.
    pub fn iterations(mut self, iterations: u64) -> Self {
        self.iterations = iterations;
        self
    }

    /// Sets the floating-point operations.
    pub fn flops(mut self, flops: u64) -> Self {
        self.flops = flops;
        self.padded_flops = self.padded_flops.max(flops);
        self
    }

    /// Sets the operations that the kernel executes, where they are more than are useful.
    pub(crate) fn padded_flops(mut self, flops: u64) -> Self {
        self.padded_flops = self.padded_flops.max(flops);
        self
    }
}

/// The dispatches of one call, run in order, and the scratch tensors between them.
#[derive(Debug, Clone, Default)]
pub struct Launches {
    /// Elements of each scratch tensor (f32 or u32, four bytes).
    pub scratch: Vec<u64>,
    /// The dispatches.
    pub launches: Vec<Launch>,
}

impl From<Launch> for Launches {
    fn from(launch: Launch) -> Self {
        Launches {
            scratch: Vec::new(),
            launches: vec![launch],
        }
    }
}

/// Workgroups for `threads` invocations in groups of `size`, folded into two dimensions below 65 535 each; the kernel
/// finds its number with `linear_index` and guards the overhang.
pub fn fold(threads: u64, size: u32) -> [u32; 3] {
    const MAX_GROUPS: u64 = 32_768;
    let groups = threads.div_ceil(u64::from(size)).max(1);
    let y = groups.div_ceil(MAX_GROUPS);
    let x = groups.div_ceil(y);
    [
        u32::try_from(x).unwrap_or(u32::MAX),
        u32::try_from(y).unwrap_or(u32::MAX),
        1,
    ]
}

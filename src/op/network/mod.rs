//! One whole training step of a small dense network: clock, batch, forward, loss and metrics, backward, update.
//!
//! Models are not written in it: the plan puts it in the place of such a step's nodes (`src/plan/fuse/tiny.rs`), whose
//! formulas it keeps. On a GPU one workgroup does many steps in a dispatch, with weights and optimizer state in workgroup
//! memory. A dispatch costs 12 to 45 µs on drivers that run on the processor, such a step 16 µs altogether.

mod bound;
mod cases;
mod check;
mod compute;
mod losses;
mod text;

use crate::contract::{Binding, Entry, Launch, Launches, Op, Sample, Signature};
use crate::target::Target;
use crate::{DType, TensorType};

use super::clock::schedule;
use super::cursor::WORDS;
use super::{Accuracy, Adam, AdvanceClock, Form, Function, Momentum, RATES, RowLoss};

pub const ENTRY: Entry = Entry::new("network", &[], cases::cases);

/// Rows that are worked on at once, as long as a part of a ring's sums.
const LANES: usize = 32;

/// A number of each of the rows at hand.
type Lanes<T> = [T; LANES];

/// Most parameters.
const MAX_PARAMETERS: usize = 4096;

/// Most numbers of a row: inputs, all layers' outputs, and the last layer's before its function.
const MAX_VALUES: usize = 256;

/// Most rows of a batch.
const MAX_BATCH: usize = 256;

/// Most vectors of four parameters that a shader names one by one: its text and compile time grow with them, 0.1 s for
/// every 50 on lavapipe.
const MAX_VECTORS: usize = 192;

/// Most vectors on CPU adapters, where a step in dispatches of its own takes up to four times as long.
const MAX_VECTORS_ON_CPU_ADAPTERS: usize = 400;

/// Parameters up to which a shader is compiled in no time, 0.2 s on lavapipe.
const SHORT: usize = 4 * 96;

/// Workgroup memory that every adapter has, in vectors of 16 bytes.
const WORKGROUP_VECTORS: usize = 16_384 / 16;

/// The fewest members of a piece on the CPU session: a step of one takes as long as handing two over.
const MEMBERS: usize = 2;

/// Most steps of a dispatch.
const MAX_STEPS: u64 = 512;

/// y = f(x·W + b), as part of a [`Network`].
#[derive(Debug, Clone, PartialEq)]
pub struct NetworkLayer {
    /// Columns of y.
    pub units: usize,
    /// f; none for y = x·W + b. Sigmoid, tanh, ReLU, or leaky ReLU with a slope from 0.
    pub function: Option<Function>,
    /// Where W \[inputs, units\] begins in the slab of parameters.
    pub kernel: usize,
    /// Where b begins in the slab, if there is one.
    pub bias: Option<usize>,
}

/// What a column of the ring records.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum RingColumn {
    /// The loss.
    Loss,
    /// An accuracy, of the last layer's numbers before its function or after it.
    Accuracy {
        /// Which.
        kind: Accuracy,
        /// Whether it reads the numbers before the function.
        before: bool,
    },
}

/// How parameters change.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum StepRule {
    /// w ← w − η·g.
    Sgd,
    /// Gradient descent with a velocity.
    Momentum(Momentum),
    /// Adam, with running means m and v.
    Adam(Adam),
}

impl StepRule {
    /// States of each parameter.
    pub(crate) fn states(&self) -> usize {
        match self {
            StepRule::Sgd => 0,
            StepRule::Momentum(_) => 1,
            StepRule::Adam(_) => 2,
        }
    }
}

/// One training step of `members` networks of one shape, each with its own numbers and order of one data set.
///
/// Inputs, those up to the cursor updated in place: rates \[4\], ring \[rows, columns, numbers\], parameters \[len\], the
/// rule's states \[len\] each, cursor u32 \[8\], x \[n, inputs\], y \[n, outputs\] or labels u32 \[n\]. With several
/// members all but x and y have `members` as a further first dimension. No output.
#[derive(Debug, Clone)]
pub struct Network {
    /// How a step begins.
    pub clock: AdvanceClock,
    /// Columns of x.
    pub inputs: usize,
    /// From input to output.
    pub layers: Vec<NetworkLayer>,
    /// What is made small: the mean over the batch's rows.
    pub loss: RowLoss,
    /// Whether the loss reads the last layer's numbers before its function.
    pub loss_before: bool,
    /// What the ring's columns record.
    pub columns: Vec<RingColumn>,
    /// How parameters change.
    pub rule: StepRule,
    /// How many networks.
    pub members: usize,
    /// Whether η is each member's rates\[3\] instead of the schedule's times that; the schedule must then be constant.
    pub own_rates: bool,
}

/// Whether the kernel of a network with this number of parameters, if it has one, takes so long to compile that only many steps make
/// up for it.
pub(crate) fn is_long_to_compile(parameters: usize, target: &Target) -> bool {
    target.has_shaders() && (SHORT..=MAX_PARAMETERS).contains(&parameters)
}

/// Where things stand among a network's operands.
#[derive(Debug, Clone, Copy)]
struct NetworkOperands {
    cursor: usize,
    x: usize,
    y: usize,
}

impl Network {
    fn operands(&self) -> NetworkOperands {
        let cursor = 3 + self.rule.states();
        NetworkOperands {
            cursor,
            x: cursor + 1,
            y: cursor + 2,
        }
    }

    /// How many pieces the CPU session may share out among threads.
    pub(crate) fn pieces(&self) -> usize {
        (self.members / MEMBERS).max(1)
    }

    /// States of each parameter.
    pub(crate) fn states(&self) -> usize {
        self.rule.states()
    }

    /// Columns of the output.
    pub fn outputs(&self) -> usize {
        self.layers.last().map_or(0, |layer| layer.units)
    }

    /// Each layer with the columns of its input.
    fn layers(
        &self,
    ) -> impl DoubleEndedIterator<Item = (usize, &NetworkLayer)> + ExactSizeIterator {
        (0..self.layers.len()).map(|index| {
            let inputs = match index {
                0 => self.inputs,
                _ => self.layers[index - 1].units,
            };
            (inputs, &self.layers[index])
        })
    }

    /// The number of parameters.
    pub fn parameters(&self) -> usize {
        let of = |(inputs, layer): (usize, &NetworkLayer)| {
            layer.units * (inputs + usize::from(layer.bias.is_some()))
        };
        self.layers().map(of).sum()
    }

    /// Numbers of a row, see [`MAX_VALUES`].
    fn values(&self) -> usize {
        let units = self.layers.iter().map(|layer| layer.units);
        self.inputs + units.sum::<usize>() + self.outputs()
    }

    /// Floating-point operations of a step of one member.
    fn flops(&self) -> u64 {
        let products: usize = self.layers().map(|(inputs, l)| inputs * l.units).sum();
        (6 * products * self.clock.batch + 12 * self.parameters()) as u64
    }

    /// Widths from input to output, as people write them: `8-10-8-1`.
    pub(crate) fn widths(&self) -> String {
        let units = self.layers.iter().map(|layer| layer.units);
        let widths: Vec<String> = std::iter::once(self.inputs)
            .chain(units)
            .map(|width| width.to_string())
            .collect();
        widths.join("-")
    }

    /// Most steps of a dispatch, within the loop iterations that drivers allow; the session does fewer where they take long.
    fn max_steps(iterations: u64, target: &Target) -> u32 {
        let most = (target.max_iterations / iterations.max(1)).clamp(1, MAX_STEPS);
        // The largest power of two up to it.
        1 << most.ilog2()
    }

    /// Elements of one member's slab.
    fn slab(&self, sample: &Sample<'_>) -> usize {
        sample.inputs[2].len() / self.members
    }
}

impl Op for Network {
    fn name(&self) -> &'static str {
        "network.train"
    }

    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>, String> {
        self.check(inputs)?;
        self.check_kinds(inputs[self.operands().y].dtype == DType::U32)?;
        let clock = [TensorType::u32([WORDS]), TensorType::f32([RATES])];
        self.clock.infer(&clock)?;
        self.fits(&Target::cpu())?;
        Ok(Vec::new())
    }

    fn writes(&self) -> &[usize] {
        &[0, 1, 2, 3, 4, 5][..self.operands().cursor + 1]
    }

    fn touched(&self, signature: &Signature, input: usize) -> u64 {
        let NetworkOperands { x, y, .. } = self.operands();
        let dims = signature.inputs[input].shape.dims();
        // One batch of the data and one step's row of the ring, each for every member.
        let rows = self.members * self.clock.batch;
        let touched = match input {
            1 if self.members > 1 => self.members * dims[2] * dims[3],
            1 => dims[1] * dims[2],
            _ if input == x || input == y => rows * dims[1..].iter().product::<usize>(),
            _ => return signature.inputs[input].elements(),
        };
        touched as u64
    }

    fn launch(&self, signature: &Signature, target: &Target) -> Result<Launches, String> {
        self.fits(target)?;
        let NetworkOperands { cursor, x, y } = self.operands();
        let types = &signature.inputs;
        let text = text::Text::of(self, Self::budget(target).1);
        let (number, numbers) = schedule(&self.clock.rates.learning_rate);
        let sizes = |i: usize| types[i].elements() as usize / self.members;
        let labels = types[y].dtype == DType::U32;
        let mut launch = Launch::new(text.shader(labels), "train")
            .set("SCHEDULE", number)
            .set("WORKGROUP", text.lanes() as u32)
            .set("ONE_PASS", text.one_pass())
            .param("batch", self.clock.batch)
            .param("beta_1", self.clock.rates.beta_1)
            .param("beta_2", self.clock.rates.beta_2)
            .param("vectors", text.vectors())
            .param("lanes", text.lanes())
            .param("slab", sizes(2))
            .param("ring", sizes(1))
            .param(
                "ring_rows",
                types[1].shape.dims()[usize::from(self.members > 1)],
            )
            .param("last", types[x].shape.dims()[0] - 1)
            .param("own_rates", u32::from(self.own_rates))
            .grid([self.members as u32, 1, 1])
            .iterations(text.iterations())
            .flops(self.flops() * self.members as u64);
        for (name, value) in numbers {
            launch = launch.param(name, value);
        }
        for (name, value) in text.constants() {
            launch = launch.param(name, value);
        }
        for input in [x, y, cursor].into_iter().chain(0..cursor) {
            launch = launch.bind(Binding::Input(input));
        }
        if let StepRule::Momentum(rule) = self.rule {
            launch = launch.set("NESTEROV", rule.nesterov);
        }
        if let RowLoss::Binary(form) = self.loss {
            launch = launch.set("LOGITS", form == Form::Logits);
        }
        Ok(launch
            .steps(Self::max_steps(text.iterations(), target))
            .into())
    }

    fn bound(&self, sample: &Sample<'_>) -> Vec<Vec<f64>> {
        bound::bound(self, sample)
    }
}

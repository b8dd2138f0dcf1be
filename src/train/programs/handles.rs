//! The names that the variables of a model's programs have in plans and files, and the handles by which its session
//! reaches them: this file alone puts names together.

use crate::op::{cursor, rate};
use crate::plan::Plan;
use crate::session::{ElementsRef, Handle, ProgramHandle};
use crate::train::metric::ModelMetrics;
use crate::{Error, Result, Session};

use super::ArrayKind;

/// A program that runs over the rows of a data set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RowProgram {
    /// Updates the weights.
    Train,
    /// Measures, and updates nothing.
    Evaluate,
}

/// An array of a data set on the device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DataArray {
    /// The model's input of that number.
    Input(usize),
    /// The targets of the objective of that number.
    Target(usize),
    /// Weights of rows.
    Weights,
}

impl DataArray {
    fn name(self) -> String {
        match self {
            DataArray::Input(number) => numbered("x", number),
            DataArray::Target(number) => numbered("y", number),
            DataArray::Weights => "w".into(),
        }
    }
}

/// The name of the first of several, and of those after it with their numbers.
fn numbered(name: &str, number: usize) -> String {
    if number == 0 {
        name.into()
    } else {
        format!("{name}{number}")
    }
}

impl RowProgram {
    /// The program's name in a plan.
    pub fn name(self) -> &'static str {
        match self {
            RowProgram::Train => "train",
            RowProgram::Evaluate => "evaluate",
        }
    }

    /// The variable that says where the program's clock is.
    pub fn cursor(self) -> String {
        crate::op::cursor_of(self.name())
    }

    /// The variable of the clock's learning rate and what goes with it.
    pub fn rates(self) -> String {
        crate::op::rates_of(self.name())
    }

    /// The variable of the sums of single steps.
    pub fn ring(self) -> String {
        format!("{}.ring", self.name())
    }

    /// An array of the data set.
    pub fn array(self, array: DataArray) -> String {
        format!("{}.{}", self.name(), array.name())
    }
}

/// The variable that holds the chunk of that number of an array.
pub(crate) fn chunk_name(array: &str, chunk: usize) -> String {
    format!("{array}.{chunk}")
}

/// What the host reaches of a program that runs over a data set.
#[derive(Debug, Clone)]
pub(crate) struct RunHandles {
    pub program: ProgramHandle,
    pub cursor: Handle,
    pub rates: Handle,
    /// The ring of the steps' sums, and the tallies of epochs.
    pub sums: Vec<Handle>,
    /// The chunks of every array, in the order of `Prepared::arrays`. An array that the program does not read has none.
    pub arrays: Vec<Vec<Handle>>,
}

/// A program that computes outputs for a fixed number of rows.
#[derive(Debug, Clone)]
pub(crate) struct PredictHandles {
    pub rows: usize,
    pub program: ProgramHandle,
    /// The model's inputs, in order. One that the outputs do not depend on has none.
    pub x: Vec<Option<Handle>>,
    pub y: Handle,
}

/// What the host reaches of a model's session.
#[derive(Debug, Clone, Default)]
pub(crate) struct Handles {
    pub train: Option<RunHandles>,
    pub evaluate: Option<RunHandles>,
    /// From the most rows to the fewest.
    pub predict: Vec<PredictHandles>,
}

impl RunHandles {
    /// The handles of a program over these arrays, of whose metrics these are the sums.
    pub fn of(
        plan: &Plan,
        program: RowProgram,
        metrics: &ModelMetrics,
        arrays: &[ArrayKind],
    ) -> Option<Self> {
        let chunks = |array: DataArray| -> Vec<Handle> {
            let name = program.array(array);
            let chunk = |index| plan.handle(&chunk_name(&name, index));
            (0..).map_while(chunk).collect()
        };
        let sums = metrics.copied(program.name());
        Some(RunHandles {
            program: plan.program_handle(program.name())?,
            cursor: plan.handle(&program.cursor())?,
            rates: plan.handle(&program.rates())?,
            sums: sums.iter().filter_map(|name| plan.handle(name)).collect(),
            arrays: arrays.iter().map(|kind| chunks(kind.array)).collect(),
        })
    }

    /// Writes all rows of a data set into the chunks of its arrays.
    pub fn upload(&self, session: &mut Session, arrays: &[ElementsRef<'_>]) -> Result<()> {
        for (chunks, elements) in self.arrays.iter().zip(arrays) {
            let mut begun = 0;
            for chunk in chunks {
                let end = elements.len().min(begun + chunk.elements() as usize);
                if end > begun {
                    session.put(*chunk, 0, elements.range(begun..end))?;
                }
                begun = end;
            }
        }
        Ok(())
    }

    /// Writes `count` rows of every array from row `at` of the first chunks on.
    pub fn write_rows(
        &self,
        session: &mut Session,
        at: usize,
        count: usize,
        arrays: &[ElementsRef<'_>],
    ) -> Result<()> {
        for (chunks, elements) in self.arrays.iter().zip(arrays) {
            if let Some(chunk) = chunks.first()
                && count > 0
            {
                session.put(*chunk, at * (elements.len() / count), *elements)?;
            }
        }
        Ok(())
    }

    /// Sets how many rows the data set has.
    pub fn write_data_rows(&self, session: &mut Session, rows: u32) -> Result<()> {
        session.put(self.cursor, cursor::DATA_ROWS, ElementsRef::U32(&[rows]))
    }

    /// Sets what the scheduled learning rate is multiplied by, for each member of a population one after the other.
    pub fn write_rate_factors(&self, session: &mut Session, factors: &[f32]) -> Result<()> {
        let each =
            usize::try_from(self.rates.elements()).unwrap_or(usize::MAX) / factors.len().max(1);
        for (member, factor) in factors.iter().enumerate() {
            let at = member * each + rate::FACTOR;
            session.put(self.rates, at, ElementsRef::F32(&[*factor]))?;
        }
        Ok(())
    }
}

impl Handles {
    /// The handles of a plan of a model whose metrics the board has, over these arrays; `predict` are its programs for
    /// prediction by name, with their rows.
    pub fn of(
        plan: &Plan,
        metrics: &ModelMetrics,
        arrays: &[ArrayKind],
        predict: &[(&str, usize)],
    ) -> Self {
        let inputs = || arrays.iter().filter_map(|kind| kind.input());
        let predicting = |&(name, rows): &(&str, usize)| {
            let program = plan.program_handle(name)?;
            Some(PredictHandles {
                rows,
                program,
                x: inputs()
                    .map(|input| plan.handle(&predict_input(name, input)))
                    .collect(),
                y: plan.fetched(program, &predict_output(name))?,
            })
        };
        Handles {
            train: RunHandles::of(plan, RowProgram::Train, metrics, arrays),
            evaluate: RunHandles::of(plan, RowProgram::Evaluate, metrics, arrays),
            predict: predict.iter().filter_map(predicting).collect(),
        }
    }

    /// The handles of a program, which the session has to have.
    pub fn rows(&self, program: RowProgram) -> Result<&RunHandles> {
        let found = match program {
            RowProgram::Train => &self.train,
            RowProgram::Evaluate => &self.evaluate,
        };
        found
            .as_ref()
            .ok_or_else(|| Error::not_found("program", program.name(), [""; 0]))
    }
}

/// The input of that number of a program for prediction.
pub(crate) fn predict_input(program: &str, input: usize) -> String {
    format!("{program}.{}", DataArray::Input(input).name())
}

/// The outputs of a program for prediction.
pub(crate) fn predict_output(program: &str) -> String {
    format!("{program}.y")
}

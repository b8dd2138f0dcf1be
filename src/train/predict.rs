//! `predict`: the network's outputs for rows of input, in few batches.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

use crate::reserve::reserved;
use crate::session::PieceTimes;
use crate::target::Class;
use crate::{Error, Result, Session};

use crate::data::Features;

use super::features::Arranged;
use super::model::Model;
use super::programs::{Capacity, PredictHandles};
use super::recovery::Recovery;

/// The most rows that are computed at once.
const MAX_ROWS: usize = 16_384;

/// The fewest rows for which a session of their own is opened, and the fewest of its batches: below, what its kernels take
/// to be compiled is not made up for. On lavapipe 10 000 rows of 8-10-8-1 take 4.5 ms in batches of 2048, 5.3 ms in those
/// of 256, and the first time 21 ms.
const MIN_ROWS: usize = 8192;
const MIN_AT_ONCE: usize = 1024;

/// Most bytes of a session for many rows, its weights included: so it adds little to what a model holds, and what it would
/// gain is small where a batch computes as much as that.
///
/// On a CPU adapter batches are to stay in the cache: with 16 384 at once 60 000 rows of 8-10-8-1 take 13 ms instead of 32
/// on lavapipe, but those of 784-128-10, which are 60 MB, three times as long as with 256.
fn max_bytes(class: Class) -> u64 {
    match class {
        Class::CpuAdapter => 2 << 20,
        _ => 64 << 20,
    }
}

/// Batches under way at once: the device computes one while the host fills the next.
const IN_FLIGHT: usize = 2;

/// The model's outputs for rows of input.
#[derive(Debug, Clone, PartialEq)]
pub struct Predictions {
    /// All outputs, row-major; those of a model of several side by side.
    pub values: Vec<f32>,
    /// Outputs of a row.
    pub columns: usize,
    outputs: Vec<OutputColumns>,
}

/// The predictions' part that is one output's.
#[derive(Debug, Clone, PartialEq)]
struct OutputColumns {
    name: String,
    columns: usize,
    /// Columns of each of its positions.
    classes: usize,
    /// The names of its classes in the order of their numbers; empty where they are not known.
    class_names: Arc<Vec<String>>,
}

impl Predictions {
    /// The predictions of one output of a model of several.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] where the model has no output of that name.
    pub fn output(&self, name: &str) -> Result<Predictions> {
        let place = self.outputs.iter().position(|own| own.name == name);
        let Some(place) = place else {
            return Err(Error::not_found(
                "output",
                name,
                self.outputs.iter().map(|own| &own.name),
            ));
        };
        let before = self.outputs[..place].iter().map(|own| own.columns);
        let (start, columns) = (before.sum::<usize>(), self.outputs[place].columns);
        let own = |row: &[f32]| row[start..start + columns].to_vec();
        Ok(Predictions {
            values: self.rows().flat_map(own).collect(),
            columns,
            outputs: vec![self.outputs[place].clone()],
        })
    }

    /// The outputs of every row.
    pub fn rows(&self) -> impl ExactSizeIterator<Item = &[f32]> {
        self.values.chunks_exact(self.columns)
    }

    /// The class of every row: that of the largest output, the first of equals; with a single output, whether it is
    /// above one half. Where the output has several positions, those of every position, row by row; where there are several
    /// outputs all columns count as one's.
    pub fn classes(&self) -> Vec<usize> {
        let class = |row: &[f32]| match row {
            [single] => usize::from(*single > 0.5),
            row => (1..row.len()).fold(0, |best, i| if row[i] > row[best] { i } else { best }),
        };
        let classes = match &self.outputs[..] {
            [only] => only.classes,
            _ => self.columns,
        };
        self.values.chunks_exact(classes).map(class).collect()
    }

    /// The name of the class of every row, or of every position: that of [`classes`](Self::classes), as the table was read
    /// that the model learned from. A model that was saved and loaded knows it too, and the names of columns and categories.
    ///
    /// ```
    /// # #[cfg(feature = "csv")] {
    /// use kiln::data::{CellValue, Step};
    /// use kiln::prelude::*;
    ///
    /// let table = "island,mass,kind\nBiscoe,5,Gentoo\nDream,3,Adelie\nBiscoe,6,Gentoo\nTorgersen,4,Adelie\n";
    /// let csv = Csv::new().categorical("island").target("kind").labels();
    /// let penguins = csv.read_from(table.as_bytes(), "penguins.csv")?;
    /// let steps = Preprocessing::fit(&penguins, [Step::OneHot, Step::Standardize])?;
    /// let model = Sequential::new(steps.outputs()).dense(2, Softmax).preprocessing(steps);
    /// let mut model = model.compile_on(&Device::cpu(), SparseCategoricalCrossentropy, Adam::new(0.1), [])?;
    /// model.fit(&penguins, Fit::epochs(50).silent())?;
    /// # let file = std::env::temp_dir().join(format!("kiln-doc-{}.safetensors", std::process::id()));
    ///
    /// // In another program:
    /// model.save(&file)?;
    /// let mut model = Model::load_on(&Device::cpu(), &file)?;
    /// # std::fs::remove_file(&file).ok();
    /// // A row by the names of its columns, as texts or as texts and numbers, in any order.
    /// let predicted = model.predict(&[("mass", "5.5"), ("island", "Biscoe")])?;
    /// assert_eq!(predicted.class_names()?, ["Gentoo"]);
    /// let cells: [(&str, CellValue); 2] = [("island", "Dream".into()), ("mass", 3.5.into())];
    /// assert_eq!(model.predict(&cells)?.class_names()?, ["Adelie"]);
    /// // A table read by itself: its columns are in another order, and its island is number 0.
    /// let table = Csv::new().categorical("island").no_target();
    /// let table = table.read_from("mass,island\n3,Torgersen\n4,Torgersen\n".as_bytes(), "new.csv")?;
    /// assert_eq!(model.predict(&table)?.class_names()?, ["Adelie", "Adelie"]);
    /// // What the model does not know is refused by name.
    /// let error = model.predict(&[("mass", "5"), ("island", "Texel")]).unwrap_err();
    /// assert!(error.to_string().contains("`Texel`, not one of the categories Biscoe, Dream, Torgersen"));
    /// # }
    /// # Ok::<(), kiln::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Data`] where the model learned from labels without names, or tells more classes apart than have names; where
    /// there are several outputs, one of which [`output`](Self::output) gives.
    pub fn class_names(&self) -> Result<Vec<&str>> {
        let [only] = &self.outputs[..] else {
            let names: Vec<&str> = self.outputs.iter().map(|own| own.name.as_str()).collect();
            return Err(Error::data(format!(
                "there are several outputs, {}: take one by `output`",
                names.join(", ")
            )));
        };
        if only.class_names.is_empty() {
            return Err(Error::data(
                "the model knows no names of classes: it learned from labels without names, which `Csv::labels` reads and \
                 `Dataset::with_class_names` sets",
            ));
        }
        let named = |class: usize| {
            let unnamed = || {
                let count = only.class_names.len();
                Error::data(format!(
                    "class {class} has no name: the model knows those of {count} classes"
                ))
            };
            only.class_names
                .get(class)
                .map(String::as_str)
                .ok_or_else(unnamed)
        };
        self.classes().into_iter().map(named).collect()
    }
}

/// The outputs for rows that are preprocessed.
///
/// # Errors
///
/// Memory, a device that fails.
pub(super) async fn predict(model: &mut Model, features: &Arranged<'_>) -> Result<Predictions> {
    let columns = model.architecture.output_width();
    let len = features.rows.checked_mul(columns);
    let mut values = reserved(len, "the predictions")?;
    values.resize(len.unwrap_or(0), 0.0);
    compute(model, features, &mut values).await?;
    // Labels with names are those of the only output that is trained.
    let named = match &model.objectives[..] {
        [only] => Some(&only.output),
        _ => None,
    };
    let outputs = model.architecture.outputs.iter().enumerate();
    let outputs = outputs.map(|(index, output)| OutputColumns {
        class_names: match named {
            Some(name) if *name == output.name => model.architecture.names.classes.clone(),
            _ => Arc::default(),
        },
        name: output.name.clone(),
        columns: model.architecture.width_of(index),
        classes: model.architecture.places_of(index).1,
    });
    Ok(Predictions {
        outputs: outputs.collect(),
        values,
        columns,
    })
}

/// Writes the outputs for rows to `out`, row-major.
///
/// # Errors
///
/// [`Error::Argument`] where `out` has not exactly their length; what the device raises.
pub(super) async fn predict_into(
    model: &mut Model,
    rows: Features<'_>,
    out: &mut [f32],
) -> Result<()> {
    model.share().await?;
    let rows = match model.architecture.preprocessing {
        Some(_) => rows.in_room(std::mem::take(&mut model.engine.room)),
        None => rows,
    };
    let features = model.recipe().arranged(rows)?;
    let (rows, columns) = (features.rows, model.architecture.output_width());
    if rows.checked_mul(columns) != Some(out.len()) {
        let len = out.len();
        let message = format!(
            "has {len} places, but the outputs of {rows} rows are {rows} × {columns} numbers"
        );
        return Err(Error::argument("out", message));
    }
    compute(model, &features, out).await?;
    if let Some(room) = features.into_room() {
        model.engine.room = room;
    }
    Ok(())
}

/// Computes outputs on a device made again where it is lost meanwhile.
async fn compute(model: &mut Model, features: &Arranged<'_>, out: &mut [f32]) -> Result<()> {
    let mut tries = Recovery::default().tries;
    loop {
        match compute_once(model, features, out).await {
            Err(error) => model.engine.try_again(&mut tries, error)?,
            done => return done,
        }
    }
}

async fn compute_once(model: &mut Model, features: &Arranged<'_>, out: &mut [f32]) -> Result<()> {
    if let Some((mut session, handles)) = session_for_many(model, features.rows)? {
        return run(&mut session, &handles, features, out).await;
    }
    let open = model.opened(Capacity::default()).await?;
    run(&mut open.session, &open.handles.predict, features, out).await
}

/// A session that only predicts, more rows at once, where that takes fewer batches: with the weights that the host knows, so that
/// no session that trains has to have room for it.
fn session_for_many(
    model: &mut Model,
    rows: usize,
) -> Result<Option<(Session, Vec<PredictHandles>)>> {
    if rows < MIN_ROWS || model.engine.unread || model.device().gpu().is_none() {
        return Ok(None);
    }
    model.engine.close_lost();
    let most = max_bytes(model.device().target().class);
    for size in batch_sizes(rows) {
        let (plan, handles) = model.recipe().build_for_many(size)?;
        let copies = IN_FLIGHT * size * model.architecture.output_width() * 4;
        let needed = plan.device_bytes().saturating_add(copies as u64);
        let budget = model.device().budget().unwrap_or(u64::MAX);
        let left = budget.saturating_sub(model.device().counters().bytes);
        if needed > left.min(most) {
            continue;
        }
        match model.device().open(&plan) {
            Err(Error::OutOfMemory { .. }) => {}
            Err(error) => return Err(error),
            Ok(mut session) => {
                session.restore(&model.engine.kept)?;
                return Ok(Some((session, handles.predict)));
            }
        }
    }
    Ok(None)
}

/// Sizes of the batches for `rows` rows, the best first: powers of two, so that sets of any sizes share a few programs, which
/// fill up at most an eighth.
fn batch_sizes(rows: usize) -> impl Iterator<Item = usize> {
    let halved = |size: &usize| (*size > MIN_AT_ONCE).then_some(size / 2);
    std::iter::successors(Some(MAX_ROWS), halved)
        .filter(move |size| rows.next_multiple_of(*size) - rows <= rows / 8)
}

/// Writes the outputs for `features` to `out`: whole batches by the first of these programs, whose batches are the largest,
/// and the rows that are left by the smallest one that takes them at once.
async fn run(
    session: &mut Session,
    programs: &[PredictHandles],
    features: &Arranged<'_>,
    out: &mut [f32],
) -> Result<()> {
    let Some(largest) = programs.first() else {
        return Ok(());
    };
    let rest = features.rows % largest.rows;
    let whole = features.rows - rest;
    let fitting = |program: &&PredictHandles| program.rows >= rest.max(1);
    let smallest = programs.iter().rfind(fitting).unwrap_or(largest);
    let columns = out.len() / features.rows.max(1);
    let (first, last) = out.split_at_mut(whole * columns);
    run_one(session, largest, (features, 0..whole), first).await?;
    run_one(session, smallest, (features, whole..features.rows), last).await
}

/// Runs a program over a range of rows, one batch ahead of the outputs.
async fn run_one(
    session: &mut Session,
    program: &PredictHandles,
    (features, rows): (&Arranged<'_>, Range<usize>),
    out: &mut [f32],
) -> Result<()> {
    let columns = program.y.elements() as usize / program.rows;
    let mut places = out.chunks_mut((program.rows * columns).max(1)).peekable();
    let mut batches = rows.clone().step_by(program.rows).peekable();
    let (mut under_way, mut times) = (VecDeque::new(), PieceTimes::default());
    loop {
        while under_way.len() < IN_FLIGHT
            && let Some(&first) = batches.peek()
        {
            let batch = first..rows.end.min(first + program.rows);
            features.write(session, &program.x, &batch)?;
            let place = places.peek_mut().filter(|_| under_way.is_empty());
            if place.is_some_and(|place| session.step_into(program.program, program.y, place)) {
                places.next();
                batches.next();
                continue;
            }
            let submitted = session
                .submit_sliced(program.program, 1, &[program.y], &mut times)
                .await;
            match submitted {
                // Tight budgets have room for one copy at a time.
                Err(Error::OutOfMemory { .. }) if !under_way.is_empty() => break,
                submitted => under_way.push_back(submitted?.0),
            }
            batches.next();
        }
        let Some(pending) = under_way.pop_front() else {
            return Ok(());
        };
        let outputs = session.finish(pending).await?;
        if let Some(place) = places.next() {
            place.copy_from_slice(&outputs[..place.len()]);
        }
    }
}

#[cfg(feature = "ndarray")]
impl From<&Predictions> for ndarray::Array2<f32> {
    /// `[rows, columns]`; the outputs of a model of several side by side.
    fn from(predictions: &Predictions) -> Self {
        let columns = predictions.columns;
        let shape = (predictions.rows().len(), columns);
        let values = &predictions.values;
        ndarray::Array2::from_shape_fn(shape, |(row, column)| values[row * columns + column])
    }
}

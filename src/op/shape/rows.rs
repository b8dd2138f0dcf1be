//! Row-wise kernels: how many invocations share a row, by the row's length and the class of adapter.

use crate::contract::{Io, Launch, Shader, expect_dtype, fold};
use crate::number::Real;
use crate::target::{Class, Target};
use crate::{DType, Shape, TensorType};

/// The most invocations that a workgroup may have on every adapter.
const WIDEST: u32 = 256;

/// The rows of a matrix, each shared by `lanes` invocations: see `shaders/rows.wgsl`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rows {
    rows: u64,
    columns: u64,
    lanes: u32,
    workgroup: u32,
}

impl Rows {
    /// Rows of `shape`, whose kernel loops `passes` times over a row.
    pub(crate) fn new(shape: &Shape, passes: u64, target: &Target) -> Self {
        let (rows, columns) = shape.rows_and_columns();
        Self::of(rows as u64, columns as u64, passes, target)
    }

    /// `rows` rows of `columns` elements.
    pub(crate) fn of(rows: u64, columns: u64, passes: u64, target: &Target) -> Self {
        let fill = |elements: u64| {
            let lanes = columns.div_ceil(elements).min(u64::from(WIDEST));
            (lanes as u32).next_power_of_two()
        };
        let (mut lanes, workgroup) = match target.class {
            // Eight elements a lane keep the tree short beside the loop; below 32 a plain loop is over sooner.
            Class::Gpu if columns > 32 => (fill(8), WIDEST),
            // One vector of eight lanes, whose barriers cost next to nothing; gathers cost the same either way.
            Class::CpuAdapter if columns > 256 => (8, 8),
            _ => (1, 64),
        };
        while passes * columns.div_ceil(u64::from(lanes)) > target.max_iterations && lanes < WIDEST
        {
            lanes *= 2;
        }
        Rows {
            rows,
            columns,
            lanes,
            workgroup: workgroup.max(lanes),
        }
    }

    /// A dispatch that loops `passes` times over each row and combines lanes `trees` times, with params `rows` and
    /// `columns`.
    pub(crate) fn launch(
        self,
        shader: Shader,
        entry: &'static str,
        passes: u64,
        trees: u64,
    ) -> Launch {
        self.share(Launch::new(shader, entry), passes, trees)
            .param("rows", self.rows as usize)
            .param("columns", self.columns as usize)
    }

    /// The same with a workgroup of at most `rows` rows.
    pub(crate) fn within(self, rows: u32) -> Self {
        let workgroup = (rows * self.lanes).min(WIDEST.max(self.lanes));
        Rows { workgroup, ..self }
    }

    /// The same rows a workgroup with another number of lanes each.
    pub(crate) fn with_lanes(self, lanes: u32) -> Self {
        Rows {
            lanes,
            workgroup: self.workgroup / self.lanes * lanes,
            ..self
        }
    }

    /// A dispatch in which a workgroup goes over `part_rows` rows, as many at a time as it has room for, looping `passes`
    /// times over each and combining lanes `passes` times.
    pub(crate) fn part(self, launch: Launch, part_rows: usize, passes: u64) -> Launch {
        let at_once = u64::from(self.workgroup / self.lanes);
        let lanes = u64::from(self.lanes);
        let row = passes * (self.columns.div_ceil(lanes) + u64::from(self.lanes.ilog2()) + 2);
        launch
            .set("WORKGROUP", self.workgroup)
            .set("LANES", self.lanes)
            .iterations((part_rows as u64).div_ceil(at_once) * (row + 1) + at_once)
    }

    /// The same without params, for a kernel that finds the sizes itself.
    pub(crate) fn share(self, launch: Launch, passes: u64, trees: u64) -> Launch {
        let lanes = u64::from(self.lanes);
        launch
            .set("WORKGROUP", self.workgroup)
            .set("LANES", self.lanes)
            .grid(fold(self.rows * lanes, self.workgroup))
            .iterations(
                passes * self.columns.div_ceil(lanes) + trees * u64::from(self.lanes.ilog2()),
            )
            .flops(passes * self.rows * self.columns * 2)
    }
}

/// A dispatch over a matrix with an invocation to an element, with params `rows` and `columns`.
pub(crate) fn elementwise(shader: Shader, entry: &'static str, shape: &Shape) -> Launch {
    let (rows, columns) = shape.rows_and_columns();
    Launch::new(shader, entry)
        .param("rows", rows)
        .param("columns", columns)
        .over(shape.elements(), 64)
        .flops(shape.elements() * 4)
}

/// Checks that a target is shaped like what it is compared with, and returns the shape of one number per row.
pub(crate) fn dense(y: &TensorType, target: &TensorType) -> Result<Shape, String> {
    expect_dtype("y", y, DType::F32)?;
    expect_dtype("the target", target, DType::F32)?;
    if y.shape != target.shape {
        return Err(format!(
            "y and its target differ in shape: {} and {}",
            y.shape, target.shape
        ));
    }
    per_row("y", y)
}

/// Checks that there is a label for each row, and returns the shape of one number per row.
pub(crate) fn sparse(y: &TensorType, labels: &TensorType) -> Result<Shape, String> {
    expect_dtype("y", y, DType::F32)?;
    expect_dtype("labels", labels, DType::U32)?;
    let rows = per_row("y", y)?;
    if labels.shape != rows {
        return Err(format!(
            "y {} takes labels {rows}, one for each row, got {}",
            y.shape, labels.shape
        ));
    }
    Ok(rows)
}

/// The shape of one number per row, or why `matrix` has no rows.
pub(crate) fn per_row(name: &str, matrix: &TensorType) -> Result<Shape, String> {
    match matrix.shape.dims().split_last() {
        Some((_, rows)) => Ok(Shape::from(rows)),
        None => Err(format!("{name} must have a last dimension, got a scalar")),
    }
}

/// The targets of rows on the processor, input `input` of an op.
#[derive(Clone, Copy)]
pub(crate) enum TargetRows<'a, T> {
    Dense(&'a [T]),
    Sparse(&'a [u32]),
}

/// A row's target.
#[derive(Clone, Copy)]
pub(crate) enum RowTarget<'a, T> {
    Shares(&'a [T]),
    Label(usize),
}

impl<'a, T: Real> TargetRows<'a, T> {
    #[inline(always)]
    pub(crate) fn of(io: &Io<'a, T>, input: usize) -> Self {
        if io.is_words(input) {
            TargetRows::Sparse(io.words(input))
        } else {
            TargetRows::Dense(io.input(input))
        }
    }

    /// The target of row `r`; none where its label names no class.
    #[inline(always)]
    pub(crate) fn row(self, r: usize, columns: usize) -> Option<RowTarget<'a, T>> {
        match self {
            TargetRows::Dense(t) => Some(RowTarget::Shares(&t[r * columns..(r + 1) * columns])),
            TargetRows::Sparse(t) => {
                let label = t[r] as usize;
                (label < columns).then_some(RowTarget::Label(label))
            }
        }
    }
}

impl<T: Real> RowTarget<'_, T> {
    #[inline(always)]
    pub(crate) fn at(&self, j: usize) -> T {
        match self {
            RowTarget::Shares(shares) => shares[j],
            RowTarget::Label(label) if *label == j => T::one(),
            RowTarget::Label(_) => T::zero(),
        }
    }

    #[inline(always)]
    pub(crate) fn sum(&self) -> T {
        match self {
            RowTarget::Shares(shares) => shares.iter().copied().sum(),
            RowTarget::Label(_) => T::one(),
        }
    }
}

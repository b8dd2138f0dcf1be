//! Rows of a data set by their numbers: y`[r, …]` = data[indices`[r]`, …]; rows of bytes are widened in the load.

mod cases;

use crate::contract::{
    Binding, Compute, Entry, Io, Launch, Launches, Op, Sample, Shader, Signature, expect_dtype,
    shader,
};
use crate::number::Real;
use crate::number::parallel::{Table, pieces};
use crate::target::Target;
use crate::{DType, Shape, Tensor, TensorType};

const SHADER: Shader = shader!("gather");

pub const ENTRY: Entry = Entry::new("gather", &[SHADER], cases::cases);

/// Most chunks of one data set.
pub const MAX_CHUNKS: usize = 4;

/// Bytes of a word.
const BYTES: usize = 4;

/// y`[r, …]` = data[indices`[r]`, …]. Inputs: indices, u32 \[batch\], then one to four chunks of the data, \[n, …\] each;
/// output: \[batch, …\] of the data's type.
///
/// A data set larger than an adapter's largest binding lies in several chunks, whose rows count on from one to the next;
/// all but the last have the same n. An index beyond the last row stands for the last row. The data has no gradient.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Gather {
    /// The shape of a row of bytes: then chunks are u32 \[n, words\] with four bytes to a word, the first in its low bits,
    /// every row begins at a word, and the output is \[batch, …sample\] numbers from 0 to 255.
    pub bytes: Option<Shape>,
}

impl Gather {
    /// Words of a row, given its bytes.
    pub fn words(bytes: usize) -> usize {
        bytes.div_ceil(BYTES)
    }

    /// Whether a call copies the rows as they are.
    pub fn copies(op: &dyn Op) -> bool {
        op.downcast() == Some(&Gather::default())
    }
}

impl Op for Gather {
    fn name(&self) -> &'static str {
        if self.bytes.is_some() {
            "gather_bytes"
        } else {
            "gather"
        }
    }

    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>, String> {
        let Some((indices, chunks)) = inputs.split_first() else {
            return Err("takes indices and 1 to 4 chunks of data, got nothing".into());
        };
        let batch = checked_batch(indices, chunks)?;
        let first = &chunks[0];
        let Some(sample) = &self.bytes else {
            if first.dtype == DType::F16 {
                return Err(format!("data must be f32 or u32, got {first}"));
            }
            let row = &first.shape.dims()[1..];
            return Ok(vec![TensorType {
                shape: [&[batch], row].concat().into(),
                dtype: first.dtype,
            }]);
        };
        expect_dtype("data", first, DType::U32)?;
        let bytes = usize::try_from(sample.elements()).unwrap_or(usize::MAX);
        let words = Gather::words(bytes);
        if !matches!(first.shape.dims(), &[_, own] if own == words) {
            return Err(format!(
                "rows of {bytes} bytes, {sample}, are {words} words each, got data {first}"
            ));
        }
        let shape = [&[batch], sample.dims()].concat();
        Ok(vec![TensorType::f32(shape)])
    }

    fn touched(&self, signature: &Signature, input: usize) -> u64 {
        // The rows come from one chunk or another; all are counted with the first.
        let rows = signature.inputs[0].elements();
        match input {
            0 => rows,
            1 => rows.saturating_mul(row_elements(&signature.inputs[1])),
            _ => 0,
        }
    }

    fn launch(&self, signature: &Signature, _target: &Target) -> Result<Launches, String> {
        let words = row_elements(&signature.inputs[1]);
        match self.bytes.as_ref().map(Shape::elements) {
            Some(bytes) if bytes == words * BYTES as u64 => {
                launched(signature, "widen_vec4", words, bytes)
            }
            Some(bytes) => launched(signature, "widen", words, bytes),
            None if words.is_multiple_of(4) => {
                launched(signature, "forward_vec4", words / 4, words)
            }
            None => launched(signature, "forward", words, words),
        }
    }

    fn bound(&self, sample: &Sample<'_>) -> Vec<Vec<f64>> {
        // A copy; whole numbers below 256 are floats of any precision.
        vec![vec![0.0; sample.results[0].len()]]
    }
}

/// Elements of a row.
fn row_elements(chunk: &TensorType) -> u64 {
    let dims = chunk.shape.dims().iter().skip(1);
    dims.map(|&dim| dim as u64).product()
}

/// The batch that the shape of the indices says, or why indices and chunks do not fit each other.
fn checked_batch(indices: &TensorType, chunks: &[TensorType]) -> Result<usize, String> {
    expect_dtype("indices", indices, DType::U32)?;
    let &[batch] = indices.shape.dims() else {
        return Err(format!("indices must have one dimension, got {indices}"));
    };
    if !(1..=MAX_CHUNKS).contains(&chunks.len()) {
        return Err(format!(
            "takes 1 to {MAX_CHUNKS} chunks of data, got {}",
            chunks.len()
        ));
    }
    let first = &chunks[0];
    let Some((&rows, row)) = first.shape.dims().split_first() else {
        return Err("data must have rows, got a scalar".into());
    };
    if batch == 0 || first.elements() == 0 {
        return Err(format!("{indices} of {first}: there is nothing to gather"));
    }
    for (i, chunk) in chunks.iter().enumerate() {
        let fits = chunk.dtype == first.dtype
            && chunk.shape.dims().split_first().is_some_and(|(&n, rest)| {
                let last = i + 1 == chunks.len();
                rest == row && n > 0 && (n == rows || last && n < rows)
            });
        if !fits {
            return Err(format!(
                "chunk {i} of the data is {chunk}, but the first is {first}; only the last may differ, by fewer rows"
            ));
        }
    }
    Ok(batch)
}

/// The launch of a kernel whose invocations take `len` words or vectors of a row of the data, for rows of y of `elements`.
fn launched(
    signature: &Signature,
    entry: &'static str,
    len: u64,
    elements: u64,
) -> Result<Launches, String> {
    const WORKGROUP: u64 = 64;
    let chunks = &signature.inputs[1..];
    let rows = signature.inputs[0].elements();
    let (last, [second, third, fourth]) = starts(chunks)?;
    // Lanes beyond the end of a row are idle; below eight elements there would be more of them than of others.
    let short = len < 8;
    let width = if short {
        WORKGROUP
    } else {
        len.next_power_of_two().min(WORKGROUP)
    };
    // At least four rows a workgroup, so that the grid's limit is no limit for batches up to 262 140.
    let height = if short { 1 } else { (WORKGROUP / width).max(4) };
    let groups = |n: u64, size: u64| u32::try_from(n.div_ceil(size)).unwrap_or(u32::MAX);
    let grid = if short {
        [groups(rows, width), 1, 1]
    } else {
        [groups(len, width), groups(rows, height), 1]
    };
    let mut launch = Launch::new(SHADER, entry)
        .set("CHUNKS", chunks.len() as u32)
        .set("SHORT", u32::from(short))
        .set("WIDTH", width as u32)
        .set("HEIGHT", height as u32)
        .param("rows", rows as usize)
        .param("len", len as usize)
        .param("elements", elements as usize)
        .param("last", last)
        .param("second", second)
        .param("third", third)
        .param("fourth", fourth)
        .bind(Binding::Input(0))
        .grid(grid)
        .iterations(if short { len } else { 1 });
    for chunk in 0..MAX_CHUNKS {
        // Every declared binding needs a buffer; those of chunks that are not there are never read.
        launch = launch.bind(Binding::Input(if chunk < chunks.len() {
            1 + chunk
        } else {
            1
        }));
    }
    Ok(launch.bind(Binding::Output(0)).into())
}

/// The data's last row, and the first rows of the second, third and fourth chunk, where they are.
fn starts(chunks: &[TensorType]) -> Result<(u32, [u32; MAX_CHUNKS - 1]), String> {
    let rows = |chunk: &TensorType| chunk.shape.dims()[0] as u64;
    let total = chunks.iter().map(rows).fold(0, u64::saturating_add);
    let last = u32::try_from(total - 1)
        .map_err(|_source| format!("{total} rows are more than 32 bits can number"))?;
    let mut starts = [u32::MAX; MAX_CHUNKS - 1];
    for (start, chunk) in starts.iter_mut().zip(1..chunks.len() as u64) {
        // No more than `last`.
        *start = (chunk * rows(&chunks[0])) as u32;
    }
    Ok((last, starts))
}

/// The row of a data set of `rows` that an index stands for.
pub(super) fn row_of(index: u32, rows: usize) -> usize {
    (index as usize).min(rows - 1)
}

/// The rows of a data set `[rows, columns]` at these indices, for calls that gather what they take.
pub(super) fn gathered<T: Copy>(
    data: &[T],
    [rows, columns]: [usize; 2],
    indices: impl IntoIterator<Item = u32>,
) -> Vec<T> {
    let row = |index| &data[row_of(index, rows) * columns..][..columns];
    indices.into_iter().flat_map(row).copied().collect()
}

/// How rows lie in the chunks of a data set.
struct Home {
    chunks: usize,
    /// Rows of every chunk but the last.
    per_chunk: usize,
    rows: usize,
    /// Elements of a row.
    len: usize,
}

impl Home {
    fn of(signature: &Signature) -> Self {
        let chunks = &signature.inputs[1..];
        let rows = |chunk: &TensorType| chunk.shape.dims()[0];
        Home {
            chunks: chunks.len(),
            per_chunk: rows(&chunks[0]),
            rows: chunks.iter().map(rows).sum(),
            len: row_elements(&chunks[0]) as usize,
        }
    }

    /// The chunk that holds the row of an index, and where in it.
    fn place(&self, index: u32) -> (usize, std::ops::Range<usize>) {
        let row = row_of(index, self.rows);
        let start = row % self.per_chunk * self.len;
        (row / self.per_chunk, start..start + self.len)
    }
}

impl Compute for Gather {
    #[inline(always)]
    fn compute<T: Real>(&self, io: &mut Io<'_, T>) {
        let indices = io.words(0);
        let home = Home::of(io.signature);
        let (chunks, len) = (home.chunks, home.len);
        if !io.is_words(1) {
            let data: [&[T]; MAX_CHUNKS] =
                std::array::from_fn(|i| if i < chunks { io.input(1 + i) } else { &[] });
            return copy_rows::<T, _>(io.output(0), indices, len, |index| {
                let (chunk, range) = home.place(index);
                &data[chunk][range]
            });
        }
        let data: [&[u32]; MAX_CHUNKS] =
            std::array::from_fn(|i| if i < chunks { io.words(1 + i) } else { &[] });
        let words = |index| {
            let (chunk, range) = home.place(index);
            &data[chunk][range]
        };
        let Some(sample) = &self.bytes else {
            return copy_rows::<T, _>(io.output_words(0), indices, len, words);
        };
        let len = sample.elements() as usize;
        pieces::<T, _>(
            indices.len(),
            8 * len,
            (Table(io.output(0), len), indices),
            #[inline(always)]
            |_, (Table(y, _), indices)| {
                for (y, &index) in y.chunks_exact_mut(len).zip(indices) {
                    let (chunk, range) = home.place(index);
                    for (four, word) in y.chunks_mut(BYTES).zip(&data[chunk][range]) {
                        for (value, byte) in four.iter_mut().zip(word.to_le_bytes()) {
                            *value = T::constant(f64::from(byte));
                        }
                    }
                }
            },
        );
    }
}

/// Fills the rows of `y` with those of `data` at the indices.
fn copy_rows<'a, T: Real, E: Copy + Send + Sync + 'a>(
    y: &mut [E],
    indices: &[u32],
    len: usize,
    data: impl Fn(u32) -> &'a [E] + Sync,
) {
    let operands = (Table(y, len), indices);
    pieces::<T, _>(
        indices.len(),
        8 * len,
        operands,
        #[inline(always)]
        |_, (Table(y, _), indices)| {
            for (y, &index) in y.chunks_exact_mut(len).zip(indices) {
                y.copy_from_slice(data(index));
            }
        },
    );
}

/// # Data sets
impl Tensor {
    /// The rows of a data set at these indices, u32 \[batch\]: \[batch, …\]. The data lies in one to four `chunks`
    /// \[n, …\] of equal n, but for the last, which may be shorter; an index beyond the last row stands for that row.
    #[track_caller]
    pub fn gather(&self, chunks: &[&Tensor]) -> Tensor {
        self.graph()
            .apply_one(Gather::default(), &[&[self], chunks].concat())
    }

    /// The rows of a data set of bytes at these indices, u32 \[batch\], as numbers from 0 to 255: \[batch, …sample\]. The
    /// data lies in one to four `chunks`, u32 \[n, words\] with four bytes to a word, the first in its low bits, and every row
    /// begins at a word; the rest is as for [`gather`](Self::gather).
    #[track_caller]
    pub fn gather_bytes(&self, chunks: &[&Tensor], sample: impl Into<Shape>) -> Tensor {
        let bytes = Some(sample.into());
        self.graph()
            .apply_one(Gather { bytes }, &[&[self], chunks].concat())
    }
}

//! The bytes of a plan as a function of the rows of data that it has room for, so that nobody builds plans to ask a size.

use super::{Place, Plan};

/// Bytes of a plan's slots: a fixed part, and for every array of a data set what its rows take.
///
/// Exact wherever the arrays have as many chunks as in the plan that it was asked of, or are divided into chunks there
/// already: a program that gathers from one chunk and one that gathers from several have other temporaries.
#[derive(Debug, Clone)]
pub(crate) struct RowBytes {
    fixed: u64,
    /// Bytes of a row of each array.
    arrays: Vec<u64>,
    /// The multiple, in bytes, of every slot.
    alignment: u64,
    /// The longest slot of an array in bytes; longer arrays are divided into chunks.
    max_chunk_bytes: u64,
}

impl Plan {
    /// The bytes of the slots where the arrays of a data set have another number of rows. `arrays` holds the places of each
    /// array's chunks, which have room for `rows` rows in this plan.
    pub(crate) fn row_bytes<'a>(
        &self,
        arrays: impl IntoIterator<Item = &'a [Place]>,
        rows: usize,
    ) -> RowBytes {
        let mut fixed = self.slot_bytes();
        let mut row_bytes = Vec::new();
        for chunks in arrays {
            let mut bytes = 0;
            for place in chunks {
                let slot = &self.slots[place.slot];
                fixed = fixed.saturating_sub(slot.bytes());
                bytes += place.len.saturating_mul(slot.dtype.bytes());
            }
            row_bytes.push(bytes / (rows as u64).max(1));
        }
        let target = &self.target;
        let longest = target.max_binding_bytes.min(target.max_buffer_bytes);
        RowBytes {
            fixed,
            arrays: row_bytes,
            alignment: target.alignment,
            max_chunk_bytes: longest / target.alignment * target.alignment,
        }
    }
}

impl RowBytes {
    /// Bytes of all slots where every array has room for `rows` rows.
    pub fn at(&self, rows: usize) -> u64 {
        let rows = rows as u64;
        let array = |&row: &u64| {
            if row == 0 {
                return 0;
            }
            let chunk = (self.max_chunk_bytes / row).max(1);
            let padded = |rows: u64| {
                let bytes = rows.saturating_mul(row);
                bytes
                    .checked_next_multiple_of(self.alignment)
                    .unwrap_or(u64::MAX)
            };
            let whole = padded(chunk).saturating_mul(rows / chunk);
            whole.saturating_add(padded(rows % chunk))
        };
        let arrays = self.arrays.iter().map(array);
        arrays.fold(self.fixed, u64::saturating_add)
    }

    /// The most rows whose slots take at most `bytes`; none where what does not depend on the rows takes more.
    pub fn most_rows(&self, bytes: u64) -> Option<usize> {
        let left = bytes.checked_sub(self.fixed)?;
        let row: u64 = self.arrays.iter().sum();
        let Some(above) = left.checked_div(row) else {
            return Some(usize::MAX);
        };
        // Rounding up to the alignment leaves room for fewer.
        let (mut most, mut above) = (0, usize::try_from(above).unwrap_or(usize::MAX - 1) + 1);
        while above - most > 1 {
            let middle = most + (above - most) / 2;
            if self.at(middle) <= bytes {
                most = middle;
            } else {
                above = middle;
            }
        }
        Some(most)
    }
}

#[cfg(test)]
mod tests {
    use crate::plan::Plan;
    use crate::target::{Class, Target};
    use crate::{Graph, Program};

    /// Two arrays of `rows` rows, of which a step takes a few.
    fn plan(rows: usize) -> Plan {
        let graph = Graph::new();
        let indices = graph.labels("indices", [8]);
        let (x, y) = (graph.input("x", [rows, 7]), graph.input("y", [rows, 3]));
        let (x, y) = (indices.gather(&[&x]), indices.gather(&[&y]));
        let (x, y) = (x.tanh().exp(), y.square());
        let program = Program::new("step").fetch("x", &x).fetch("y", &y);
        let target = Target::new(Class::Gpu, None);
        Plan::compile(&graph, &target, [program]).unwrap()
    }

    #[test]
    fn one_plan_tells_the_bytes_of_every_number_of_rows() {
        let probe = plan(50);
        let place = |name| [probe.variable(name).unwrap().place];
        let arrays = [place("x"), place("y")];
        let bytes = probe.row_bytes(arrays.iter().map(|chunks| &chunks[..]), 50);
        for rows in [1, 2, 9, 50, 64, 1000, 12_345] {
            let built = plan(rows).slot_bytes();
            assert_eq!(bytes.at(rows), built, "{rows} rows");
            assert!(bytes.most_rows(built - 1).is_some_and(|most| most < rows));
            let most = bytes.most_rows(built).unwrap();
            assert!(most >= rows && bytes.at(most) <= built && bytes.at(most + 1) > built);
        }
        assert_eq!(bytes.most_rows(0), None);
    }
}

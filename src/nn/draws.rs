//! Draws from a seed: uniform numbers, normals, normals that are cut, matrices at right angles.

use rand::{Rng, SeedableRng};
use rand_pcg::Pcg64;

/// The standard deviation of a standard normal cut at ±2, by which a cut normal is too narrow.
pub(super) const CUT_DEVIATION: f64 = 0.879_625_661_034_239_8;

/// Random numbers from PCG-64 seeded by (seed, stream), 24 bits a number.
pub(super) struct Draws(Pcg64);

impl Draws {
    /// The draws of one tensor.
    pub fn new(seed: u64, stream: u64) -> Self {
        let mut key = [0; 32];
        key[..8].copy_from_slice(&seed.to_le_bytes());
        key[8..16].copy_from_slice(&stream.to_le_bytes());
        Draws(Pcg64::from_seed(key))
    }

    /// One of 2²⁴ numbers in [0, 1).
    fn unit(&mut self) -> f64 {
        f64::from(self.0.next_u32() >> 8) / f64::from(1 << 24)
    }

    /// Numbers between the two.
    pub fn uniforms(&mut self, len: usize, low: f64, high: f64) -> Vec<f32> {
        (0..len)
            .map(|_| (low + (high - low) * self.unit()) as f32)
            .collect()
    }

    /// Numbers in ±`limit`.
    pub fn within(&mut self, len: usize, limit: f64) -> Vec<f32> {
        self.uniforms(len, -limit, limit)
    }

    /// A function of standard normals.
    pub fn normals(&mut self, len: usize, f: impl Fn(f64) -> f64) -> Vec<f32> {
        (0..len).map(|_| f(self.normal()) as f32).collect()
    }

    /// A standard normal, by Box and Muller (1958).
    fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.unit()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.unit()).cos()
    }

    /// A matrix of which the fewer of rows and columns are at right angles and `gain` long: Gram and Schmidt, twice over,
    /// on normals; the triangular factor has a positive diagonal, so that the matrix is uniform among all.
    pub fn orthogonal(&mut self, rows: usize, columns: usize, gain: f64) -> Vec<f32> {
        let (long, short) = (rows.max(columns), rows.min(columns));
        let mut vectors: Vec<Vec<f64>> = Vec::with_capacity(short);
        while vectors.len() < short {
            let mut own: Vec<f64> = (0..long).map(|_| self.normal()).collect();
            for _ in 0..2 {
                for other in &vectors {
                    let along: f64 = own.iter().zip(other).map(|(a, b)| a * b).sum();
                    own.iter_mut().zip(other).for_each(|(a, b)| *a -= along * b);
                }
            }
            let length = own.iter().map(|a| a * a).sum::<f64>().sqrt();
            // All but impossible, and no direction.
            if length > 1e-9 {
                own.iter_mut().for_each(|a| *a /= length);
                vectors.push(own);
            }
        }
        let at = |row: usize, column: usize| {
            if rows < columns {
                vectors[row][column]
            } else {
                vectors[column][row]
            }
        };
        let values = (0..rows * columns).map(|i| (gain * at(i / columns, i % columns)) as f32);
        values.collect()
    }

    /// Normals cut at two deviations, drawn again beyond, of standard deviation `deviation` after the cut.
    pub fn cut_normals(&mut self, len: usize, deviation: f64) -> Vec<f32> {
        let cut = |draws: &mut Self| loop {
            let normal = draws.normal();
            if normal.abs() <= 2.0 {
                break normal;
            }
        };
        (0..len)
            .map(|_| (cut(self) * deviation / CUT_DEVIATION) as f32)
            .collect()
    }
}

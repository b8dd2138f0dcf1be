//! Adam's update (Kingma and Ba, 2014) with Keras 3's placement of ε, the paper's ε̂: m ← m + (g − m)(1 − β₁),
//! v ← v + (g² − v)(1 − β₂), w ← w − α·m/(√v + ε) with α = η·√(1 − β₂ᵗ)/(1 − β₁ᵗ). η, β₁ᵗ and β₂ᵗ are the clock's.

use crate::contract::{
    Binding, Case, Compute, Entry, Fill, Io, Launch, Launches, Op, Sample, Shader, Signature, Slab,
    arity, fold, shader,
};
use crate::number::parallel::pieces;
use crate::number::{Real, UNIT};
use crate::target::Target;
use crate::{Tensor, TensorType};

use super::RATES;
use super::sgd::{check_factor, check_operands};

const SHADER: Shader = shader!("adam");

/// The line in [`op::all`](super::all).
pub const ENTRY: Entry = Entry {
    name: "adam",
    shaders: &[SHADER],
    cases,
};

/// One step of Adam. Inputs: w, m and v, updated in place, g of the same shape, the rates of a clock with the same β₁
/// and β₂. No output.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Adam {
    /// β₁, in [0, 1).
    pub beta_1: f32,
    /// β₂, in [0, 1).
    pub beta_2: f32,
    /// ε, above 0.
    pub epsilon: f32,
}

/// 1 − β of the decimal number that β stands for. The f32 next to 0.999 is 1.3e-8 above it, which in 1 − β₂ would be an
/// error of 1.3e-5; Keras subtracts in f64.
pub(in crate::op) fn complement(beta: f32) -> f64 {
    let exact = f64::from(beta);
    let decimal = (exact * 1e7).round() / 1e7;
    1.0 - if decimal as f32 == beta {
        decimal
    } else {
        exact
    }
}

impl Op for Adam {
    fn name(&self) -> &'static str {
        "adam"
    }

    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>, String> {
        check_operands(&["w", "m", "v", "g"], arity::<5>(inputs)?)?;
        check_factor("beta_1", self.beta_1)?;
        check_factor("beta_2", self.beta_2)?;
        if self.epsilon > 0.0 && self.epsilon.is_finite() {
            return Ok(Vec::new());
        }
        Err(format!(
            "epsilon must be above 0 and finite, got {}",
            self.epsilon
        ))
    }

    fn writes(&self) -> &[usize] {
        &[0, 1, 2]
    }

    fn launch(&self, signature: &Signature, _target: &Target) -> Result<Launches, String> {
        const WORKGROUP: u32 = 256;
        let len = signature.inputs[0].elements();
        let launch = Launch::new(SHADER, "update")
            .set("WORKGROUP", WORKGROUP)
            .param("len", len as usize);
        let constants = self.constants().into_iter();
        Ok(constants
            .fold(launch, |launch, (name, value)| launch.param(name, value))
            .bind(Binding::Input(3))
            .bind(Binding::Input(4))
            .bind(Binding::Input(0))
            .bind(Binding::Input(1))
            .bind(Binding::Input(2))
            .grid(fold(len.div_ceil(4), WORKGROUP))
            .flops(12 * len)
            .into())
    }

    fn slab(&self) -> Option<Slab> {
        Some(Slab {
            key: format!("{self:?}"),
            operands: 4,
        })
    }

    fn bound(&self, sample: &Sample<'_>) -> Vec<Vec<f64>> {
        let [m, v, g, rates] = [1, 2, 3, 4].map(|i| &sample.inputs[i]);
        let [w_after, m_after, v_after] = [0, 1, 2].map(|i| &sample.results[i]);
        let mut bounds = [const { Vec::new() }; 3];
        for i in 0..m.len() {
            let after = [w_after[i], m_after[i], v_after[i]];
            let errors = self.errors([m[i], v[i]], g[i], 0.0, rates, after);
            for (bounds, error) in bounds.iter_mut().zip(errors) {
                bounds.push(error);
            }
        }
        bounds.into()
    }
}

impl Adam {
    /// How far a device's w, m and v may be off after a step from m and v with a gradient g that is off by `g_error`.
    pub(super) fn errors(
        &self,
        [m_before, v_before]: [f64; 2],
        g: f64,
        g_error: f64,
        rates: &[f64],
        [w, m, v]: [f64; 3],
    ) -> [f64; 3] {
        let epsilon = f64::from(self.epsilon);
        let (c1, c2) = (complement(self.beta_1), complement(self.beta_2));
        let alpha = rates[0] * (1.0 - rates[2]).sqrt() / (1.0 - rates[1]);
        // Each mean: a difference, 1 − β as f32, their product, a sum; the second one also a square.
        let square = g * g;
        let m_error =
            1.01 * (UNIT * (3.0 * c1 * (g - m_before).abs() + m.abs()) + c1 * g_error) + 1e-37;
        let drift = 3.0 * c2 * (square - v_before).abs();
        let from_g = c2 * g_error * (2.0 * g.abs() + g_error);
        let v_error = 1.01 * (UNIT * (drift + c2 * square + v) + from_g) + 1e-37;
        // |√a − √b| is at most |a − b|/√a and at most √|a − b|. WGSL's sqrt is a division (2.5 ulp) by an inverse
        // root (2 ulp): 10 units; one more for the sum with ε.
        let root = v.sqrt();
        let divisor = root + epsilon;
        let through_root = if root > 0.0 {
            (v_error / root).min(v_error.sqrt())
        } else {
            v_error.sqrt()
        };
        let divisor_error = through_root + 11.0 * UNIT * divisor;
        // The quotient grows most where the divisor is smallest.
        let least = (divisor - divisor_error).max(0.5 * epsilon);
        // α: two differences, a root, a product, a division: 18 units. Then a product and a division: 6.
        let delta = (m * alpha / divisor).abs();
        let delta_error =
            (alpha.abs() * m_error + 1e-37) / least + delta * (24.0 * UNIT + divisor_error / least);
        let w_error = 1.01 * (delta_error + UNIT * w.abs()) + 1e-37;
        [w_error, m_error, v_error]
    }

    /// 1 − β₁, 1 − β₂ and ε, as the shaders take them.
    pub(super) fn constants(&self) -> [(&'static str, f32); 3] {
        [
            ("rate_1", complement(self.beta_1) as f32),
            ("rate_2", complement(self.beta_2) as f32),
            ("epsilon", self.epsilon),
        ]
    }

    /// One step of w, m and v.
    pub(super) fn step<T: Real>(
        &self,
        w: &mut [T],
        m: &mut [T],
        v: &mut [T],
        g: &[T],
        rates: &[T],
    ) {
        let one = T::one();
        let (c1, c2) = (complement(self.beta_1), complement(self.beta_2));
        let (c1, c2, epsilon) = (T::of(c1), T::of(c2), T::of(f64::from(self.epsilon)));
        let alpha = rates[0] * (one - rates[2]).sqrt() / (one - rates[1]);
        pieces::<T, _>(
            g.len(),
            28,
            (w, m, v, g),
            #[inline(always)]
            |_, (w, m, v, g)| {
                for (((w, m), v), &g) in w.iter_mut().zip(m).zip(v).zip(g) {
                    *m = (*m + (g - *m) * c1).flushed();
                    *v = (*v + (g * g - *v) * c2).flushed();
                    *w = *w - *m * alpha / (v.sqrt() + epsilon);
                }
            },
        );
    }
}

impl Compute for Adam {
    #[inline(always)]
    fn compute<T: Real>(&self, io: &mut Io<'_, T>) {
        let (g, rates) = (io.input(3), io.input(4));
        let [w, m, v] = io.outputs();
        self.step(w, m, v, g, rates);
    }
}

fn cases() -> Vec<Case> {
    let shapes: [&[usize]; 11] = [
        &[],
        &[1],
        &[2],
        &[3],
        &[17],
        &[33, 10],
        &[255],
        &[257],
        &[2, 3, 5, 7],
        &[1000],
        &[70_000],
    ];
    let adam = |beta_1, beta_2, epsilon| Adam {
        beta_1,
        beta_2,
        epsilon,
    };
    // The first step, the hundredth, and one so late that the powers are gone.
    let settings = [
        (adam(0.9, 0.999, 1e-7), [0.001, 0.9, 0.999, 0.0]),
        (adam(0.8, 0.99, 1e-3), [0.01, 2e-10, 0.366, 0.0]),
        (adam(0.3, 0.7, 1e-8), [0.1, 0.0, 0.0, 0.0]),
    ];
    let mut cases = Vec::new();
    for shape in shapes {
        for (adam, rates) in settings {
            cases.push(
                Case::new(adam)
                    .input(shape, Fill::Uniform(-2.0, 2.0))
                    .input(shape, Fill::Uniform(-1.0, 1.0))
                    .input(shape, Fill::Uniform(0.0, 1.0))
                    .input(shape, Fill::Uniform(-2.0, 2.0))
                    .constant(&[RATES], Fill::Values(rates.into()))
                    .without_gradient(),
            );
        }
    }
    // From rest, with gradients so small that ε or the smallest numbers decide.
    let gradients = vec![
        0.0, 1e-3, -1e-4, 1e-6, -1e-7, 1e-8, 1e-10, -1e-15, 1e-19, -1e-22, 100.0,
    ];
    let len = gradients.len();
    let zeros = || Fill::Values(vec![0.0; len]);
    for (adam, rates) in settings {
        cases.push(
            Case::new(adam)
                .constant(&[len], Fill::Uniform(-1.0, 1.0))
                .constant(&[len], zeros())
                .constant(&[len], zeros())
                .constant(&[len], Fill::Values(gradients.clone()))
                .constant(&[RATES], Fill::Values(rates.into())),
        );
    }
    cases
}

impl Tensor {
    /// This parameter's step of Adam; `m` and `v` are variables of the same shape, zeros at first, and `rates` those of a
    /// clock with the rule's β₁ and β₂. The handle is for [`Program::update`](crate::Program::update).
    #[track_caller]
    pub fn adam_step(
        &self,
        m: &Tensor,
        v: &Tensor,
        gradient: &Tensor,
        rates: &Tensor,
        rule: Adam,
    ) -> Tensor {
        self.graph().apply_one(rule, &[self, m, v, gradient, rates])
    }
}

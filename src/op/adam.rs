//! Adam's update (Kingma and Ba, 2014) with Keras 3's placement of ε, the paper's ε̂: m ← m + (g − m)(1 − β₁),
//! v ← v + (g² − v)(1 − β₂), w ← w − α·m/(√v + ε) with α = η·√(1 − β₂ᵗ)/(1 − β₁ᵗ). η, β₁ᵗ and β₂ᵗ are the clock's.

use crate::TensorType;
use crate::contract::{
    Binding, Case, Compute, Entry, Fill, Io, Launch, Launches, Op, Sample, Shader, Signature, Slab,
    arity, fold, shader,
};
use crate::number::parallel::pieces;
use crate::number::{Number, Real, Tracked};
use crate::target::Target;

use super::sgd::{SHAPES, check_factor, check_operands};
use super::{RATES, complement, moved, rest};

const SHADER: Shader = shader!("adam");

pub const ENTRY: Entry = Entry::new("adam", &[SHADER], cases);

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

/// The formula with its numbers as the type that computes it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AdamFormula<N> {
    rest_1: N,
    rest_2: N,
    epsilon: N,
}

impl<N: Number> AdamFormula<N> {
    #[inline(always)]
    pub fn new(beta_1: f32, beta_2: f32, epsilon: f32) -> Self {
        Self::from_rests([beta_1, beta_2].map(rest), N::given(epsilon))
    }

    /// With 1 − β₁ and 1 − β₂ of one's own.
    #[inline(always)]
    pub fn from_rests([rest_1, rest_2]: [N; 2], epsilon: N) -> Self {
        AdamFormula {
            rest_1,
            rest_2,
            epsilon,
        }
    }

    /// m and v after a step.
    #[inline(always)]
    pub fn means(&self, m: N, v: N, g: N) -> [N; 2] {
        [moved(m, g, self.rest_1), moved(v, g * g, self.rest_2)]
    }

    /// What m·α is divided by.
    #[inline(always)]
    pub fn divisor(&self, v: N) -> N {
        v.root() + self.epsilon
    }

    /// The same where ε is added after the correction of v, as in PyTorch: √(1 − β₂ᵗ) is the correction's root.
    #[inline(always)]
    pub fn corrected_divisor(&self, v: N, root: N) -> N {
        v.root() / root + self.epsilon
    }

    /// α of the clock's rates.
    #[inline(always)]
    fn alpha(rates: &[N]) -> N {
        let one = N::constant(1.0);
        rates[0] * (one - rates[2]).root() / (one - rates[1])
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
        let [w, m, v, g] = [0, 1, 2, 3].map(|i| &sample.inputs[i]);
        let mut bounds = [const { Vec::new() }; 3];
        for i in 0..m.len() {
            let errors = self.errors([w[i], m[i], v[i]], Tracked::exact(g[i]), &sample.inputs[4]);
            for (bounds, error) in bounds.iter_mut().zip(errors) {
                bounds.push(error);
            }
        }
        bounds.into()
    }
}

impl Adam {
    fn formula<N: Number>(&self) -> AdamFormula<N> {
        AdamFormula::new(self.beta_1, self.beta_2, self.epsilon)
    }

    /// How far a device's w, m and v may be off after a step, given these numbers before it.
    pub(super) fn errors(&self, before: [f64; 3], g: Tracked, rates: &[f64]) -> [f64; 3] {
        let [w, m, v] = before.map(Tracked::exact);
        let rates: Vec<Tracked> = rates.iter().map(|&rate| Tracked::exact(rate)).collect();
        let formula = self.formula::<Tracked>();
        let [m, v] = formula.means(m, v, g);
        let mut divisor = formula.divisor(v);
        // However far v is off, a root is at least 0: the quotient grows most where the divisor is ε alone.
        let most = divisor.value - 0.5 * f64::from(self.epsilon);
        divisor.error = divisor.error.min(most);
        let w = w - m * AdamFormula::alpha(&rates) / divisor;
        [w, m, v].map(|number| number.error)
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
        let formula = self.formula::<T>();
        let alpha = AdamFormula::alpha(rates);
        pieces::<T, _>(
            g.len(),
            28,
            (w, m, v, g),
            #[inline(always)]
            |_, (w, m, v, g)| {
                for (((w, m), v), &g) in w.iter_mut().zip(m).zip(v).zip(g) {
                    [*m, *v] = formula.means(*m, *v, g).map(T::flushed);
                    *w = *w - *m * alpha / formula.divisor(*v);
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
    for shape in SHAPES {
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

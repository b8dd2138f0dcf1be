//! Second derivatives, as nodes of the graph: what f′ changes by with the output or input that it is computed from.
//!
//! They are for gradients of gradients, such as a penalty on the slope of a network by its inputs. Only a loss that itself
//! holds gradients has them, so they are made of other ops and have no kernels of their own.

use crate::Tensor;

use super::Function::{self, *};

/// The derivative of f′ by what it is computed from.
pub(super) enum Second {
    /// 0 wherever there is one.
    Flat,
    /// The same everywhere.
    Constant(f32),
    /// Of these values.
    Of(Tensor),
}

use Second::{Constant, Flat, Of};

/// 2/√π, 1/√(2π), and GELU's by tanh: 2·√(2/π), and 3·0.044715.
const ROOT_PI: f32 = std::f32::consts::FRAC_2_SQRT_PI;
const NORMAL: f32 = 0.398_942_3;
const TWICE_ROOT: f32 = 1.595_769;
const CUBIC: f32 = 0.134_145;

/// From where on e^(−x²/2) and σ′ of GELU's 2u are 0 in f32: the polynomials beside them would overflow farther out, to 0·∞.
const FAR: f32 = 20.0;

/// σ(x) and σ′(x) = σ·(1 − σ).
fn sigmoid(x: &Tensor) -> (Tensor, Tensor) {
    let s = x.sigmoid();
    let slope = s.mul(&s.neg().offset(1.0));
    (s, slope)
}

/// 1 − 2s.
fn turned(s: &Tensor) -> Tensor {
    s.scale(-2.0).offset(1.0)
}

impl Function {
    /// From the saved output y or input x; see [`Function::saves_output`].
    pub(super) fn second(self, saved: &Tensor) -> Second {
        let (x, y) = (saved, saved);
        let number = |value: f32| saved.graph().constant([], &[value]);
        // Ones within two ends, of which neither is in.
        let within = |low: f32, high: f32| {
            let (above, below) = (x.greater(&number(low)), number(high).greater(x));
            above.mul(&below)
        };
        match self {
            Relu
            | LeakyRelu(_)
            | Abs
            | Neg
            | Scale(_)
            | Offset(_)
            | Rectify { .. }
            | Clamp { .. }
            | HardSigmoid { .. }
            | Shrink { .. }
            | Threshold { .. }
            | Sign
            | Floor
            | Ceil
            | Round => Flat,
            // Of the output: y·(1 − y), 1 − y², y, 1/(2y).
            Sigmoid => Of(turned(y)),
            Tanh => Of(y.scale(-2.0)),
            Exp => Constant(1.0),
            Sqrt => Of(y.square().reciprocal().scale(-0.5)),
            // Of the input.
            Square => Constant(2.0),
            Log => Of(x.square().reciprocal().neg()),
            Log1p => Of(x.offset(1.0).square().reciprocal().neg()),
            Expm1 => Of(x.exp()),
            Reciprocal => Of(x.pow(3.0).reciprocal().scale(2.0)),
            Rsqrt => Of(x.square().mul(&x.sqrt()).reciprocal().scale(0.75)),
            // Not 0·∞ at 0.
            Power(p) if p * (p - 1.0) == 0.0 => Flat,
            Power(2.0) => Constant(2.0),
            Power(p) => Of(x.pow(p - 2.0).scale(p * (p - 1.0))),
            Sin => Of(x.sin().neg()),
            Cos => Of(x.cos().neg()),
            // −2x·f′.
            Erf => {
                let x = x.clamp(-FAR, FAR);
                Of(x.square().neg().exp().mul(&x).scale(-2.0 * ROOT_PI))
            }
            // φ·(2 − x²).
            Gelu => {
                let square = x.clamp(-FAR, FAR).square();
                let density = square.scale(-0.5).exp().scale(NORMAL);
                Of(density.mul(&square.neg().offset(2.0)))
            }
            // With v = 2u, v′ and v″: σ′·(2v′ + x·((1 − 2σ)·v′² + v″)).
            GeluTanh => {
                let x = &x.clamp(-FAR, FAR);
                let square = x.square();
                let v = square
                    .scale(CUBIC / 3.0)
                    .offset(1.0)
                    .mul(x)
                    .scale(TWICE_ROOT);
                let slope = square.scale(CUBIC).offset(1.0).scale(TWICE_ROOT);
                let bend = x.scale(2.0 * CUBIC * TWICE_ROOT);
                let (s, own) = sigmoid(&v);
                let inner = turned(&s).mul(&slope.square()).add(&bend);
                Of(own.mul(&slope.scale(2.0).add(&x.mul(&inner))))
            }
            // β·σ′·(2 + βx·(1 − 2σ)).
            Silu(beta) => {
                let scaled = x.scale(beta);
                let (s, own) = sigmoid(&scaled);
                let inner = scaled.mul(&turned(&s)).offset(2.0);
                Of(own.mul(&inner).scale(beta))
            }
            // With t = tanh(softplus x): t′ = (1 − t²)·σ; 2t′ + x·((1 − t²)·σ′ − 2t·t′·σ).
            Mish => {
                let t = x.softplus().tanh();
                let rest = t.square().neg().offset(1.0);
                let (s, own) = sigmoid(x);
                let slope = rest.mul(&s);
                let bend = rest.mul(&own).sub(&t.mul(&slope).mul(&s).scale(2.0));
                Of(slope.scale(2.0).add(&x.mul(&bend)))
            }
            Softplus { beta, threshold } => {
                let scaled = x.scale(beta);
                let curve = sigmoid(&scaled).1.scale(beta);
                match threshold.is_finite() {
                    true => Of(curve.mul(&number(threshold).greater_equal(&scaled))),
                    false => Of(curve),
                }
            }
            LogSigmoid => Of(sigmoid(x).1.neg()),
            // −2·sign x/(1 + |x|)³.
            Softsign => {
                let cube = x.abs().offset(1.0).pow(3.0);
                Of(x.sign().div(&cube).scale(-2.0))
            }
            Elu {
                alpha,
                scale,
                width,
            } => {
                let left = x.minimum(&number(0.0)).scale(1.0 / width).exp();
                let left = left.scale(scale * alpha / (width * width));
                Of(left.mul(&number(0.0).greater_equal(x)))
            }
            HardSilu { slope, offset } => {
                let ends = (-offset / slope, (1.0 - offset) / slope);
                Of(within(ends.0, ends.1).scale(2.0 * slope))
            }
            // 2·tanh·(1 − tanh²).
            TanhShrink => {
                let t = x.tanh();
                Of(t.square().neg().offset(1.0).mul(&t).scale(2.0))
            }
            // ½b/√(x² + b)³.
            Squareplus(b) => {
                let root = x.square().offset(b).rsqrt();
                Of(root.square().mul(&root).scale(0.5 * b))
            }
            SparsePlus => Of(within(-1.0, 1.0).scale(0.5)),
        }
    }
}

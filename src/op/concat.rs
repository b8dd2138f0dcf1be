//! Tensors side by side along one dimension: y`[…, j, …]` = xᵢ`[…, j − startᵢ, …]`; dxᵢ is its own stretch of dy.

use crate::contract::{
    Binding, Case, Compute, Entry, Fill, Io, Launch, Launches, MAX_OPERANDS, Op, Shader, Signature,
    Vjp, shader,
};
use crate::number::Real;
use crate::op::shape::along::{Along, copy_columns};
use crate::target::Target;
use crate::{Tensor, TensorType};

const SHADER: Shader = shader!("concat");

pub const ENTRY: Entry = Entry::new("concat", &[SHADER], cases);

/// Tensors that one dispatch copies.
const AT_ONCE: usize = 4;

/// The most tensors of one node; [`Tensor::concat`] joins more in several.
pub(super) const MAX_JOINED: usize = MAX_OPERANDS - 1;

/// The inputs, alike in all sizes but that of dimension `axis` (counted from the back where it is negative), one after the
/// other along it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Concat {
    pub axis: isize,
}

impl Op for Concat {
    fn name(&self) -> &'static str {
        "concat"
    }

    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>, String> {
        let Some((first, rest)) = inputs.split_first() else {
            return Err("needs at least one tensor".into());
        };
        if inputs.len() > MAX_JOINED {
            return Err(format!(
                "joins {MAX_JOINED} tensors at most, got {}",
                inputs.len()
            ));
        }
        let Along { at, mut len, .. } = Along::of(first, self.axis)?;
        let dims = first.shape.dims();
        for x in rest {
            let other = x.shape.dims();
            let alike = |axis: usize| axis == at || other[axis] == dims[axis];
            if other.len() != dims.len() || !(0..dims.len()).all(alike) || x.dtype != first.dtype {
                return Err(format!(
                    "{first} and {x} differ in more than dimension {}",
                    self.axis
                ));
            }
            len = len.saturating_add(other[at]);
        }
        let shape = first.shape.resized(at, len);
        Ok(vec![TensorType::of(first.dtype, shape)])
    }

    fn gradient(&self, vjp: &Vjp<'_>) -> Result<Vec<Option<Tensor>>, String> {
        let dy = vjp.dy()?;
        let mut start = 0;
        let stretch = |(x, wanted): (&Tensor, &bool)| {
            let len = Along::admitted(&x.kind(), self.axis).len;
            let from = start;
            start += len;
            wanted.then(|| dy.slice(self.axis, from, len))
        };
        Ok(vjp.inputs.iter().zip(vjp.wanted).map(stretch).collect())
    }

    fn launch(&self, signature: &Signature, _target: &Target) -> Result<Launches, String> {
        let y = Along::admitted(&signature.outputs[0], self.axis);
        let (rows, whole) = (y.outer, y.width());
        let widths: Vec<usize> = self.widths(signature).collect();
        let vectors = widths.iter().all(|width| width.is_multiple_of(4));
        let words = |elements: usize| if vectors { elements / 4 } else { elements };
        let mut launches = Launches::default();
        let mut offset = 0;
        for (group, widths) in widths.chunks(AT_ONCE).enumerate() {
            let width: usize = widths.iter().sum();
            // Where the second, third and fourth begin; the end where there is none.
            let begin = |part: usize| words(widths.iter().take(part).sum());
            let mut launch = Launch::new(SHADER, if vectors { "forward_vec4" } else { "forward" })
                .set("PARTS", widths.len() as u32)
                .param("rows", rows)
                .param("width", words(width))
                .param("offset", words(offset))
                .param("whole", words(whole))
                .param("second", begin(1))
                .param("third", begin(2))
                .param("fourth", begin(3))
                .over(rows as u64 * words(width) as u64, 64);
            for part in 0..AT_ONCE {
                // Every declared binding needs a buffer; those of tensors that are not there are never read.
                let own = if part < widths.len() { part } else { 0 };
                launch = launch.bind(Binding::Input(group * AT_ONCE + own));
            }
            launches.launches.push(launch.bind(Binding::Output(0)));
            offset += width;
        }
        Ok(launches)
    }
}

impl Concat {
    /// Elements that each input adds to a row of the output.
    fn widths(self, signature: &Signature) -> impl Iterator<Item = usize> {
        let width = move |x: &TensorType| Along::admitted(x, self.axis).width();
        signature.inputs.iter().map(width)
    }
}

impl Compute for Concat {
    #[inline(always)]
    fn compute<T: Real>(&self, io: &mut Io<'_, T>) {
        let signature = io.signature;
        let whole = Along::admitted(&signature.outputs[0], self.axis).width();
        let mut offset = 0;
        for (i, width) in self.widths(signature).enumerate() {
            copy_columns(io, i, (0..width, width), (offset..offset + width, whole));
            offset += width;
        }
    }
}

fn cases() -> Vec<Case> {
    // The sizes before the dimension, its sizes in each tensor, the sizes after it.
    let shapes: [(&[usize], &[usize], &[usize]); 17] = [
        (&[], &[1], &[]),
        (&[], &[1, 2], &[]),
        (&[], &[17, 33, 3], &[]),
        (&[1], &[1, 1], &[]),
        (&[2], &[3, 5], &[]),
        (&[3], &[4, 8], &[]),
        (&[33], &[10, 1, 255], &[]),
        (&[32], &[64, 64, 64, 64], &[]),
        (&[17], &[1, 2, 3, 4, 5], &[]),
        (&[5], &[4, 4, 4, 4, 4, 4, 4, 4, 4], &[]),
        (&[2], &[1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1], &[]),
        (&[], &[3, 2], &[257]),
        (&[], &[256, 1, 44], &[4]),
        (&[2, 3], &[5, 7], &[]),
        (&[2], &[3, 1, 2], &[5, 3]),
        (&[1000], &[3, 70], &[]),
        (&[2], &[70_000, 1], &[]),
    ];
    let mut cases = Vec::new();
    for (number, (before, sizes, after)) in shapes.into_iter().enumerate() {
        // From the front and from the back by turns.
        let rank = if number % 2 == 0 {
            0
        } else {
            before.len() + 1 + after.len()
        };
        let concat = Concat {
            axis: before.len() as isize - rank as isize,
        };
        let (mut numbers, mut words) = (Case::new(concat), Case::new(concat));
        for &size in sizes {
            let shape = [before, &[size], after].concat();
            numbers = numbers.input(&shape, Fill::Uniform(-2.0, 2.0));
            words = words.words(&shape, Fill::Below(u32::MAX));
        }
        cases.extend([numbers, words]);
    }
    cases
}

//! Functions of rows: what a loss makes small, and what many metrics average.

use std::fmt;

use crate::nn::{Activation, Config};
use crate::op::Form;
use crate::{Result, Tensor};

/// What a function of rows takes for targets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Takes {
    /// An integer for each row, the number of its class.
    Labels,
    /// A number for each output: shares of classes, of which one may be all, or zeros and ones.
    Shares,
    /// A number for each output, of any size.
    Numbers,
    /// Whatever the loss beside it takes: for metrics. A loss of this kind gets a number for each output.
    Any,
}

/// What one number of a function of rows is computed from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Span {
    /// All outputs of a row, `[batch, columns]`, wherever these stand: sums and means of what each column has.
    Row,
    /// The outputs of one position of a row, which belong together, such as those of classes. An output of several
    /// positions is `[batch, positions, columns]`, and the numbers of a row's positions are averaged.
    Position,
    /// All rows of a batch: see [`RowFunction::batch`].
    Batch,
}

/// A number for each row from outputs and targets: the function of a [`Loss`](super::Loss), and what many metrics are the
/// mean of. Built-in losses are of this trait, and so are those of a user's own.
///
/// ```
/// use kiln::prelude::*;
/// use kiln::train::{Form, RowFunction};
///
/// /// The mean of |y − y*|³.
/// #[derive(Debug)]
/// struct Cubes;
///
/// impl RowFunction for Cubes {
///     fn name(&self) -> &str {
///         "cubes"
///     }
///
///     fn rows(&self, y: &Tensor, target: &Tensor, _form: Form) -> Tensor {
///         let distance = y.sub(target).abs();
///         distance.mul(&distance.square()).sum_over(1)
///     }
/// }
///
/// let model = Sequential::new(2).dense(1, Linear).compile(Cubes, Adam::default(), [])?;
/// # Ok::<(), kiln::Error>(())
/// ```
pub trait RowFunction: fmt::Debug + Send + Sync {
    /// The name in reports and files, in `snake_case`.
    fn name(&self) -> &str;

    /// The number of each row of `y`, whose last dimension is dropped: see [`Span`].
    ///
    /// The target has the shape of `y`. Labels are u32 without the last dimension; where the loss smooths them or ignores
    /// a class they come as shares, f32 in the shape of `y`, zeros for an ignored row.
    ///
    /// `form` says what `y` is where [`logits_of`](Self::logits_of) names an activation; otherwise it is
    /// [`Form::Probabilities`] and means nothing.
    fn rows(&self, y: &Tensor, target: &Tensor, form: Form) -> Tensor;

    /// What the targets are; numbers by default.
    fn takes(&self) -> Takes {
        Takes::Numbers
    }

    /// What one number is computed from; a row by default.
    fn span(&self) -> Span {
        Span::Row
    }

    /// The activation whose inputs the function reads in place of its outputs, where the last layer has that activation:
    /// the sigmoid or softmax of a cross-entropy. None by default.
    fn logits_of(&self) -> Option<Activation> {
        None
    }

    /// One number for a batch, in every one of its rows: for functions whose [`span`](Self::span) is the batch. `cursor`
    /// says which rows of the operands the batch has: [`Tensor::batch_mean`].
    ///
    /// By default the numbers of rows.
    fn batch(&self, y: &Tensor, target: &Tensor, cursor: &Tensor) -> Tensor {
        let _unused = cursor;
        self.rows(y, target, Form::Probabilities)
    }

    /// The settings as model files keep them; none, the default, for functions that only the program itself knows.
    fn config(&self) -> Option<Config> {
        None
    }

    /// Refuses settings out of their range.
    ///
    /// # Errors
    ///
    /// [`Error::Argument`](crate::Error::Argument) with the setting's name.
    fn validate(&self) -> Result<()> {
        Ok(())
    }
}

/// A function of rows by what it consists of: built-in ones, and closures.
pub(in crate::train) struct RowFormula<
    N = &'static str,
    F = fn(&Tensor, &Tensor, Form) -> Tensor,
    C = fn() -> Option<Config>,
> {
    pub name: N,
    pub takes: Takes,
    pub span: Span,
    pub logits_of: Option<Activation>,
    pub rows: F,
    pub config: C,
}

impl RowFormula {
    /// A function of whole rows, without settings.
    pub const fn new(
        name: &'static str,
        takes: Takes,
        rows: fn(&Tensor, &Tensor, Form) -> Tensor,
    ) -> Self {
        RowFormula {
            name,
            takes,
            span: Span::Row,
            logits_of: None,
            rows,
            config: || Config::of(&()),
        }
    }

    /// The same for each position.
    pub const fn by_position(self) -> Self {
        RowFormula {
            span: Span::Position,
            ..self
        }
    }

    /// The same with logits where the last layer has that activation.
    pub const fn logits_of(self, activation: Activation) -> Self {
        RowFormula {
            logits_of: Some(activation),
            ..self
        }
    }
}

impl<N: AsRef<str>, F, C> fmt::Debug for RowFormula<N, F, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name.as_ref())
    }
}

impl<N, F, C> RowFunction for RowFormula<N, F, C>
where
    N: AsRef<str> + Send + Sync,
    F: Fn(&Tensor, &Tensor, Form) -> Tensor + Send + Sync,
    C: Fn() -> Option<Config> + Send + Sync,
{
    fn name(&self) -> &str {
        self.name.as_ref()
    }

    fn rows(&self, y: &Tensor, target: &Tensor, form: Form) -> Tensor {
        (self.rows)(y, target, form)
    }

    fn takes(&self) -> Takes {
        self.takes
    }

    fn span(&self) -> Span {
        self.span
    }

    fn logits_of(&self) -> Option<Activation> {
        self.logits_of
    }

    fn config(&self) -> Option<Config> {
        (self.config)()
    }
}

/// Built-in losses without settings, a constant of [`Loss`](super::Loss) for each: its name, what it takes for targets, its
/// formula, and what else [`RowFormula`] can be told.
macro_rules! losses {
    ($($(#[$doc:meta])* $name:ident = $text:literal, $takes:ident, $rows:expr
        $(, $told:ident($($argument:expr)?))*;)*) => {
        #[expect(non_upper_case_globals, reason = "losses are spelled as Keras' classes are")]
        impl $crate::train::loss::Loss {
            $($(#[$doc])*
            pub const $name: $crate::train::loss::Loss = {
                use $crate::train::loss::{Loss, RowFormula, Takes};
                Loss::formula(&RowFormula::new($text, Takes::$takes, $rows)$(.$told($($argument)?))*)
            };)*
        }
    };
}
pub(super) use losses;

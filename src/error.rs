//! The one error type: every variant carries the data of what went wrong, every message is a sentence with the numbers.

use std::convert::Infallible;
use std::fmt;
use std::panic::Location;
use std::path::PathBuf;

/// A result whose error is [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Everything that a user, a file or a driver can cause.
///
/// `{}` prints its sentence, and so does `{:?}`: that is what Rust prints of an error that leaves `main`. `{:#?}` prints the
/// fields.
#[derive(Clone)]
#[non_exhaustive]
pub enum Error {
    /// Shapes or types of an op's arguments do not fit.
    Shape {
        /// The op that refused them.
        op: String,
        /// What does not fit, with the shapes.
        message: String,
        /// The line of the caller's program.
        location: &'static Location<'static>,
    },
    /// An argument is outside its range.
    Argument {
        /// The argument's name, as the caller wrote it.
        name: &'static str,
        /// What was given and what is allowed.
        message: String,
    },
    /// Something is missing that the call needs, such as a program of that name.
    NotFound {
        /// The kind of thing: `program`, `variable`, `device` …
        what: &'static str,
        /// The name asked for.
        name: String,
        /// What there is instead.
        known: Vec<String>,
    },
    /// The data cannot be trained on: empty, of different lengths, not finite, a label out of range …
    Data {
        /// What is wrong, where, and how to mend it.
        message: String,
    },
    /// A file's content is not what its format asks for.
    Format {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1, in a text file.
        line: Option<u64>,
        /// What was found and what was expected.
        message: String,
    },
    /// The operating system refused to read or write a file.
    Io {
        /// The file.
        path: PathBuf,
        /// The refusal.
        source: std::sync::Arc<std::io::Error>,
    },
    /// A size of the plan is beyond what the adapter allows.
    Limit {
        /// The adapter's limit, by its WebGPU name.
        limit: &'static str,
        /// The tensor or op that exceeds it.
        what: String,
        /// What the plan asks for.
        needed: u64,
        /// What the adapter has.
        allowed: u64,
    },
    /// The memory of the device or of the machine, or the budget set for it, does not suffice.
    OutOfMemory {
        /// What was being allocated.
        what: String,
        /// Bytes asked for.
        needed: u64,
        /// Bytes left, where that is known.
        available: Option<u64>,
        /// What takes most of them, and what to change, where that is known.
        advice: Option<String>,
    },
    /// No adapter matches, or the driver refused to open one.
    Device {
        /// What was asked for and what there is.
        message: String,
    },
    /// A shader does not parse, or its bindings are not what its op declares.
    Shader {
        /// The shader's file name without its ending.
        shader: String,
        /// The compiler's or the reflection's words.
        message: String,
    },
    /// The driver or wgpu reported an error.
    Gpu {
        /// The operation during which it came back.
        during: String,
        /// The report.
        message: String,
    },
    /// The device is gone (driver reset, sleep, removal); what was on it is lost.
    DeviceLost {
        /// The operation during which it came back.
        during: String,
        /// The driver's reason.
        message: String,
    },
    /// The device did not answer within the deadline.
    Timeout {
        /// The operation waited for.
        during: String,
        /// The deadline, in seconds.
        seconds: f64,
    },
    /// An op does not keep what it promises: see [`check`](crate::check).
    Check {
        /// The op.
        op: String,
        /// What was found and what was expected, and where.
        message: String,
    },
    /// The loss became NaN or infinite.
    NonFinite {
        /// The epoch, counted from 1.
        epoch: u64,
        /// The step within the run, counted from 1.
        step: u64,
        /// What was not finite.
        what: String,
    },
}

impl Error {
    /// An [`Error::Argument`]: `name` as the caller wrote it, `message` with the value and the range.
    pub fn argument(name: &'static str, message: impl Into<String>) -> Self {
        Error::Argument {
            name,
            message: message.into(),
        }
    }

    /// An [`Error::NotFound`] of what goes by that name among those that are known.
    pub(crate) fn not_found(
        what: &'static str,
        name: &str,
        known: impl IntoIterator<Item = impl ToString>,
    ) -> Self {
        Error::NotFound {
            what,
            name: name.to_string(),
            known: known.into_iter().map(|known| known.to_string()).collect(),
        }
    }

    /// An [`Error::Data`].
    pub fn data(message: impl Into<String>) -> Self {
        Error::Data {
            message: message.into(),
        }
    }

    /// An [`Error::Io`] for `path`.
    pub fn io(path: impl Into<PathBuf>, source: std::io::Error) -> Self {
        Error::Io {
            path: path.into(),
            source: std::sync::Arc::new(source),
        }
    }

    /// An [`Error::Format`] for `path`, at `line` (from 1) where the file has lines.
    pub fn format(path: impl Into<PathBuf>, line: Option<u64>, message: impl Into<String>) -> Self {
        Error::Format {
            path: path.into(),
            line,
            message: message.into(),
        }
    }
}

impl From<Infallible> for Error {
    fn from(never: Infallible) -> Self {
        match never {}
    }
}

/// What the derived `Debug` prints.
macro_rules! fields {
    ($error:ident, $f:ident: $($variant:ident { $($field:ident),* })*) => {
        match $error {
            $(Error::$variant { $($field),* } => {
                let mut fields = $f.debug_struct(stringify!($variant));
                fields$(.field(stringify!($field), $field))*.finish()
            })*
        }
    };
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !f.alternate() {
            return fmt::Display::fmt(self, f);
        }
        fields! {
            self, f:
            Shape { op, message, location }
            Argument { name, message }
            NotFound { what, name, known }
            Data { message }
            Format { path, line, message }
            Io { path, source }
            Limit { limit, what, needed, allowed }
            OutOfMemory { what, needed, available, advice }
            Device { message }
            Shader { shader, message }
            Gpu { during, message }
            DeviceLost { during, message }
            Timeout { during, seconds }
            Check { op, message }
            NonFinite { epoch, step, what }
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Shape {
                op,
                message,
                location,
            } => {
                let (file, line) = (location.file(), location.line());
                write!(f, "{op}: {message} ({file}:{line})")
            }
            Error::Argument { name, message } => write!(f, "{name}: {message}"),
            Error::NotFound { what, name, known } => {
                write!(f, "no {what} matches `{name}`")?;
                match &known[..] {
                    [] => f.write_str(", and there is none at all"),
                    known => write!(f, "; there is: {}", known.join(", ")),
                }
            }
            Error::Data { message } | Error::Device { message } => f.write_str(message),
            Error::Format {
                path,
                line,
                message,
            } => {
                write!(f, "{}", path.display())?;
                if let Some(line) = line {
                    write!(f, ", line {line}")?;
                }
                write!(f, ": {message}")
            }
            Error::Io { path, source } => write!(f, "{}: {source}", path.display()),
            Error::Limit {
                limit,
                what,
                needed,
                allowed,
            } => {
                let remedy = remedy(limit);
                write!(
                    f,
                    "{what} needs {needed}, but the adapter's {limit} is {allowed}; what helps is {remedy}"
                )
            }
            Error::OutOfMemory {
                what,
                needed,
                available,
                advice,
            } => {
                write!(f, "{what} needs {needed} bytes of memory, ")?;
                match available {
                    Some(available) => write!(f, "and {available} are left")?,
                    None => f.write_str("more than is free")?,
                }
                if let Some(advice) = advice {
                    write!(f, "; {advice}")?;
                }
                Ok(())
            }
            Error::Shader { shader, message } => write!(f, "shader {shader}: {message}"),
            Error::Gpu { during, message } => {
                write!(f, "the GPU driver failed in {during}: {message}")
            }
            Error::DeviceLost { during, message } => {
                write!(f, "the device was lost in {during}: {message}")
            }
            Error::Timeout { during, seconds } => {
                write!(f, "{during} did not finish within {seconds} s")
            }
            Error::Check { op, message } => write!(f, "{op}: {message}"),
            Error::NonFinite { epoch, step, what } => {
                write!(f, "{what} is not finite in epoch {epoch}, step {step}")
            }
        }
    }
}

/// What makes a plan stay within a limit.
fn remedy(limit: &str) -> &'static str {
    match limit {
        "maxBufferSize" | "maxStorageBufferBindingSize" => {
            "a smaller batch, micro-batches or a narrower layer, whichever makes it smaller, or the device `cpu`"
        }
        "maxStorageBuffersPerShaderStage" => "the device `cpu`, or another adapter",
        _ => "a smaller batch, or the device `cpu`",
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Error::Io { source, .. } => Some(source.as_ref()),
            _ => None,
        }
    }
}

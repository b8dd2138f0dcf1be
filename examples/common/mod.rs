//! What the examples share: arguments, the chosen device, and errors told as sentences.
#![allow(dead_code, clippy::print_stdout, clippy::print_stderr)]

/// Plots as the library draws them.
#[path = "../../src/formats/chart.rs"]
pub mod chart;

use std::fs::OpenOptions;
use std::process::ExitCode;

use kiln::{Device, Error, Result};

/// What `--device` takes, where an example does not say so itself.
const DEVICE: &str =
    "  --device NAME   cpu, reference, gpu, software, vulkan, metal, dx12, gl or part of an adapter's name
                  (default: the variable KILN_DEVICE, else the best there is)";

/// The arguments of an example, taken one by one.
pub struct Arguments {
    about: &'static str,
    rest: Vec<String>,
}

impl Arguments {
    /// The program's arguments; prints `about` and ends when they hold `--help`.
    pub fn parse(about: &'static str) -> Self {
        let rest: Vec<String> = std::env::args().skip(1).collect();
        if rest
            .iter()
            .any(|argument| argument == "--help" || argument == "-h")
        {
            println!("{about}");
            if !about.contains("--device") {
                println!("{DEVICE}");
            }
            std::process::exit(0);
        }
        Arguments { about, rest }
    }

    /// Takes `--name VALUE` or `--name=VALUE`.
    pub fn value(&mut self, name: &str) -> Result<Option<String>> {
        let flag = format!("--{name}");
        let Some(at) = self
            .rest
            .iter()
            .position(|a| *a == flag || a.starts_with(&format!("{flag}=")))
        else {
            return Ok(None);
        };
        let found = self.rest.remove(at);
        if let Some((_, value)) = found.split_once('=') {
            return Ok(Some(value.to_string()));
        }
        if at < self.rest.len() {
            return Ok(Some(self.rest.remove(at)));
        }
        Err(Error::Argument {
            name: "arguments",
            message: format!("{flag} needs a value"),
        })
    }

    /// Takes `--name FILE`, which the example writes when it is done: whether that is possible is seen at once.
    pub fn output(&mut self, name: &str) -> Result<Option<String>> {
        let Some(file) = self.value(name)? else {
            return Ok(None);
        };
        let path = std::path::Path::new(&file);
        let mut options = OpenOptions::new();
        let opened = if path.exists() {
            let there = path.metadata().map_err(|source| Error::io(path, source))?;
            if !there.is_file() || there.permissions().readonly() {
                return Err(Error::Argument {
                    name: "arguments",
                    message: format!("--{name}: `{file}` is no file that can be written"),
                });
            }
            options.append(true).open(path).map(drop)
        } else {
            let made = options.write(true).create_new(true).open(path);
            made.and_then(|_file| std::fs::remove_file(path))
        };
        match opened {
            Ok(()) => Ok(Some(file)),
            Err(source) => Err(Error::io(path, source)),
        }
    }

    /// Takes `--name VALUE` as a number.
    pub fn number<T: std::str::FromStr>(&mut self, name: &str, default: T) -> Result<T> {
        match self.value(name)? {
            None => Ok(default),
            Some(text) => text.parse().map_err(|_unparsed| Error::Argument {
                name: "arguments",
                message: format!("--{name}: `{text}` is not a number that fits"),
            }),
        }
    }

    /// Takes `--name`.
    pub fn flag(&mut self, name: &str) -> bool {
        let at = self
            .rest
            .iter()
            .position(|argument| *argument == format!("--{name}"));
        at.map(|at| self.rest.remove(at)).is_some()
    }

    /// Takes the next argument that is no flag.
    pub fn positional(&mut self) -> Option<String> {
        let at = self
            .rest
            .iter()
            .position(|argument| !argument.starts_with("--"))?;
        Some(self.rest.remove(at))
    }

    /// Takes `--device`, opens it.
    pub fn device(&mut self) -> Result<Device> {
        match self.value("device")? {
            Some(name) => Device::named(&name),
            None => Device::from_env(),
        }
    }

    /// Refuses what nobody took.
    pub fn finish(self) -> Result<()> {
        match self.rest.first() {
            None => Ok(()),
            Some(unknown) => Err(Error::Argument {
                name: "arguments",
                message: format!("`{unknown}` is not known\n{}", self.about),
            }),
        }
    }
}

/// A file that ships with the examples.
pub fn shipped(name: &str) -> std::path::PathBuf {
    // Of this package, or of the one that the tools lie in.
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = root
        .ancestors()
        .map(|folder| folder.join("examples/data").join(name));
    files
        .find(|file| file.exists())
        .unwrap_or_else(|| name.into())
}

/// Runs the example; an error is printed as a sentence and ends it with 1.
pub fn run(example: impl FnOnce() -> Result<()>) -> ExitCode {
    match example() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

//! A graph, run once on the values that a case gives.

use kiln::{Device, Error, Graph, Plan, Program, Shape, Tensor, Values};

use super::Stop;
use super::case::{Array, Case, Kind};

/// The largest whole number up to which f32 has all of them.
const MAX_WHOLE: f64 = 16_777_216.0;

/// A graph with the values of its inputs and the tensors to bring back.
#[derive(Default)]
pub struct Work {
    pub graph: Graph,
    numbers: Vec<(String, Vec<f32>)>,
    labels: Vec<(String, Vec<u32>)>,
    wanted: Vec<(String, Tensor)>,
}

impl Work {
    /// An empty graph.
    pub fn new() -> Self {
        Work::default()
    }

    /// An input that holds the case's tensor of that name, as numbers.
    pub fn input(&mut self, case: &Case, name: &str) -> Result<Tensor, Stop> {
        self.number(name, case.tensor(name)?)
    }

    /// An input that holds this array, as numbers.
    pub fn number(&mut self, name: &str, array: &Array) -> Result<Tensor, Stop> {
        let whole = matches!(array.kind, Kind::Integer | Kind::Byte);
        if whole && array.values.iter().any(|value| value.abs() > MAX_WHOLE) {
            return Stop::unsupported("whole numbers beyond 2²⁴");
        }
        let beyond = |value: &f64| value.is_finite() && value.abs() > f64::from(f32::MAX);
        if array.values.iter().any(beyond) {
            return Stop::unsupported("numbers beyond f32");
        }
        let name = format!("in.{name}");
        let tensor = self.graph.input(&name, array.shape.as_slice());
        self.numbers.push((name, array.to_f32()));
        Ok(tensor)
    }

    /// An input that holds this array as indices of a dimension of `len`; negative ones count from the back.
    pub fn places(&mut self, name: &str, array: &Array, len: usize) -> Result<Tensor, Stop> {
        let mut indices = array.clone();
        for index in indices.values.iter_mut().filter(|index| **index < 0.0) {
            *index += len as f64;
        }
        self.label(name, &indices, &array.shape.as_slice().into())
    }

    /// An input that holds this array as class labels of the given shape.
    pub fn label(&mut self, name: &str, array: &Array, shape: &Shape) -> Result<Tensor, Stop> {
        if array.values.is_empty() {
            return Stop::unsupported("tensors without elements");
        }
        let name = format!("in.{name}");
        let label = |&value: &f64| {
            let fits = value.fract() == 0.0 && (0.0..=f64::from(u32::MAX)).contains(&value);
            fits.then_some(value as u32)
        };
        let Some(values) = array.values.iter().map(label).collect() else {
            return Stop::unsupported("labels below 0");
        };
        let tensor = self.graph.labels(&name, shape);
        self.labels.push((name, values));
        Ok(tensor)
    }

    /// Brings a tensor back under this name.
    pub fn fetch(&mut self, name: impl Into<String>, tensor: &Tensor) {
        self.wanted.push((name.into(), tensor.clone()));
    }

    /// Runs the graph; the fetched tensors in the order they were asked for.
    pub fn run(self, device: &Device) -> Result<Vec<(String, Array)>, Stop> {
        let fetch = |program: Program, (name, tensor): &(String, Tensor)| {
            program.fetch(format!("out.{name}"), tensor)
        };
        let program = self.wanted.iter().fold(Program::new("run"), fetch);
        let plan = match Plan::compile(&self.graph, device.target(), [program]) {
            Err(Error::Shape { message, .. }) if message.starts_with("broadcasting handles") => {
                return Stop::unsupported("broadcasting of more than four dimensions");
            }
            Err(Error::Shape { op, message, .. }) if message.contains("without elements") => {
                return Stop::unsupported(format!("op {op} of nothing"));
            }
            plan => plan?,
        };
        let mut session = device.open(&plan)?;
        for (name, values) in &self.numbers {
            match session.write(name, values) {
                // Nothing that is fetched depends on it.
                Err(Error::NotFound { .. }) => {}
                written => written?,
            }
        }
        for (name, values) in &self.labels {
            match session.write_labels(name, values) {
                Err(Error::NotFound { .. }) => {}
                written => written?,
            }
        }
        session.run("run", 1)?;
        let mut read = |(name, tensor): (String, Tensor)| {
            let values = to_f64(session.read_values(&format!("out.{name}"))?);
            let array = Array::floats(tensor.shape().dims(), values);
            Ok((name, array))
        };
        self.wanted.into_iter().map(&mut read).collect()
    }
}

/// The elements in the widest type.
pub fn to_f64(values: Values) -> Vec<f64> {
    match values {
        Values::F32(values) => values.into_iter().map(f64::from).collect(),
        Values::F64(values) => values,
        Values::U32(values) => values.into_iter().map(f64::from).collect(),
    }
}

//! Programs: what is to be computed of a graph, under a name.

use crate::Tensor;
use crate::graph::ValueId;

/// What one run of a named program computes, given to [`Plan::compile`](super::Plan::compile).
#[derive(Debug, Clone)]
pub struct Program {
    pub(super) name: String,
    pub(super) fetch: Vec<(String, Tensor)>,
    pub(super) update: Vec<Tensor>,
}

impl Program {
    /// A program that computes nothing yet.
    pub fn new(name: impl Into<String>) -> Self {
        Program {
            name: name.into(),
            fetch: Vec::new(),
            update: Vec::new(),
        }
    }

    /// Computes `tensor` and keeps it until the next run, for `session.read(name)`.
    pub fn fetch(mut self, name: impl Into<String>, tensor: &Tensor) -> Self {
        self.fetch.push((name.into(), tensor.clone()));
        self
    }

    /// Runs the ops that gave these tensors for what they do to variables: optimizer updates and the like.
    pub fn update<'a>(mut self, tensors: impl IntoIterator<Item = &'a Tensor>) -> Self {
        self.update.extend(tensors.into_iter().cloned());
        self
    }

    /// The tensors that it computes, with their names in messages.
    pub(super) fn tensors(&self) -> impl Iterator<Item = (&str, &Tensor)> {
        let fetch = self.fetch.iter();
        fetch
            .map(|(name, tensor)| (name.as_str(), tensor))
            .chain(self.update.iter().map(|tensor| ("an update", tensor)))
    }

    pub(super) fn roots(&self) -> impl Iterator<Item = ValueId> {
        self.fetch
            .iter()
            .map(|(_, tensor)| tensor.id())
            .chain(self.update.iter().map(Tensor::id))
    }
}

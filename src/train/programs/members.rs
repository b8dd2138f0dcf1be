//! The program of a population: every member's slabs side by side, and one call that trains them all.

use crate::graph::Role;
use crate::nn::Functional;
use crate::op::{Network, NetworkLayer};
use crate::plan::{Plan, Program};
use crate::reserve::reserved;
use crate::target::{Class, Target};
use crate::{Error, Graph, Initial, Result, Tensor, TensorType};

use super::{Capacity, DataArray, Extent, Recipe, RowProgram, chunk_name};

/// A network of a [`Population`](crate::train::Population): the settings in which it differs from the others.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Member {
    /// The seed of the member's first weights and of the order in which it sees the data.
    pub seed: u64,
    /// The member's learning rate, the same in every step.
    pub learning_rate: f32,
}

/// The variables with the members' weights and the optimizer's states, one member's slab after the other.
const SLABS: [&str; 3] = ["weights", "state.0", "state.1"];

/// Where the parameters of a member lie in its slab of weights.
#[derive(Debug, Clone)]
pub(crate) struct MemberLayout {
    /// The name, the first element and the number of elements of each parameter.
    places: Vec<(String, usize, usize)>,
    /// Elements of a slab.
    slab: usize,
}

impl MemberLayout {
    /// The variable with the weights of all members.
    pub const WEIGHTS: &str = SLABS[0];

    fn new(network: &Network, operands: &[TensorType], architecture: &Functional) -> Self {
        let starts = |layer: &NetworkLayer| [Some(layer.kernel), layer.bias];
        let starts = network.layers.iter().flat_map(starts).flatten();
        let place = |(parameter, start): (crate::nn::Parameter, usize)| {
            let len = parameter.elements();
            (parameter.name, start, len)
        };
        MemberLayout {
            places: architecture.parameters().zip(starts).map(place).collect(),
            slab: operands[2].elements() as usize,
        }
    }

    /// The parameters of a member by name, of the slabs of all members.
    pub fn weights<'a>(
        &'a self,
        slabs: &'a [f32],
        member: usize,
    ) -> impl Iterator<Item = (&'a str, &'a [f32])> {
        let slab = slabs.get(member * self.slab..).unwrap_or_default();
        let places = self.places.iter();
        places.filter_map(move |(name, at, len)| Some((name.as_str(), slab.get(*at..at + len)?)))
    }

    /// Weights of all members, drawn as a model of each one's seed draws them.
    fn drawn(&self, members: &[Member], architecture: &Functional) -> Result<Vec<f32>> {
        let len = self.slab.checked_mul(members.len());
        let mut slabs: Vec<f32> = reserved(len, "the weights")?;
        slabs.resize(self.slab * members.len(), 0.0);
        for (member, slab) in members.iter().zip(slabs.chunks_exact_mut(self.slab)) {
            let own = architecture.clone().seed(member.seed);
            for ((_, at, len), values) in self.places.iter().zip(own.drawn()) {
                slab[*at..at + len].copy_from_slice(&values);
            }
        }
        Ok(slabs)
    }
}

impl Recipe<'_> {
    /// The graph and plan that train all members in one call.
    pub(super) fn side_by_side(&self, extent: Extent) -> Result<(Graph, Plan)> {
        let (network, single) = self.network(extent)?;
        let layout = MemberLayout::new(&network, &single, self.architecture);
        let weights = layout.drawn(self.members, self.architecture)?;
        let (count, states) = (self.members.len(), network.states());
        let network = Network {
            members: count,
            own_rates: true,
            ..network
        };
        let graph = Graph::new();
        let stacked = |kind: &TensorType| match count {
            1 => kind.clone(),
            _ => TensorType {
                shape: [&[count], kind.shape.dims()].concat().into(),
                dtype: kind.dtype,
            },
        };
        let program = RowProgram::Train;
        let slabs = SLABS[..=states].iter();
        let slabs = slabs.map(|slab| (slab.to_string(), Role::State));
        let names = [
            (program.rates(), Role::State),
            (program.ring(), Role::Scratch),
        ]
        .into_iter()
        .chain(slabs)
        .chain([(program.cursor(), Role::Progress)]);
        let mut weights = Some(weights);
        let own = names.zip(&single).map(|((name, role), kind)| {
            let first = match weights.take_if(|_| name == MemberLayout::WEIGHTS) {
                Some(weights) => Initial::Floats(weights.into()),
                None => Initial::Zeros,
            };
            graph.variable_as(role, name, stacked(kind), first)
        });
        let mut operands: Vec<Tensor> = own.collect();
        let data = [DataArray::Input(0), DataArray::Target(0)];
        for (array, kind) in data.into_iter().zip(&single[4 + states..]) {
            let name = chunk_name(&program.array(array), 0);
            operands.push(graph.variable_as(Role::Data, name, kind.clone(), Initial::Zeros));
        }
        let step = graph.apply_one(network, &operands.iter().collect::<Vec<_>>());
        let train = Program::new(program.name()).update([&step]);
        let plan = Plan::compile(&graph, &self.member_target(), [train])?;
        Ok((graph, plan))
    }

    /// Where the parameters of a member lie.
    pub fn member_layout(&self, extent: Extent) -> Result<MemberLayout> {
        let (network, operands) = self.network(extent)?;
        Ok(MemberLayout::new(&network, &operands, self.architecture))
    }

    /// The step of one member with the types of its operands.
    fn network(&self, extent: Extent) -> Result<(Network, Vec<TensorType>)> {
        let target = self.member_target();
        let single = Recipe {
            members: &[],
            target: &target,
            ..*self
        };
        let plan = single.build(Capacity::training(extent))?;
        let train = plan.program(RowProgram::Train.name())?;
        let network = match &train.calls[..] {
            [call] => call.op.downcast::<Network>().map(|network| (network, call)),
            _ => None,
        };
        if let Some((network, call)) = network {
            return Ok((network.clone(), call.signature.inputs.clone()));
        }
        if let Some(reason) = &train.oversized {
            let message = format!("is too large for a population: {reason}");
            return Err(Error::argument("architecture", message));
        }
        let objective = self.objectives.first();
        let metrics = objective.map_or(&[][..], |objective| &objective.metrics);
        let metrics: Vec<&str> = metrics.iter().map(|metric| metric.name()).collect();
        let message = format!(
            "trains members in one call each, which takes plain dense layers, a squared error or cross-entropy of the default reduction, gradient descent, momentum or Adam with nothing beside, and no metrics but accuracies other than top-k; got {}, {} and [{}]",
            objective.map_or(String::new(), |objective| objective.loss.to_string()),
            self.optimizer.name(),
            metrics.join(", ")
        );
        Err(Error::argument("population", message))
    }

    /// The target of a population: plans of the CPU session keep the calls of larger networks apart, but the session runs the
    /// others as well.
    fn member_target(&self) -> Target {
        let own = self.target.clone();
        match own.class {
            Class::Cpu => Target {
                class: Class::Gpu,
                ..own
            },
            _ => own,
        }
    }
}

//! The session of a population: every member's slabs beside each other, and the step that trains them all.

use crate::nn::{Functional, Parameter};
use crate::op::{Layer, Network, RATES, rate};
use crate::plan::{Plan, Program};
use crate::reserve::reserved;
use crate::session::ElementsRef;
use crate::target::{Class, Target};
use crate::train::fit::Fit;
use crate::train::metric::{Board, Metric};
use crate::train::model::{ClockStart, Model};
use crate::train::prepare::Prepared;
use crate::train::programs::{DataArray, Needs, Room, RowProgram, RunHandles, chunk_name};
use crate::{Device, Error, Graph, Initial, Result, Role, Session, Tensor, TensorType};

use super::{Member, Population};

#[derive(Debug)]
pub(super) struct PopulationSession {
    pub room: Room,
    pub network: Network,
    /// Elements of a member's slab of parameters.
    pub slab: usize,
    /// The slabs' names: parameters, then states.
    pub slabs: Vec<String>,
    pub handles: RunHandles,
    pub session: Session,
}

impl Population {
    /// Opens a session for `room`, with what the members have learned so far as the host has it.
    pub(super) fn open(&mut self, model: &Model, room: Room, data: &Prepared<'_>) -> Result<()> {
        if !self.serves(room) {
            let (network, single) = self.network(model, room)?;
            let target = self.target();
            let count = self.members.len();
            // What it had learned is on the host.
            self.open = None;
            let network = Network {
                members: count,
                own_rates: true,
                ..network
            };
            let board = model.parts().board()?;
            let mut open = build(&self.device, &target, network, &single, (room, &board))?;
            match &self.carried {
                Some(carried) => carried.write(&mut open.session)?,
                None => open.first_weights(&self.members, &self.architecture)?,
            }
            self.open = Some(open);
        }
        let Some(open) = &mut self.open else {
            return Ok(());
        };
        open.handles.upload(&mut open.session, data)
    }

    /// Whether the open session is one for `room`.
    pub(super) fn serves(&self, room: Room) -> bool {
        let serves = |open: &PopulationSession| open.room == room && !open.session.is_lost();
        self.open.as_ref().is_some_and(serves)
    }

    /// The step of one member, from the plan of a model, with the types of its operands.
    fn network(&self, model: &Model, room: Room) -> Result<(Network, Vec<TensorType>)> {
        // The CPU session's own plans keep the calls of larger networks apart; it runs the others as well.
        let target = self.target();
        let needs = Needs {
            train: Some(room),
            evaluate: None,
        };
        let mut parts = model.parts();
        parts.target = &target;
        let plan = parts.build(needs)?;
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
        let metrics: Vec<&str> = self.metrics.iter().map(Metric::name).collect();
        let message = format!(
            "trains members in one call each, which takes plain dense layers, a squared error or cross-entropy of the default reduction, gradient descent, momentum or Adam with nothing beside, and no metrics but accuracies other than top-k; got {}, {} and [{}]",
            self.loss,
            model.parts().optimizer.name(),
            metrics.join(", ")
        );
        Err(Error::argument("population", message))
    }

    fn target(&self) -> Target {
        let own = self.device.target().clone();
        match own.class {
            Class::Cpu => Target {
                class: Class::Gpu,
                ..own
            },
            _ => own,
        }
    }
}

/// A member's parts of the slabs and of the rates, by the name of the variable.
pub(super) type MemberState = Vec<(String, Vec<f32>)>;

/// Where a parameter lies in its member's slab: its name, the first element, and how many there are.
pub(super) type ParameterPlace = (String, usize, usize);

/// The session of `count` networks beside each other.
fn build(
    device: &Device,
    target: &Target,
    network: Network,
    single: &[TensorType],
    (room, board): (Room, &Board),
) -> Result<PopulationSession> {
    let count = network.members;
    let states = network.states();
    let graph = Graph::new();
    let stacked = |kind: &TensorType| match count {
        1 => kind.clone(),
        _ => TensorType {
            shape: [&[count], kind.shape.dims()].concat().into(),
            dtype: kind.dtype,
        },
    };
    let slabs: Vec<String> = ["weights", "state.0", "state.1"][..=states]
        .iter()
        .map(ToString::to_string)
        .collect();
    let program = RowProgram::Train;
    let slab_states = slabs.iter().map(|slab| (slab.clone(), Role::State));
    let names = [
        (program.rates(), Role::State),
        (program.ring(), Role::Scratch),
    ]
    .into_iter()
    .chain(slab_states)
    .chain([(program.cursor(), Role::Progress)]);
    let variable = |((name, role), kind)| graph.variable_as(role, name, kind, Initial::Zeros);
    let own = names.zip(single.iter().map(stacked)).map(variable);
    let data = [DataArray::Inputs, DataArray::Values]
        .map(|array| (chunk_name(&program.array(array), 0), Role::Data));
    let data = data.into_iter().zip(single[4 + states..].iter().cloned());
    let operands: Vec<Tensor> = own.chain(data.map(variable)).collect();
    let slab = single[2].elements() as usize;
    let step = graph.apply_one(network.clone(), &operands.iter().collect::<Vec<_>>());
    let plan: Plan = Plan::compile(
        &graph,
        target,
        [Program::new(program.name()).update([&step])],
    )?;
    Ok(PopulationSession {
        room,
        network,
        slab,
        slabs,
        handles: RunHandles::of(&plan, program, board).ok_or_else(no_session)?,
        session: device.open(&plan)?,
    })
}

fn no_session() -> Error {
    Error::argument("population", "the session could not be opened")
}

/// Sets every member's clock to a place in the data, with its own order of it, and its learning rate.
pub(super) fn start(
    open: &mut PopulationSession,
    members: &[Member],
    fit: &Fit<'_>,
    begin: ClockStart,
) -> Result<()> {
    let mut cursors = Vec::new();
    let mut rates = Vec::new();
    for member in members {
        let own = ClockStart {
            shuffle: fit.order(member.seed),
            ..begin
        };
        cursors.extend(own.words());
        rates.push(member.learning_rate);
    }
    let (session, handles) = (&mut open.session, &open.handles);
    session.put(handles.cursor, 0, ElementsRef::U32(&cursors))?;
    for (index, rate) in rates.iter().enumerate() {
        let factor = index * RATES + rate::FACTOR;
        session.put(handles.rates, factor, ElementsRef::F32(&[*rate]))?;
    }
    Ok(())
}

impl PopulationSession {
    /// Name, place in the slab and length of every parameter of a member.
    pub fn places(&self, architecture: &Functional) -> Vec<ParameterPlace> {
        let at = |layer: &Layer| [Some(layer.kernel), layer.bias];
        let starts = self.network.layers.iter().flat_map(at).flatten();
        let parameters = architecture.parameters();
        let place = |(parameter, start): (Parameter, usize)| {
            let len = parameter.elements();
            (parameter.name, start, len)
        };
        parameters.zip(starts).map(place).collect()
    }

    /// The variables that change as members train.
    fn trained(&self) -> impl Iterator<Item = String> {
        let slabs = self.slabs.iter().cloned();
        slabs.chain([RowProgram::Train.rates()])
    }

    /// What one of `count` members has come to.
    pub async fn numbers(&mut self, index: usize, count: usize) -> Result<MemberState> {
        let names: Vec<String> = self.trained().collect();
        let mut numbers = Vec::new();
        for name in names {
            let all = self.session.read_async(&name).await?;
            let len = all.len() / count;
            numbers.push((name, all[index * len..(index + 1) * len].to_vec()));
        }
        Ok(numbers)
    }

    /// Draws every member's weights as a model of its seed does.
    fn first_weights(&mut self, members: &[Member], architecture: &Functional) -> Result<()> {
        let places = self.places(architecture);
        let mut slabs: Vec<f32> = reserved(self.slab.checked_mul(members.len()), "the weights")?;
        slabs.resize(self.slab * members.len(), 0.0);
        for (member, slab) in members.iter().zip(slabs.chunks_exact_mut(self.slab)) {
            let own = architecture.clone().seed(member.seed);
            let drawn = own.drawn();
            for ((_, at, len), values) in places.iter().zip(drawn) {
                slab[*at..at + len].copy_from_slice(&values);
            }
        }
        self.session.write(&self.slabs[0], &slabs)
    }
}

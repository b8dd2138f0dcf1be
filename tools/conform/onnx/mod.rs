//! ONNX nodes, alone or a few in a graph: outputs.

mod op;
mod tensor;

use std::collections::BTreeMap;

use kiln::Device;
use serde_json::{Map, Value};

use crate::conform::Stop;
use crate::conform::case::Case;
use crate::conform::check::Check;
use crate::conform::compute::Work;
use crate::conform::keras::noise;
use crate::conform::settings::{self, Settings};
use op::Run;

/// in.NAME → out.NAME.
pub fn run(case: &Case, device: &Device, check: &mut Check<'_>) -> Result<(), Stop> {
    let mut run = Run {
        case,
        work: Work::new(),
        values: BTreeMap::new(),
        opset: opset(case),
    };
    let nodes = nodes(case)?;
    if let [node] = &nodes[..]
        && node.op == "Dropout"
        && noise::trains(case, node)
    {
        return noise::dropout(case, node, device, check);
    }
    for node in nodes {
        let mut attributes = Settings::within(case, node.attributes);
        let output = run.output(&node, &mut attributes)?;
        attributes.finish()?;
        if let Some(name) = node.outputs.first() {
            run.values.insert(name.clone(), output);
        }
    }
    for name in case.names("out.") {
        match run.values.get(&name) {
            Some(tensor) => run.work.fetch(format!("out.{name}"), tensor),
            None => return Stop::unsupported("a node's second output"),
        }
    }
    for (name, array) in run.work.run(device)? {
        check.tensor(&name, &array)?;
    }
    Ok(())
}

/// Whether the case is a step of an optimizer.
pub fn trains(case: &Case) -> bool {
    let domain = case.config.get("domain").and_then(Value::as_str);
    domain == Some("ai.onnx.preview.training") && case.op != "Gradient"
}

/// A node of the graph.
pub struct Node<'a> {
    pub op: &'a str,
    pub inputs: Vec<String>,
    pub outputs: Vec<String>,
    pub attributes: &'a Map<String, Value>,
}

/// The node that the case is about, or the list of them.
fn nodes(case: &Case) -> Result<Vec<Node<'_>>, Stop> {
    match case.config.get("nodes").and_then(Value::as_array) {
        None => Ok(vec![Node::read(case, &case.op, &case.config, "node_")?]),
        Some(list) => list
            .iter()
            .map(|value| {
                let broken = || Stop::Failed(case.error("config.nodes has an entry without `op`"));
                let map = value.as_object().ok_or_else(broken)?;
                let op = map.get("op").and_then(Value::as_str).ok_or_else(broken)?;
                Node::read(case, op, map, "")
            })
            .collect(),
    }
}

impl<'a> Node<'a> {
    /// `map` holds the node's fields, two of them under names that begin with `prefix`.
    fn read(
        case: &Case,
        op: &'a str,
        map: &'a Map<String, Value>,
        prefix: &str,
    ) -> Result<Self, Stop> {
        match map.get("domain").and_then(Value::as_str) {
            None | Some("" | "ai.onnx") => {}
            Some("ai.onnx.preview.training") if op == "Gradient" => {}
            Some(domain) => return Stop::unsupported(format!("op {domain}.{op}")),
        }
        let names = |field: &str| -> Result<Vec<String>, Stop> {
            let field = format!("{prefix}{field}");
            match map.get(&field).and_then(Value::as_array) {
                Some(list) => Ok(list
                    .iter()
                    .filter_map(Value::as_str)
                    .map(String::from)
                    .collect()),
                None => Err(Stop::Failed(
                    case.error(format!("a node has no list `{field}`")),
                )),
            }
        };
        let attributes = map.get("attributes").and_then(Value::as_object);
        Ok(Node {
            op,
            inputs: names("inputs")?,
            outputs: names("outputs")?,
            attributes: attributes.unwrap_or(&settings::NOTHING),
        })
    }
}

fn opset(case: &Case) -> i64 {
    let versions = case.config.get("opset");
    let version = versions.and_then(|versions| versions.get("ai.onnx").or(versions.get("")));
    version.and_then(Value::as_i64).unwrap_or(i64::MAX)
}

//! Every op on the device and on the f32 CPU session, against the f64 reference.
#![allow(clippy::print_stdout, clippy::unwrap_used)]

mod common;

use std::collections::BTreeSet;

use common::device;
use kiln::check::{self, Report};
use kiln::op::Case;
use kiln::op::{Compute, Fill, Io, Launch, Launches, Op, Sample, Shader, Signature};
use kiln::plan::Target;
use kiln::{Device, TensorType};

/// Fewer cases than this do not test an op.
const LEAST: usize = 30;

/// Runs every case of every op and asserts that there were enough and that all passed.
fn every_op(device: &Device) {
    println!("on {device}");
    let mut names = BTreeSet::new();
    let mut failed = Vec::new();
    for entry in check::all() {
        assert!(names.insert(entry.name), "two ops are named {}", entry.name);
        let survey = check::survey(&entry, device);
        println!("{survey}");
        if survey.cases < LEAST {
            failed.push(format!("{survey}\n    {LEAST} cases are the least"));
        } else if !survey.passed() || survey.runs < survey.cases || survey.elements == 0 {
            failed.push(survey.to_string());
        }
    }
    assert!(names.len() >= 3, "only {names:?} were run");
    assert!(failed.is_empty(), "\n{}", failed.join("\n"));
}

#[test]
fn every_op_on_the_device_keeps_its_bound_in_every_kernel_family() {
    if let Some(device) = device() {
        every_op(device);
    }
}

#[test]
fn every_op_on_the_cpu_session_keeps_its_bound() {
    every_op(&Device::cpu());
}

/// y = x by a kernel whose entry points go wrong, each in its way.
#[derive(Debug, Clone, Copy)]
struct Copied(&'static str);

impl Op for Copied {
    fn name(&self) -> &'static str {
        "copied"
    }

    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>, String> {
        Ok(vec![inputs[0].clone()])
    }

    fn launch(&self, signature: &Signature, _target: &Target) -> Result<Launches, String> {
        let len = signature.outputs[0].elements();
        let shader = Shader {
            name: "copied",
            source: "
                struct Params { len: u32 }
                @group(0) @binding(0) var<uniform> params: Params;
                @group(0) @binding(1) var<storage, read> x: array<f32>;
                @group(0) @binding(2) var<storage, read_write> y: array<f32>;

                @compute @workgroup_size(64)
                fn sound(@builtin(global_invocation_id) id: vec3<u32>) {
                    if id.x < params.len { y[id.x] = x[id.x]; }
                }
                @compute @workgroup_size(64)
                fn spills(@builtin(global_invocation_id) id: vec3<u32>) {
                    if id.x <= params.len { y[id.x] = x[min(id.x, params.len - 1u)]; }
                }
                // What lies after x, which is as much a NaN as what lies after y.
                @compute @workgroup_size(64)
                fn spills_its_input(@builtin(global_invocation_id) id: vec3<u32>) {
                    if id.x < params.len + 3u { y[id.x] = x[id.x]; }
                }
                @compute @workgroup_size(64)
                fn stops_early(@builtin(global_invocation_id) id: vec3<u32>) {
                    if id.x + 1u < params.len { y[id.x] = x[id.x]; }
                }
                @compute @workgroup_size(64)
                fn loses_nan(@builtin(global_invocation_id) id: vec3<u32>) {
                    let bits = bitcast<u32>(x[id.x]) & 0x7fffffffu;
                    if id.x < params.len { y[id.x] = select(x[id.x], 0.0, bits > 0x7f800000u); }
                }
            "
            .into(),
        };
        Ok(Launch::new(shader, self.0)
            .param("len", len as u32)
            .bind_all(1, 1)
            .grid([len.div_ceil(64) as u32, 1, 1])
            .into())
    }

    fn bound(&self, sample: &Sample<'_>) -> Vec<Vec<f64>> {
        vec![sample.relative(0, 0.0)]
    }
}

impl Compute for Copied {
    fn compute<T: kiln::cpu::Real>(&self, io: &mut Io<'_, T>) {
        let x = io.input(0);
        io.output(0).copy_from_slice(x);
    }
}

#[test]
fn kernels_that_spill_stop_early_or_lose_nan_are_found() {
    let Some(device) = device() else { return };
    for len in [1, 17, 63, 257] {
        let case = |entry| Case::new(Copied(entry)).input(&[len], Fill::Uniform(1.0, 2.0));
        check::parity(&case("sound"), device).unwrap();
        check::nan(&case("sound"), device).unwrap();
        let found = |outcome: kiln::Result<Report>, what: &str| {
            let message = outcome.unwrap_err().to_string();
            assert!(message.contains(what), "{len}: {message}");
        };
        let after = "written 1 elements after the end of result 0";
        found(check::parity(&case("spills"), device), after);
        found(check::parity(&case("spills_its_input"), device), after);
        let last = format!("element {}: NaN on the device", len - 1);
        found(check::parity(&case("stops_early"), device), &last);
        check::parity(&case("loses_nan"), device).unwrap();
        found(check::nan(&case("loses_nan"), device), "is in no result");
    }
}

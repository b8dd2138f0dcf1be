//! Launches become pipelines: each is checked against its shader, and the distinct ones are made by several threads.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use crate::Result;
use crate::contract::{Binding, Launch};
use crate::edge::threads;

use super::device::{Buffer, Device, Kernel, KernelKey, KernelSource, LoadedModule, Purpose};
use super::guard::guard;
use super::kernel::BindingUse;
use super::specialise::specialise;

/// A launch checked against its shader: what its pipeline is made from, and its packed params.
pub(super) struct Request {
    module: Arc<LoadedModule>,
    launch: Launch,
    bindings: Vec<BindingUse>,
    key: KernelKey,
    params: Vec<u8>,
}

/// Checks a launch and packs its params.
pub(super) fn request(
    device: &Device,
    launch: &Launch,
    written: impl Fn(Binding) -> bool,
) -> Result<Request> {
    let module = device.module(&launch.shader)?;
    let entry = module.reflected.entry(launch, written)?;
    let (params, mut bindings) = (entry.pack(launch)?, entry.bindings.clone());
    if launch.guard.is_some() {
        // After the kernel's own.
        bindings.push(BindingUse::Read);
    }
    let mut overrides: Vec<(&'static str, u64)> = launch
        .overrides
        .iter()
        .map(|(name, value)| (*name, value.to_bits()))
        .collect();
    overrides.sort_unstable();
    let key = KernelKey {
        source: launch.shader.source.clone(),
        entry: launch.entry,
        overrides,
        guard: launch.guard.map(|(_, word)| word),
    };
    Ok(Request {
        module,
        launch: launch.clone(),
        bindings,
        key,
        params,
    })
}

/// The params of requests in one buffer, and where those of each lie: the first byte and how many there are.
pub(super) fn params(
    device: &Device,
    label: &str,
    alignment: u64,
    requests: &[Request],
) -> Result<(Buffer, Vec<(u64, u64)>)> {
    let (mut bytes, mut places) = (Vec::new(), Vec::new());
    for Request { params, .. } in requests {
        places.push((bytes.len() as u64, params.len() as u64));
        bytes.extend_from_slice(params);
        bytes.resize(bytes.len().next_multiple_of(alignment as usize), 0);
    }
    let buffer = device.buffer(label, (bytes.len() as u64).max(alignment), Purpose::Params)?;
    if !bytes.is_empty() {
        device.upload(&buffer, 0, &bytes)?;
    }
    Ok((buffer, places))
}

/// The pipelines of requests, in their order, made now or earlier.
///
/// Drivers compile while a pipeline is made, so the distinct ones are shared out among threads; wgpu's error scopes belong
/// to the thread that opened them, and each pipeline is guarded on its own. Where there are no threads this one makes all.
pub(super) fn kernels(device: &Device, requests: &[Request]) -> Result<Vec<Arc<Kernel>>> {
    let mut seen = HashSet::new();
    let missing: Vec<&Request> = requests
        .iter()
        .filter(|request| seen.insert(&request.key) && device.known(&request.key).is_none())
        .collect();
    let next = AtomicUsize::new(0);
    let work = || -> Result<()> {
        while let Some(request) = missing.get(next.fetch_add(1, Relaxed)) {
            made(device, request)?;
        }
        Ok(())
    };
    let helpers = threads::cores().min(missing.len()).saturating_sub(1);
    let outcomes = threads::with_helpers(helpers, work);
    outcomes.into_iter().fold(Ok(()), Result::and)?;
    requests
        .iter()
        .map(|request| made(device, request))
        .collect()
}

/// The pipeline of a request, made now or earlier.
fn made(device: &Device, request: &Request) -> Result<Arc<Kernel>> {
    if let Some(kernel) = device.known(&request.key) {
        return Ok(kernel);
    }
    let launch = &request.launch;
    let label = format!("{}.{}", launch.shader.name, launch.entry);
    let mut tree = specialise(&request.module.tree, launch.entry, &launch.overrides);
    if let (Some((_, word)), Some(last)) = (launch.guard, request.bindings.len().checked_sub(1)) {
        guard(&mut tree, last as u32, word);
    }
    // What decided only arms that are gone is no constant of the module any more.
    let constants: Vec<(&'static str, f64)> = launch
        .overrides
        .iter()
        .filter(|(name, _)| {
            let mut left = tree.overrides.iter();
            left.any(|(_, constant)| constant.name.as_deref() == Some(*name))
        })
        .copied()
        .collect();
    let source = KernelSource {
        label: &label,
        tree,
        entry: launch.entry,
        constants: &constants,
        bindings: &request.bindings,
    };
    device.kernel(request.key.clone(), source)
}

//! The kernel choices that an adapter can run, so that every family is checked on every adapter.

use crate::op::{Case, Launches, Signature};
use crate::plan::{Class, Products, Target};
use crate::{Device, Result};

use super::failed;

/// A kernel choice.
#[derive(Debug, Clone)]
pub struct Variant {
    /// The class of adapter it is made for and its family of products: `gpu, shared products`.
    pub name: String,
    /// The device with this choice.
    pub device: Device,
}

/// The different launches that the rules for any class of adapter and any family of products give for a case, the
/// device's own first. A CPU session has one.
///
/// Limits stay the adapter's, that of loop iterations too.
pub fn variants(case: &Case, device: &Device) -> Result<Vec<Variant>> {
    let own = device.target().clone();
    let mut choices = vec![own.clone()];
    if own.has_shaders() {
        for class in [own.class, Class::Gpu, Class::CpuAdapter] {
            for products in [Products::Shared, Products::Registers, Products::Subgroups] {
                let able = products != Products::Subgroups || own.subgroup.is_some();
                if able {
                    choices.push(
                        Target {
                            class,
                            ..own.clone()
                        }
                        .with_products(products),
                    );
                }
            }
        }
    }
    let kinds: Vec<_> = case.inputs.iter().map(|(kind, _)| kind.clone()).collect();
    let outputs = case
        .op
        .infer(&kinds)
        .map_err(|message| failed(case, message))?;
    let signature = Signature {
        inputs: kinds,
        outputs,
    };
    let mut seen = Vec::new();
    let mut variants = Vec::new();
    for target in choices {
        if target.has_shaders() {
            let launches = case
                .op
                .launch(&signature, &target)
                .map_err(|message| failed(case, message))?;
            let digest = digest(&launches);
            if seen.contains(&digest) {
                continue;
            }
            seen.push(digest);
        }
        variants.push(Variant {
            name: target.to_string(),
            device: device.clone().with_target(|_| target),
        });
    }
    Ok(variants)
}

/// All of the launches but the shaders' texts.
fn digest(launches: &Launches) -> String {
    let parts: Vec<String> = launches
        .launches
        .iter()
        .map(|launch| {
            format!(
                "{} {} {:?} {:?} {:?} {:?} {:?}",
                launch.shader.name,
                launch.entry,
                launch.overrides,
                launch.params,
                launch.bindings,
                launch.guard,
                launch.grid
            )
        })
        .collect();
    format!("{:?} {}", launches.scratch, parts.join("; "))
}

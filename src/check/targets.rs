//! The kernel choices that an adapter can run, so that every family is checked on every adapter.

use std::sync::{Arc, LazyLock};

use crate::contract::{Case, Launches, Signature};
use crate::target::{Class, ProductChoice, ProductShape, Products, Target, TuningTable};
use crate::{Device, Result, TensorType};

use super::failed;

/// A kernel choice.
#[derive(Debug, Clone)]
pub struct Variant {
    /// The class of adapter it is made for and its family of products: `gpu, shared products`.
    pub name: String,
    /// The device with this choice.
    pub device: Device,
}

/// Tables that take one tile for every product. By rule only products larger than any case take these.
static LARGE_TILES: LazyLock<[Arc<TuningTable>; 2]> = LazyLock::new(|| {
    let choice = |tile, blocks| ProductChoice {
        kernel: "tiled",
        tile,
        blocks,
        splits: 1,
        swapped: false,
    };
    [
        Arc::new(everywhere(choice([64, 64, 16], [1, 1]))),
        Arc::new(everywhere(choice([128, 128, 8], [2, 2]))),
    ]
});

/// Elements of a result from which those are tried: drivers take long to compile them.
const LARGE: u64 = 1024;

/// A table with one choice for all products of sizes up to 2048.
fn everywhere(choice: ProductChoice) -> TuningTable {
    let mut table = TuningTable::default();
    let sizes = || (0..12).map(|power| 1u32 << power);
    let sizes = sizes().flat_map(|m| sizes().flat_map(move |n| sizes().map(move |k| [m, n, k])));
    for sizes in sizes {
        for (transpose_a, transpose_b) in
            [(false, false), (false, true), (true, false), (true, true)]
        {
            let shape = ProductShape {
                sizes,
                transpose_a,
                transpose_b,
            };
            table.insert(shape, choice);
        }
    }
    table
}

/// The different launches that the rules for any class of adapter, any family of products and the tiles of large products
/// give for a case, the device's own first. A CPU session has one.
///
/// Limits stay the adapter's, that of loop iterations too.
///
/// # Errors
///
/// The errors of planning the case's launch on each of these targets.
pub fn variants(case: &Case, device: &Device) -> Result<Vec<Variant>> {
    let own = device.target().clone();
    let mut choices = vec![own.clone()];
    if own.has_shaders() {
        for class in [own.class, Class::Gpu, Class::CpuAdapter] {
            for products in [Products::Shared, Products::Registers, Products::Subgroups] {
                let able = products != Products::Subgroups || own.subgroup.is_some();
                if able {
                    choices.push(Target {
                        class,
                        products,
                        ..own.clone()
                    });
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
    let elements: u64 = signature.outputs.iter().map(TensorType::elements).sum();
    if own.has_shaders() && elements >= LARGE {
        for table in LARGE_TILES.iter() {
            choices.push(Target {
                class: Class::Gpu,
                products: Products::Shared,
                table: Some(table.clone()),
                ..own.clone()
            });
        }
    }
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
    let mut digest = format!("{:?}", launches.scratch);
    for launch in &launches.launches {
        let (shader, entry) = (launch.shader.name, &launch.entry);
        let (overrides, params) = (&launch.overrides, &launch.params);
        let (bindings, guard, grid) = (&launch.bindings, &launch.guard, &launch.grid);
        digest +=
            &format!("; {shader} {entry} {overrides:?} {params:?} {bindings:?} {guard:?} {grid:?}");
    }
    digest
}

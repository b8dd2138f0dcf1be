//! Tables of measured kernels: they come back as written, are refused with a line, and change plans but not results.
#![allow(clippy::unwrap_used)]

mod common;

use std::sync::Arc;

use common::device;
use kiln::op::{MatMul, candidates};
use kiln::plan::{Class, Plan, ProductChoice, ProductShape, Target, TuningTable};
use kiln::prelude::*;

fn shape(sizes: [u32; 3]) -> ProductShape {
    ProductShape {
        sizes,
        transpose_a: false,
        transpose_b: true,
    }
}

/// The last way to compute a product that the target knows: never the default one.
fn unusual(sizes: [u32; 3], target: &Target) -> ProductChoice {
    *candidates(shape(sizes), target).last().unwrap()
}

fn table(adapter: &str, driver: &str) -> TuningTable {
    TuningTable {
        adapter: adapter.into(),
        driver: driver.into(),
        ..TuningTable::default()
    }
}

fn tuned_by(target: &Target, table: TuningTable) -> Target {
    Target {
        table: Some(Arc::new(table)),
        ..target.clone()
    }
}

fn plan(target: &Target, [m, n, k]: [usize; 3]) -> Plan {
    let values = |len: usize| (0..len).map(|i| (i % 13) as f32 - 6.0).collect::<Vec<_>>();
    let graph = Graph::new();
    let a = graph.parameter("a", [m, k], &values(m * k));
    let b = graph.parameter("b", [n, k], &values(n * k));
    let product = MatMul {
        transpose_b: true,
        ..MatMul::default()
    };
    let y = graph.apply_one(product, &[&a, &b]);
    Plan::compile(&graph, target, [Program::new("product").fetch("y", &y)]).unwrap()
}

fn grid(plan: &Plan) -> [u32; 3] {
    plan.programs[0].calls[0].launches[0].grid
}

#[test]
fn a_table_comes_back_as_it_was_written() {
    let mut table = self::table("An adapter (of 8 lanes)", "its driver 1.2");
    for (class, subgroup) in [(Class::Gpu, None), (Class::CpuAdapter, Some(8))] {
        let target = Target::new(class, subgroup);
        for size in [1, 17, 255, 1000] {
            let sizes = [size, 2 * size, 4 * size];
            table.insert(shape(sizes), unusual(sizes, &target));
        }
    }
    let again = TuningTable::parse(&table.to_string()).unwrap();
    assert_eq!(again, table);
    // Some drivers have no name.
    let nameless = self::table("", "");
    assert_eq!(TuningTable::parse(&nameless.to_string()), Ok(nameless));
    // 1000 and 1024 are of one bucket, 1025 is not.
    assert!(again.product(shape([1024, 2048, 4096])).is_some());
    assert!(again.product(shape([1025, 2048, 4096])).is_none());
}

#[test]
fn a_line_that_is_no_part_of_a_table_is_named() {
    let head = "kiln tuning 1\nadapter a\ndriver d\n";
    let wrong = [
        ("", 1, "empty"),
        ("PNG\n", 1, "begins with"),
        ("product 1 1 1\n", 4, "12 fields"),
        ("product 1 1 1 nn fast 4 32 4 1 1 1 plain\n", 4, "`fast`"),
        (
            "product 1 0 1 nn tiled 4 32 4 1 1 1 plain\n",
            4,
            "0 is no size",
        ),
        ("product 1 1 x nn tiled 4 32 4 1 1 1 plain\n", 4, "`x`"),
        ("product 1 1 1 ab tiled 4 32 4 1 1 1 plain\n", 4, "`ab`"),
        ("product 1 1 1 nn tiled 4 32 4 1 1 1 askew\n", 4, "`askew`"),
        ("products\n", 4, "neither"),
    ];
    for (text, line, word) in wrong {
        let text = if line == 1 {
            text.to_string()
        } else {
            format!("{head}{text}")
        };
        let (at, message) = TuningTable::parse(&text).unwrap_err();
        assert!(
            at == line && message.contains(word),
            "{text:?}: line {at}: {message}"
        );
    }
}

#[test]
fn a_device_or_what_is_no_text_is_no_table() {
    if cfg!(unix) {
        // Has no end.
        let error = TuningTable::read("/dev/zero").unwrap_err().to_string();
        assert!(error.contains("no plain file"), "{error}");
    }
    let path = std::env::temp_dir().join(format!("kiln-tuning-{}", std::process::id()));
    std::fs::write(&path, b"kiln tuning 1\nadapter \xff\n").unwrap();
    let error = TuningTable::read(&path).unwrap_err().to_string();
    assert!(error.contains("it is no text"), "{error}");
    std::fs::remove_file(path).unwrap();
}

#[test]
fn only_what_the_targets_kernels_can_do_is_taken_from_a_table() {
    let sizes = [300, 300, 300];
    for (class, subgroup) in [
        (Class::Gpu, None),
        (Class::CpuAdapter, None),
        (Class::CpuAdapter, Some(8)),
    ] {
        let target = Target::new(class, subgroup);
        let default = grid(&plan(&target, [300; 3]));
        let tuned = |choice| {
            let mut table = self::table("a", "d");
            table.insert(shape(sizes), choice);
            grid(&plan(&tuned_by(&target, table), [300; 3]))
        };
        let mut grids: Vec<_> = candidates(shape(sizes), &target)
            .into_iter()
            .map(tuned)
            .collect();
        grids.sort_unstable();
        grids.dedup();
        assert!(grids.len() > 3, "{target}: every candidate launches alike");
        let impossible = ProductChoice {
            kernel: "tiled",
            tile: [4096, 4096, 64],
            blocks: [64, 64],
            splits: 1,
            swapped: false,
        };
        assert_eq!(tuned(impossible), default, "{target}");
    }
}

#[test]
fn a_table_changes_the_kernel_of_a_plan_and_the_product_stays_right() {
    let Some(device) = device() else {
        return;
    };
    let Some(adapter) = device.adapter_summary() else {
        return;
    };
    // k is long enough to be split, no size fills its tiles.
    let sizes = [33, 70, 1001];
    let mut table = self::table(&adapter.name, &adapter.driver);
    table.insert(shape(sizes), unusual(sizes, device.target()));
    let file = std::env::temp_dir().join(format!("kiln-tuning-{}.txt", std::process::id()));
    std::fs::write(&file, table.to_string()).unwrap();
    let tuned = device.clone().with_tuning(&file).unwrap();

    // The table of another driver is ignored; a damaged one is not.
    table.driver.push_str(" but newer");
    std::fs::write(&file, table.to_string()).unwrap();
    let other = device.clone().with_tuning(&file).unwrap();
    assert_eq!(other.target(), device.target());
    std::fs::write(&file, "kiln tuning 1\nproduct of sums").unwrap();
    let refused = device.clone().with_tuning(&file).unwrap_err();
    assert!(refused.to_string().contains("12 fields"), "{refused}");
    std::fs::remove_file(&file).unwrap();
    assert!(matches!(
        device.clone().with_tuning(&file),
        Err(Error::Io { .. })
    ));

    let sizes = sizes.map(|size| size as usize);
    let product = |device: &Device| {
        let plan = plan(device.target(), sizes);
        let mut session = device.open(&plan).unwrap();
        session.run("product", 1).unwrap();
        (grid(&plan), session.read("y").unwrap())
    };
    let (grid, y) = product(device);
    let (tuned_grid, tuned_y) = product(&tuned);
    assert_ne!(grid, tuned_grid);
    // Sums of 1001 products of small integers are exact in f32.
    assert_eq!(y, tuned_y);
}

//! One door to the GPU: what calls wgpu is in `src/gpu/device`, where calls are counted, typed and made to fail.

use std::fs;
use std::path::{Path, PathBuf};

/// Files outside the door that name wgpu's types, and why. None of them asks a device or a queue for anything.
const NAMES_TYPES: [(&str, &str); 3] = [
    (
        "src/gpu/adapter.rs",
        "turns what an adapter says of itself into a summary, and chooses one",
    ),
    ("src/lib.rs", "hands wgpu itself on to programs"),
    ("src/device/host.rs", "the signature of `Device::from_wgpu`"),
];

/// Methods and functions of wgpu that make, ask or wait.
const CALLS: [&str; 17] = [
    "Instance::new",
    "enumerate_adapters",
    "request_adapter",
    "request_device",
    ".create_",
    ".push_error_scope",
    ".write_buffer",
    ".write_texture",
    ".submit([",
    ".map_async",
    ".get_mapped_range",
    ".unmap()",
    ".on_submitted_work_done",
    ".on_uncaptured_error",
    ".set_device_lost_callback",
    "PollType",
    ".copy_buffer_to_buffer",
];

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|kind| kind == "rs") {
            found.push(path);
        }
    }
}

/// The code of a file, without comments.
fn code(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap();
    let lines = text
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"));
    lines.collect::<Vec<_>>().join("\n")
}

/// Whether the text names something of wgpu's.
fn names_wgpu(text: &str) -> bool {
    ["wgpu::", "use wgpu", "wgpu as ", "extern crate wgpu"]
        .iter()
        .any(|words| text.contains(words))
}

#[test]
fn no_file_outside_the_door_calls_wgpu() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    sources(&root.join("src"), &mut files);
    let (mut behind, mut outside, mut naming) = (0, 0, Vec::new());
    for file in &files {
        let name = file.strip_prefix(root).unwrap().to_str().unwrap();
        let (name, text) = (name.replace('\\', "/"), code(file));
        if name.starts_with("src/gpu/device/") {
            behind += usize::from(names_wgpu(&text));
            continue;
        }
        outside += 1;
        for call in CALLS {
            assert!(
                !text.contains(call) || !(names_wgpu(&text) || name.starts_with("src/gpu/")),
                "{name} calls wgpu's {call}: that belongs behind the door, src/gpu/device"
            );
        }
        if names_wgpu(&text) {
            naming.push(name);
        }
    }
    naming.sort();
    let mut known = NAMES_TYPES.map(|(file, _why)| file.to_string());
    known.sort();
    assert_eq!(naming, known, "files outside the door that name wgpu");
    // The scan has seen the house, and the door is where it looks for it.
    assert!(
        behind >= 6 && outside >= 150,
        "{behind} behind, {outside} outside"
    );
}

#[test]
fn the_scan_sees_calls_and_not_comments() {
    assert!(names_wgpu("fn f(d: &wgpu::Device) {}") && names_wgpu("use wgpu as gpu;"));
    assert!(!names_wgpu("let wgpu = 3;"));
    let file = std::env::temp_dir().join(format!("kiln-door-{}.rs", std::process::id()));
    fs::write(&file, "// wgpu::Device\n/// wgpu::Queue\nfn f() {}\n").unwrap();
    assert_eq!(code(&file), "fn f() {}");
    fs::remove_file(file).unwrap();
}

//! Every shader parses, validates and translates to the languages of all back ends; no GPU needed.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZero;
use std::path::Path;
use std::sync::LazyLock;
use std::thread;

use kiln::op::{Launch, Shader, Signature};
use kiln::plan::{Class, Target};
use kiln::{Device, check};
use naga::back::{PipelineConstants, glsl, hlsl, msl, pipeline_constants, spv};
use naga::proc::BoundsCheckPolicies;
use naga::valid::{Capabilities, ValidationFlags, Validator};
use naga::{AddressSpace, Handle, Scalar, ScalarKind, Type, TypeInner};

/// The texts of `shaders/` and the folders in it, by name: `update/adam`.
fn files() -> BTreeMap<String, String> {
    let shaders = Path::new(env!("CARGO_MANIFEST_DIR")).join("shaders");
    let mut files = BTreeMap::new();
    let mut folders = vec![shaders.clone()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            assert_eq!(path.extension().unwrap(), "wgsl", "{path:?}");
            let name = path.strip_prefix(&shaders).unwrap().with_extension("");
            let name = name.to_str().unwrap().replace('\\', "/");
            files.insert(name, std::fs::read_to_string(path).unwrap());
        }
    }
    files
}

/// The modules that are files, by their texts: a file may be one with different parts after it.
fn listed() -> BTreeMap<String, Shader> {
    let all = check::all().into_iter().flat_map(|entry| entry.shaders);
    let canary = Shader::with_prelude("canary", &files()["canary"]);
    all.cloned()
        .chain([canary])
        .map(|shader| (shader.source.to_string(), shader))
        .collect()
}

/// Those, and the modules that ops make for their cases.
fn shaders() -> BTreeMap<String, Shader> {
    let made = LAUNCHED.shaders.clone();
    listed().into_iter().chain(made).collect()
}

/// A choice of overrides for an entry point of a text: those of a launch, the others at their defaults.
type Choice = (String, String, Vec<(&'static str, u64)>);

/// What is launched: the shaders by their texts, and the choices.
#[derive(Default)]
struct Launched {
    shaders: BTreeMap<String, Shader>,
    choices: BTreeSet<Choice>,
}

impl Launched {
    fn add(&mut self, launches: Vec<Launch>) {
        for launch in launches {
            let choice = choice(&launch);
            self.shaders
                .entry(choice.0.clone())
                .or_insert(launch.shader);
            self.choices.insert(choice);
        }
    }
}

/// What the cases of all ops launch in every variant that is tried on a device, on adapters that differ in their class, in
/// their subgroups and in how many buffers they bind.
static LAUNCHED: LazyLock<Launched> = LazyLock::new(|| {
    let mut adapters = Vec::new();
    for class in [Class::Gpu, Class::CpuAdapter] {
        for subgroup in [Some(4), Some(8), Some(32)] {
            for max_storage_buffers in [8, 16] {
                let target = Target {
                    max_storage_buffers,
                    ..Target::new(class, subgroup)
                };
                adapters.push(Device::cpu().with_target(|_| target));
            }
        }
    }
    let mut launched = Launched::default();
    for entry in check::all() {
        for case in (entry.cases)() {
            let inputs: Vec<_> = case.inputs.iter().map(|(kind, _)| kind.clone()).collect();
            let outputs = case.op.infer(&inputs).unwrap();
            let signature = Signature { inputs, outputs };
            for adapter in &adapters {
                for variant in check::variants(&case, adapter).unwrap() {
                    let target = variant.device.target();
                    launched.add(case.op.launch(&signature, target).unwrap().launches);
                }
            }
        }
    }
    launched
});

fn choice(launch: &Launch) -> Choice {
    let mut overrides: Vec<_> = launch
        .overrides
        .iter()
        .map(|(name, value)| (*name, value.to_bits()))
        .collect();
    overrides.sort_unstable();
    let source = launch.shader.source.to_string();
    (source, launch.entry.to_string(), overrides)
}

#[test]
fn every_shader_file_belongs_to_an_op_and_ends_in_the_prelude() {
    let mut files = files();
    let prelude = files.remove("prelude").unwrap();
    let shaders = listed();
    for shader in shaders.values() {
        let text = files.get(shader.name).expect("an op's shader is a file");
        let after = shader.source.strip_prefix(text.as_str());
        let parts = after.and_then(|text| text.strip_suffix(prelude.as_str()));
        // What stands between are files too, such as what all row-wise kernels share.
        let mut parts = parts.unwrap_or_else(|| panic!("{} is not its file", shader.name));
        while !parts.trim().is_empty() {
            let mut files = files.values();
            let rest = files.find_map(|part| parts.trim_start().strip_prefix(part.trim()));
            parts = rest.unwrap_or_else(|| panic!("{} has a part that is no file", shader.name));
        }
    }
    // An op may also put a file before a text of its own.
    let made = self::shaders();
    for (name, text) in &files {
        let used = made
            .values()
            .any(|shader| shader.source.contains(text.as_str()));
        assert!(used, "shaders/{name}.wgsl belongs to no op");
    }
    assert!(shaders.len() >= 3);
}

#[test]
fn binding_0_is_params_and_the_others_follow_without_gaps() {
    let mut entries = 0;
    for shader in shaders().values() {
        let parsed = Parsed::new(shader);
        let module = &parsed.module;
        assert!(
            !module.entry_points.is_empty(),
            "{} has no entry point",
            shader.name
        );
        for (index, entry) in module.entry_points.iter().enumerate() {
            entries += 1;
            let what = format!("{}.{}", shader.name, entry.name);
            let uses = parsed.info.get_entry_point(index);
            let mut bindings = BTreeMap::new();
            for (handle, global) in module.global_variables.iter() {
                if let Some(binding) = &global.binding
                    && !uses[handle].is_empty()
                {
                    let before = bindings.insert(binding.binding, global);
                    assert!(before.is_none() && binding.group == 0, "{what}");
                }
            }
            assert!(bindings.len() >= 2, "{what}");
            assert!(
                bindings.keys().copied().eq(0..bindings.len() as u32),
                "{what}"
            );
            for (&number, global) in &bindings {
                let fits = match global.space {
                    AddressSpace::Uniform => number == 0,
                    AddressSpace::Storage { .. } => number > 0,
                    _ => false,
                };
                assert!(fits, "{what}: binding {number} in {:?}", global.space);
            }
            let mut fields = Vec::new();
            add_fields(module, bindings[&0].ty, &mut fields);
            assert!(!fields.is_empty(), "{what}");
            let names: BTreeSet<&String> = fields.iter().collect();
            assert_eq!(names.len(), fields.len(), "{what}: {fields:?}");
            assert_ne!(entry.name, "main", "{}", shader.name);
        }
    }
    assert!(entries >= 6, "{entries} entry points");
}

/// The names of the fields of `params`, which are u32 or f32, those of a struct in it among the others.
fn add_fields(module: &naga::Module, kind: Handle<Type>, fields: &mut Vec<String>) {
    let TypeInner::Struct { members, .. } = &module.types[kind].inner else {
        panic!("params must be a struct");
    };
    for member in members {
        let name = member.name.clone().unwrap();
        match module.types[member.ty].inner {
            TypeInner::Scalar(Scalar { kind, width: 4 }) if kind != ScalarKind::Bool => {
                fields.push(name);
            }
            TypeInner::Struct { .. } => add_fields(module, member.ty, fields),
            _ => panic!("params.{name} must be a u32 or an f32"),
        }
    }
}

#[test]
fn no_workgroup_size_is_a_literal() {
    for (name, text) in files() {
        for (line, code) in text.lines().enumerate() {
            let code = code.split("//").next().unwrap();
            let Some((_, size)) = code.split_once("@workgroup_size(") else {
                continue;
            };
            let size = size.split(')').next().unwrap();
            for part in size.split(',') {
                assert!(
                    part.trim().starts_with(|c: char| c.is_ascii_uppercase()) || part.trim() == "1",
                    "{name}.wgsl:{}: {size}",
                    line + 1
                );
            }
        }
    }
}

/// A text without the lines that say which function of one number it applies.
fn without_function(text: &str) -> String {
    let says =
        |line: &&str| line.contains("value_of(x: f32") || line.contains("slope_of(saved: f32");
    let comment = |line: &&str| line.starts_with("// What `value_of`");
    let lines = text
        .lines()
        .filter(|line| !line.is_empty() && !says(line) && !comment(line));
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn every_entry_point_is_launched_by_a_case() {
    let launched: BTreeSet<(String, String)> = LAUNCHED
        .choices
        .iter()
        .map(|(shader, entry, _)| (without_function(shader), entry.clone()))
        .collect();
    // What the canary launches is told beside it.
    for shader in shaders().values().filter(|shader| shader.name != "canary") {
        for entry in Parsed::new(shader).module.entry_points {
            assert!(
                launched.contains(&(without_function(&shader.source), entry.name.clone())),
                "no case launches {}.{}",
                shader.name,
                entry.name
            );
        }
    }
}

#[test]
fn every_entry_point_translates_for_every_back_end() {
    let shaders = shaders();
    let mut choices = LAUNCHED.choices.clone();
    for shader in shaders.values() {
        for entry in Parsed::new(shader).module.entry_points {
            choices.insert((shader.source.to_string(), entry.name, Vec::new()));
        }
    }
    let parsed: BTreeMap<&String, Parsed> = shaders
        .iter()
        .map(|(source, shader)| (source, Parsed::new(shader)))
        .collect();
    let mut counts: BTreeMap<&String, usize> = BTreeMap::new();
    // Among them the tiles of large products, which no case takes by rule.
    for tile in [16, 32, 64, 128] {
        let tiled =
            |(name, value): &(&str, u64)| *name == "TILE_M" && *value == f64::from(tile).to_bits();
        let found = choices
            .iter()
            .any(|(.., overrides)| overrides.iter().any(tiled));
        assert!(found, "no case launches a tile of {tile} rows");
    }
    for (shader, ..) in &choices {
        *counts.entry(shader).or_default() += 1;
    }
    let threads = thread::available_parallelism().map_or(1, NonZero::get);
    let choices: Vec<_> = choices.iter().collect();
    thread::scope(|scope| {
        for part in 0..threads {
            let own = choices.iter().skip(part).step_by(threads);
            let parsed = &parsed;
            scope.spawn(move || {
                own.for_each(|(shader, entry, overrides)| {
                    parsed[shader].translate(entry, overrides)
                })
            });
        }
    });
    let named = counts
        .iter()
        .map(|(source, count)| (shaders[*source].name, count));
    println!("translated variants: {:?}", named.collect::<Vec<_>>());
    assert!(counts.len() == shaders.len() && counts.values().all(|&count| count > 0));
}

struct Parsed {
    name: &'static str,
    module: naga::Module,
    info: naga::valid::ModuleInfo,
}

impl Parsed {
    fn new(shader: &Shader) -> Self {
        let module = naga::front::wgsl::parse_str(&shader.source)
            .unwrap_or_else(|e| panic!("{}", e.emit_to_string(&shader.source)));
        let capabilities = Capabilities::SUBGROUP;
        let mut validator = Validator::new(ValidationFlags::all(), capabilities);
        let info = validator
            .subgroup_stages(naga::valid::ShaderStages::COMPUTE)
            .subgroup_operations(naga::valid::SubgroupOperationSet::all())
            .validate(&module)
            .unwrap_or_else(|e| panic!("{}", e.emit_to_string(&shader.source)));
        Parsed {
            name: shader.name,
            module,
            info,
        }
    }

    fn translate(&self, entry: &str, overrides: &[(&str, u64)]) {
        let what = format!("{}.{entry} {overrides:?}", self.name);
        let constants: PipelineConstants = overrides
            .iter()
            .map(|(name, bits)| (name.to_string(), f64::from_bits(*bits)))
            .collect();
        let stage = naga::ShaderStage::Compute;
        let (module, info) = pipeline_constants::process_overrides(
            &self.module,
            &self.info,
            Some((stage, entry)),
            &constants,
        )
        .unwrap_or_else(|e| panic!("{what}: {e}"));

        let spirv = spv::PipelineOptions {
            shader_stage: stage,
            entry_point: entry.into(),
        };
        let spirv_options = spv::Options {
            lang_version: (1, 3),
            ..Default::default()
        };
        let words = spv::write_vec(&module, &info, &spirv_options, Some(&spirv))
            .unwrap_or_else(|e| panic!("{what}: {e}"));
        assert!(words.len() > 100, "{what}");

        let metal_options = msl::Options {
            lang_version: (2, 4),
            ..Default::default()
        };
        let metal = msl::PipelineOptions {
            entry_point: Some((stage, entry.into())),
            ..Default::default()
        };
        let (text, _) = msl::write_string(&module, &info, &metal_options, &metal)
            .unwrap_or_else(|e| panic!("{what}: {e}"));
        assert!(text.contains("kernel void"), "{what}");

        let hlsl_options = hlsl::Options {
            shader_model: hlsl::ShaderModel::V6_0,
            ..Default::default()
        };
        let hlsl_pipeline = hlsl::PipelineOptions {
            entry_point: Some((stage, entry.into())),
        };
        let mut text = String::new();
        hlsl::Writer::new(&mut text, &hlsl_options, &hlsl_pipeline)
            .write(&module, &info, None)
            .unwrap_or_else(|e| panic!("{what}: {e}"));
        assert!(text.contains("numthreads"), "{what}");

        for version in [glsl::Version::new_gles(310), glsl::Version::Desktop(430)] {
            let options = glsl::Options {
                version,
                ..Default::default()
            };
            let pipeline = glsl::PipelineOptions {
                shader_stage: stage,
                entry_point: entry.into(),
                multiview: None,
            };
            let mut text = String::new();
            glsl::Writer::new(
                &mut text,
                &module,
                &info,
                &options,
                &pipeline,
                BoundsCheckPolicies::default(),
            )
            .and_then(|mut writer| writer.write())
            .unwrap_or_else(|e| panic!("{what}: {e}"));
            assert!(text.contains("void main()"), "{what}");
        }
    }
}

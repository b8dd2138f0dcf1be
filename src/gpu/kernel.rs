//! Shaders reflected: entry points, bindings and the layout of `params` come from the WGSL, never from a second list.

use naga::valid::{Capabilities, GlobalUse, ValidationFlags, Validator};
use naga::{AddressSpace, ScalarKind, TypeInner};

use crate::contract::{Binding, Launch, Param, Shader};
use crate::{Error, Result};

/// How an entry point uses a binding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BindingUse {
    /// `var<uniform>`: the params.
    Uniform,
    /// `var<storage, read>`.
    Read,
    /// `var<storage, read_write>`.
    ReadWrite,
}

/// An entry point's bindings by number, from 0.
#[derive(Debug, Clone)]
pub(super) struct EntryPoint {
    pub name: String,
    /// The bindings it uses, in order of their numbers.
    pub bindings: Vec<BindingUse>,
    pub params: Vec<ParamField>,
    pub params_bytes: u32,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ParamField {
    pub name: String,
    pub offset: u32,
    /// Whether it is an f32; else a u32.
    pub float: bool,
}

#[derive(Debug, Clone)]
pub(super) struct Module {
    pub name: &'static str,
    pub entries: Vec<EntryPoint>,
    pub overrides: Vec<String>,
}

impl Module {
    /// Parses, validates and reflects a shader; with it naga's tree of the text.
    pub fn parse(shader: &Shader) -> Result<(Self, naga::Module)> {
        let refused = |message| refused(shader.name, message);
        let module = naga::front::wgsl::parse_str(&shader.source)
            .map_err(|error| refused(error.emit_to_string(&shader.source)))?;
        let info = Validator::new(ValidationFlags::all(), Capabilities::all())
            .validate(&module)
            .map_err(|error| refused(error.emit_to_string(&shader.source)))?;
        let mut entries = Vec::new();
        for (index, entry) in module.entry_points.iter().enumerate() {
            let uses = info.get_entry_point(index);
            let globals = module.global_variables.iter();
            let used = globals.filter(|(handle, _)| uses[*handle] != GlobalUse::empty());
            let mut bindings = Vec::new();
            let (mut params, mut params_bytes) = (Vec::new(), 0);
            for (_, global) in used {
                let Some(binding) = &global.binding else {
                    continue;
                };
                let kind = match global.space {
                    AddressSpace::Uniform => BindingUse::Uniform,
                    AddressSpace::Storage { access }
                        if access.contains(naga::StorageAccess::STORE) =>
                    {
                        BindingUse::ReadWrite
                    }
                    AddressSpace::Storage { .. } => BindingUse::Read,
                    other => {
                        return Err(refused(format!("{}: a binding in {other:?}", entry.name)));
                    }
                };
                if kind == BindingUse::Uniform {
                    (params, params_bytes) = fields(&module, global.ty).map_err(&refused)?;
                }
                bindings.push((binding.binding, kind));
            }
            bindings.sort_by_key(|(number, _)| *number);
            let numbered = bindings.iter().enumerate().all(|(i, (number, kind))| {
                *number as usize == i && (*kind == BindingUse::Uniform) == (i == 0)
            });
            if !numbered {
                return Err(refused(format!(
                    "{}: bindings must be 0 (params, uniform), 1, 2, … without gaps, got {bindings:?}",
                    entry.name
                )));
            }
            let bindings = bindings.into_iter().map(|(_, kind)| kind).collect();
            entries.push(EntryPoint {
                name: entry.name.clone(),
                bindings,
                params,
                params_bytes,
            });
        }
        let overrides = module.overrides.iter();
        let overrides = overrides.filter_map(|(_, constant)| constant.name.clone());
        let reflected = Module {
            name: shader.name,
            entries,
            overrides: overrides.collect(),
        };
        Ok((reflected, module))
    }

    /// The entry point that a launch names, after checking the launch against it. `written` tells for each of the
    /// launch's bindings whether the op writes it.
    pub fn entry(&self, launch: &Launch, written: impl Fn(Binding) -> bool) -> Result<&EntryPoint> {
        let refused = |message| refused(self.name, message);
        let entry = self
            .entries
            .iter()
            .find(|entry| entry.name == launch.entry)
            .ok_or_else(|| refused(format!("there is no entry point `{}`", launch.entry)))?;
        let Some((_, storage)) = entry.bindings.split_first() else {
            return Err(refused(format!(
                "{} uses no bindings; binding 0 must be params",
                entry.name
            )));
        };
        if storage.len() != launch.bindings.len() {
            return Err(refused(format!(
                "{} has {} storage bindings, but the op binds {}",
                entry.name,
                storage.len(),
                launch.bindings.len()
            )));
        }
        for (number, (kind, &binding)) in storage.iter().zip(&launch.bindings).enumerate() {
            let scratch = matches!(binding, Binding::Scratch(_));
            if !scratch && (*kind == BindingUse::ReadWrite) != written(binding) {
                return Err(refused(format!(
                    "{}: binding {} is {kind:?}, but the op gives it {binding:?}",
                    entry.name,
                    number + 1
                )));
            }
        }
        let unknown = |(name, _): &&(&str, f64)| !self.overrides.iter().any(|known| known == name);
        match launch.overrides.iter().find(unknown) {
            Some((name, _)) => Err(refused(format!("there is no override constant `{name}`"))),
            None => Ok(entry),
        }
    }
}

impl EntryPoint {
    /// The bytes of `params` with a launch's values, each at its field's offset.
    pub fn pack(&self, launch: &Launch) -> Result<Vec<u8>> {
        let refused = |message| refused(launch.shader.name, message);
        let mut bytes = vec![0; self.params_bytes as usize];
        for field in &self.params {
            let value = launch.params.iter().find(|(name, _)| *name == field.name);
            let word = match (value.map(|(_, value)| *value), field.float) {
                (Some(Param::U32(value)), false) => value.to_le_bytes(),
                (Some(Param::F32(value)), true) => value.to_le_bytes(),
                (Some(_), _) => {
                    return Err(refused(format!("params.{} has another type", field.name)));
                }
                (None, _) => {
                    return Err(refused(format!(
                        "{} gives no value for params.{}",
                        launch.entry, field.name
                    )));
                }
            };
            bytes[field.offset as usize..field.offset as usize + 4].copy_from_slice(&word);
        }
        let unknown = |(name, _): &&(&str, _)| !self.params.iter().any(|field| field.name == *name);
        match launch.params.iter().find(unknown) {
            Some((name, _)) => Err(refused(format!("params has no field `{name}`"))),
            None => Ok(bytes),
        }
    }
}

fn refused(shader: &str, message: String) -> Error {
    let shader = shader.into();
    Error::Shader { shader, message }
}

/// The fields of `params`, those of a struct in it among the others, and its size in bytes.
fn fields(
    module: &naga::Module,
    kind: naga::Handle<naga::Type>,
) -> Result<(Vec<ParamField>, u32), String> {
    let TypeInner::Struct { members, span } = &module.types[kind].inner else {
        return Err("params must be a struct".into());
    };
    let mut found: Vec<ParamField> = Vec::new();
    for member in members {
        let name = member.name.clone().unwrap_or_default();
        match module.types[member.ty].inner {
            TypeInner::Scalar(scalar) if scalar.width == 4 && scalar.kind != ScalarKind::Bool => {
                found.push(ParamField {
                    name,
                    offset: member.offset,
                    float: scalar.kind == ScalarKind::Float,
                });
            }
            TypeInner::Struct { .. } => {
                let (inner, _) = fields(module, member.ty)?;
                found.extend(inner.into_iter().map(|field| ParamField {
                    offset: member.offset + field.offset,
                    ..field
                }));
            }
            _ => return Err(format!("params.{name} must be a u32 or an f32")),
        }
    }
    let twice = |i: &usize| found[..*i].iter().any(|other| other.name == found[*i].name);
    if let Some(i) = (0..found.len()).find(twice) {
        return Err(format!("params has two fields `{}`", found[i].name));
    }
    Ok((found, *span))
}

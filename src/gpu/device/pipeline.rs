//! Pipelines: made from naga's tree of one entry point, kept by what makes two of them the same.

use std::borrow::Cow;
use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex};

use crate::Result;
use crate::contract::Shader;

use super::super::kernel::{BindingUse, Module};
use super::fair_lock::locked;
use super::{Bindings, Buffer, Device, WgpuCall};

/// A shader as parsed: each pipeline is made from its own part of the tree.
pub(in crate::gpu) struct LoadedModule {
    pub reflected: Module,
    pub tree: naga::Module,
}

/// What makes two pipelines the same.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(in crate::gpu) struct KernelKey {
    /// The whole text, because two shaders may have one name.
    pub source: Cow<'static, str>,
    pub entry: &'static str,
    pub overrides: Vec<(&'static str, u64)>,
    /// The word that a guarded dispatch asks.
    pub guard: Option<u32>,
}

/// A pipeline with its bind group layout.
#[derive(Debug)]
pub(in crate::gpu) struct Kernel {
    pub(super) pipeline: wgpu::ComputePipeline,
    layout: wgpu::BindGroupLayout,
}

/// What a pipeline is made from.
pub(in crate::gpu) struct KernelSource<'a> {
    pub label: &'a str,
    pub tree: naga::Module,
    pub entry: &'static str,
    /// Override constants that the tree has.
    pub constants: &'a [(&'static str, f64)],
    pub bindings: &'a [BindingUse],
}

/// Shaders and pipelines of a device, for all its sessions.
#[derive(Default)]
pub(super) struct Library {
    /// By their whole text: two shaders may have one name.
    modules: Mutex<HashMap<Cow<'static, str>, Arc<LoadedModule>>>,
    kernels: Mutex<HashMap<KernelKey, Arc<Kernel>>>,
}

impl Library {
    /// Gives back the pipelines that no session uses.
    pub fn give_back(&self) {
        drop_unused(&mut locked(&self.kernels));
    }
}

/// The most pipelines, and the most shaders, that are kept though no session uses them.
const MAX_KEPT: usize = 256;

/// Keeps a thing for later sessions; what none uses goes when there are many, so that a program that makes networks of
/// ever new shapes does not grow.
fn keep<K: Eq + Hash, V>(kept: &mut HashMap<K, Arc<V>>, key: K, value: &Arc<V>) {
    if kept.len() >= MAX_KEPT {
        drop_unused(kept);
    }
    kept.insert(key, Arc::clone(value));
}

fn drop_unused<K: Eq + Hash, V>(kept: &mut HashMap<K, Arc<V>>) {
    kept.retain(|_, value| Arc::strong_count(value) > 1);
}

impl Device {
    /// A shader, parsed once while it is kept.
    pub(in crate::gpu) fn module(&self, shader: &Shader) -> Result<Arc<LoadedModule>> {
        let mut modules = locked(&self.inner.library.modules);
        if let Some(module) = modules.get(&shader.source) {
            return Ok(Arc::clone(module));
        }
        let (reflected, tree) = Module::parse(shader)?;
        let module = Arc::new(LoadedModule { reflected, tree });
        keep(&mut modules, shader.source.clone(), &module);
        Ok(module)
    }

    /// The pipeline of that key, if it was made before.
    pub(in crate::gpu) fn known(&self, key: &KernelKey) -> Option<Arc<Kernel>> {
        locked(&self.inner.library.kernels).get(key).cloned()
    }

    /// Makes a pipeline and keeps it for later sessions; of two made at once for one key the first is kept.
    pub(in crate::gpu) fn kernel(
        &self,
        key: KernelKey,
        source: KernelSource<'_>,
    ) -> Result<Arc<Kernel>> {
        let during = format!("making the pipeline {}", source.label);
        let kernel = self.guard(WgpuCall::Pipeline, &during, |inner| {
            make(&inner.wgpu, source)
        })?;
        // Its module, its two layouts, itself.
        self.meter().objects += 4;
        let mut kernels = locked(&self.inner.library.kernels);
        if let Some(first) = kernels.get(&key) {
            return Ok(Arc::clone(first));
        }
        let kernel = Arc::new(kernel);
        keep(&mut kernels, key, &kernel);
        Ok(kernel)
    }

    /// Binds parts of buffers, offset and bytes of each, to a kernel's bindings in order.
    pub(in crate::gpu) fn bind(
        &self,
        label: &str,
        kernel: &Kernel,
        parts: &[(&Buffer, u64, u64)],
    ) -> Result<Bindings> {
        let mut entries = Vec::new();
        for (binding, (buffer, offset, bytes)) in (0..).zip(parts) {
            let part = wgpu::BufferBinding {
                buffer: &buffer.wgpu,
                offset: *offset,
                size: wgpu::BufferSize::new(*bytes),
            };
            entries.push(wgpu::BindGroupEntry {
                binding,
                resource: wgpu::BindingResource::Buffer(part),
            });
        }
        let descriptor = wgpu::BindGroupDescriptor {
            label: Some(label),
            layout: &kernel.layout,
            entries: &entries,
        };
        let group = self.guard(WgpuCall::Bind, &format!("binding {label}"), |inner| {
            inner.wgpu.create_bind_group(&descriptor)
        })?;
        self.meter().objects += 1;
        Ok(Bindings(group))
    }
}

fn make(wgpu: &wgpu::Device, source: KernelSource<'_>) -> Kernel {
    let label = Some(source.label);
    let module = wgpu.create_shader_module(wgpu::ShaderModuleDescriptor {
        label,
        source: wgpu::ShaderSource::Naga(Cow::Owned(source.tree)),
    });
    let entries: Vec<_> = (0..)
        .zip(source.bindings)
        .map(|(number, kind)| layout_entry(number, *kind))
        .collect();
    let layout = wgpu.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor {
        label,
        entries: &entries,
    });
    let pipeline_layout = wgpu.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
        label,
        bind_group_layouts: &[Some(&layout)],
        immediate_size: 0,
    });
    let pipeline = wgpu.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
        label,
        layout: Some(&pipeline_layout),
        module: &module,
        entry_point: Some(source.entry),
        compilation_options: wgpu::PipelineCompilationOptions {
            constants: source.constants,
            // Every kernel writes its workgroup memory before it reads it.
            zero_initialize_workgroup_memory: false,
        },
        cache: None,
    });
    Kernel { pipeline, layout }
}

fn layout_entry(binding: u32, kind: BindingUse) -> wgpu::BindGroupLayoutEntry {
    let ty = match kind {
        BindingUse::Uniform => wgpu::BufferBindingType::Uniform,
        BindingUse::Read => wgpu::BufferBindingType::Storage { read_only: true },
        BindingUse::ReadWrite => wgpu::BufferBindingType::Storage { read_only: false },
    };
    wgpu::BindGroupLayoutEntry {
        binding,
        visibility: wgpu::ShaderStages::COMPUTE,
        ty: wgpu::BindingType::Buffer {
            ty,
            has_dynamic_offset: false,
            min_binding_size: None,
        },
        count: None,
    }
}

//! Pipelines: made from naga's tree of one entry point, kept by what makes two of them the same.

use std::borrow::Cow;
use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex};

use crate::Result;
use crate::contract::{Shader, WRITTEN_FOR};

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
    modules: Mutex<Shelf<Cow<'static, str>, LoadedModule>>,
    kernels: Mutex<Shelf<KernelKey, Kernel>>,
}

impl Library {
    /// Gives back the pipelines that no session uses.
    pub fn give_back(&self) {
        locked(&self.kernels).drop_unused(0, |_| true);
    }
}

/// The most pipelines, and the most shaders, that are kept though no session uses them.
const MAX_KEPT: usize = 256;

/// The most of them whose text was written for one network: each is large, and hardly another network wants it.
const MAX_WRITTEN: usize = 16;

/// Things that sessions share. Those that none uses stay for later ones, but not many of them, so that a program that makes
/// networks of ever new shapes does not grow; the ones that nobody asked for longest go first.
struct Shelf<K, V> {
    things: HashMap<K, (u64, Arc<V>)>,
    /// How often something was asked for.
    turn: u64,
}

/// What is found by the text of a shader, among other things.
trait OfText: Clone + Eq + Hash {
    /// Whether the text was written for one network.
    fn is_written(&self) -> bool;
}

impl OfText for Cow<'static, str> {
    fn is_written(&self) -> bool {
        self.contains(WRITTEN_FOR)
    }
}

impl OfText for KernelKey {
    fn is_written(&self) -> bool {
        self.source.is_written()
    }
}

impl<K, V> Default for Shelf<K, V> {
    fn default() -> Self {
        Shelf {
            things: HashMap::new(),
            turn: 0,
        }
    }
}

impl<K: OfText, V> Shelf<K, V> {
    fn get(&mut self, key: &K) -> Option<Arc<V>> {
        self.turn += 1;
        let (turn, value) = self.things.get_mut(key)?;
        *turn = self.turn;
        Some(Arc::clone(value))
    }

    fn keep(&mut self, key: K, value: V) -> Arc<V> {
        self.turn += 1;
        let value = Arc::new(value);
        self.things.insert(key, (self.turn, Arc::clone(&value)));
        self.drop_unused(MAX_WRITTEN, K::is_written);
        self.drop_unused(MAX_KEPT, |_| true);
        value
    }

    /// Leaves `most` of those that none uses, the ones that were asked for last.
    fn drop_unused(&mut self, most: usize, counts: fn(&K) -> bool) {
        let unused = self.things.iter();
        let unused = unused.filter(|(key, (_, it))| Arc::strong_count(it) == 1 && counts(key));
        let mut unused: Vec<_> = unused
            .map(|(key, (turn, _))| (*turn, key.clone()))
            .collect();
        unused.sort_unstable_by_key(|(turn, _)| *turn);
        let more = unused.len().saturating_sub(most);
        for (_, key) in &unused[..more] {
            self.things.remove(key);
        }
    }
}

impl Device {
    /// A shader, parsed once while it is kept.
    pub(in crate::gpu) fn module(&self, shader: &Shader) -> Result<Arc<LoadedModule>> {
        let mut modules = locked(&self.inner.library.modules);
        if let Some(module) = modules.get(&shader.source) {
            return Ok(module);
        }
        let (reflected, tree) = Module::parse(shader)?;
        Ok(modules.keep(shader.source.clone(), LoadedModule { reflected, tree }))
    }

    /// The pipeline of that key, if it was made before.
    pub(in crate::gpu) fn known(&self, key: &KernelKey) -> Option<Arc<Kernel>> {
        locked(&self.inner.library.kernels).get(key)
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
        match kernels.get(&key) {
            Some(first) => Ok(first),
            None => Ok(kernels.keep(key, kernel)),
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_session_uses_is_kept_in_small_numbers_the_last_asked_for_first() {
        let mut shelf: Shelf<Cow<'static, str>, usize> = Shelf::default();
        let written = |i: usize| Cow::Owned(format!("{WRITTEN_FOR}{i}"));
        let used = shelf.keep(written(0), 0);
        let shared = |i: usize| Cow::Owned(format!("for all networks, {i}"));
        for i in 0..100 {
            drop(shelf.keep(shared(i), i));
        }
        for i in 1..100 {
            drop(shelf.keep(written(i), i));
            // One that is asked for again and again stays.
            assert!(shelf.get(&written(1)).is_some(), "{i}");
        }
        // Beside those in use the last one, which was in use when it was put there.
        assert_eq!(shelf.things.len(), MAX_WRITTEN + 2 + 100);
        drop(used);
        assert!(shelf.get(&written(0)).is_some() && shelf.get(&written(99)).is_some());
        assert!(shelf.get(&written(50)).is_none() && shelf.get(&shared(0)).is_some());
        shelf.drop_unused(0, |_| true);
        assert!(shelf.things.is_empty());
    }
}

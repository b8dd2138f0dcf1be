//! What an adapter is, how one is chosen, and what a plan may ask of it.

use std::fmt;

use wgpu::{Backend, DeviceType};

use crate::target::{Class, Target, TuningTable};

/// An adapter as the driver describes it.
#[derive(Debug, Clone)]
pub struct AdapterSummary {
    /// The adapter's name.
    pub name: String,
    /// `vulkan`, `metal`, `dx12` or `gl`.
    pub backend: String,
    /// `discrete GPU`, `integrated GPU`, `virtual GPU`, `software` or `other`.
    pub kind: &'static str,
    /// The driver's name and version.
    pub driver: String,
    /// What a plan may ask of it.
    pub target: Target,
    /// The optional features that Kiln can use.
    pub features: Vec<&'static str>,
}

impl AdapterSummary {
    /// Whether a table was measured on this adapter with this driver.
    pub(crate) fn is_in(&self, table: &TuningTable) -> bool {
        self.name == table.adapter && self.driver == table.driver
    }
}

impl fmt::Display for AdapterSummary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} ({}, {}, {})",
            self.name, self.kind, self.backend, self.driver
        )
    }
}

/// The kinds of adapters in words, the best first.
const KINDS: [(DeviceType, &str); 5] = [
    (DeviceType::DiscreteGpu, "discrete GPU"),
    (DeviceType::IntegratedGpu, "integrated GPU"),
    (DeviceType::VirtualGpu, "virtual GPU"),
    (DeviceType::Other, "other"),
    (DeviceType::Cpu, "software"),
];

/// A choice among adapters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selector {
    /// Hardware with compute shaders: discrete, then integrated, then virtual.
    Hardware,
    /// A driver that runs shaders on the processor.
    Software,
    /// Any adapter of a back end, hardware first.
    Backend(Backend),
    /// Any adapter whose name contains these words, in any case.
    Name(String),
}

impl Selector {
    /// `gpu` (hardware only), `software`, a back end (`vulkan`, `metal`, `dx12`, `gl`), or part of an adapter's name.
    pub fn from_name(name: &str) -> Self {
        match name {
            "gpu" => Selector::Hardware,
            "software" => Selector::Software,
            "vulkan" => Selector::Backend(Backend::Vulkan),
            "metal" => Selector::Backend(Backend::Metal),
            "dx12" => Selector::Backend(Backend::Dx12),
            "gl" => Selector::Backend(Backend::Gl),
            other => Selector::Name(other.to_string()),
        }
    }

    /// How well an adapter answers the choice, smallest first; `None` if it does not.
    fn rank(&self, adapter: &wgpu::Adapter) -> Option<usize> {
        let (info, limits) = (adapter.get_info(), adapter.limits());
        let kind = KINDS.iter().position(|(kind, _)| *kind == info.device_type);
        // GL reaches the same hardware with fewer features, so it comes last among equals.
        let backend = usize::from(info.backend == Backend::Gl);
        let software = info.device_type == DeviceType::Cpu;
        // GL without compute shaders reports no workgroups.
        let computes = limits.max_compute_workgroups_per_dimension > 0
            && limits.max_storage_buffers_per_shader_stage > 0;
        let fits = match self {
            Selector::Hardware => !software && computes,
            Selector::Software => software,
            Selector::Backend(backend) => info.backend == *backend,
            Selector::Name(name) => info.name.to_lowercase().contains(&name.to_lowercase()),
        };
        fits.then_some(kind? * 2 + backend)
    }

    /// The best adapter for the choice.
    pub(crate) fn choose(&self, adapters: &[wgpu::Adapter]) -> Option<wgpu::Adapter> {
        let ranked = adapters
            .iter()
            .filter_map(|adapter| Some((self.rank(adapter)?, adapter)));
        ranked
            .min_by_key(|(rank, _)| *rank)
            .map(|(_, adapter)| adapter.clone())
    }
}

pub(crate) fn summarise(adapter: &wgpu::Adapter) -> AdapterSummary {
    summary_of(&adapter.get_info(), &adapter.limits(), adapter.features())
}

pub(crate) fn summary_of(
    info: &wgpu::AdapterInfo,
    limits: &wgpu::Limits,
    features: wgpu::Features,
) -> AdapterSummary {
    let known = [
        (wgpu::Features::SUBGROUP, "subgroups"),
        (wgpu::Features::SHADER_F16, "f16"),
        (wgpu::Features::TIMESTAMP_QUERY, "timestamps"),
        (wgpu::Features::PIPELINE_CACHE, "pipeline cache"),
    ];
    AdapterSummary {
        name: info.name.clone(),
        backend: info.backend.to_string(),
        kind: KINDS
            .iter()
            .find(|(kind, _)| *kind == info.device_type)
            .map_or("other", |(_, name)| name),
        driver: format!("{} {}", info.driver, info.driver_info)
            .trim()
            .to_string(),
        target: target_of(info, limits, features),
        features: known
            .into_iter()
            .filter(|(flag, _)| features.contains(*flag))
            .map(|(_, name)| name)
            .collect(),
    }
}

fn target_of(info: &wgpu::AdapterInfo, limits: &wgpu::Limits, features: wgpu::Features) -> Target {
    let class = if info.device_type == DeviceType::Cpu {
        Class::CpuAdapter
    } else {
        Class::Gpu
    };
    // A subgroup operation may only count on a size that cannot vary.
    let fixed = info.subgroup_min_size == info.subgroup_max_size
        && features.contains(wgpu::Features::SUBGROUP);
    let base = Target::new(class, fixed.then_some(info.subgroup_min_size));
    let alignment = limits
        .min_storage_buffer_offset_alignment
        .max(limits.min_uniform_buffer_offset_alignment);
    Target {
        max_binding_bytes: limits.max_storage_buffer_binding_size,
        max_buffer_bytes: limits.max_buffer_size,
        max_workgroups: limits.max_compute_workgroups_per_dimension,
        max_workgroup_bytes: limits.max_compute_workgroup_storage_size,
        max_storage_buffers: limits.max_storage_buffers_per_shader_stage,
        alignment: u64::from(alignment).max(256),
        ..base
    }
}

//! What a plan is made for: the class and limits of an adapter, as plain data.

mod table;

use std::fmt;
use std::sync::Arc;

pub use table::{ProductChoice, ProductShape, TuningTable};

/// The kind of machine that executes a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Class {
    /// The CPU session: no shaders.
    Cpu,
    /// A GPU: workgroup memory, barriers and many invocations are cheap.
    Gpu,
    /// A driver that runs shaders on the processor (lavapipe, SwiftShader): registers are cheap, barriers are not.
    CpuAdapter,
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Class::Cpu => "cpu",
            Class::Gpu => "gpu",
            Class::CpuAdapter => "cpu adapter",
        })
    }
}

/// Which family of matrix-product kernels runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Products {
    /// Tiles in workgroup memory, for GPUs.
    Shared,
    /// Tiles in registers only, for adapters that run on the processor.
    Registers,
    /// Tiles in registers, operands shared across the lanes of a subgroup.
    Subgroups,
}

impl fmt::Display for Products {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Products::Shared => "shared",
            Products::Registers => "registers",
            Products::Subgroups => "subgroups",
        })
    }
}

/// How what layers hand to each other is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Precision {
    /// All of it as f32.
    #[default]
    Single,
    /// Activations as f16 between matrix products: half the bytes of activations and their gradients, on every adapter. Products load
    /// f32 from it and add up in f32; parameters, their gradients, optimizer states, losses and data stay f32. Models scale
    /// their loss for it: see [`LossScale`](crate::optim::LossScale).
    Half,
}

/// An adapter as a plan sees it. [`Target::new`] sets by rule what suits one class of adapter better than another.
#[derive(Debug, Clone, PartialEq)]
pub struct Target {
    /// The kind of machine.
    pub class: Class,
    /// The family of matrix products.
    pub products: Products,
    /// Whether the plan may join nodes into one call. Default: true. Without it every recorded node is a call of its own: the
    /// specification that fused plans are tested against.
    pub fusion: bool,
    /// Whether a training step of a small network may be one call, in a kernel that is written and compiled for this network
    /// alone. Default: true.
    pub whole_steps: bool,
    /// How what layers hand to each other is stored. Default: [`Precision::Single`]. Half needs `fusion`.
    pub precision: Precision,
    /// Measured choices of kernels, which go before the rules. Default: none, so that every run chooses alike.
    pub table: Option<Arc<TuningTable>>,
    /// The lanes of a subgroup, where the adapter has one size only and subgroup operations.
    pub subgroup: Option<u32>,
    /// Most bytes of one storage binding.
    pub max_binding_bytes: u64,
    /// Most bytes of one buffer.
    pub max_buffer_bytes: u64,
    /// Most workgroups in one dimension of a dispatch.
    pub max_workgroups: u32,
    /// Most bytes of workgroup memory of a kernel.
    pub max_workgroup_bytes: u32,
    /// Most storage buffers a kernel may bind.
    pub max_storage_buffers: u32,
    /// The multiple, in bytes, of every offset into a buffer.
    pub alignment: u64,
    /// Most loop iterations of one invocation; drivers on the processor end loops silently beyond 65 535.
    pub max_iterations: u64,
}

impl Target {
    /// The CPU session.
    pub fn cpu() -> Self {
        Target {
            max_binding_bytes: u64::MAX,
            max_buffer_bytes: u64::MAX,
            max_iterations: u64::MAX,
            ..Target::new(Class::Cpu, None)
        }
    }

    /// An adapter of this class with the smallest limits that Kiln is designed for.
    pub fn new(class: Class, subgroup: Option<u32>) -> Self {
        let products = match (class, subgroup) {
            (Class::CpuAdapter, Some(_)) => Products::Subgroups,
            (Class::CpuAdapter, None) => Products::Registers,
            _ => Products::Shared,
        };
        Target {
            class,
            products,
            fusion: true,
            whole_steps: true,
            precision: Precision::Single,
            table: None,
            subgroup,
            max_binding_bytes: 128 << 20,
            max_buffer_bytes: 256 << 20,
            max_workgroups: 65_535,
            max_workgroup_bytes: 16 << 10,
            max_storage_buffers: 8,
            alignment: 256,
            max_iterations: match class {
                Class::CpuAdapter => 60_000,
                _ => u64::MAX,
            },
        }
    }

    /// Whether shaders run at all.
    pub(crate) fn has_shaders(&self) -> bool {
        self.class != Class::Cpu
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.class)?;
        if self.has_shaders() {
            write!(f, ", {} products", self.products)?;
        }
        if let Some(lanes) = self.subgroup {
            write!(f, ", subgroups of {lanes}")?;
        }
        if self.precision == Precision::Half {
            f.write_str(", activations stored as f16")?;
        }
        Ok(())
    }
}

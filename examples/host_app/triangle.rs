//! The host program: a wgpu device of its own, and a triangle drawn into a texture.

use kiln::wgpu;
use kiln::{Error, Result};

const SHADER: &str = "
@vertex fn place(@builtin(vertex_index) index: u32) -> @builtin(position) vec4f {
    let corners = array(vec2f(0.0, 0.7), vec2f(-0.7, -0.7), vec2f(0.7, -0.7));
    return vec4f(corners[index], 0.0, 1.0);
}
@fragment fn colour() -> @location(0) vec4f {
    return vec4f(0.9, 0.4, 0.1, 1.0);
}";

const FORMAT: wgpu::TextureFormat = wgpu::TextureFormat::Rgba8Unorm;

/// What a game or a tool has: a device, its queue, and what it draws.
pub struct Host {
    pub device: wgpu::Device,
    pub queue: wgpu::Queue,
    pipeline: wgpu::RenderPipeline,
    view: wgpu::TextureView,
}

impl Host {
    /// Opens the first adapter with this in its name, a real GPU before one that is the processor.
    pub fn new(named: &str) -> Result<Self> {
        let refused = |error: String| Error::Device { message: error };
        let instance = wgpu::Instance::new(wgpu::InstanceDescriptor::new_without_display_handle());
        let backends = wgpu::Backends::VULKAN | wgpu::Backends::METAL | wgpu::Backends::DX12;
        let mut adapters = pollster::block_on(instance.enumerate_adapters(backends));
        adapters.sort_by_key(|adapter| adapter.get_info().device_type == wgpu::DeviceType::Cpu);
        let names: Vec<String> = adapters.iter().map(|own| own.get_info().name).collect();
        let has = |name: &String| name.to_lowercase().contains(&named.to_lowercase());
        let Some(adapter) = names.iter().position(has).map(|at| &adapters[at]) else {
            let there = names.join(", ");
            let message = format!(
                "there is no adapter `{named}` to draw on, but {} [{there}]",
                names.len()
            );
            return Err(refused(message));
        };
        // Kiln's kernels need no features; the adapter's own limits leave its plans the most room.
        let descriptor = wgpu::DeviceDescriptor {
            required_limits: adapter.limits(),
            ..wgpu::DeviceDescriptor::default()
        };
        let opened = pollster::block_on(adapter.request_device(&descriptor));
        let (device, queue) = opened.map_err(|error| refused(error.to_string()))?;

        let module = device.create_shader_module(wgpu::ShaderModuleDescriptor {
            label: Some("triangle"),
            source: wgpu::ShaderSource::Wgsl(SHADER.into()),
        });
        let pipeline = device.create_render_pipeline(&wgpu::RenderPipelineDescriptor {
            label: Some("triangle"),
            layout: None,
            vertex: wgpu::VertexState {
                module: &module,
                entry_point: Some("place"),
                compilation_options: wgpu::PipelineCompilationOptions::default(),
                buffers: &[],
            },
            primitive: wgpu::PrimitiveState::default(),
            depth_stencil: None,
            multisample: wgpu::MultisampleState::default(),
            fragment: Some(wgpu::FragmentState {
                module: &module,
                entry_point: Some("colour"),
                compilation_options: wgpu::PipelineCompilationOptions::default(),
                targets: &[Some(FORMAT.into())],
            }),
            multiview_mask: None,
            cache: None,
        });
        let texture = device.create_texture(&wgpu::TextureDescriptor {
            label: Some("frame"),
            size: wgpu::Extent3d {
                width: 320,
                height: 180,
                depth_or_array_layers: 1,
            },
            mip_level_count: 1,
            sample_count: 1,
            dimension: wgpu::TextureDimension::D2,
            format: FORMAT,
            usage: wgpu::TextureUsages::RENDER_ATTACHMENT,
            view_formats: &[],
        });
        let view = texture.create_view(&wgpu::TextureViewDescriptor::default());
        Ok(Host {
            device,
            queue,
            pipeline,
            view,
        })
    }

    /// Draws a frame, and waits until it is there.
    pub fn draw(&self) {
        let mut encoder = self
            .device
            .create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        {
            let target = wgpu::RenderPassColorAttachment {
                view: &self.view,
                depth_slice: None,
                resolve_target: None,
                ops: wgpu::Operations {
                    load: wgpu::LoadOp::Clear(wgpu::Color::BLACK),
                    store: wgpu::StoreOp::Store,
                },
            };
            let mut pass = encoder.begin_render_pass(&wgpu::RenderPassDescriptor {
                label: Some("frame"),
                color_attachments: &[Some(target)],
                ..wgpu::RenderPassDescriptor::default()
            });
            pass.set_pipeline(&self.pipeline);
            pass.draw(0..3, 0..1);
        }
        let submitted = self.queue.submit([encoder.finish()]);
        // Without a time limit: see `Device::from_wgpu`.
        let wait = wgpu::PollType::Wait {
            submission_index: Some(submitted),
            timeout: None,
        };
        if let Err(error) = self.device.poll(wait) {
            println!("a frame was not drawn: {error}");
        }
    }
}

//! What a submission does, recorded: passes of dispatches, timestamps, copies.

use crate::{Error, Result};

use super::{Bindings, Buffer, Device, Kernel, Submission, Timestamps, WgpuCall};

pub(in crate::gpu) struct Recorder {
    encoder: wgpu::CommandEncoder,
    passes: u64,
    dispatches: u64,
}

pub(in crate::gpu) struct Pass<'a> {
    pass: wgpu::ComputePass<'a>,
    dispatches: &'a mut u64,
}

impl Recorder {
    /// A pass, in which dispatches run one after the other.
    pub fn pass<R>(&mut self, record: impl FnOnce(&mut Pass<'_>) -> R) -> R {
        self.pass_with(None, record)
    }

    /// A pass whose begin and end are timestamps `first` and `first + 1`.
    pub fn timed_pass<R>(
        &mut self,
        timestamps: &Timestamps,
        first: u32,
        record: impl FnOnce(&mut Pass<'_>) -> R,
    ) -> R {
        let writes = wgpu::ComputePassTimestampWrites {
            query_set: &timestamps.set,
            beginning_of_pass_write_index: Some(first),
            end_of_pass_write_index: Some(first + 1),
        };
        self.pass_with(Some(writes), record)
    }

    fn pass_with<R>(
        &mut self,
        timestamp_writes: Option<wgpu::ComputePassTimestampWrites<'_>>,
        record: impl FnOnce(&mut Pass<'_>) -> R,
    ) -> R {
        self.passes += 1;
        let descriptor = wgpu::ComputePassDescriptor {
            label: Some("kiln"),
            timestamp_writes,
        };
        record(&mut Pass {
            pass: self.encoder.begin_compute_pass(&descriptor),
            dispatches: &mut self.dispatches,
        })
    }

    /// Copies bytes from one buffer to another: buffer and offset of each.
    pub fn copy(&mut self, from: (&Buffer, u64), to: (&Buffer, u64), bytes: u64) {
        self.encoder
            .copy_buffer_to_buffer(&from.0.wgpu, from.1, &to.0.wgpu, to.1, bytes);
    }

    /// Writes the first `count` timestamps to a buffer, eight bytes each.
    pub fn resolve(&mut self, timestamps: &Timestamps, count: u32, to: &Buffer) {
        self.encoder
            .resolve_query_set(&timestamps.set, 0..count, &to.wgpu, 0);
    }
}

impl Pass<'_> {
    /// Runs a kernel on a grid of workgroups.
    pub fn dispatch(&mut self, kernel: &Kernel, bindings: &Bindings, [x, y, z]: [u32; 3]) {
        *self.dispatches += 1;
        self.pass.set_pipeline(&kernel.pipeline);
        self.pass.set_bind_group(0, &bindings.0, &[]);
        self.pass.dispatch_workgroups(x, y, z);
    }
}

impl Device {
    pub(in crate::gpu) fn submit(&self, record: impl FnOnce(&mut Recorder)) -> Result<Submission> {
        let during = "submitting work";
        // What the queue says comes before what its being given up makes every call say.
        let mut submitted = None;
        let guarded = self.guard(WgpuCall::Submit, during, |inner| {
            let descriptor = wgpu::CommandEncoderDescriptor {
                label: Some("kiln"),
            };
            let mut recorder = Recorder {
                encoder: inner.wgpu.create_command_encoder(&descriptor),
                passes: 0,
                dispatches: 0,
            };
            record(&mut recorder);
            let commands = recorder.encoder.finish();
            submitted = Some(inner.submit(commands, during));
            (recorder.passes, recorder.dispatches)
        });
        let submission = submitted.transpose()?;
        let (passes, dispatches) = guarded?;
        {
            let mut meter = self.meter();
            meter.submits += 1;
            meter.passes += passes;
            meter.dispatches += dispatches;
        }
        submission.ok_or_else(|| Error::Gpu {
            during: during.into(),
            message: "nothing was submitted".into(),
        })
    }
}

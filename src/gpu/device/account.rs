//! Buffers on the account of their device: a budget before the driver is asked, bytes given back when they are dropped.

use std::sync::{Arc, Mutex, MutexGuard, Weak};

use crate::{Error, Result};

use super::fair_lock::locked;
use super::{Device, Refusal, WgpuCall, typed};

/// What a buffer is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::gpu) enum Purpose {
    Tensors,
    Params,
    /// Copies that the host reads.
    Readback,
    Timestamps,
}

impl Purpose {
    fn usage(self) -> wgpu::BufferUsages {
        use wgpu::BufferUsages as U;
        match self {
            Purpose::Tensors => U::STORAGE | U::COPY_SRC | U::COPY_DST,
            Purpose::Params => U::UNIFORM | U::COPY_DST,
            Purpose::Readback => U::MAP_READ | U::COPY_DST,
            Purpose::Timestamps => U::QUERY_RESOLVE | U::COPY_SRC,
        }
    }
}

/// A buffer on the account of its device.
#[derive(Debug)]
pub(in crate::gpu) struct Buffer {
    pub(super) wgpu: wgpu::Buffer,
    bytes: u64,
    _lease: Lease,
}

impl Buffer {
    pub fn bytes(&self) -> u64 {
        self.bytes
    }
}

/// Buffers of a session that wait for their next use. The device gives them back where it needs their memory.
#[derive(Debug)]
pub(in crate::gpu) struct Pool(Arc<Mutex<Vec<Buffer>>>);

impl Pool {
    fn buffers(&self) -> MutexGuard<'_, Vec<Buffer>> {
        locked(&self.0)
    }

    /// The smallest one that is large enough.
    pub fn take(&self, bytes: u64) -> Option<Buffer> {
        let mut buffers = self.buffers();
        let fitting = (0..buffers.len()).filter(|&i| buffers[i].bytes >= bytes);
        let index = fitting.min_by_key(|&i| buffers[i].bytes)?;
        Some(buffers.swap_remove(index))
    }

    pub fn put(&self, buffer: Buffer) {
        self.buffers().push(buffer);
    }

    pub fn bytes(&self) -> u64 {
        self.buffers().iter().map(Buffer::bytes).sum()
    }
}

#[derive(Debug, Default)]
pub(super) struct Pools(Mutex<Vec<Weak<Mutex<Vec<Buffer>>>>>);

impl Pools {
    fn add(&self, pool: &Pool) {
        let mut pools = locked(&self.0);
        pools.retain(|pool| pool.strong_count() > 0);
        pools.push(Arc::downgrade(&pool.0));
    }

    fn give_back(&self) {
        for pool in locked(&self.0).iter().filter_map(Weak::upgrade) {
            Pool(pool).buffers().clear();
        }
    }
}

#[derive(Debug)]
struct Lease {
    device: Device,
    bytes: u64,
    readback: bool,
}

impl Drop for Lease {
    fn drop(&mut self) {
        let mut meter = self.device.meter();
        meter.bytes -= self.bytes;
        if self.readback {
            meter.readback_bytes -= self.bytes;
        }
    }
}

impl Device {
    /// Bytes that the budget leaves; none where there is no budget.
    pub(in crate::gpu) fn left_of_budget(&self) -> Option<u64> {
        let budget = self.inner.options.budget?;
        Some(budget.saturating_sub(self.meter().bytes))
    }

    pub(in crate::gpu) fn pool(&self) -> Pool {
        let pool = Pool(Arc::default());
        self.inner.pools.add(&pool);
        pool
    }

    /// Gives back what waits for another use: pipelines of no session, buffers of pools.
    pub(in crate::gpu) fn give_back(&self) {
        self.inner.library.give_back();
        self.inner.pools.give_back();
    }

    /// Bytes put on the account, until they are dropped; where the budget has no room for them, after the pools have given
    /// their buffers back.
    fn lease(&self, label: &str, bytes: u64, readback: bool) -> Result<Lease> {
        let ask = || {
            let mut meter = self.meter();
            let alive = meter.bytes.saturating_add(bytes);
            if let Some(budget) = self.inner.options.budget
                && alive > budget
            {
                return Err(Error::OutOfMemory {
                    what: label.into(),
                    needed: bytes,
                    available: Some(budget.saturating_sub(meter.bytes)),
                    advice: None,
                });
            }
            meter.bytes = alive;
            if readback {
                meter.readback_bytes += bytes;
            }
            Ok(Lease {
                device: self.clone(),
                bytes,
                readback,
            })
        };
        ask().or_else(|_| {
            self.inner.pools.give_back();
            ask()
        })
    }

    /// Makes a buffer within the budget; dropping it gives its bytes back. Where the budget or the driver has no memory for
    /// it, it is asked for once more after the device has given back what waits for another use.
    pub(in crate::gpu) fn buffer(
        &self,
        label: &str,
        bytes: u64,
        purpose: Purpose,
    ) -> Result<Buffer> {
        let lease = self.lease(label, bytes, purpose == Purpose::Readback)?;
        let descriptor = wgpu::BufferDescriptor {
            label: Some(label),
            size: bytes,
            usage: purpose.usage(),
            mapped_at_creation: false,
        };
        let during = format!("making the buffer of {label}");
        let make = || {
            self.scoped(WgpuCall::Buffer, &during, |inner| {
                inner.wgpu.create_buffer(&descriptor)
            })
        };
        let mut made = make()?;
        if matches!(made, Err(Refusal::OutOfMemory)) {
            // Once more, with all that nobody uses given back.
            self.give_back();
            tracing::info!(
                what = label,
                bytes,
                "no memory: all that waits for another use is given back"
            );
            self.progress()?;
            made = make()?;
        }
        let wgpu = made.map_err(|refusal| match refusal {
            Refusal::OutOfMemory => Error::OutOfMemory {
                what: label.into(),
                needed: bytes,
                available: None,
                advice: None,
            },
            other => typed(&during, other),
        })?;
        let mut meter = self.meter();
        let resident = meter.bytes - meter.readback_bytes;
        meter.peak_bytes = meter.peak_bytes.max(meter.bytes);
        meter.peak_resident_bytes = meter.peak_resident_bytes.max(resident);
        meter.objects += 1;
        Ok(Buffer {
            wgpu,
            bytes,
            _lease: lease,
        })
    }

    /// Writes bytes before the next submission.
    pub(in crate::gpu) fn upload(&self, buffer: &Buffer, offset: u64, bytes: &[u8]) -> Result<()> {
        {
            let mut meter = self.meter();
            meter.uploads += 1;
            meter.upload_bytes += bytes.len() as u64;
        }
        self.guard(WgpuCall::Write, "writing to a buffer", |inner| {
            inner.queue.write_buffer(&buffer.wgpu, offset, bytes)
        })
    }
}

//! What a device on a GPU alone has: a host program's own wgpu device, the door's counts, faults on purpose.

use crate::gpu::{self, Options};

use super::Device;

impl Device {
    /// What to ask of an adapter for a device that Kiln shares: the features that its kernels use and the adapter has, and
    /// the adapter's limits. A host program adds what it needs itself. With less Kiln runs too, as far as plans fit.
    pub fn wgpu_descriptor(adapter: &wgpu::Adapter) -> wgpu::DeviceDescriptor<'static> {
        gpu::descriptor(adapter)
    }

    /// Runs on a device and queue of the host program, whose own handlers of errors and loss stay as they are.
    ///
    /// ```no_run
    /// use std::time::Duration;
    ///
    /// use kiln::{Device, Options, wgpu};
    ///
    /// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// let instance = wgpu::Instance::new(wgpu::InstanceDescriptor::new_without_display_handle());
    /// let adapter = instance.request_adapter(&wgpu::RequestAdapterOptions::default()).await?;
    /// let (device, queue) = adapter.request_device(&Device::wgpu_descriptor(&adapter)).await?;
    /// // The host draws with them, and between its frames the device is Kiln's for 2 ms at a time.
    /// let options = Options {
    ///     submission: Some(Duration::from_millis(2)),
    ///     ..Options::default()
    /// };
    /// let trains = Device::from_wgpu(device.clone(), queue.clone(), options);
    /// # drop(trains);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// Where it is lost only the host program can make another one. A run under way then ends in [`Error::DeviceLost`](crate::Error::DeviceLost), which
    /// says so; the model is left at the last state that was kept, on the host, and
    /// [`Model::take_unfinished`](crate::train::Model::take_unfinished) gives it to be gone on from on another device. The
    /// generation stays 0, the bytes of the lost device come off its account, and whatever is asked of it is the same error.
    ///
    /// The host may submit and poll on any thread meanwhile, and make several devices of one: those take turns. One rule comes
    /// from wgpu 30: a poll that waits *with a time limit* (`PollType::Wait` with `timeout: Some(_)`) panics where the limit
    /// passes and another thread's poll or submission then finds the work ended before it looks itself. Kiln never waits so on
    /// a host's device, and looks every 50 µs instead; the host should poll with `PollType::Poll`, or wait without a limit.
    ///
    /// [`Options::deadline`] holds for what Kiln waits for. A submission of the host's own that its driver holds (lavapipe does,
    /// until the work before has ended) keeps wgpu's locks, and with them every thread that polls or submits, past any deadline.
    pub fn from_wgpu(device: wgpu::Device, queue: wgpu::Queue, options: Options) -> Self {
        Self::from_gpu(gpu::Device::from_wgpu(device, queue, options))
    }

    /// What was tried out of its driver when it was opened: none for the CPU sessions, and for a device of the host program.
    pub fn canary(&self) -> Option<&gpu::Canary> {
        self.canary.as_deref()
    }

    /// Calls to wgpu so far, by what they asked; none on the CPU sessions.
    pub fn calls(&self) -> Vec<(&'static str, u64)> {
        self.gpu().map(gpu::Device::calls).unwrap_or_default()
    }

    /// Lets a call to wgpu fail, counted from now on, to test what a program does with a driver that fails. The CPU sessions
    /// have none that could.
    pub fn inject(&self, fault: gpu::Fault) {
        if let Some(device) = self.gpu() {
            device.inject(fault);
        }
    }

    /// Destroys the GPU device, as a reset of the driver does: it seems healthy until something is read back from it.
    pub fn destroy(&self) {
        if let Some(device) = self.gpu() {
            device.destroy();
        }
    }
}

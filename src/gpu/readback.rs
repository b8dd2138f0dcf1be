//! Bytes on their way from the device to the host.

use std::future::Future;
use std::sync::{Arc, OnceLock};
use std::task::Poll;

use futures_intrusive::channel::shared::{OneshotReceiver, oneshot_channel};

use crate::Result;
use crate::edge::WallTime;

use super::device::{Buffer, Device, Submission};

/// A submission, and the staging buffer that it fills, if any.
#[derive(Debug)]
pub(super) struct Readback {
    /// The buffer, and how many bytes of it are read.
    buffer: Option<(Buffer, u64)>,
    /// Whether it can be read.
    done: OneshotReceiver<bool>,
    /// When that was known.
    arrived: Arc<OnceLock<WallTime>>,
    submission: Submission,
    begun: WallTime,
}

impl Readback {
    /// Asks to be told when `submission`, the last one, has ended and the bytes of the buffer that it fills can be read.
    pub fn begin(
        device: &Device,
        buffer: Option<(Buffer, u64)>,
        submission: Submission,
    ) -> Result<Self> {
        let (sender, done) = oneshot_channel();
        let arrived: Arc<OnceLock<WallTime>> = Arc::default();
        let noted = Arc::clone(&arrived);
        let tell = move |readable| {
            noted.get_or_init(WallTime::now);
            // The receiver is gone when the caller lost interest; then nobody misses the message.
            drop(sender.send(readable));
        };
        match &buffer {
            Some((buffer, bytes)) => device.begin_map(buffer, *bytes, tell)?,
            None => device.begin_signal(move || tell(true))?,
        }
        Ok(Readback {
            buffer,
            done,
            arrived,
            submission,
            begun: WallTime::now(),
        })
    }

    /// When the device had come to its end, or failed; none where that is not known yet.
    pub fn arrived(&self) -> Option<WallTime> {
        self.arrived.get().copied()
    }

    /// Waits, hands the bytes to `read`, none if nothing is read, and returns the buffer for the next readback.
    pub async fn finish<R>(
        self,
        device: &Device,
        read: impl FnOnce(&[u8]) -> R,
    ) -> Result<(R, Option<Buffer>)> {
        let during = "reading back";
        device.begin_wait()?;
        let mapped = {
            let mut receive = std::pin::pin!(self.done.receive());
            std::future::poll_fn(|context| {
                loop {
                    if let Err(error) = device.progress() {
                        return Poll::Ready(Err(error));
                    }
                    if let Poll::Ready(result) = receive.as_mut().poll(context) {
                        return Poll::Ready(Ok(result));
                    }
                    if self.begun.elapsed() > device.deadline() {
                        return Poll::Ready(Err(device.passed_deadline(during)));
                    }
                    if !device.waits_within_poll(&self.submission) {
                        // wgpu delivers only when polled, so somebody must come again.
                        device.waits_for(&self.submission);
                        context.waker().wake_by_ref();
                        return Poll::Pending;
                    }
                }
            })
            .await?
        };
        // None where the driver dropped the request.
        if mapped != Some(true) {
            return Err(device.mapping_failed(during));
        }
        match self.buffer {
            Some((buffer, bytes)) => {
                let result = device.read_mapped(&buffer, bytes, read)?;
                Ok((result, Some(buffer)))
            }
            None => Ok((read(&[]), None)),
        }
    }
}

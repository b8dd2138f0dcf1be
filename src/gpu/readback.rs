//! Bytes on their way from the device to the host.

use std::future::Future;
use std::sync::{Arc, OnceLock};
use std::task::Poll;
use std::time::Duration;

use futures_intrusive::channel::shared::{OneshotReceiver, oneshot_channel};

use crate::Result;
use crate::edge::{Ending, WallTime, slice};

use super::device::{Buffer, Device, Submission};

/// How long a poll waits for a GPU before it gives the thread back, to be polled again at once: a thread that only looks takes a
/// core for nothing.
pub(super) const PATIENCE: Duration = Duration::from_micros(200);

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
        let (result, buffer, _) = self.finish_within(device, PATIENCE, read).await?;
        Ok((result, buffer))
    }

    /// The same, each poll waiting for a GPU as long as `patience` says, and between which moments the submission ended.
    pub async fn finish_within<R>(
        self,
        device: &Device,
        patience: Duration,
        read: impl FnOnce(&[u8]) -> R,
    ) -> Result<(R, Option<Buffer>, Ending)> {
        let during = "reading back";
        device.begin_wait()?;
        // When it was last seen under way, and in which poll.
        let mut seen: Option<(WallTime, Option<WallTime>)> = None;
        let mapped = {
            let mut receive = std::pin::pin!(self.done.receive());
            std::future::poll_fn(|context| {
                let poll = slice::end();
                let mut waited = Duration::ZERO;
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
                    let looked = WallTime::now();
                    seen = Some((looked, poll));
                    let left = patience.saturating_sub(waited);
                    let waits = device.waits_within_poll(&self.submission, left);
                    waited += looked.elapsed();
                    if !waits {
                        // wgpu delivers only when polled, so somebody must come again.
                        device.waits_for(&self.submission);
                        context.waker().wake_by_ref();
                        return Poll::Pending;
                    }
                }
            })
            .await?
        };
        let by = self.arrived().unwrap_or_else(WallTime::now);
        let ending = match seen {
            // The thread waited for it, as it does where nobody has said how long a poll may be.
            Some((_, poll)) if poll == slice::end() => Ending::at(by),
            None if slice::end().is_none() => Ending::at(by),
            seen => Ending {
                after: seen.map_or(self.begun, |(looked, _)| looked).min(by),
                by,
            },
        };
        // None where the driver dropped the request.
        if mapped != Some(true) {
            return Err(device.mapping_failed(during));
        }
        match self.buffer {
            Some((buffer, bytes)) => {
                let result = device.read_mapped(&buffer, bytes, read)?;
                Ok((result, Some(buffer), ending))
            }
            None => Ok((read(&[]), None, ending)),
        }
    }
}

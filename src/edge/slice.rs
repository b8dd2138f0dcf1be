//! The slice: how long a poll of a future may work before it gives the thread back.
//!
//! Who polls decides. A door that blocks lets the future work on ([`endless`]), [`crate::Device::poll_for`] gives it a
//! budget ([`poll_for`]), and under any other executor a poll has the slice of the future itself ([`sliced`]). What works within
//! a poll asks here how much of it is [`left`].

use std::cell::Cell;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use super::WallTime;

/// The slice where nothing else is said: an eighth of a frame at 60 frames a second.
const DEFAULT: Duration = Duration::from_millis(2);

/// What the poll at hand may take.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Limit {
    /// Nobody has said so far.
    Open,
    /// The thread waits for the future and nothing else.
    Endless,
    /// A slice of the future's own.
    Slice(PollSpan),
    /// A budget of whoever polls, for what the device does too.
    Budget(PollSpan),
}

/// When a poll is to end, and how long it was to be.
#[derive(Debug, Clone, Copy, PartialEq)]
struct PollSpan {
    end: WallTime,
    length: Duration,
}

impl Limit {
    fn span(self) -> Option<PollSpan> {
        match self {
            Limit::Open | Limit::Endless => None,
            Limit::Slice(span) | Limit::Budget(span) => Some(span),
        }
    }
}

impl PollSpan {
    /// From now on; none where it would end beyond what the clock counts.
    fn of(length: Duration) -> Option<Self> {
        let end = WallTime::now().checked_add(length)?;
        Some(PollSpan { end, length })
    }

    fn left(self) -> Duration {
        self.end.saturating_duration_since(WallTime::now())
    }
}

thread_local! {
    static LIMIT: Cell<Limit> = const { Cell::new(Limit::Open) };
    /// Whether the poll at hand ended because its time was used up.
    static SPENT: Cell<bool> = const { Cell::new(false) };
}

/// Sets the limit of a poll, and the one before it again when the poll is over, in a panic too.
fn within<R>(limit: Limit, poll: impl FnOnce() -> R) -> R {
    struct Before(Limit);
    impl Drop for Before {
        fn drop(&mut self) {
            LIMIT.set(self.0);
        }
    }
    let _before = Before(LIMIT.replace(limit));
    poll()
}

/// Lets a future work on in every poll.
pub(super) async fn endless<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    std::future::poll_fn(|context| within(Limit::Endless, || future.as_mut().poll(context))).await
}

/// Polls a future again and again within a budget, as long as that has room for its work: `wait` waits at most so long for what
/// the future waits for, and says whether it can come about.
pub(crate) fn poll_for<F: Future>(
    mut future: Pin<&mut F>,
    budget: Duration,
    wait: impl Fn(Duration) -> bool,
) -> Poll<F::Output> {
    let span = PollSpan::of(budget);
    let limit = span.map_or(Limit::Endless, Limit::Budget);
    let mut context = Context::from_waker(Waker::noop());
    loop {
        SPENT.set(false);
        let polled = within(limit, || future.as_mut().poll(&mut context));
        let left = span.map_or(budget, PollSpan::left);
        if polled.is_ready() || SPENT.get() || left.is_zero() || !wait(left) {
            return polled;
        }
    }
}

/// Gives each poll of a future its slice: 2 ms by default, but where whoever polls says otherwise.
pub(crate) async fn sliced<F: Future>(slice: Option<Duration>, future: F) -> F::Output {
    let mut future = pin!(future);
    std::future::poll_fn(move |context| {
        let own = |slice| PollSpan::of(slice).map_or(Limit::Endless, Limit::Slice);
        let limit = match (LIMIT.get(), slice) {
            (Limit::Open, slice) => own(slice.unwrap_or(DEFAULT)),
            (Limit::Endless, Some(slice)) => own(slice),
            (given, _) => given,
        };
        within(limit, || future.as_mut().poll(context))
    })
    .await
}

/// What is left of the poll at hand; none where it may go on for ever.
pub(crate) fn left() -> Option<Duration> {
    LIMIT.get().span().map(PollSpan::left)
}

/// The time that work may take which is submitted now: what is left of the poll where the poll waits for it, a whole
/// slice where a device works on meanwhile; none where that is all the same.
pub(crate) fn room(waits: bool) -> Option<Duration> {
    match LIMIT.get() {
        Limit::Slice(span) if !waits => Some(span.length),
        limit => limit.span().map(PollSpan::left),
    }
}

/// Whether what the device does is to end within the poll too.
pub(crate) fn is_budget() -> bool {
    matches!(LIMIT.get(), Limit::Budget(_))
}

/// When the poll at hand is to end, which tells it from others: what ends in the poll that it began in was measured without
/// what the thread did between polls.
pub(crate) fn end() -> Option<WallTime> {
    LIMIT.get().span().map(|span| span.end)
}

/// Gives the thread back where what is left of the poll has no room for this work, unless half of the poll is left: what never
/// has room must be done all the same. Where nobody has said how long a poll may be, it is given back each time.
pub(crate) async fn time_for(work: Duration) {
    let enough = match LIMIT.get() {
        Limit::Open => false,
        Limit::Endless => true,
        Limit::Slice(span) | Limit::Budget(span) => {
            let left = span.left();
            !left.is_zero() && (left >= work || left >= span.length / 2)
        }
    };
    if !enough {
        give_way().await;
    }
}

/// Lets other tasks of the thread run, or drop this one.
async fn give_way() {
    let mut gave_way = false;
    std::future::poll_fn(|context| {
        if std::mem::replace(&mut gave_way, true) {
            return Poll::Ready(());
        }
        SPENT.set(true);
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(3600);

    /// Polls until the future is done: what it says, and how often it gave way.
    fn polled<T>(future: impl Future<Output = T>) -> (T, u32) {
        let mut future = pin!(future);
        let mut context = Context::from_waker(Waker::noop());
        let mut pending = 0;
        loop {
            match future.as_mut().poll(&mut context) {
                Poll::Ready(done) => return (done, pending),
                Poll::Pending => pending += 1,
            }
        }
    }

    #[test]
    fn who_polls_decides_how_long_a_poll_may_be() {
        let ask = || async { (left(), is_budget()) };
        assert_eq!(polled(ask()).0, (None, false));
        let (own, budget) = polled(sliced(Some(LONG), ask())).0;
        assert!(own.is_some_and(|left| left > LONG / 2) && !budget);
        let usual = polled(sliced(None, ask())).0.0;
        assert!(usual.is_some_and(|left| left <= DEFAULT));
        // A door that blocks has no slices but those asked for.
        assert_eq!(polled(endless(sliced(None, ask()))).0.0, None);
        assert!(polled(endless(sliced(Some(LONG), ask()))).0.0.is_some());
        // A budget comes before a slice.
        let asked = pin!(sliced(Some(DEFAULT), ask()));
        let Poll::Ready((given, budget)) = poll_for(asked, LONG, |_| true) else {
            panic!("a future that waits for nothing is ready");
        };
        assert!(given.is_some_and(|left| left > LONG / 2) && budget);
        assert_eq!(left(), None, "what was before is again");
    }

    #[test]
    fn a_poll_ends_where_its_time_does_and_not_before() {
        let work = |time| async move {
            for _ in 0..3 {
                time_for(time).await;
            }
        };
        let second = Duration::from_secs(1);
        assert_eq!(polled(sliced(Some(LONG), work(second))).1, 0);
        // Half of a poll is enough for what never has room.
        assert_eq!(polled(sliced(Some(second * 10), work(LONG))).1, 0);
        assert_eq!(polled(sliced(Some(Duration::ZERO), work(LONG))).1, 3);
        assert_eq!(polled(endless(sliced(None, work(LONG)))).1, 0);
        assert_eq!(polled(work(Duration::ZERO)).1, 3, "nobody has said");
        let mut working = pin!(sliced(None, work(second)));
        for calls in 0..4 {
            let polled = poll_for(working.as_mut(), Duration::ZERO, |_| true);
            assert_eq!(polled.is_ready(), calls == 3);
        }
    }
}

//! Whether this process does what it has to do on time. One that is busy is not to be taken for one that hangs.

use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;

/// How often it looks.
const LOOK: Duration = Duration::from_millis(100);
/// After so many intervals without being late it is on time again. One that has just started is so after one.
const INTERVALS: u32 = 3;

/// Looks for ever whether this task, as any other of its runtime, is woken on time: later than half an `interval` is late.
pub(super) async fn keep(interval: Duration, is_busy: &watch::Sender<bool>) {
    let mut on_time_at = Instant::now() + interval;
    loop {
        let due = Instant::now() + LOOK;
        tokio::time::sleep_until(due).await;
        let now = Instant::now();
        if now - due > interval / 2 {
            on_time_at = now + interval * INTERVALS;
        }
        let is_late = now < on_time_at;
        is_busy.send_if_modified(|is_busy| std::mem::replace(is_busy, is_late) != is_late);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn one_that_is_woken_late_is_busy_for_some_intervals() {
        let second = Duration::from_secs(1);
        let (is_busy, mut seen) = watch::channel(true);
        let keeping = async { keep(second, &is_busy).await };
        let watching = async {
            let begun = Instant::now();
            assert!(!next(&mut seen).await);
            assert_eq!(begun.elapsed(), second);
            // The clock of the test moves on while nobody is woken.
            tokio::time::advance(second).await;
            let late = Instant::now();
            assert!(next(&mut seen).await);
            assert!(!next(&mut seen).await);
            assert!(late.elapsed() >= 3 * second);
        };
        tokio::select! {
            () = keeping => unreachable!("it looks for ever"),
            () = watching => {}
        }
    }

    async fn next(seen: &mut watch::Receiver<bool>) -> bool {
        seen.changed().await.unwrap();
        *seen.borrow_and_update()
    }
}

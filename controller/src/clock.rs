//! The time.

use sextant_responders::host::Time;
use std::time::{SystemTime, UNIX_EPOCH};

/// Seconds since 1970.
pub(crate) fn now() -> i64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

/// The time on both clocks.
pub(crate) fn time() -> Time {
    Time {
        instant: tokio::time::Instant::now().into_std(),
        unix: now(),
    }
}

//! Shows how old what is known of the store may be.

use crate::metrics::Metrics;
use crate::store::Store;
use std::sync::Arc;
use std::time::Duration;

/// How often the metric is set: as often as the store is asked.
const INTERVAL: Duration = Duration::from_secs(1);

/// Sets the metric for as long as it runs.
pub(super) async fn watch(store: Arc<dyn Store>, metrics: Metrics) {
    let mut next = tokio::time::interval(INTERVAL);
    loop {
        next.tick().await;
        let age = i64::try_from(store.age().as_secs()).unwrap_or(i64::MAX);
        metrics.store_age.set(age);
    }
}

//! x
use crate::{metrics::Metrics,snapshot::Snapshots,store::Store};
use std::sync::Arc;
/// x
pub struct Api {
    /// x
    pub store: Arc<dyn Store>,
    /// x
    pub snapshots: Snapshots,
    /// x
    pub metrics: Metrics }
/// x
pub fn service(_api: Api) -> axum::Router { axum::Router::new() }

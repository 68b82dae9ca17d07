//! The page for operators: the cloud as a drawing, search, a port's story, and what is wrong, in a browser.
//!
//! It only reads, and everything that it shows is the answer of a verb of the control socket ([`crate::control`]). Its
//! files are part of the program. It loads nothing from elsewhere.

mod asking;
mod entrance;
mod live;
mod page;
mod streamed;

use crate::api::Api;
use crate::control::{LONGEST_REQUEST, OperatorView};
use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::{get, post};
use std::sync::Arc;
use tokio::sync::{Semaphore, watch};

/// The most answers computed at once: each may use a processor.
const ANSWERS: usize = 2;
/// The most stories followed at once.
const STORIES: usize = 32;

/// What the page shows, and to whom.
#[derive(Clone)]
pub struct Web {
    known: OperatorView,
    api: Api,
    answers: Arc<Semaphore>,
    stories: Arc<Semaphore>,
    /// Changes once nobody holds its other end: then stories end.
    stopping: watch::Receiver<()>,
}

impl Web {
    /// The page of what is known, for those whom the API takes for administrators.
    pub fn new(known: OperatorView, api: Api, stopping: watch::Receiver<()>) -> Self {
        Self {
            known,
            api,
            answers: Arc::new(Semaphore::new(ANSWERS)),
            stories: Arc::new(Semaphore::new(STORIES)),
            stopping,
        }
    }
}

/// The page as a service. Its files are for everybody, what they show is for administrators.
pub fn service(web: Web) -> Router {
    let answers = Router::new()
        .route("/ask", post(asking::ask))
        .route("/events", get(live::follow))
        .layer(DefaultBodyLimit::max(LONGEST_REQUEST))
        .layer(from_fn_with_state(web.clone(), entrance::admit))
        .with_state(web);
    page::routes()
        .merge(answers)
        .layer(from_fn(entrance::guard_answer))
}

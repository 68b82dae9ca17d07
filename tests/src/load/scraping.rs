//! Reads a controller's metrics again and again while something else happens, as Prometheus would, only more often.

use super::latency::Latencies;
use crate::api::Api;
use crate::error::LabError;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// From an answer to the next request.
const PACE: Duration = Duration::from_millis(200);

/// How metrics were answered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scrapes {
    /// From the request to the whole page.
    pub answers: Latencies,
    /// Octets of the longest page.
    pub longest_page: usize,
}

/// A thread that reads the metrics until it is asked for what it has seen.
#[derive(Debug)]
pub(super) struct Scraping {
    end: Sender<()>,
    thread: JoinHandle<Result<Scrapes, LabError>>,
}

impl Scraping {
    /// Begins to read the page at this address.
    pub(super) fn begin(api: &Api, page: String) -> Result<Self, LabError> {
        let api = api.another()?;
        let (end, ended) = mpsc::channel();
        let thread = thread::Builder::new()
            .name("scraping".into())
            .spawn(move || {
                let mut scrapes = Scrapes::default();
                loop {
                    let begun = Instant::now();
                    let text = api.text(&page)?;
                    scrapes.answers.add(begun.elapsed(), 1);
                    scrapes.longest_page = scrapes.longest_page.max(text.len());
                    if ended.recv_timeout(PACE) != Err(RecvTimeoutError::Timeout) {
                        return Ok(scrapes);
                    }
                }
            })
            .map_err(LabError::io("start the thread that reads metrics"))?;
        Ok(Self { end, thread })
    }

    /// Ends after the answer that is awaited.
    pub(super) fn end(self) -> Result<Scrapes, LabError> {
        drop(self.end);
        let joined = self.thread.join();
        joined.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }
}

//! Limits long work of the API, so that short requests are served meanwhile, and moves it to threads that nothing else
//! waits for.
//!
//! Work is done in turns that projects take fairly (`fair`). Lists and writes have separate turns. A caller that has left
//! does not wait any more (`abandon`), so abandoned requests cost nothing further. What one request can ask for is bounded
//! (`contract/limits`), and so is a turn.

use crate::fair::FairPlaces;
use std::num::NonZero;
use std::thread::available_parallelism;
use tokio::runtime::{Handle, RuntimeFlavor};

/// The turns of long work of one kind.
#[derive(Clone, Debug)]
pub(crate) struct Gate(FairPlaces);

impl Default for Gate {
    /// Half of the processors.
    fn default() -> Self {
        let processors = available_parallelism().map_or(1, NonZero::get);
        Self::of((processors / 2).max(1))
    }
}

impl Gate {
    /// This many turns at once.
    pub(crate) fn of(turns: usize) -> Self {
        Self(FairPlaces::new(turns))
    }

    /// Does long work when its turn comes.
    pub(crate) async fn pass<T>(&self, work: impl FnOnce() -> T) -> T {
        let _turn = self.0.take().await;
        aside(work)
    }
}

/// Another thread takes over the tasks that wait for this one. The single-threaded runtimes of tests have no other
/// thread.
fn aside<T>(work: impl FnOnce() -> T) -> T {
    match Handle::current().runtime_flavor() == RuntimeFlavor::MultiThread {
        true => tokio::task::block_in_place(work),
        false => work(),
    }
}

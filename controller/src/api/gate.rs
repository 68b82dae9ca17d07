//! Where long work of the API is done: so much at once that a processor is left for whoever asks for little, and never
//! where something else waits for the thread.
//!
//! Work is done in turns. Whoever has gone away by then is not among those that wait (`abandon`), so abandoned requests cost
//! nothing more. What a request can ask for is bounded (`request/limits`), and so is a turn.

use std::num::NonZero;
use std::sync::Arc;
use std::thread::available_parallelism;
use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::sync::Semaphore;

/// The turns of long work.
#[derive(Clone, Debug)]
pub(super) struct Gate(Arc<Semaphore>);

impl Default for Gate {
    /// Half of the processors.
    fn default() -> Self {
        let processors = available_parallelism().map_or(1, NonZero::get);
        Self(Arc::new(Semaphore::new((processors / 2).max(1))))
    }
}

impl Gate {
    /// Does long work when its turn has come.
    pub(super) async fn pass<T>(&self, work: impl FnOnce() -> T) -> T {
        // Nobody closes the semaphore.
        let _turn = self.0.acquire().await;
        aside(work)
    }
}

/// Another thread takes over what waits for this one. A runtime with one thread only, as tests have it, has no other.
fn aside<T>(work: impl FnOnce() -> T) -> T {
    match Handle::current().runtime_flavor() == RuntimeFlavor::MultiThread {
        true => tokio::task::block_in_place(work),
        false => work(),
    }
}

//! Stops serving a request whose caller has left, but never in the middle of a change.

use crate::api::contract::error::ApiError;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::task::{AbortHandle, JoinError};

tokio::task_local! {
    /// The state of the request that the task serves.
    static STANDING: Standing;
}

#[derive(Clone, Debug, Default)]
struct Standing(Arc<Mutex<StandingState>>);

#[derive(Debug, Default)]
struct StandingState {
    /// A change is under way.
    changing: bool,
    /// The caller has left. This handle ends the work.
    abandoned: Option<AbortHandle>,
}

impl Standing {
    fn state(&self) -> MutexGuard<'_, StandingState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn begin(&self) -> Result<Changing, ApiError> {
        let mut state = self.state();
        if state.abandoned.is_some() {
            return Err(ApiError::unavailable("The caller has gone."));
        }
        state.changing = true;
        Ok(Changing(Some(self.clone())))
    }
}

/// Serves a request in a task of its own. If this future is dropped the task ends, at once or after the change under way.
pub(crate) async fn served<T: Send + 'static>(
    work: impl Future<Output = T> + Send + 'static,
) -> Result<T, JoinError> {
    let standing = Standing::default();
    let task = tokio::spawn(STANDING.scope(standing.clone(), work));
    let _present = PresentCaller {
        standing,
        work: task.abort_handle(),
    };
    task.await
}

/// A caller that waits for the answer.
struct PresentCaller {
    standing: Standing,
    work: AbortHandle,
}

impl Drop for PresentCaller {
    fn drop(&mut self) {
        let mut state = self.standing.state();
        if !state.changing {
            self.work.abort();
        }
        state.abandoned = Some(self.work.clone());
    }
}

/// A change in progress: nothing ends the work until this is dropped.
#[must_use]
#[derive(Debug)]
pub(crate) struct Changing(Option<Standing>);

/// Begins a change. Work that belongs to no request has no caller that could leave.
pub(crate) fn begin_change() -> Result<Changing, ApiError> {
    STANDING
        .try_with(Standing::begin)
        .unwrap_or(Ok(Changing(None)))
}

impl Drop for Changing {
    fn drop(&mut self) {
        let Some(standing) = &self.0 else {
            return;
        };
        let mut state = standing.state();
        state.changing = false;
        if let Some(work) = &state.abandoned {
            work.abort();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::pending;
    use tokio::sync::{Notify, oneshot};

    /// Serves work until it has begun, and goes away.
    async fn abandon(begun: &Notify, work: impl Future<Output = ()> + Send + 'static) {
        tokio::select! {
            _ = served(work) => panic!("it was to wait"),
            () = begun.notified() => {}
        }
    }

    #[tokio::test]
    async fn who_goes_away_is_served_no_further() {
        let begun = Arc::new(Notify::new());
        let (alive, ended) = oneshot::channel::<()>();
        let begins = begun.clone();
        let work = async move {
            let _alive = alive;
            begins.notify_one();
            pending::<()>().await;
        };
        abandon(&begun, work).await;
        assert!(ended.await.is_err());
    }

    #[tokio::test]
    async fn a_change_under_way_is_made_and_none_after_it() {
        let begun = Arc::new(Notify::new());
        let go_on = Arc::new(Notify::new());
        let (made, change) = oneshot::channel();
        let (alive, ended) = oneshot::channel::<()>();
        let (begins, goes_on) = (begun.clone(), go_on.clone());
        let work = async move {
            let _alive = alive;
            let changing = begin_change().unwrap();
            begins.notify_one();
            goes_on.notified().await;
            made.send(()).unwrap();
            drop(changing);
            assert!(begin_change().is_err());
            pending::<()>().await;
        };
        abandon(&begun, work).await;
        go_on.notify_one();
        assert_eq!(change.await, Ok(()));
        assert!(ended.await.is_err());
    }
}

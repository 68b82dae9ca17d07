//! The essential tasks, and how they end.
//!
//! None of them ends while the process runs. If one ends or panics, the whole process ends, rather than run half alive.

use super::RuntimeError;
use crate::store::WatchEnded;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;

/// How long storing the latest facts may take when the process stops.
const FAREWELL: Duration = Duration::from_secs(2);

/// All tasks.
pub(super) struct Tasks {
    /// Tasks that talk to hypervisors and switches.
    pub(super) sessions: Parts,
    /// The tasks that answer requests, until the process stops.
    pub(super) web: Parts,
    /// The task that stores facts, until all its senders are gone.
    pub(super) memory: Parts,
    stop: watch::Sender<()>,
}

impl Tasks {
    /// No tasks yet. Those in [`Tasks::web`] stop when `stop` is dropped.
    pub(super) fn new(stop: watch::Sender<()>) -> Self {
        let (sessions, web, memory) = (Parts::default(), Parts::default(), Parts::default());
        Self {
            sessions,
            web,
            memory,
            stop,
        }
    }

    /// Waits for the first task to end or panic.
    pub(super) async fn ended(&mut self) -> RuntimeError {
        tokio::select! {
            ended = self.sessions.ended() => ended,
            ended = self.web.ended() => ended,
            ended = self.memory.ended() => ended,
        }
    }

    /// Ends the web tasks first, while the owner of state still answers present writes. Then it ends the owner, and
    /// with it the keeper of facts.
    ///
    /// # Errors
    /// The owner ended first: the store failed.
    pub(super) async fn finish<O>(mut self, mut owner: O) -> Result<(), RuntimeError>
    where
        O: Future<Output = Result<(), WatchEnded>> + Unpin,
    {
        drop(self.stop);
        tokio::select! {
            () = self.web.all_ended() => {}
            ended = &mut owner => ended?,
        }
        drop(owner);
        if timeout(FAREWELL, self.memory.all_ended()).await.is_err() {
            tracing::warn!("the latest facts could not be stored");
        }
        Ok(())
    }
}

/// Tasks that are waited for together.
#[derive(Default)]
pub(super) struct Parts(JoinSet<&'static str>);

impl Parts {
    /// Starts one.
    pub(super) fn add(
        &mut self,
        name: &'static str,
        part: impl Future<Output = ()> + Send + 'static,
    ) {
        self.0.spawn(async move {
            part.await;
            name
        });
    }

    async fn ended(&mut self) -> RuntimeError {
        match self.0.join_next().await {
            Some(Ok(name)) => RuntimeError::Ended(name.to_owned()),
            Some(Err(panic)) => RuntimeError::Ended(panic.to_string()),
            None => std::future::pending().await,
        }
    }

    async fn all_ended(&mut self) {
        while self.0.join_next().await.is_some() {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::{pending, ready};
    use tokio::sync::mpsc;

    async fn first_to_end(part: impl Future<Output = ()> + Send + 'static) -> String {
        let mut tasks = Tasks::new(watch::Sender::new(()));
        tasks.web.add("api_listen", pending());
        tasks.memory.add("the keeper of facts", pending());
        tasks.sessions.add("ovsdb_listen", part);
        tasks.ended().await.to_string()
    }

    #[tokio::test]
    async fn a_part_that_ends_or_panics_is_noticed() {
        assert_eq!(first_to_end(ready(())).await, "ovsdb_listen has ended");
        let panic = first_to_end(async { panic!("a defect") }).await;
        assert!(panic.contains("a defect"), "{panic}");
    }

    #[tokio::test]
    async fn requests_end_first_then_the_owner_and_then_what_it_told() {
        let (say, mut said) = mpsc::unbounded_channel();
        let (stop, mut stopping) = watch::channel(());
        let (owns, mut owned) = watch::channel(());
        let mut tasks = Tasks::new(stop);
        let (web, memory) = (say.clone(), say);
        let owner_lives = owned.clone();
        tasks.web.add("api_listen", async move {
            while stopping.changed().await.is_ok() {}
            let owner = owner_lives.has_changed().is_ok();
            web.send(format!("requests end, the owner lives: {owner}"))
                .unwrap();
        });
        tasks.memory.add("the keeper of facts", async move {
            while owned.changed().await.is_ok() {}
            memory.send("facts are stored".to_owned()).unwrap();
        });
        let owner = Box::pin(async move {
            let _owns = owns;
            pending().await
        });
        tasks.finish(owner).await.unwrap();
        let story: Vec<String> = std::iter::from_fn(|| said.try_recv().ok()).collect();
        assert_eq!(
            story,
            ["requests end, the owner lives: true", "facts are stored"]
        );
    }
}

//! Places that projects get in turn. However many requests of one project wait, another project's waits for only one of
//! them.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::oneshot;

tokio::task_local! {
    /// The project of the task's request, or what stands for one.
    static PROJECT: Option<String>;
}

/// Serves a request for a project.
pub(crate) async fn made_for<T>(project: Option<String>, work: impl Future<Output = T>) -> T {
    PROJECT.scope(project, work).await
}

/// For whom the task's request is served.
pub(crate) fn line() -> Option<String> {
    PROJECT.try_with(Clone::clone).unwrap_or_default()
}

/// A number of places, with the requests that wait for one.
#[derive(Clone, Debug)]
pub(crate) struct FairPlaces(Arc<Mutex<WaitingLines>>);

#[derive(Debug)]
struct WaitingLines {
    free: usize,
    /// The waiting requests, a line for each project. The project whose turn it is comes first.
    waiting: VecDeque<ProjectLine>,
}

#[derive(Debug)]
struct ProjectLine {
    project: Option<String>,
    waiting: VecDeque<oneshot::Sender<FairPlace>>,
}

/// A place, until this is dropped.
#[derive(Debug)]
pub(crate) struct FairPlace(FairPlaces);

impl FairPlaces {
    pub(crate) fn new(places: usize) -> Self {
        Self(Arc::new(Mutex::new(WaitingLines {
            free: places,
            waiting: VecDeque::new(),
        })))
    }

    /// Waits for a place. Places come in turn of the projects. A request that stops waiting is skipped.
    pub(crate) async fn take(&self) -> FairPlace {
        let project = line();
        loop {
            let Some(given) = self.lines().ask(&project) else {
                return FairPlace(self.clone());
            };
            if let Ok(place) = given.await {
                return place;
            }
        }
    }

    fn lines(&self) -> MutexGuard<'_, WaitingLines> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl WaitingLines {
    /// Takes a free place, or returns where a place will arrive.
    fn ask(&mut self, project: &Option<String>) -> Option<oneshot::Receiver<FairPlace>> {
        if self.free > 0 {
            self.free -= 1;
            return None;
        }
        let (give, given) = oneshot::channel();
        let mut lines = self.waiting.iter_mut();
        match lines.find(|line| line.project == *project) {
            Some(line) => {
                line.waiting.retain(|waiting| !waiting.is_closed());
                line.waiting.push_back(give);
            }
            None => self.waiting.push_back(ProjectLine {
                project: project.clone(),
                waiting: VecDeque::from([give]),
            }),
        }
        Some(given)
    }

    /// The next waiter for a place that is given back. Without waiters the place is free.
    fn next(&mut self) -> Option<oneshot::Sender<FairPlace>> {
        while let Some(mut line) = self.waiting.pop_front() {
            let next = line.waiting.pop_front();
            if !line.waiting.is_empty() {
                self.waiting.push_back(line);
            }
            if let Some(next) = next.filter(|next| !next.is_closed()) {
                return Some(next);
            }
        }
        self.free += 1;
        None
    }
}

impl Drop for FairPlace {
    fn drop(&mut self) {
        let next = self.0.lines().next();
        if let Some(next) = next {
            // If the waiter has left, dropping the place passes it to the next one.
            drop(next.send(Self(self.0.clone())));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::sync::mpsc;
    use tokio::task::yield_now;

    fn waiting(places: &FairPlaces) -> usize {
        let lines = places.lines();
        lines.waiting.iter().map(|line| line.waiting.len()).sum()
    }

    #[tokio::test]
    async fn projects_take_turns_however_many_wait_for_one() {
        let places = FairPlaces::new(1);
        let held = places.take().await;
        let (served, mut order) = mpsc::unbounded_channel();
        for (n, project) in ["crowd", "crowd", "crowd", "lone"].into_iter().enumerate() {
            let (places, served) = (places.clone(), served.clone());
            let work = async move {
                let _place = places.take().await;
                served.send(project).unwrap();
            };
            tokio::spawn(made_for(Some(project.to_owned()), work));
            yield_now().await;
            assert_eq!(waiting(&held.0), n + 1);
        }
        drop(held);
        let mut all = Vec::new();
        order.recv_many(&mut all, 4).await;
        while all.len() < 4 {
            all.push(order.recv().await.unwrap());
        }
        assert_eq!(all, ["crowd", "lone", "crowd", "crowd"]);
        assert_eq!(places.lines().free, 1);
    }

    #[tokio::test]
    async fn who_stops_waiting_loses_no_place() {
        let places = FairPlaces::new(1);
        let held = places.take().await;
        let impatient = tokio::spawn({
            let places = places.clone();
            async move { drop(places.take().await) }
        });
        while waiting(&places) == 0 {
            yield_now().await;
        }
        impatient.abort();
        assert!(impatient.await.is_err());
        drop(held);
        assert_eq!(places.lines().free, 1);
    }
}

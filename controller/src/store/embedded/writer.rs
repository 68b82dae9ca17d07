//! The thread that owns the database.

use super::file::{Contents, File};
use super::watch::EmbeddedWatch;
use crate::store::{CommitError, Committed, Precondition, Revision};
use sextant_model::{Change, Key, Object};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, oneshot};

/// The most commits in one transaction.
const BATCH: usize = 512;

/// How long to wait after a failed write, since trying again reads the whole file.
const RETRY: Duration = Duration::from_secs(1);

pub(super) enum StoreRequest {
    Commit(Commit),
    Watch(oneshot::Sender<EmbeddedWatch>),
}

pub(super) struct Commit {
    pub(super) changes: Vec<Change>,
    pub(super) preconditions: Vec<Precondition>,
    pub(super) answer: oneshot::Sender<Result<Revision, CommitError>>,
}

/// A commit that is answered once the transaction is durable.
struct Decided {
    answer: oneshot::Sender<Result<Revision, CommitError>>,
    outcome: Result<Committed, Precondition>,
}

/// Why the file could not be written, and since when.
struct Failure {
    reason: String,
    tried: Instant,
}

pub(super) struct FileWriter {
    file: File,
    /// The failure of the last write, if it failed.
    failure: Option<Failure>,
    contents: Contents,
    watchers: Vec<mpsc::UnboundedSender<Committed>>,
}

impl FileWriter {
    pub(super) fn new(file: File, contents: Contents) -> Self {
        Self {
            file,
            failure: None,
            contents,
            watchers: Vec::new(),
        }
    }

    /// Serves until all senders are gone.
    pub(super) fn run(mut self, mut queue: mpsc::Receiver<StoreRequest>) {
        let mut requests = Vec::with_capacity(BATCH);
        while queue.blocking_recv_many(&mut requests, BATCH) > 0 {
            self.serve(requests.drain(..));
        }
    }

    fn serve(&mut self, requests: impl Iterator<Item = StoreRequest>) {
        let mut commits = Vec::new();
        let mut watches = Vec::new();
        for request in requests {
            match request {
                StoreRequest::Commit(commit) => commits.push(commit),
                StoreRequest::Watch(answer) => watches.push(answer),
            }
        }
        self.write(commits);
        watches.into_iter().for_each(|answer| self.watch(answer));
    }

    /// Writes together all commits whose preconditions hold. Then it answers all.
    fn write(&mut self, commits: Vec<Commit>) {
        // Commits are decided on a copy: if the file cannot be written, nothing has changed.
        let mut next = self.contents.clone();
        let decided: Vec<Decided> = commits
            .into_iter()
            .map(|commit| decide(&mut next, commit))
            .collect();
        if let Err(reason) = self.make_durable(&decided, next.revision) {
            return refuse(decided, &reason);
        }
        // Writers and watchers hear of a commit only now that it is durable.
        self.contents = next;
        decided
            .into_iter()
            .for_each(|decided| self.announce(decided));
    }

    fn make_durable(&mut self, decided: &[Decided], revision: Revision) -> Result<(), String> {
        // No commit was accepted, so there is nothing to write.
        if revision == self.contents.revision {
            return Ok(());
        }
        if let Some(failure) = &self.failure
            && failure.tried.elapsed() < RETRY
        {
            return Err(failure.reason.clone());
        }
        let committed = decided
            .iter()
            .filter_map(|decided| decided.outcome.as_ref().ok());
        let changes = committed.flat_map(|committed| &committed.changes);
        // Of several changes of one key only the last is written.
        let last: BTreeMap<Key, &Change> = changes.map(|change| (change.key(), change)).collect();
        let contents = &self.contents;
        let changes = last
            .into_iter()
            .filter(|(key, change)| !is_stored(contents, key, change));
        let changes = changes.map(|(_, change)| change);
        let written = self.file.write(changes, revision, contents);
        self.tell(written.as_ref().err());
        written
    }

    /// Logs when the file cannot be written any more, and when it can again.
    fn tell(&mut self, error: Option<&String>) {
        match (error, &self.failure) {
            (Some(error), None) => {
                tracing::error!(%error, "the store cannot be written. Writes are refused until it can");
            }
            (None, Some(_)) => tracing::info!("the store can be written again"),
            (Some(_), Some(_)) | (None, None) => {}
        }
        self.failure = error.map(|reason| Failure {
            reason: reason.clone(),
            tried: Instant::now(),
        });
    }

    fn announce(&mut self, decided: Decided) {
        let answer = match decided.outcome {
            Ok(committed) => {
                let revision = committed.revision;
                self.watchers
                    .retain(|watcher| watcher.send(committed.clone()).is_ok());
                Ok(revision)
            }
            Err(failed) => Err(CommitError::Conflict(failed)),
        };
        // The sender may have left. What was written stays.
        let _ = decided.answer.send(answer);
    }

    fn watch(&mut self, answer: oneshot::Sender<EmbeddedWatch>) {
        let (watcher, watch) = EmbeddedWatch::new(self.contents.clone());
        if answer.send(watch).is_ok() {
            self.watchers.push(watcher);
        }
    }
}

/// Whether the file already contains this change. A claim is only its key, and marks are written again and again.
fn is_stored(contents: &Contents, key: &Key, change: &Change) -> bool {
    match change {
        Change::Put(Object::Claim(_)) => contents.objects.contains_key(key),
        Change::Put(_) | Change::Delete(_) => false,
    }
}

fn decide(next: &mut Contents, commit: Commit) -> Decided {
    let failed = commit
        .preconditions
        .into_iter()
        .find(|condition| !holds(next, condition));
    let outcome = match failed {
        Some(failed) => Err(failed),
        None => Ok(apply(next, commit.changes)),
    };
    Decided {
        answer: commit.answer,
        outcome,
    }
}

fn holds(contents: &Contents, condition: &Precondition) -> bool {
    let objects = &contents.objects;
    match condition {
        Precondition::Absent(key) => !objects.contains_key(key),
        Precondition::Present(key) => objects.contains_key(key),
        Precondition::Unchanged(key, since) => {
            let stored = objects.get(key);
            stored.is_some_and(|(changed, _)| changed <= since)
        }
    }
}

fn apply(contents: &mut Contents, changes: Vec<Change>) -> Committed {
    contents.revision.0 += 1;
    let revision = contents.revision;
    for change in &changes {
        match change {
            Change::Put(object) => contents
                .objects
                .insert(object.key(), (revision, object.clone())),
            Change::Delete(key) => contents.objects.remove(key),
        };
    }
    Committed { revision, changes }
}

fn refuse(decided: Vec<Decided>, error: &str) {
    for Decided { answer, .. } in decided {
        let _ = answer.send(Err(CommitError::Unavailable(error.to_owned())));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sextant_model::{Claim, NetworkKey};

    fn claim(n: u32) -> Key {
        Key::Claim(Claim::NetworkKey(NetworkKey(n)))
    }

    fn request(
        n: u32,
        condition: Precondition,
    ) -> (
        StoreRequest,
        oneshot::Receiver<Result<Revision, CommitError>>,
    ) {
        let (answer, answered) = oneshot::channel();
        let commit = Commit {
            changes: vec![Change::Put(Object::Claim(claim(n)))],
            preconditions: vec![condition],
            answer,
        };
        (StoreRequest::Commit(commit), answered)
    }

    #[test]
    fn commits_that_share_a_transaction_are_judged_one_after_the_other() {
        let name = format!("sextant-batch-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        let (file, contents) = File::open(&path).unwrap();
        let mut writer = FileWriter::new(file, contents);
        let (first, other, later) = (claim(1), claim(1), claim(1));
        let (requests, answers): (Vec<_>, Vec<_>) = [
            request(1, Precondition::Absent(first)),
            request(1, Precondition::Absent(other)),
            request(2, Precondition::Present(later)),
            request(3, Precondition::Unchanged(claim(2), Revision(1))),
        ]
        .into_iter()
        .unzip();

        writer.serve(requests.into_iter());
        let answers: Vec<Option<u64>> = answers
            .into_iter()
            .map(|mut answer| answer.try_recv().unwrap().ok().map(|revision| revision.0))
            .collect();
        assert_eq!(answers, [Some(1), None, Some(2), None]);

        drop(writer);
        let (_, contents) = File::open(&path).unwrap();
        assert_eq!(contents.revision, Revision(2));
        assert!(contents.objects.keys().eq([&claim(1), &claim(2)]));
        std::fs::remove_file(path).unwrap();
    }

    #[test]
    fn the_last_word_of_a_batch_on_a_claim_is_what_the_file_says() {
        let path = std::env::temp_dir().join(format!("sextant-claims-{}", std::process::id()));
        let (file, contents) = File::open(&path).unwrap();
        let mut writer = FileWriter::new(file, contents);
        let (put, delete) = (
            |n| Change::Put(Object::Claim(claim(n))),
            |n| Change::Delete(claim(n)),
        );
        let mut serve = |batch: Vec<Change>| {
            let commits = batch.into_iter().map(|change| {
                let (preconditions, answer) = (vec![], oneshot::channel().0);
                let changes = vec![change];
                StoreRequest::Commit(Commit {
                    changes,
                    preconditions,
                    answer,
                })
            });
            writer.serve(commits);
        };
        serve(vec![put(1), put(2), put(3), put(1)]);
        serve(vec![put(1), delete(2), put(2), put(3), delete(3)]);

        drop(writer);
        let (_, contents) = File::open(&path).unwrap();
        assert_eq!(contents.revision, Revision(9));
        assert!(contents.objects.keys().eq([&claim(1), &claim(2)]));
        std::fs::remove_file(path).unwrap();
    }
}

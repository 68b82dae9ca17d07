//! The members of the cluster. All ask the same one, until it fails one of them.

use super::call::{CallError, timely};
use super::opening::EtcdError;
use super::settings::EtcdSettings;
use etcd_client::Client;
use rand::RngExt;
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::sync::Mutex;

pub(super) struct ClusterMembers {
    all: Vec<Endpoint>,
    /// The number of the one that is asked, counted on without end.
    current: AtomicUsize,
    settings: EtcdSettings,
}

struct Endpoint {
    url: String,
    client: Mutex<Option<Client>>,
}

/// A member that may answer.
pub(super) struct Reached {
    pub(super) client: Client,
    turn: usize,
}

impl ClusterMembers {
    /// Connects to nobody yet. Controllers begin with different members.
    pub(super) fn new(settings: &EtcdSettings) -> Result<Self, EtcdError> {
        let options = settings.options();
        options.map_err(|(path, error)| EtcdError::File { path, error })?;
        let all: Vec<_> = settings
            .endpoints
            .iter()
            .cloned()
            .map(Endpoint::new)
            .collect();
        let first = rand::make_rng::<rand::rngs::StdRng>().random_range(0..all.len().max(1));
        Ok(Self {
            all,
            current: AtomicUsize::new(first),
            settings: settings.clone(),
        })
    }

    /// The URLs, for people.
    pub(super) fn names(&self) -> String {
        let urls: Vec<&str> = self.all.iter().map(|one| one.url.as_str()).collect();
        urls.join(", ")
    }

    /// How many members there are.
    pub(super) fn count(&self) -> usize {
        self.all.len()
    }

    /// The member to ask. Its connection is made with the first request, but users authenticate here.
    pub(super) async fn reach(&self) -> Result<Reached, CallError> {
        let turn = self.current.load(Ordering::Relaxed);
        let endpoint = &self.all[turn % self.all.len()];
        let mut client = endpoint.client.lock().await;
        if let Some(client) = client.as_ref() {
            let client = client.clone();
            return Ok(Reached { client, turn });
        }
        if turn != self.current.load(Ordering::Relaxed) {
            // Whoever waited behind a failure does not repeat it.
            return Err(CallError::NoAnswer(format!(
                "{} does not answer",
                endpoint.url
            )));
        }
        match self.connect(&endpoint.url).await {
            Ok(connected) => {
                let client = client.insert(connected).clone();
                Ok(Reached { client, turn })
            }
            Err(error) => {
                self.pass(turn);
                Err(error)
            }
        }
    }

    /// Files are read each time, so that certificates can be renewed.
    async fn connect(&self, url: &str) -> Result<Client, CallError> {
        let options = self.settings.options();
        let options = options
            .map_err(|(path, error)| CallError::NoAnswer(format!("{}: {error}", path.display())))?;
        timely(Client::connect([url], Some(options))).await
    }

    /// Notes that a member did not answer. The next one is asked from then on.
    pub(super) async fn failed(&self, reached: &Reached) {
        let mut client = self.all[reached.turn % self.all.len()].client.lock().await;
        if self.pass(reached.turn) {
            // A new connection is made when it is its turn again.
            *client = None;
        }
    }

    /// Whether this was the one that others ask too.
    fn pass(&self, turn: usize) -> bool {
        let next = turn.wrapping_add(1);
        let passed =
            self.current
                .compare_exchange(turn, next, Ordering::Relaxed, Ordering::Relaxed);
        passed.is_ok()
    }
}

impl Endpoint {
    fn new(url: String) -> Self {
        let client = Mutex::new(None);
        Self { url, client }
    }
}

impl fmt::Debug for ClusterMembers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ClusterMembers")
            .field(&self.names())
            .finish()
    }
}

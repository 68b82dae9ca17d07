//! Sextant's own token, without which Keystone says nothing about others: asked for when it is first needed, and again
//! before it ends or when Keystone does not take it any more.

use super::catalog::Catalog;
use super::client::{KeystoneClient, KeystoneFailure};
use super::settings::{Credentials, KeystoneSettings};
use crate::clock;
use axum::http::{HeaderValue, StatusCode};
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};

/// How long before its end a token is renewed, unless it does not live twice as long.
const EARLY: Duration = Duration::from_secs(60);
/// How long a failure counts.
const AGAIN_AFTER: Duration = Duration::from_secs(1);
/// How long it counts that Keystone refuses the credentials: it may lock a user out who often gives a wrong password.
const REFUSED_FOR: Duration = Duration::from_secs(60);

/// Sextant's own token.
pub(super) struct OwnToken {
    /// Who asks, as JSON.
    login: Vec<u8>,
    /// Where the configuration says so.
    section: &'static str,
    /// How long a renewal may take. What is left of a caller's time is for the question, with the token that still holds.
    patience: Duration,
    held: Mutex<OwnState>,
}

#[derive(Default)]
struct OwnState {
    token: Option<Issued>,
    failed: Option<Failed>,
}

/// Why there is no new token, and until when none is asked for.
#[derive(Clone)]
struct Failed {
    failure: KeystoneFailure,
    until: Instant,
}

impl Failed {
    fn for_a_time(length: Duration, failure: KeystoneFailure) -> Self {
        let until = Instant::now() + length;
        Self { failure, until }
    }
}

impl From<KeystoneFailure> for Failed {
    fn from(failure: KeystoneFailure) -> Self {
        Self::for_a_time(AGAIN_AFTER, failure)
    }
}

/// A token that Sextant asks with.
#[derive(Clone)]
pub(super) struct Asking {
    pub(super) text: HeaderValue,
    /// Where other services are.
    pub(super) catalog: Arc<Catalog>,
    validated: Arc<AtomicBool>,
}

impl Asking {
    /// Keystone has described another token to it.
    pub(super) fn has_validated(&self) {
        self.validated.store(true, Ordering::Relaxed);
    }

    /// Whether it is known that it may validate tokens.
    pub(super) fn may_validate(&self) -> bool {
        self.validated.load(Ordering::Relaxed)
    }
}

#[derive(Clone)]
struct Issued {
    token: Asking,
    renew: Instant,
    ends: Instant,
}

impl OwnToken {
    pub(super) fn new(settings: &KeystoneSettings, section: &'static str) -> Self {
        let login = login(&settings.credentials).to_string().into_bytes();
        Self {
            login,
            section,
            patience: settings.timeout / 3,
            held: Mutex::default(),
        }
    }

    /// A token other than the one that Keystone does not take any more. However many ask, one asks Keystone.
    pub(super) async fn get(
        &self,
        client: &KeystoneClient,
        refused: Option<&Asking>,
    ) -> Result<Asking, KeystoneFailure> {
        let mut held = self.held.lock().await;
        let now = Instant::now();
        held.token.take_if(|held| {
            held.ends <= now || refused.is_some_and(|it| it.text == held.token.text)
        });
        let still = held.token.clone();
        if let Some(held) = still.as_ref().filter(|held| now < held.renew) {
            return Ok(held.token.clone());
        }
        let renewed = match &held.failed {
            Some(failed) if now < failed.until => Err(failed.failure.clone()),
            Some(_) | None => {
                let issued = self.renew(client, still.as_ref()).await;
                held.failed = issued.as_ref().err().cloned();
                issued.map_err(|failed| failed.failure)
            }
        };
        match (renewed, still) {
            (Ok(issued), _) => {
                let token = issued.token.clone();
                held.token = Some(issued);
                Ok(token)
            }
            // It still holds for a while, in which Keystone may come back.
            (Err(_), Some(still)) => Ok(still.token),
            (Err(failure), None) => Err(failure),
        }
    }

    /// Another token in place of one that still holds, if there is one.
    async fn renew(
        &self,
        client: &KeystoneClient,
        still: Option<&Issued>,
    ) -> Result<Issued, Failed> {
        if still.is_none() {
            return self.issue(client).await;
        }
        let issued = timeout(self.patience, self.issue(client)).await;
        issued.unwrap_or_else(|_| {
            let reason = format!("no new token within {:?}", self.patience);
            Err(KeystoneFailure(reason).into())
        })
    }

    async fn issue(&self, client: &KeystoneClient) -> Result<Issued, Failed> {
        let reply = client.issue(&self.login).await?;
        match reply.status {
            StatusCode::CREATED => {}
            StatusCode::UNAUTHORIZED => {
                let section = self.section;
                let reason = format!("Keystone refuses the credentials in [{section}]");
                return Err(Failed::for_a_time(REFUSED_FOR, KeystoneFailure(reason)));
            }
            status => {
                return Err(KeystoneFailure(format!("Keystone issues no token: {status}")).into());
            }
        }
        let (Some(text), Some(described)) = (reply.subject, reply.described) else {
            let reason = "what answers at auth_url is not Keystone";
            return Err(KeystoneFailure(reason.to_owned()).into());
        };
        let seconds = u64::try_from(described.expires_at - clock::now()).unwrap_or_default();
        if seconds == 0 {
            let reason = "the token that Keystone has just issued has ended: compare the clocks";
            return Err(KeystoneFailure(reason.to_owned()).into());
        }
        let (now, life) = (Instant::now(), Duration::from_secs(seconds));
        Ok(Issued {
            token: Asking {
                text,
                catalog: Arc::new(described.catalog),
                validated: Arc::default(),
            },
            renew: now + life.saturating_sub(EARLY.min(life / 2)),
            ends: now + life,
        })
    }
}

/// The body of a request for a token.
fn login(credentials: &Credentials) -> Value {
    match credentials {
        Credentials::User {
            username,
            password,
            user_domain_name,
            project_name,
            project_domain_name,
        } => {
            let domain = json!({"name": user_domain_name});
            let user = json!({"name": username, "domain": domain, "password": password.0});
            let project = json!({"name": project_name, "domain": {"name": project_domain_name}});
            json!({"auth": {
                "identity": {"methods": ["password"], "password": {"user": user}},
                "scope": {"project": project},
            }})
        }
        Credentials::Application { id, secret } => {
            let credential = json!({"id": id, "secret": secret.0});
            let methods = ["application_credential"];
            json!({"auth": {"identity": {"methods": methods, "application_credential": credential}}})
        }
    }
}

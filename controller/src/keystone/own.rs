//! Sextant's own token, without which Keystone says nothing about others: asked for when it is first needed, and again
//! before it ends or when Keystone does not take it any more.

use super::client::{Client, Failure};
use super::settings::Credentials;
use crate::clock;
use axum::http::{HeaderValue, StatusCode};
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::time::Instant;

/// How long before its end a token is renewed, unless it does not live twice as long.
const EARLY: Duration = Duration::from_secs(60);
/// How long a failure counts. Keystone may lock a user out who often gives a wrong password.
const AGAIN_AFTER: Duration = Duration::from_secs(1);

/// Sextant's own token.
pub(super) struct OwnToken {
    /// Who asks, as JSON.
    login: Vec<u8>,
    held: Mutex<Held>,
}

#[derive(Default)]
struct Held {
    token: Option<Issued>,
    failed: Option<(Instant, Failure)>,
}

/// A token that Sextant asks with.
#[derive(Clone)]
pub(super) struct Asking {
    pub(super) text: HeaderValue,
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
    pub(super) fn new(credentials: &Credentials) -> Self {
        let login = login(credentials).to_string().into_bytes();
        Self {
            login,
            held: Mutex::default(),
        }
    }

    /// A token other than the one that Keystone does not take any more. However many ask, one asks Keystone.
    pub(super) async fn get(
        &self,
        client: &Client,
        refused: Option<&Asking>,
    ) -> Result<Asking, Failure> {
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
            Some((at, failure)) if now < *at + AGAIN_AFTER => Err(failure.clone()),
            Some(_) | None => {
                let issued = self.issue(client).await;
                held.failed = issued.as_ref().err().map(|f| (Instant::now(), f.clone()));
                issued
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

    async fn issue(&self, client: &Client) -> Result<Issued, Failure> {
        let reply = client.issue(&self.login).await?;
        match reply.status {
            StatusCode::CREATED => {}
            StatusCode::UNAUTHORIZED => {
                let reason = "Keystone refuses the credentials in [keystone]";
                return Err(Failure(reason.to_owned()));
            }
            status => return Err(Failure(format!("Keystone issues no token: {status}"))),
        }
        let no_token = || Failure("what answers at auth_url is not Keystone".to_owned());
        let text = reply.subject.ok_or_else(no_token)?;
        let ends = reply.described.ok_or_else(no_token)?.expires_at;
        let seconds = u64::try_from(ends - clock::now()).unwrap_or_default();
        let (now, life) = (Instant::now(), Duration::from_secs(seconds));
        Ok(Issued {
            token: Asking {
                text,
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

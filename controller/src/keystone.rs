//! Validates callers' tokens with Keystone (Identity API v3), as keystonemiddleware's `auth_token` does.
//!
//! A token that is not known is asked about once, however many callers have it, and what Keystone says is kept for a
//! while (`cache`). What is kept goes on counting while Keystone is away. Everything else takes a bounded time: a caller
//! waits for `timeout` at most. A bounded number of questions is under way at once, and callers' addresses take turns, so
//! that wrong tokens from one of them leave room for right ones from another.

mod access;
mod cache;
mod catalog;
mod client;
mod login;
mod own;
mod report;
mod settings;
mod token;

pub use access::AskedRequest;
pub(crate) use client::KeystoneFailure;
pub(crate) use login::{ServiceLogin, ServiceToken};
pub use settings::{Credentials, KeystoneSettings};
pub use token::{Scope, Token};

use crate::admission::origin;
use crate::clock;
use crate::fair::{FairPlace, FairPlaces, made_for};
use crate::metrics::{Metrics, TokenCheck};
use crate::outgoing::TrustError;
use axum::http::{HeaderValue, StatusCode};
use cache::{Expired, Found, Question, TokenKey, TokenVerdict, Tokens, Waiting};
use client::{KeystoneClient, is_unknown};
use own::OwnToken;
use report::Report;
use std::fmt;
use std::net::IpAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::time::timeout;

/// How many questions Keystone is asked at once.
const AT_ONCE: usize = 16;
/// The longest token in octets. Keystone's have a few hundred, and servers before it refuse lines of headers from 4,096 on.
const LONGEST: usize = 2 << 10;

/// Asks Keystone whose a token is.
#[derive(Clone)]
pub struct Keystone(Arc<SharedKeystone>);

impl fmt::Debug for Keystone {
    /// Without credentials and tokens.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let url = &self.0.settings.auth_url;
        f.debug_tuple("Keystone").field(url).finish()
    }
}

struct SharedKeystone {
    settings: KeystoneSettings,
    challenge: HeaderValue,
    client: KeystoneClient,
    own: OwnToken,
    tokens: Arc<Tokens>,
    places: FairPlaces,
    report: Report,
    metrics: Metrics,
}

/// The tokens in a request.
#[derive(Clone, Copy, Debug)]
pub struct Presented<'a> {
    /// The caller's.
    pub user: Option<&'a HeaderValue>,
    /// That of a service which calls on the caller's behalf.
    pub service: Option<&'a HeaderValue>,
    /// Where the request is from.
    pub from: Option<IpAddr>,
}

/// Why nobody is known to call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unidentified {
    /// A token is missing, unknown, revoked, expired or not good for this request.
    #[error("The request you have made requires authentication.")]
    Nobody,
    /// Keystone could not be asked in time.
    #[error("The Keystone service is temporarily unavailable.")]
    NoAnswer,
}

/// What a service's token lets the caller's be.
#[derive(Clone, Copy)]
struct Service {
    expired: Expired,
    rules: AccessRuleCheck,
}

impl Service {
    /// No service calls, or one that has no role for it.
    const DEFAULT: Self = Self {
        expired: Expired::Refused,
        rules: AccessRuleCheck::Count,
    };
}

/// Whether the access rules of the caller's application credential count.
#[derive(Clone, Copy, PartialEq, Eq)]
enum AccessRuleCheck {
    /// They do.
    Count,
    /// They do not: what a service does for the caller need not be among the caller's own requests.
    Lifted,
}

impl Keystone {
    /// A client that has asked nothing yet.
    ///
    /// # Errors
    /// The authorities of its certificate cannot be used.
    pub fn new(settings: KeystoneSettings, metrics: Metrics) -> Result<Self, TrustError> {
        Self::with(settings, metrics, Tokens::new())
    }

    /// The same with other settings. It knows the same tokens, unless they would not be believed with these settings.
    ///
    /// # Errors
    /// As [`Keystone::new`].
    pub fn again(&self, settings: KeystoneSettings) -> Result<Self, TrustError> {
        let tokens = match settings.believes_as(&self.0.settings) {
            true => self.0.tokens.clone(),
            false => Tokens::new(),
        };
        Self::with(settings, self.0.metrics.clone(), tokens)
    }

    fn with(
        settings: KeystoneSettings,
        metrics: Metrics,
        tokens: Arc<Tokens>,
    ) -> Result<Self, TrustError> {
        let challenge = HeaderValue::from_str(&settings.challenge());
        Ok(Self(Arc::new(SharedKeystone {
            challenge: challenge.unwrap_or(HeaderValue::from_static("Keystone")),
            client: KeystoneClient::new(&settings, metrics.clone())?,
            own: OwnToken::new(&settings, "keystone"),
            tokens,
            places: FairPlaces::new(AT_ONCE),
            report: Report::default(),
            metrics,
            settings,
        })))
    }

    /// Gets a token for Sextant, so that the log tells before the first caller whether Keystone can be asked.
    pub async fn try_out(&self) {
        let SharedKeystone {
            settings,
            client,
            own,
            report,
            ..
        } = &*self.0;
        match within(settings.timeout, own.get(client, None)).await {
            Ok(_) => tracing::info!("Keystone takes the credentials in [keystone]"),
            Err(failure) => report.failed(&failure),
        }
    }

    /// What `WWW-Authenticate` says to a caller without a valid token.
    pub fn challenge(&self) -> &HeaderValue {
        &self.0.challenge
    }

    /// Whose the caller's token is.
    ///
    /// # Errors
    /// [`Unidentified`] says whether it is the caller's fault.
    pub async fn identify(
        &self,
        presented: Presented<'_>,
        asked: AskedRequest<'_>,
    ) -> Result<Arc<Token>, Unidentified> {
        let identified = self.both(presented, asked);
        let identified = timeout(self.0.settings.timeout, identified).await;
        identified.unwrap_or(Err(Unidentified::NoAnswer))
    }

    /// Checks the service's token, which decides what the caller's may be, and then the caller's.
    async fn both(
        &self,
        presented: Presented<'_>,
        asked: AskedRequest<'_>,
    ) -> Result<Arc<Token>, Unidentified> {
        let Presented {
            user,
            service,
            from,
        } = presented;
        let service = match service {
            Some(service) => self.service(service, from).await?,
            None => Service::DEFAULT,
        };
        let user = user.ok_or(Unidentified::Nobody)?;
        let token = self.token(user, service.expired, from).await?;
        match &token.access_rules {
            Some(rules) if service.rules == AccessRuleCheck::Count && !rules.allow(asked) => {
                tracing::debug!("no access rule of the application credential allows this");
                Err(Unidentified::Nobody)
            }
            Some(_) | None => Ok(token),
        }
    }

    /// What the service's token lets the caller's be.
    async fn service(
        &self,
        token: &HeaderValue,
        from: Option<IpAddr>,
    ) -> Result<Service, Unidentified> {
        let settings = &self.0.settings;
        let token = self.token(token, Expired::Refused, from).await?;
        match token.has_one_of(&settings.service_token_roles) {
            true => Ok(Service {
                expired: Expired::Allowed,
                // Whoever has an application credential with few rights gets no more by naming it a service's.
                rules: match token.access_rules {
                    Some(_) => AccessRuleCheck::Count,
                    None => AccessRuleCheck::Lifted,
                },
            }),
            false if settings.service_token_roles_required => {
                tracing::debug!("a service's token has none of service_token_roles");
                Err(Unidentified::Nobody)
            }
            false => Ok(Service::DEFAULT),
        }
    }

    async fn token(
        &self,
        token: &HeaderValue,
        expired: Expired,
        from: Option<IpAddr>,
    ) -> Result<Arc<Token>, Unidentified> {
        let text = trimmed(token).ok_or(Unidentified::Nobody)?;
        let key = TokenKey::of(text.as_bytes(), expired);
        let (check, waiting) = match self.0.tokens.find(key, Instant::now()) {
            Found::Known(verdict) => {
                self.count(TokenCheck::Cache);
                return verdict.at(clock::now(), expired).token();
            }
            Found::UnderWay(waiting) => (TokenCheck::Shared, waiting),
            Found::Missing(question, waiting) => {
                // The question outlives its caller: others may wait for the answer.
                tokio::spawn(self.clone().ask(question, text, expired, from));
                (TokenCheck::Asked, waiting)
            }
        };
        self.count(check);
        answer(waiting).await
    }

    fn count(&self, check: TokenCheck) {
        let checks = &self.0.metrics.token_checks;
        checks.with_label_values(&[check.as_str()]).inc();
    }

    /// Asks when it is the turn of the caller's address, and answers all who wait then.
    async fn ask(
        self,
        question: Question,
        text: HeaderValue,
        expired: Expired,
        from: Option<IpAddr>,
    ) {
        let SharedKeystone {
            settings, places, ..
        } = &*self.0;
        let line = from.map(|address| origin(address).to_string());
        let (question, verdict) = {
            let place = made_for(line, places.take());
            let Some((question, _place)) = place_for(question, place).await else {
                return;
            };
            let verdict = within(settings.timeout, self.verdict(&text, expired)).await;
            (question, verdict)
        };
        match &verdict {
            Ok(_) => self.0.report.answered(),
            Err(failure) => self.0.report.failed(failure),
        }
        let verdict = verdict.unwrap_or(TokenVerdict::NoAnswer);
        let keep = keep(&verdict, expired, settings.token_cache_time);
        question.answer(&verdict, Instant::now(), keep);
    }

    /// Asks, and again with a new token of its own if Keystone does not take the old one any more.
    async fn verdict(
        &self,
        text: &HeaderValue,
        expired: Expired,
    ) -> Result<TokenVerdict, KeystoneFailure> {
        let SharedKeystone { client, own, .. } = &*self.0;
        let query = match expired {
            Expired::Refused => "nocatalog",
            Expired::Allowed => "nocatalog&allow_expired=1",
        };
        let mut mine = own.get(client, None).await?;
        let mut reply = client.describe(&mine, text, query).await?;
        if reply.status == StatusCode::UNAUTHORIZED {
            mine = own.get(client, Some(&mine)).await?;
            reply = client.describe(&mine, text, query).await?;
        }
        let reason = match reply.status {
            StatusCode::OK => match reply.described {
                Some(token) => {
                    return Ok(TokenVerdict::Holds(Arc::new(token)).at(clock::now(), expired));
                }
                None => "what answers at auth_url is not Keystone".to_owned(),
            },
            status if is_unknown(status, &mine) => return Ok(TokenVerdict::Unknown),
            StatusCode::UNAUTHORIZED => {
                "Keystone does not take the token that it has just issued".to_owned()
            }
            StatusCode::FORBIDDEN => {
                "the user in [keystone] may not validate tokens: it needs the role service"
                    .to_owned()
            }
            status => format!("Keystone answers {status}"),
        };
        Err(KeystoneFailure(reason))
    }
}

/// What Keystone answers in time.
async fn within<T>(
    patience: Duration,
    answer: impl Future<Output = Result<T, KeystoneFailure>>,
) -> Result<T, KeystoneFailure> {
    let answer = timeout(patience, answer).await;
    answer.unwrap_or_else(|_| Err(KeystoneFailure::late(patience)))
}

/// Waits for a place with a question. `None` if nobody waits for the answer any more. Callers wait for a bounded
/// time, so that this does, too.
async fn place_for(
    mut question: Question,
    place: impl Future<Output = FairPlace>,
) -> Option<(Question, FairPlace)> {
    let mut place = pin!(place);
    loop {
        tokio::select! {
            place = &mut place => return Some((question.still_heard()?, place)),
            () = question.unheard() => question = question.still_heard()?,
        }
    }
}

/// How long a verdict may be kept: not after the token's end, unless it may have ended already.
fn keep(verdict: &TokenVerdict, expired: Expired, longest: Duration) -> Duration {
    match (verdict, expired) {
        (TokenVerdict::Holds(token), Expired::Refused) => {
            let left = u64::try_from(token.expires_at - clock::now()).unwrap_or_default();
            longest.min(Duration::from_secs(left))
        }
        (TokenVerdict::Holds(_) | TokenVerdict::Unknown | TokenVerdict::NoAnswer, _) => longest,
    }
}

/// The answer to a question of whoever asks.
async fn answer(mut waiting: Waiting) -> Result<Arc<Token>, Unidentified> {
    let Ok(verdict) = waiting.wait_for(Option::is_some).await else {
        return Err(Unidentified::NoAnswer);
    };
    let verdict = verdict.clone().unwrap_or(TokenVerdict::NoAnswer);
    verdict.token()
}

impl TokenVerdict {
    fn token(self) -> Result<Arc<Token>, Unidentified> {
        match self {
            Self::Holds(token) => Ok(token),
            Self::Unknown => Err(Unidentified::Nobody),
            Self::NoAnswer => Err(Unidentified::NoAnswer),
        }
    }
}

/// A token without the blanks that some clients leave around it. `None` if it cannot be one of Keystone's.
fn trimmed(token: &HeaderValue) -> Option<HeaderValue> {
    let octets = token.as_bytes().trim_ascii();
    if octets.is_empty() || octets.len() > LONGEST || !octets.iter().all(u8::is_ascii_graphic) {
        return None;
    }
    let mut trimmed = HeaderValue::from_bytes(octets).ok()?;
    // It is in no log.
    trimmed.set_sensitive(true);
    Some(trimmed)
}

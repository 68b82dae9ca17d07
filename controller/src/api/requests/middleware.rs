//! What is done around every request.

use crate::api::contract::caller::Caller;
use crate::api::contract::error::ApiError;
use crate::api::requests::abandon;
use crate::api::requests::api::Api;
use crate::api::requests::asked::Asked;
use crate::api::requests::audit::{Answered, CallerName};
use crate::api::requests::discovery;
use crate::api::requests::identity::{Identified, Identity};
use crate::api::requests::revision;
use crate::fair;
use crate::http::Peer;
use crate::keystone::Unidentified;
use crate::metrics::Metrics;
use crate::store::OUT_OF_REACH;
use axum::Json;
use axum::extract::{MatchedPath, Request, State};
use axum::http::header::{ACCEPT, WWW_AUTHENTICATE};
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, Uri};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde_json::json;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use uuid::Uuid;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-openstack-request-id");
/// How many seconds old an answer may be, while the store is out of reach.
const STATE_AGE: HeaderName = HeaderName::from_static("x-sextant-state-age");

/// Serves a request while its caller is there, survives a defect, gives the answer an id, counts and logs it.
pub(crate) async fn serve(State(api): State<Api>, request: Request, next: Next) -> Response {
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map_or("unmatched", MatchedPath::as_str)
        .to_owned();
    let peer = request.extensions().get::<Peer>();
    let account = Account {
        peer: peer.map(|peer| peer.address),
        asked: api.audit.notes(&method),
        api,
        method,
        path,
        route,
        started: Instant::now(),
    };
    if !accepts_json(&request) {
        return account.close(discovery::not_acceptable().into_response());
    }
    // The audit line is written within the task: a write is logged even if its caller has left meanwhile.
    let closed = account.clone();
    let served = abandon::served(async move {
        let answer = match &closed.asked {
            Some(asked) => asked.by(next.run(request)).await,
            None => next.run(request).await,
        };
        closed.close(answer)
    });
    served.await.unwrap_or_else(|_| account.close(defect()))
}

/// What is remembered of a request until it is answered.
#[derive(Clone)]
struct Account {
    api: Api,
    method: Method,
    path: String,
    route: String,
    started: Instant,
    peer: Option<SocketAddr>,
    /// What is noted of the request while it is served, if anything is.
    asked: Option<Asked>,
}

impl Account {
    /// Gives the answer an id, counts it and logs it.
    fn close(&self, mut response: Response) -> Response {
        let took = self.started.elapsed();
        let Self { api, method, .. } = self;
        count(&api.metrics, label(method), &self.route, &response, took);
        let request_id = format!("req-{}", Uuid::new_v4());
        let who = response.extensions_mut().remove::<CallerName>();
        let answered = Answered {
            request_id: &request_id,
            method,
            path: &self.path,
            status: response.status(),
            took,
            peer: self.peer,
            asked: self.asked.as_ref(),
        };
        api.audit.tell(&who.unwrap_or_default(), &answered);
        if let Ok(id) = HeaderValue::from_str(&request_id) {
            response.headers_mut().insert(REQUEST_ID, id);
        }
        revision::tell(api, response.headers_mut());
        let age = api.store.age();
        if age >= OUT_OF_REACH {
            let seconds = HeaderValue::from(age.as_secs());
            response.headers_mut().insert(STATE_AGE, seconds);
        }
        response
    }
}

fn count(metrics: &Metrics, method: &str, route: &str, response: &Response, took: Duration) {
    let status = response.status().as_str().to_owned();
    metrics
        .api_requests
        .with_label_values(&[method, route, &status])
        .inc();
    metrics
        .api_request_seconds
        .with_label_values(&[method, route])
        .observe(took.as_secs_f64());
}

/// A method as a metric's label. Clients can invent methods, and each would make a series.
fn label(method: &Method) -> &'static str {
    const KNOWN: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
    let known = KNOWN.into_iter().find(|known| method.as_str() == *known);
    known.unwrap_or("other")
}

/// `/v2.0/networks.json` means `/v2.0/networks`.
pub(crate) async fn strip_suffix(mut request: Request, next: Next) -> Response {
    let stripped = request
        .uri()
        .path()
        .strip_suffix(".json")
        .and_then(|path| with_path(request.uri(), path));
    if let Some(uri) = stripped {
        *request.uri_mut() = uri;
    }
    next.run(request).await
}

fn with_path(uri: &Uri, path: &str) -> Option<Uri> {
    let path_and_query = match uri.query() {
        Some(query) => format!("{path}?{query}"),
        None => path.to_owned(),
    };
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(path_and_query.parse().ok()?);
    Uri::from_parts(parts).ok()
}

fn accepts_json(request: &Request) -> bool {
    let Some(accepted) = request.headers().get(ACCEPT) else {
        return true;
    };
    let accepted = accepted.to_str().unwrap_or("*/*");
    accepted.split(',').any(|kind| {
        let kind = kind.split(';').next().unwrap_or_default().trim();
        matches!(kind, "" | "*/*" | "application/*" | "application/json")
    })
}

fn defect() -> Response {
    tracing::error!("a request failed because of a defect in Sextant");
    let message = "Request Failed: internal server error while processing your request.";
    ApiError::new(
        StatusCode::INTERNAL_SERVER_ERROR,
        "HTTPInternalServerError",
        message,
    )
    .into_response()
}

/// Identifies the caller, or refuses the request.
pub(crate) async fn identify(State(api): State<Api>, mut request: Request, next: Next) -> Response {
    let peer = request.extensions().get::<Peer>().copied();
    if peer.is_some_and(|peer| peer.encrypted) {
        // Without a proxy's header, the caller uses the scheme of its connection.
        let scheme = HeaderValue::from_static("https");
        request
            .headers_mut()
            .entry("x-forwarded-proto")
            .or_insert(scheme);
    }
    let is_public = !request.uri().path().starts_with("/v2.0");
    let identity = api.identity.load_full();
    if is_public && !identity.reads_headers() {
        return next.run(request).await;
    }
    let Identified { caller, name } = match identity.identify(peer, &mut request).await {
        Ok(identified) => identified,
        Err(_) if is_public => return next.run(request).await,
        Err(Unidentified::Nobody) => return unauthorized(&identity),
        Err(error @ Unidentified::NoAnswer) => {
            return ApiError::unavailable(error.to_string()).into_response();
        }
    };
    let caller = caller.under(&api.policy.load());
    let line = line(&caller, &name);
    request.extensions_mut().insert(caller);
    let served = async {
        if let Err(error) = revision::wait(&api, request.headers()).await {
            return error.into_response();
        }
        next.run(request).await
    };
    let mut response = fair::made_for(line, served).await;
    response.extensions_mut().insert(name);
    response
}

/// Who takes turns: the caller's project, or the user who calls for none.
fn line(caller: &Caller, name: &CallerName) -> Option<String> {
    caller
        .project
        .clone()
        .or_else(|| Some(format!("user {}", name.user.as_ref()?)))
}

/// In keystonemiddleware's words.
pub(crate) fn unauthorized(identity: &Identity) -> Response {
    let message = Unidentified::Nobody.to_string();
    let body = json!({"error": {"code": 401, "title": "Unauthorized", "message": message}});
    let mut response = (StatusCode::UNAUTHORIZED, Json(body)).into_response();
    let challenge = identity.challenge();
    response.headers_mut().insert(WWW_AUTHENTICATE, challenge);
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::contract::caller::Roles;

    #[test]
    fn users_without_a_project_take_turns_by_themselves() {
        let line_of = |user: &str, project: Option<&str>| {
            let caller = Caller::new(project.map(str::to_owned), Roles::default());
            line(&caller, &CallerName::of(user, project))
        };
        assert_eq!(line_of("a", Some("p")), line_of("b", Some("p")));
        assert_ne!(line_of("a", None), line_of("b", None));
        assert_ne!(line_of("a", None), line_of("b", Some("a")));
    }
}

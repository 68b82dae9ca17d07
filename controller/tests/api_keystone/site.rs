//! A cloud whose callers a played Keystone knows.

use crate::api::{Answer, Cloud};
use crate::played::Played;
use axum::body::Body;
use axum::http::{Method, Request};
use serde_json::{Value, json};
use sextant_controller::api::Identity;
use sextant_controller::http::Peer;
use sextant_controller::keystone::{Keystone, KeystoneSettings};
use sextant_controller::metrics::Metrics;
use sextant_model::Settings;

/// A cloud whose callers Keystone knows.
pub(crate) struct Site {
    pub(crate) keystone: Played,
    pub(crate) cloud: Cloud,
    pub(crate) metrics: Metrics,
    pub(crate) validator: Keystone,
}

impl Site {
    pub(crate) async fn new() -> Self {
        Self::with(|_| {}).await
    }

    pub(crate) async fn with(change: impl FnOnce(&mut KeystoneSettings)) -> Self {
        Self::of(Played::start().await, change)
    }

    /// One that asks this Keystone.
    pub(crate) fn of(keystone: Played, change: impl FnOnce(&mut KeystoneSettings)) -> Self {
        let mut settings = keystone.settings();
        change(&mut settings);
        let metrics = Metrics::new().unwrap();
        let validator = Keystone::new(settings, metrics.clone()).unwrap();
        let identity = Identity::Keystone(validator.clone());
        let cloud = Cloud::writing_by(Settings::default(), identity, |store| store);
        Self {
            keystone,
            cloud,
            metrics,
            validator,
        }
    }

    /// Gets other settings, as by SIGHUP.
    pub(crate) fn is_set(&self, settings: KeystoneSettings) {
        let again = self.validator.again(settings).unwrap();
        self.cloud.identify_by(Identity::Keystone(again));
    }

    /// A request with these headers, from a peer of its own.
    pub(crate) async fn from(&self, peer: &str, request: Request<Body>) -> Answer {
        let mut request = request;
        request.extensions_mut().insert(Peer {
            address: peer.parse().unwrap(),
            encrypted: false,
        });
        self.cloud.send(request).await
    }

    pub(crate) async fn ask(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<&Value>,
    ) -> Answer {
        self.from("192.0.2.1:5", request(method, path, headers, body))
            .await
    }

    pub(crate) async fn get(&self, headers: &[(&str, &str)]) -> Answer {
        self.ask(Method::GET, "/v2.0/networks", headers, None).await
    }

    pub(crate) async fn status(&self, token: &str) -> u16 {
        self.get(&[("x-auth-token", token)]).await.status.as_u16()
    }

    pub(crate) async fn makes_network(&self, token: &str, more: Value) -> Answer {
        let mut body = json!({"network": {"name": "n"}});
        let network = body["network"].as_object_mut().unwrap();
        network.extend(more.as_object().unwrap().clone());
        let headers = [("x-auth-token", token)];
        self.ask(Method::POST, "/v2.0/networks", &headers, Some(&body))
            .await
    }

    pub(crate) fn counted(&self, metric: &str) -> u64 {
        let page = self.metrics.render().unwrap();
        let line = page.lines().find(|line| line.starts_with(metric));
        let line = line.unwrap_or_else(|| panic!("no {metric}"));
        line.rsplit_once(' ').unwrap().1.parse().unwrap()
    }
}

pub(crate) fn request(
    method: Method,
    path: &str,
    headers: &[(&str, &str)],
    body: Option<&Value>,
) -> Request<Body> {
    let octets = body.map_or_else(Body::empty, |body| Body::from(body.to_string()));
    let request = Request::builder().method(method).uri(path);
    let request = headers.iter().fold(request, |request, (name, value)| {
        request.header(*name, *value)
    });
    request.body(octets).unwrap()
}

/// All results, in order, of what is done at once.
pub(crate) async fn join_all<T>(all: Vec<impl Future<Output = T>>) -> Vec<T> {
    let mut pinned: Vec<_> = all.into_iter().map(Box::pin).collect();
    let mut done: Vec<Option<T>> = pinned.iter().map(|_| None).collect();
    std::future::poll_fn(|context| {
        for (future, done) in pinned.iter_mut().zip(&mut done) {
            if done.is_none()
                && let std::task::Poll::Ready(value) = future.as_mut().poll(context)
            {
                *done = Some(value);
            }
        }
        match done.iter().all(Option::is_some) {
            true => std::task::Poll::Ready(()),
            false => std::task::Poll::Pending,
        }
    })
    .await;
    done.into_iter().flatten().collect()
}

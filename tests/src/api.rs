//! HTTP from the test's process into the `ctl` namespace: a thread that has entered the
//! namespace sends the requests, one after the other, and hands the answers back.

use crate::error::LabError;
use crate::namespace::Namespace;
use crate::plan::CONTROLLER;
use serde_json::Value;
use std::net::{Ipv6Addr, SocketAddr};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;
use std::time::Duration;
use ureq::Agent;
use ureq::http::Request;

const TIMEOUT: Duration = Duration::from_secs(30);

/// An answer of the API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// Status code.
    pub status: u16,
    /// Header names in lower case, with their values.
    pub headers: Vec<(String, String)>,
    /// The body as it came.
    pub text: String,
}

impl Reply {
    /// The first header of this name (in lower case).
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut found = self.headers.iter().filter(|(header, _)| header == name);
        found.next().map(|(_, value)| value.as_str())
    }

    /// The body as JSON: null when it is empty, a text when it is no JSON.
    #[must_use]
    pub fn json(&self) -> Value {
        if self.text.is_empty() {
            return Value::Null;
        }
        serde_json::from_str(&self.text).unwrap_or_else(|_| Value::String(self.text.clone()))
    }
}

struct Job {
    request: Request<String>,
    reply: Sender<Result<Reply, String>>,
}

/// A client of the controller's API, with a connection and a thread of its own.
#[derive(Debug)]
pub struct Api {
    /// Where its thread lives; none for the namespace of this process.
    namespace: Option<Namespace>,
    listener: SocketAddr,
    timeout: Duration,
    jobs: Sender<Job>,
}

impl Api {
    pub(crate) fn connect(namespace: &Namespace) -> Result<Self, LabError> {
        Self::of(namespace, CONTROLLER)
    }

    /// A client in a namespace from which a controller has this address.
    pub(crate) fn of(namespace: &Namespace, controller: Ipv6Addr) -> Result<Self, LabError> {
        Self::open(Some(namespace), (controller, 9696).into(), TIMEOUT)
    }

    /// The same for requests that are given up after this time.
    pub(crate) fn of_within(
        namespace: &Namespace,
        controller: Ipv6Addr,
        timeout: Duration,
    ) -> Result<Self, LabError> {
        Self::open(Some(namespace), (controller, 9696).into(), timeout)
    }

    /// A client of a controller in the namespace of this process.
    pub(crate) fn beside(listener: SocketAddr) -> Result<Self, LabError> {
        Self::open(None, listener, TIMEOUT)
    }

    fn open(
        namespace: Option<&Namespace>,
        listener: SocketAddr,
        timeout: Duration,
    ) -> Result<Self, LabError> {
        let (jobs, todo) = mpsc::channel();
        let (entered, outcome) = mpsc::channel();
        let inside = namespace.cloned();
        thread::Builder::new()
            .name("lab-api".to_owned())
            .spawn(move || {
                let joined = inside.map_or(Ok(()), |namespace| namespace.join());
                let proceed = joined.is_ok();
                if entered.send(joined).is_ok() && proceed {
                    serve(&todo, timeout);
                }
            })
            .map_err(LabError::io("start the API client's thread"))?;
        outcome
            .recv()
            .map_err(|error| LabError::unexpected("the API client's thread", error))??;
        Ok(Self {
            namespace: namespace.cloned(),
            listener,
            timeout,
            jobs,
        })
    }

    /// Another client beside this one, for requests at the same time.
    ///
    /// # Errors
    /// [`LabError::Io`] when its thread cannot start.
    pub fn another(&self) -> Result<Self, LabError> {
        Self::open(self.namespace.as_ref(), self.listener, self.timeout)
    }

    /// `GET path`: status code and body.
    ///
    /// # Errors
    /// [`LabError::Http`] when there is no answer.
    pub fn get(&self, path: &str) -> Result<(u16, Value), LabError> {
        self.exchange("GET", path, None)
    }

    /// `POST path`: status code and body.
    ///
    /// # Errors
    /// [`LabError::Http`] when there is no answer.
    pub fn post(&self, path: &str, body: &Value) -> Result<(u16, Value), LabError> {
        self.exchange("POST", path, Some(body))
    }

    /// `PUT path`: status code and body.
    ///
    /// # Errors
    /// [`LabError::Http`] when there is no answer.
    pub fn put(&self, path: &str, body: &Value) -> Result<(u16, Value), LabError> {
        self.exchange("PUT", path, Some(body))
    }

    /// `DELETE path`: status code and body.
    ///
    /// # Errors
    /// [`LabError::Http`] when there is no answer.
    pub fn delete(&self, path: &str) -> Result<(u16, Value), LabError> {
        self.exchange("DELETE", path, None)
    }

    fn exchange(
        &self,
        method: &str,
        path: &str,
        body: Option<&Value>,
    ) -> Result<(u16, Value), LabError> {
        let text = body.map(Value::to_string).unwrap_or_default();
        let reply = self.request(method, path, &[], &text)?;
        Ok((reply.status, reply.json()))
    }

    /// Any request, with its headers and its body as they are; `Content-Type` is JSON unless
    /// given. `path` is on the API's listener, or a whole `http://` address.
    ///
    /// # Errors
    /// [`LabError::Http`] when there is no answer.
    pub fn request(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Result<Reply, LabError> {
        let url = match path.starts_with("http://") {
            true => path.to_owned(),
            false => format!("http://{}{path}", self.listener),
        };
        let request = build(method, &url, headers, body);
        let reply = request.and_then(|request| self.send(request));
        reply.map_err(|reason| LabError::Http {
            method: method.to_owned(),
            url,
            reason,
        })
    }

    /// The text of a page; an answer other than 200 is an error.
    pub(crate) fn text(&self, url: &str) -> Result<String, LabError> {
        let reply = self.request("GET", url, &[], "")?;
        if reply.status == 200 {
            return Ok(reply.text);
        }
        Err(LabError::Http {
            method: "GET".to_owned(),
            url: url.to_owned(),
            reason: format!("status {}: {}", reply.status, reply.text),
        })
    }

    fn send(&self, request: Request<String>) -> Result<Reply, String> {
        let (reply, answer) = mpsc::channel();
        self.jobs
            .send(Job { request, reply })
            .map_err(|error| error.to_string())?;
        answer.recv().map_err(|error| error.to_string())?
    }
}

fn build(
    method: &str,
    url: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> Result<Request<String>, String> {
    let mut request = Request::builder().method(method).uri(url);
    let typed = headers
        .iter()
        .any(|(name, _)| name.eq_ignore_ascii_case("content-type"));
    if !body.is_empty() && !typed {
        request = request.header("Content-Type", "application/json");
    }
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request
        .body(body.to_owned())
        .map_err(|error| error.to_string())
}

fn serve(todo: &Receiver<Job>, timeout: Duration) {
    let agent: Agent = Agent::config_builder()
        .http_status_as_error(false)
        .allow_non_standard_methods(true)
        .max_redirects(0)
        .timeout_global(Some(timeout))
        .proxy(None)
        .build()
        .into();
    for job in todo {
        // A caller that has gone away needs no answer.
        let _ = job.reply.send(answer(&agent, job.request));
    }
}

fn answer(agent: &Agent, request: Request<String>) -> Result<Reply, String> {
    let sent = match request.body().is_empty() {
        true => agent.run(request.map(drop)),
        false => agent.run(request),
    };
    let mut response = sent.map_err(|error| error.to_string())?;
    let headers = response.headers().iter().map(|(name, value)| {
        let value = String::from_utf8_lossy(value.as_bytes());
        (name.as_str().to_owned(), value.into_owned())
    });
    let headers = headers.collect();
    let status = response.status().as_u16();
    let text = response.body_mut().with_config().limit(u64::MAX);
    let text = text.read_to_string().map_err(|error| error.to_string())?;
    Ok(Reply {
        status,
        headers,
        text,
    })
}

//! Answers with resources, written directly into the text that is sent.

use crate::api::contract::resource::{Resource, show};
use crate::api::contract::shown::{Fields, Shown};
use crate::api::contract::view::ResourceView;
use axum::body::Body;
use axum::http::StatusCode;
use axum::http::header::{CONTENT_TYPE, HeaderValue};
use axum::response::{IntoResponse, Response};
use serde_json::Value;
use std::sync::Arc;

/// The usual length of a resource, so that a growing list seldom moves in memory.
const USUAL_LENGTH: usize = 1200;

/// One resource in its envelope.
pub(crate) fn one<R: Resource>(
    status: StatusCode,
    resource: &R,
    view: ResourceView<'_>,
    wanted: Fields<'_>,
) -> Response {
    let mut text = Vec::with_capacity(USUAL_LENGTH);
    open(&mut text, R::NAME);
    write(&mut text, resource, view, wanted);
    text.push(b'}');
    json(status, text)
}

/// Several resources in their envelope.
pub(crate) fn many<R: Resource>(
    status: StatusCode,
    resources: &[Arc<R>],
    view: ResourceView<'_>,
    wanted: Fields<'_>,
) -> Response {
    let mut text = Vec::with_capacity((resources.len() + 1) * USUAL_LENGTH);
    open_many::<R>(&mut text);
    for (n, resource) in resources.iter().enumerate() {
        if n > 0 {
            text.push(b',');
        }
        write(&mut text, &**resource, view, wanted);
    }
    close_many::<R>(&mut text, &[]);
    json(status, text)
}

/// Begins the envelope of several resources.
pub(crate) fn open_many<R: Resource>(text: &mut Vec<u8>) {
    open(text, R::COLLECTION);
    text.push(b'[');
}

/// Ends it, with links to other pages if there are any.
pub(crate) fn close_many<R: Resource>(text: &mut Vec<u8>, links: &[Value]) {
    text.push(b']');
    if !links.is_empty() {
        text.extend_from_slice(format!(r#","{}_links":"#, R::COLLECTION).as_bytes());
        text.extend_from_slice(Value::from(links).to_string().as_bytes());
    }
    text.push(b'}');
}

fn open(text: &mut Vec<u8>, envelope: &str) {
    text.extend_from_slice(b"{\"");
    text.extend_from_slice(envelope.as_bytes());
    text.extend_from_slice(b"\":");
}

/// One of several resources.
pub(crate) fn write<R: Resource>(
    text: &mut Vec<u8>,
    resource: &R,
    view: ResourceView<'_>,
    wanted: Fields<'_>,
) {
    let hidden = view.caller.hidden(view.intent, resource);
    Shown::write(text, wanted, |shown| {
        shown.hide(hidden);
        show(resource, view, shown);
    });
}

/// An answer of this JSON.
pub(crate) fn json(status: StatusCode, text: impl Into<Body>) -> Response {
    let kind = HeaderValue::from_static("application/json");
    (status, [(CONTENT_TYPE, kind)], text.into()).into_response()
}

//! The answer to a list, written a portion at a time.
//!
//! A short list is one body. Of a longer one, the rest is written while the client takes it: each portion is a turn at
//! the gate, so that other requests are served in between. However long the list is, no more than a portion is in memory.

use crate::api::contract::caller::Caller;
use crate::api::contract::error::ApiError;
use crate::api::contract::resource::Resource;
use crate::api::requests::answer;
use crate::api::requests::gate::Gate;
use crate::api::requests::query::stage::{ListProgress, ListStage};
use crate::api::requests::query::{Query, ShownPage};
use crate::fair;
use crate::snapshot::Snapshot;
use axum::body::{Body, Bytes};
use axum::http::StatusCode;
use axum::response::Response;
use hyper::body::Frame;
use std::convert::Infallible;
use std::mem::{replace, take};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::task::yield_now;

/// This many resources are written in no time.
const FEW: usize = 256;
/// As many as are written in a turn, which takes about 2 ms.
const TURN: usize = 1024;
/// The octets from which a list is sent in portions.
const LONG: usize = 128 << 10;

/// A list that is being written.
pub(crate) struct Listing<R: Resource> {
    snapshot: Arc<Snapshot>,
    caller: Caller,
    /// Who takes turns.
    line: Option<String>,
    query: Query<R>,
    /// The address of the list.
    link: String,
    /// `None`: the text is complete.
    stage: Option<ListStage<R>>,
    page: ShownPage<R::Id>,
    /// What is written and not sent.
    text: Vec<u8>,
}

impl<R: Resource> Listing<R> {
    /// Begins a list.
    ///
    /// # Errors
    /// The caller's fault: the marker is not in the list.
    pub(crate) fn begin(
        snapshot: Arc<Snapshot>,
        caller: Caller,
        query: Query<R>,
        link: String,
    ) -> Result<Self, ApiError> {
        let stage = query.begin(snapshot.view(&caller))?;
        let mut text = Vec::new();
        answer::open_many::<R>(&mut text);
        Ok(Self {
            snapshot,
            caller,
            line: fair::line(),
            query,
            link,
            stage: Some(stage),
            page: ShownPage {
                count: 0,
                ends: None,
            },
            text,
        })
    }

    /// The answer. Work beyond that of a short list waits for its turns at the gate.
    pub(crate) async fn answer(mut self, gate: &Gate) -> Response {
        self.turn(FEW);
        while self.stage.is_some() && self.text.len() < LONG {
            gate.pass(|| self.turn(TURN)).await;
        }
        match self.stage {
            None => answer::json(StatusCode::OK, self.text),
            Some(_) => answer::json(StatusCode::OK, Body::new(Portions::of(self, gate.clone()))),
        }
    }

    /// Works about as long as it takes to write so many resources.
    fn turn(&mut self, most: usize) {
        let mut cost = 0;
        while cost < most {
            let Some(stage) = self.stage.take() else {
                return;
            };
            let view = self.snapshot.view(&self.caller);
            let advance = stage.advance(&self.query, view, most);
            cost += advance.cost;
            self.write(advance);
        }
    }

    fn write(&mut self, advance: ListProgress<R>) {
        let view = self.snapshot.view(&self.caller);
        for resource in &advance.found {
            if self.page.count > 0 {
                self.text.push(b',');
            }
            answer::write(&mut self.text, &**resource, view, self.query.fields());
            self.page.add(resource.id());
        }
        self.stage = advance.next;
        if self.stage.is_none() {
            let links = self.query.links(&self.page, &self.link);
            answer::close_many::<R>(&mut self.text, &links);
        }
    }

    /// Writes the next portion, in turns that others come between.
    async fn portion(mut self: Box<Self>, gate: Gate) -> Box<Self> {
        let line = self.line.clone();
        let turns = async {
            while self.stage.is_some() && self.text.len() < LONG {
                yield_now().await;
                gate.pass(|| self.turn(TURN)).await;
            }
        };
        fair::made_for(line, turns).await;
        self
    }
}

/// The body of a long list.
struct Portions<R: Resource> {
    gate: Gate,
    state: Sending<R>,
}

enum Sending<R: Resource> {
    /// A portion can be sent.
    Written(Box<Listing<R>>),
    Writing(Pin<Box<dyn Future<Output = Box<Listing<R>>> + Send>>),
    Sent,
}

impl<R: Resource> Portions<R> {
    fn of(listing: Listing<R>, gate: Gate) -> Self {
        let state = Sending::Written(Box::new(listing));
        Self { gate, state }
    }
}

impl<R: Resource> hyper::body::Body for Portions<R> {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let mut listing = match replace(&mut self.state, Sending::Sent) {
            Sending::Written(listing) => listing,
            Sending::Writing(mut writing) => match writing.as_mut().poll(context) {
                Poll::Ready(listing) => listing,
                Poll::Pending => {
                    self.state = Sending::Writing(writing);
                    return Poll::Pending;
                }
            },
            Sending::Sent => return Poll::Ready(None),
        };
        let text = take(&mut listing.text);
        if listing.stage.is_some() {
            let writing = listing.portion(self.gate.clone());
            self.state = Sending::Writing(Box::pin(writing));
        }
        Poll::Ready(Some(Ok(Frame::data(text.into()))))
    }
}

//! A port's story, live: server-sent events (HTML Living Standard §9.2), each with the number of the port's event.
//!
//! A client that comes back with `Last-Event-ID` goes on after it. Events that were forgotten meanwhile are an event
//! `lost`, with how many.

use super::Web;
use super::streamed::Streamed;
use crate::control::STALL;
use crate::control::verbs::events::EventRow;
use crate::port_history::{PortEvent, PortHistory};
use axum::body::Body;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use sextant_model::PortId;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::time::{sleep, timeout};

/// Events come at most so often: what happens meanwhile comes together.
const PACE: Duration = Duration::from_millis(200);
/// A line without content after so long shows that the connection lives.
const QUIET: Duration = Duration::from_secs(15);
/// How many parts may wait for a client.
const PARTS: usize = 8;

/// Whose story.
#[derive(Debug, Deserialize)]
pub(super) struct AskedStory {
    port: PortId,
}

/// Tells a port's events as they happen.
pub(super) async fn follow(
    State(web): State<Web>,
    Query(asked): Query<AskedStory>,
    headers: HeaderMap,
) -> Response {
    let port = asked.port;
    if !web
        .known
        .snapshots
        .latest()
        .intent
        .ports
        .contains_key(&port)
    {
        let why = format!("no port has the id {port}\n");
        return (StatusCode::NOT_FOUND, why).into_response();
    }
    let Ok(place) = web.stories.clone().try_acquire_owned() else {
        let why = "too many stories are followed: close another page\n";
        return (StatusCode::SERVICE_UNAVAILABLE, why).into_response();
    };
    let last = headers.get("last-event-id");
    let last = last.and_then(|last| last.to_str().ok()?.parse().ok());
    let (give, parts) = mpsc::channel(PARTS);
    let story = Story {
        history: web.known.history,
        port,
        told: last.unwrap_or(0),
        times: u64::MAX,
    };
    let stopping = web.stopping.clone();
    tokio::spawn(async move {
        story.tell(give, stopping).await;
        drop(place);
    });
    let kind = [
        (header::CONTENT_TYPE, "text/event-stream"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    (kind, Body::from(Streamed(parts))).into_response()
}

/// How far a client has heard a story.
struct Story {
    history: PortHistory,
    port: PortId,
    /// The number of the last event that it has heard.
    told: u64,
    /// How often that had happened then.
    times: u64,
}

impl Story {
    /// Tells until the client leaves, or Sextant stops.
    async fn tell(mut self, give: mpsc::Sender<Vec<u8>>, mut stopping: watch::Receiver<()>) {
        loop {
            let changed = self.history.changed();
            let news = self.news();
            // Who reads nothing is given up: others wait for the place.
            if !news.is_empty() && give.send_timeout(news.into_bytes(), STALL).await.is_err() {
                return;
            }
            tokio::select! {
                waited = timeout(QUIET, changed) => {
                    let quiet = waited.is_err();
                    if quiet && give.send_timeout(b":\n\n".to_vec(), STALL).await.is_err() {
                        return;
                    }
                }
                () = give.closed() => return,
                stopped = stopping.changed() => if stopped.is_err() { return },
            }
            sleep(PACE).await;
        }
    }

    /// What the client has not heard yet.
    fn news(&mut self) -> String {
        let events = self.history.of(self.port);
        let (mut text, mut expected) = (String::new(), self.told + 1);
        // A restart numbers anew: then nothing of what the client has heard counts.
        if events.last().is_none_or(|newest| newest.number < self.told) {
            (self.told, expected) = (0, 1);
        }
        for event in events.iter().filter(|event| self.is_news(event)) {
            if event.number > expected {
                text += &format!("event: lost\ndata: {}\n\n", event.number - expected);
            }
            expected = event.number + 1;
            let row = serde_json::json!(EventRow::new(self.port, event));
            text += &format!("id: {}\ndata: {row}\n\n", event.number);
        }
        if let Some(newest) = events.last() {
            (self.told, self.times) = (newest.number, newest.times);
        }
        text
    }

    /// Whether an event is new, or has happened again.
    fn is_news(&self, event: &PortEvent) -> bool {
        event.number > self.told
            || (event.number == self.told && self.times != u64::MAX && event.times > self.times)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::port_history::LONGEST;

    fn story(history: &PortHistory, told: u64) -> Story {
        Story {
            history: history.clone(),
            port: PortId::MIN,
            told,
            times: u64::MAX,
        }
    }

    fn ids(text: &str) -> Vec<&str> {
        text.lines()
            .filter_map(|line| line.strip_prefix("id: "))
            .collect()
    }

    #[test]
    fn each_event_is_told_once_and_again_when_it_happens_again() {
        let history = PortHistory::default();
        let mut story = story(&history, 0);
        assert_eq!(story.news(), "");
        history.record(PortId::MIN, "solicit", "advertise", 1);
        history.record(PortId::MIN, "request", "reply", 1);
        assert_eq!(ids(&story.news()), ["1", "2"]);
        assert_eq!(story.news(), "");
        history.record(PortId::MIN, "request", "reply", 1);
        let again = story.news();
        assert_eq!(ids(&again), ["2"]);
        assert!(again.contains("\"times\":2"), "{again}");
    }

    #[test]
    fn who_comes_back_goes_on_and_hears_what_was_lost() {
        let history = PortHistory::default();
        for number in 0..LONGEST + 10 {
            history.record(PortId::MIN, "moved", format!("to h{number}"), 1);
        }
        let news = story(&history, 5).news();
        assert!(news.starts_with("event: lost\ndata: 5\n\n"), "{news}");
        assert_eq!(ids(&news).len(), LONGEST);
        assert_eq!(ids(&story(&history, 40).news()), ["41", "42"]);
    }

    #[tokio::test(start_paused = true)]
    async fn who_does_not_read_is_given_up() {
        let history = PortHistory::default();
        history.record(PortId::MIN, "plugged in", "on h1", 1);
        let (give, _parts) = mpsc::channel(1);
        give.try_send(vec![]).unwrap();
        let (_running, stopping) = watch::channel(());
        // It comes to an end although Sextant runs, and the client is there.
        story(&history, 0).tell(give, stopping).await;
    }

    #[test]
    fn after_a_restart_the_story_begins_anew() {
        let history = PortHistory::default();
        history.record(PortId::MIN, "plugged in", "on h1", 1);
        assert_eq!(ids(&story(&history, 17).news()), ["1"]);
    }
}

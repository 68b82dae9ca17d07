//! Captures of ports' frames: who waits for copies of them.
//!
//! While a port is captured, its flows send up a copy of what its guest sends and gets. Frames that this process itself sends to
//! the port pass no such flow, and are copied here.

use crate::state::{Event, Events};
use bytes::Bytes;
use rust_openflow::{Action, Message, PortNo};
use sextant_model::{ChassisId, FrameDirection, PortId};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;
use tokio::sync::mpsc;

/// The most ports that are captured at a time.
pub const MOST_CAPTURED: usize = 4;
/// How many frames may wait for who captures. The rest is lost, and counted.
const WAITING: usize = 4096;

/// A frame of a captured port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CapturedFrame {
    /// When it came to this process, or left it.
    pub at: SystemTime,
    /// Which way it went.
    pub direction: FrameDirection,
    /// All of it.
    pub octets: Bytes,
}

/// The ports that are captured.
#[derive(Clone, Debug, Default)]
pub struct Captures(Arc<CapturedPorts>);

#[derive(Debug, Default)]
struct CapturedPorts {
    /// Whether there are any: the only thing that is read for each packet while there are none.
    any: AtomicBool,
    takers: Mutex<BTreeMap<PortId, Taker>>,
}

#[derive(Debug)]
struct Taker {
    /// Where the port was when its capture began.
    place: (ChassisId, PortNo),
    frames: mpsc::Sender<CapturedFrame>,
    lost: Arc<AtomicU64>,
}

/// Why a capture does not begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoCapture {
    /// Somebody else captures the port.
    #[error("somebody captures this port already")]
    Taken,
    /// There are too many.
    #[error("{MOST_CAPTURED} ports are captured at the moment, which is the most: try again")]
    TooMany,
    /// The process is stopping.
    #[error("this Sextant is stopping")]
    Stopping,
}

/// A capture under way.
#[derive(Debug)]
pub struct Capture {
    captures: Captures,
    port: PortId,
    events: Events,
    frames: mpsc::Receiver<CapturedFrame>,
    lost: Arc<AtomicU64>,
}

impl Captures {
    /// Begins to capture the frames of a port at its place.
    ///
    /// # Errors
    /// [`NoCapture`].
    pub async fn begin(
        &self,
        port: PortId,
        place: (ChassisId, PortNo),
        events: Events,
    ) -> Result<Capture, NoCapture> {
        let capture = self.enter(port, place, events)?;
        let event = Event::Captured(port, true);
        match capture.events.send(event).await {
            Ok(()) => Ok(capture),
            Err(_) => {
                self.leave(port);
                Err(NoCapture::Stopping)
            }
        }
    }

    fn enter(
        &self,
        port: PortId,
        place: (ChassisId, PortNo),
        events: Events,
    ) -> Result<Capture, NoCapture> {
        let mut takers = self.takers();
        if takers.contains_key(&port) {
            return Err(NoCapture::Taken);
        }
        if takers.len() >= MOST_CAPTURED {
            return Err(NoCapture::TooMany);
        }
        let (frames, received) = mpsc::channel(WAITING);
        let lost = Arc::new(AtomicU64::new(0));
        let taker = Taker {
            place,
            frames,
            lost: lost.clone(),
        };
        takers.insert(port, taker);
        self.0.any.store(true, Ordering::Relaxed);
        Ok(Capture {
            captures: self.clone(),
            port,
            events,
            frames: received,
            lost,
        })
    }

    fn leave(&self, port: PortId) {
        let mut takers = self.takers();
        takers.remove(&port);
        self.0.any.store(!takers.is_empty(), Ordering::Relaxed);
    }

    fn takers(&self) -> MutexGuard<'_, BTreeMap<PortId, Taker>> {
        let takers = self.0.takers.lock();
        takers.unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether any port is captured.
    #[must_use]
    pub fn are_any(&self) -> bool {
        self.0.any.load(Ordering::Relaxed)
    }

    /// A copy of a frame came up.
    pub fn came_up(&self, port: PortId, direction: FrameDirection, octets: &Bytes) {
        if let Some(taker) = self.takers().get(&port) {
            taker.give(direction, octets);
        }
    }

    /// A frame is sent to a port of a switch at once, not by the tables.
    pub fn sent(&self, chassis: &ChassisId, port: PortNo, message: &Message) {
        if !self.are_any() {
            return;
        }
        let Message::PacketOut(sent) = message else {
            return;
        };
        // What goes by the tables meets the port's flows.
        if !sent.actions.contains(&Action::output(port)) {
            return;
        }
        let takers = self.takers();
        let mut takers = takers.values();
        let taker = takers.find(|taker| (&taker.place.0, taker.place.1) == (chassis, port));
        if let Some(taker) = taker {
            taker.give(FrameDirection::ToGuest, &sent.data);
        }
    }
}

impl Taker {
    fn give(&self, direction: FrameDirection, octets: &Bytes) {
        let frame = CapturedFrame {
            at: SystemTime::now(),
            direction,
            octets: octets.clone(),
        };
        if self.frames.try_send(frame).is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Capture {
    /// The next frame.
    pub async fn next(&mut self) -> Option<CapturedFrame> {
        self.frames.recv().await
    }

    /// How many frames came up that nobody took in time.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }

    /// Ends it. The port can be captured again once its flows are on their way back to what they were.
    pub async fn end(self) {
        // Nobody is there to care if the process stops.
        let _ = self.events.send(Event::Captured(self.port, false)).await;
    }
}

impl Drop for Capture {
    fn drop(&mut self) {
        self.captures.leave(self.port);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::events;
    use rust_openflow::{NO_BUFFER, PacketOut, ports};

    fn to_port(port: u32, octets: &'static [u8]) -> Message {
        Message::PacketOut(PacketOut {
            buffer_id: NO_BUFFER,
            in_port: ports::CONTROLLER,
            actions: vec![Action::output(port)],
            data: Bytes::from_static(octets),
        })
    }

    #[tokio::test]
    async fn frames_go_to_who_captures_their_port_and_to_nobody_else() {
        let (captures, (events, mut told)) = (Captures::default(), events());
        let (port, h1) = (PortId::MIN, ChassisId::new("h1"));
        captures.sent(&h1, PortNo(7), &to_port(7, b"before"));
        let place = (h1.clone(), PortNo(7));
        let mut capture = captures.begin(port, place, events).await.unwrap();
        assert!(matches!(told.recv().await, Some(Event::Captured(of, true)) if of == port));
        captures.came_up(PortId::MAX, FrameDirection::FromGuest, &Bytes::new());
        captures.came_up(
            port,
            FrameDirection::FromGuest,
            &Bytes::from_static(b"asks"),
        );
        captures.sent(&h1, PortNo(8), &to_port(8, b"another"));
        captures.sent(&ChassisId::new("h2"), PortNo(7), &to_port(7, b"elsewhere"));
        captures.sent(&h1, PortNo(7), &to_port(8, b"by the tables"));
        captures.sent(&h1, PortNo(7), &to_port(7, b"answer"));
        let mut got = vec![];
        for _ in 0..2 {
            let frame = capture.next().await.unwrap();
            got.push((frame.direction, frame.octets));
        }
        let expected = [
            (FrameDirection::FromGuest, Bytes::from_static(b"asks")),
            (FrameDirection::ToGuest, Bytes::from_static(b"answer")),
        ];
        assert_eq!(got, expected);
        capture.end().await;
        assert!(matches!(told.recv().await, Some(Event::Captured(of, false)) if of == port));
        assert!(!captures.are_any());
    }

    #[tokio::test]
    async fn there_are_a_few_at_a_time_and_one_a_port_and_what_nobody_takes_is_counted() {
        let (captures, (events, _told)) = (Captures::default(), events());
        let place = || (ChassisId::new("h1"), PortNo(7));
        let ids = (0..=MOST_CAPTURED as u128).map(|id| PortId(uuid::Uuid::from_u128(id)));
        let ids: Vec<PortId> = ids.collect();
        let mut begun = vec![];
        for id in &ids[..MOST_CAPTURED] {
            begun.push(captures.begin(*id, place(), events.clone()).await.unwrap());
        }
        let refused = captures.begin(ids[0], place(), events.clone()).await;
        assert_eq!(refused.unwrap_err(), NoCapture::Taken);
        let refused = captures
            .begin(ids[MOST_CAPTURED], place(), events.clone())
            .await;
        assert_eq!(refused.unwrap_err(), NoCapture::TooMany);
        for _ in 0..WAITING + 3 {
            captures.came_up(ids[0], FrameDirection::ToGuest, &Bytes::new());
        }
        assert_eq!(begun[0].lost(), 3);
        begun.pop();
        captures
            .begin(ids[MOST_CAPTURED], place(), events)
            .await
            .unwrap();
    }
}

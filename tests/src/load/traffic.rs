//! Questions from the guests of one switch, in turn, and what becomes of them.
//!
//! Answers on one connection come in the order of the questions, which tells them apart.

use super::latency::Latencies;
use super::packets::{Asker, Question};
use super::switch::{PATIENCE, SwitchConnection};
use crate::deadline::Deadline;
use crate::error::LabError;
use bytes::{Bytes, BytesMut};
use rust_openflow::{
    Action, Cookie, Field, Match, Message, NO_BUFFER, PacketIn, PacketInReason, PacketOut, TableId,
    Xid,
};
use std::collections::VecDeque;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

/// Bytes of a header: version, type, length, xid.
const HEADER: usize = 8;
const PACKET_OUT: u8 = 13;
/// At a fixed rate, questions leave in bursts this far apart.
const TICK: Duration = Duration::from_micros(500);

/// How fast to ask.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Pace {
    /// As fast as answers come, with at most this many questions unanswered on each switch.
    Window(usize),
    /// This many questions a second on all switches together, whether answers come or not. Latency
    /// counts from when a question was due.
    Rate(f64),
}

/// What to ask, how fast and for how long.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Traffic {
    /// What to ask.
    pub question: Question,
    /// How fast.
    pub pace: Pace,
    /// For how long at most.
    pub time: Duration,
    /// How many questions at most, on all switches together.
    pub count: u64,
}

/// What became of the questions of one switch, or of several.
#[derive(Clone, Debug, Default)]
pub(super) struct Tally {
    /// Questions sent.
    pub(super) asked: u64,
    /// Right answers.
    pub(super) answered: u64,
    /// Packets that nobody asked for: advertisements that were due.
    pub(super) unasked: u64,
    /// How long answers took.
    pub(super) latencies: Latencies,
}

impl Tally {
    pub(super) fn merge(&mut self, other: &Self) {
        self.asked += other.asked;
        self.answered += other.answered;
        self.unasked += other.unasked;
        self.latencies.merge(&other.latencies);
    }
}

/// One guest's question.
#[derive(Debug)]
pub(super) struct Ask {
    question: Question,
    guest: Asker,
    port: u32,
    /// The packet-in.
    request: Bytes,
    /// The packet-out after its header, once it has been verified.
    answer: Bytes,
}

impl Ask {
    pub(super) fn new(
        question: Question,
        guest: Asker,
        port: u32,
        cookie: Cookie,
    ) -> Result<Self, LabError> {
        let data = Bytes::from(question.frame(&guest));
        // The fields that Open vSwitch tells of a packet in this pipeline.
        let matches = Match::new()
            .with(Field::IN_PORT, port)
            .with(Field::reg(0), 1_u8)
            .with(Field::reg(1), 1_u8);
        let packet = Message::PacketIn(PacketIn {
            buffer_id: NO_BUFFER,
            total_len: u16::try_from(data.len()).unwrap_or(u16::MAX),
            reason: PacketInReason::Action,
            table: TableId(16),
            cookie,
            matches,
            data,
        });
        let mut request = BytesMut::new();
        packet
            .encode(Xid(0), &mut request)
            .map_err(|error| LabError::unexpected("a message's length", error))?;
        Ok(Self {
            question,
            guest,
            port,
            request: request.freeze(),
            answer: Bytes::new(),
        })
    }

    /// Whether a packet-out is the right answer.
    fn check(&self, packet: &PacketOut) -> Result<(), LabError> {
        let to_port =
            matches!(packet.actions[..], [Action::Output { port, .. }] if port.0 == self.port);
        let checked = match to_port {
            true => self.question.check(&self.guest, &packet.data),
            false => Err("not to the port that asked"),
        };
        checked.map_err(|wrong| {
            LabError::unexpected(
                format!("the answer to port {}'s {:?}", self.port, self.question),
                format!("{wrong}: {packet:?}"),
            )
        })
    }
}

/// A question that waits for its answer.
struct Waiting {
    ask: usize,
    since: Instant,
}

/// The traffic of one switch.
pub(super) struct Lane<'a> {
    switch: &'a mut SwitchConnection,
    asks: Vec<Ask>,
    next: usize,
    limit: u64,
    waiting: VecDeque<Waiting>,
    tally: Tally,
}

impl<'a> Lane<'a> {
    /// At most `limit` questions, from one guest after the other.
    pub(super) fn new(switch: &'a mut SwitchConnection, asks: Vec<Ask>, limit: u64) -> Self {
        Self {
            switch,
            asks,
            next: 0,
            limit,
            waiting: VecDeque::new(),
            tally: Tally::default(),
        }
    }

    /// Asks as fast as answers come.
    pub(super) fn with_window(mut self, window: usize, end: Instant) -> Result<Tally, LabError> {
        loop {
            let now = Instant::now();
            let room = window.saturating_sub(self.waiting.len());
            if now < end {
                self.ask(room as u64, now)?;
            }
            if self.waiting.is_empty() {
                return Ok(self.tally);
            }
            self.hear()?;
        }
    }

    /// Asks `rate` times a second.
    pub(super) fn at_rate(mut self, rate: f64, end: Instant) -> Result<Tally, LabError> {
        let begin = Instant::now();
        let mut due = begin;
        while due < end && self.tally.asked < self.limit {
            while due <= Instant::now() {
                let wanted = (due + TICK - begin).as_secs_f64() * rate;
                self.ask((wanted as u64).saturating_sub(self.tally.asked), due)?;
                due += TICK;
            }
            if self.is_readable(due.saturating_duration_since(Instant::now()))? {
                self.hear()?;
            }
        }
        while !self.waiting.is_empty() {
            self.hear()?;
        }
        Ok(self.tally)
    }

    fn is_readable(&self, within: Duration) -> Result<bool, LabError> {
        Deadline::after(within).wait_readable(&[self.switch.stream().as_fd()])
    }

    fn ask(&mut self, count: u64, since: Instant) -> Result<(), LabError> {
        let count = count.min(self.limit - self.tally.asked);
        for _ in 0..count {
            let ask = self.next;
            self.next = (ask + 1) % self.asks.len();
            self.switch
                .outgoing
                .extend_from_slice(&self.asks[ask].request);
            self.waiting.push_back(Waiting { ask, since });
        }
        self.tally.asked += count;
        self.switch.write()
    }

    /// Waits for bytes and takes in what came.
    fn hear(&mut self) -> Result<(), LabError> {
        self.switch.read().map_err(|error| {
            let unanswered = self.waiting.len();
            let seen = format!("{error}, with {unanswered} questions unanswered");
            Deadline::after(PATIENCE).missed("an answer", seen)
        })?;
        let now = Instant::now();
        while let Some(frame) = self.switch.next_frame()? {
            let bytes = self.switch.bytes(&frame);
            let expected = self.waiting.front().map(|front| &self.asks[front.ask]);
            let is_answer = expected
                .is_some_and(|ask| bytes[1] == PACKET_OUT && bytes[HEADER..] == ask.answer[..]);
            match is_answer {
                true => self.answered(now),
                false => self.other(&frame, now)?,
            }
        }
        Ok(())
    }

    fn answered(&mut self, now: Instant) {
        if let Some(waited) = self.waiting.pop_front() {
            self.tally.answered += 1;
            let latency = now.saturating_duration_since(waited.since);
            self.tally.latencies.add(latency, 1);
        }
    }

    /// A message that is no answer seen before.
    fn other(&mut self, frame: &std::ops::Range<usize>, now: Instant) -> Result<(), LabError> {
        let (xid, message) = self.switch.decode(frame)?;
        let Message::PacketOut(packet) = message else {
            self.switch.serve(xid, message)?;
            return self.switch.write();
        };
        if !matches!(packet.actions[..], [Action::Output { .. }]) {
            self.tally.unasked += 1;
            return Ok(());
        }
        let front = self.waiting.front().map(|front| front.ask);
        let Some(ask) = front.map(|ask| &mut self.asks[ask]) else {
            return Err(LabError::unexpected("a packet-out", format!("{packet:?}")));
        };
        ask.check(&packet)?;
        if !ask.answer.is_empty() {
            let found = format!("another than the one before: {packet:?}");
            return Err(LabError::unexpected("an answer", found));
        }
        ask.answer = Bytes::copy_from_slice(&self.switch.bytes(frame)[HEADER..]);
        self.answered(now);
        Ok(())
    }
}

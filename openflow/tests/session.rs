//! The session against a switch that the test plays, octet by octet, under a clock that the test moves.

#![allow(clippy::unwrap_used)]

#[path = "parts/tables.rs"]
mod tables;

use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use rust_openflow::{
    AnswerError, Capabilities, ErrorCode, ErrorMessage, Event, Features, Framer, Hello, Message,
    MultipartRequest, Options, Session, SessionError, Xid,
};

use tables::tables;

const FEATURES: Features = Features {
    datapath_id: 7,
    buffers: 0,
    tables: 254,
    auxiliary_id: 0,
    capabilities: Capabilities(79),
};
const SECOND: Duration = Duration::from_secs(1);

/// A session, and the test in the role of its switch.
struct Talk {
    session: Session,
    now: Instant,
    received: BytesMut,
}

impl Talk {
    fn new(options: Options) -> Self {
        let now = tokio::time::Instant::now().into_std();
        let session = Session::new(options, now);
        let received = BytesMut::new();
        Talk {
            session,
            now,
            received,
        }
    }

    /// A session after its handshake.
    fn ready() -> Self {
        Self::ready_with(Options::default())
    }

    fn ready_with(options: Options) -> Self {
        let mut talk = Talk::new(options);
        talk.say(9, &Message::Hello(Hello::openflow13()));
        assert_eq!(talk.event(), None);
        assert_eq!(talk.hear().unwrap().1, Message::Hello(Hello::openflow13()));
        let (xid, request) = talk.hear().unwrap();
        assert_eq!(request, Message::FeaturesRequest);
        talk.say(xid, &Message::FeaturesReply(FEATURES));
        assert_eq!(talk.event(), Some(Event::Ready(FEATURES)));
        talk
    }

    fn say(&mut self, xid: impl Into<Xid>, message: &Message) {
        let octets = encoded(xid, message);
        self.session.handle_input(&octets, self.now);
    }

    /// The next message that the session has sent.
    fn hear(&mut self) -> Option<(Xid, Message)> {
        self.accept(usize::MAX);
        let frame = Framer.next(&mut self.received).unwrap()?;
        Some(Message::decode(&frame).unwrap())
    }

    /// Takes up to this many octets of the session's output.
    fn accept(&mut self, most: usize) {
        let octets = self.session.poll_transmit(self.now).unwrap_or_default();
        let taken = octets.len().min(most);
        self.received.extend_from_slice(&octets[..taken]);
        if taken > 0 {
            self.session.handle_transmitted(taken, self.now);
        }
    }

    fn event(&mut self) -> Option<Event> {
        self.session.poll_event().unwrap()
    }

    fn failure(&mut self) -> SessionError {
        self.session.poll_event().unwrap_err()
    }

    /// Lets the clock run to the session's next deadline.
    fn wait(&mut self) -> Duration {
        let deadline = self.session.poll_timeout().unwrap();
        let waited = deadline.saturating_duration_since(self.now);
        self.now += waited;
        self.session.handle_timeout(self.now);
        waited
    }
}

fn encoded(xid: impl Into<Xid>, message: &Message) -> BytesMut {
    let mut octets = BytesMut::new();
    message.encode(xid, &mut octets).unwrap();
    octets
}

fn message(xid: impl Into<Xid>, message: Message) -> Option<Event> {
    let xid = xid.into();
    Some(Event::Message { xid, message })
}

fn echo(text: &'static str) -> Bytes {
    Bytes::from_static(text.as_bytes())
}

const QUESTION: Message = Message::MultipartRequest(MultipartRequest::Table);

#[test]
fn the_stream_may_be_cut_anywhere() {
    let mut whole = encoded(1, &Message::Hello(Hello::openflow13()));
    whole.extend_from_slice(&encoded(3, &Message::BarrierReply));
    whole.extend_from_slice(&encoded(2, &Message::FeaturesReply(FEATURES)));
    whole.extend_from_slice(&encoded(4, &Message::GetConfigRequest));
    for step in 1..=whole.len() {
        let mut talk = Talk::new(Options::default());
        let mut events = Vec::new();
        for piece in whole.chunks(step) {
            talk.session.handle_input(piece, talk.now);
            events.extend(std::iter::from_fn(|| talk.event()));
        }
        let expected = [
            Some(Event::Ready(FEATURES)),
            message(3, Message::BarrierReply),
            message(4, Message::GetConfigRequest),
        ];
        assert_eq!(events, expected.map(Option::unwrap), "pieces of {step}");
    }
}

#[test]
fn an_echo_is_answered_even_in_a_handshake() {
    let mut talk = Talk::new(Options::default());
    talk.say(1, &Message::Hello(Hello::default()));
    talk.say(5, &Message::EchoRequest(echo("abc")));
    assert_eq!(talk.event(), None);
    let sent: Vec<_> = std::iter::from_fn(|| talk.hear()).collect();
    assert_eq!(
        sent.last(),
        Some(&(Xid(5), Message::EchoReply(echo("abc"))))
    );
}

#[test]
fn a_handshake_has_its_time_and_no_more() {
    let mut talk = Talk::new(Options::default());
    assert_eq!(talk.wait(), 10 * SECOND);
    assert_eq!(talk.failure(), SessionError::HandshakeTimeout(10 * SECOND));
    assert_eq!(talk.session.poll_timeout(), None);
}

#[test]
fn a_switch_of_another_version_is_answered_before_the_end() {
    let mut talk = Talk::new(Options::default());
    let hello = [1, 0, 0, 8, 0, 0, 0, 1];
    talk.session.handle_input(&hello, talk.now);
    let version = SessionError::Version {
        version: 1,
        bitmap: None,
    };
    assert_eq!(talk.failure(), version);
    assert_eq!(talk.failure(), version, "a failure stays");
    talk.hear();
    let (_, Message::Error(error)) = talk.hear().unwrap() else {
        panic!("no error")
    };
    assert_eq!(error.code, ErrorCode::HELLO_INCOMPATIBLE);
}

#[test]
fn the_parts_of_answers_are_put_together_in_any_order() {
    let mut talk = Talk::ready();
    let first = talk.session.ask(&QUESTION).unwrap();
    let second = talk.session.ask(&QUESTION).unwrap();
    talk.say(first, &tables(true, 0));
    talk.say(second, &tables(true, 8));
    talk.say(0, &Message::BarrierReply);
    talk.say(second, &tables(false, 9));
    talk.say(first, &tables(false, 1));
    assert_eq!(talk.event(), message(0, Message::BarrierReply));
    let answer = |xid, answer| Some(Event::Answer { xid, answer });
    let second_answer = Ok(vec![tables(true, 8), tables(false, 9)]);
    assert_eq!(talk.event(), answer(second, second_answer));
    let first_answer = Ok(vec![tables(true, 0), tables(false, 1)]);
    assert_eq!(talk.event(), answer(first, first_answer));
    assert_eq!(talk.event(), None);
}

#[test]
fn one_answer_can_be_waited_for_and_the_rest_is_kept() {
    let mut talk = Talk::ready();
    let first = talk.session.ask(&QUESTION).unwrap();
    let second = talk.session.ask(&Message::BarrierRequest).unwrap();
    talk.say(0, &Message::GetConfigRequest);
    talk.say(second, &Message::BarrierReply);
    assert_eq!(talk.session.poll_answer(first), Ok(None));
    talk.say(first, &tables(false, 1));
    let answer = Some(Ok(vec![tables(false, 1)]));
    assert_eq!(talk.session.poll_answer(first), Ok(answer));
    let answer = Some(Ok(vec![Message::BarrierReply]));
    assert_eq!(talk.session.poll_answer(second), Ok(answer));
    assert_eq!(talk.event(), message(0, Message::GetConfigRequest));
}

#[test]
fn a_question_may_be_refused_or_answered_with_nonsense() {
    let mut talk = Talk::ready();
    let [refused, malformed] = [&QUESTION; 2].map(|question| talk.session.ask(question).unwrap());
    let error = ErrorMessage {
        code: ErrorCode::BAD_LENGTH,
        data: Bytes::new(),
    };
    talk.say(refused, &Message::Error(error.clone()));
    let mut octets = encoded(malformed, &Message::BarrierReply);
    octets[3] = 9;
    octets.extend_from_slice(&[0]);
    talk.session.handle_input(&octets, talk.now);
    let answer = Err(AnswerError::Refused(error));
    assert_eq!(
        talk.event(),
        Some(Event::Answer {
            xid: refused,
            answer
        })
    );
    let event = talk.event().unwrap();
    let Event::Answer {
        xid,
        answer: Err(AnswerError::Malformed(_)),
    } = event
    else {
        panic!("{event:?}")
    };
    assert_eq!(xid, malformed);
}

#[test]
fn a_silent_switch_is_asked_and_then_given_up() {
    let mut talk = Talk::ready();
    talk.now += 3 * SECOND;
    talk.say(1, &Message::BarrierReply);
    assert_eq!(talk.wait(), 5 * SECOND);
    let (xid, probe) = talk.hear().unwrap();
    assert_eq!(probe, Message::EchoRequest(Bytes::new()));
    talk.now += 4 * SECOND;
    talk.say(xid, &Message::EchoReply(Bytes::new()));
    assert_eq!(talk.event(), message(1, Message::BarrierReply));
    assert_eq!(talk.event(), None, "echoes are hidden");
    assert_eq!(talk.wait(), 5 * SECOND);
    talk.hear();
    assert_eq!(talk.wait(), 5 * SECOND);
    assert_eq!(talk.failure(), SessionError::Dead(10 * SECOND));
}

#[test]
fn a_silent_switch_is_dead_however_much_it_is_sent() {
    let mut talk = Talk::ready();
    let begun = talk.now;
    while talk.session.failure().is_none() {
        talk.now += SECOND;
        talk.session.handle_timeout(talk.now);
        talk.session.send(&Message::GetConfigRequest).unwrap();
        while talk.hear().is_some() {}
        assert!(talk.now - begun <= 11 * SECOND);
    }
    assert_eq!(talk.failure(), SessionError::Dead(10 * SECOND));
}

#[test]
fn a_slow_reader_is_not_dead_but_one_that_stops_is_stuck() {
    let mut talk = Talk::ready();
    for _ in 0..4 {
        talk.session.send(&Message::BarrierRequest).unwrap();
    }
    for _ in 0..3 {
        talk.accept(1);
        talk.now += 9 * SECOND;
        talk.session.handle_timeout(talk.now);
        assert_eq!(talk.event(), None);
    }
    assert_eq!(talk.wait(), SECOND);
    assert_eq!(talk.failure(), SessionError::Stuck(10 * SECOND));
}

#[test]
fn who_takes_no_answers_is_asked_nothing_more() {
    let mut talk = Talk::ready_with(Options {
        high_water: 100,
        ..Options::default()
    });
    for xid in 0..100_u32 {
        talk.say(xid, &Message::EchoRequest(echo("12345678")));
    }
    assert_eq!(talk.event(), None);
    assert!(talk.session.is_clogged());
    assert!(talk.session.queued_bytes() < 300);
    let mut answers = 0;
    while talk.hear().is_some() {
        answers += 1;
        assert_eq!(talk.event(), None);
    }
    assert_eq!(answers, 100);
}

#[test]
fn the_end_of_a_stream_is_no_failure_between_messages() {
    let mut talk = Talk::ready();
    talk.say(1, &Message::BarrierReply);
    talk.session.handle_end();
    assert_eq!(talk.event(), message(1, Message::BarrierReply));
    assert_eq!(talk.event(), None);
    let mut talk = Talk::ready();
    talk.session.handle_input(&[4, 21, 0], talk.now);
    talk.session.handle_end();
    assert_eq!(talk.failure(), SessionError::Cut);
    let mut talk = Talk::new(Options::default());
    talk.session.handle_end();
    assert_eq!(talk.failure(), SessionError::ClosedEarly);
}

#[test]
fn an_answer_without_end_is_given_up_and_what_follows_of_it_is_no_answer() {
    let part = encoded(1, &tables(true, 0)).len();
    let mut talk = Talk::ready_with(Options {
        max_answer: 3 * part,
        ..Options::default()
    });
    let xid = talk.session.ask(&QUESTION).unwrap();
    for table in 0..3 {
        talk.say(xid, &tables(true, table));
        assert_eq!(talk.event(), None);
    }
    talk.say(xid, &tables(true, 3));
    let answer = Err(AnswerError::TooLong(3 * part));
    assert_eq!(talk.event(), Some(Event::Answer { xid, answer }));
    talk.say(xid, &tables(false, 4));
    assert_eq!(talk.event(), message(xid, tables(false, 4)));
}

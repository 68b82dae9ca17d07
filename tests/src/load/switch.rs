//! A switch as the controller sees it: it has no flows at first, takes what it is given, and
//! remembers its meters, and which flow sends up what.

use super::bundles::reply_to;
use super::packets::Question;
use crate::error::LabError;
use bytes::{Bytes, BytesMut};
use rust_openflow::multipart::MeterConfig;
use rust_openflow::{
    Action, BundleControl, Capabilities, Command, Cookie, ErrorCode, ErrorMessage, Features, Field,
    FlowMod, Hello, Instruction, Message, MeterCommand, MeterMod, MultipartBody, MultipartReply,
    MultipartRequest, Xid, ports,
};
use std::collections::{BTreeMap, HashMap};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::ops::Range;
use std::time::Duration;

const HEADER: usize = 8;
/// Longer than any message, with room for many.
const BUFFER: usize = 1 << 20;
/// 24 octets each, of 65,535.
const METERS_A_MESSAGE: usize = 1000;
/// How long the controller may be silent while something is awaited.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);

/// One OpenFlow connection, on the switch's side.
#[derive(Debug)]
pub(super) struct SwitchConnection {
    stream: TcpStream,
    datapath_id: u64,
    buffer: Vec<u8>,
    /// What was read and not yet taken.
    unread: Range<usize>,
    /// What waits to be written.
    pub(super) outgoing: BytesMut,
    /// Cookies of the flows that send up a question from a port.
    pub(super) punts: BTreeMap<(Question, u32), Cookie>,
    /// The same the other way round: what one deletion costs must not grow with the ports.
    asked: HashMap<Cookie, (Question, u32)>,
    meters: BTreeMap<u32, MeterConfig>,
    /// Whether everything that was sent is confirmed.
    settled: bool,
}

impl SwitchConnection {
    /// Connects and says hello.
    pub(super) fn connect(controller: SocketAddr, datapath_id: u64) -> Result<Self, LabError> {
        let what = format!("connect to {controller}");
        let stream = TcpStream::connect(controller).map_err(LabError::io(&what))?;
        stream.set_nodelay(true).map_err(LabError::io(&what))?;
        let timeout = Some(PATIENCE);
        stream
            .set_read_timeout(timeout)
            .map_err(LabError::io(&what))?;
        stream
            .set_write_timeout(timeout)
            .map_err(LabError::io(&what))?;
        let mut switch = Self {
            stream,
            datapath_id,
            buffer: vec![0; BUFFER],
            unread: 0..0,
            outgoing: BytesMut::new(),
            punts: BTreeMap::new(),
            asked: HashMap::new(),
            meters: BTreeMap::new(),
            settled: false,
        };
        switch.put(Xid(0), &Message::Hello(Hello::openflow13()))?;
        switch.write()?;
        Ok(switch)
    }

    /// The descriptor to wait on.
    pub(super) fn stream(&self) -> &TcpStream {
        &self.stream
    }

    /// Takes flows until those of both questions are there for that many ports, and confirmed.
    pub(super) fn settle(&mut self, guests: usize) -> Result<(), LabError> {
        while !self.settled || self.punts.len() < 2 * guests {
            self.read()?;
            while let Some(frame) = self.next_frame()? {
                let (xid, message) = self.decode(&frame)?;
                self.serve(xid, message)?;
            }
            self.write()?;
        }
        Ok(())
    }

    /// Takes what it is given until the controller, or whoever holds [`SwitchConnection::stream`], ends the
    /// connection.
    pub(super) fn stand_by(mut self) -> Result<(), LabError> {
        self.stream
            .set_read_timeout(None)
            .map_err(LabError::io("wait for the controller"))?;
        while self.read().is_ok() {
            while let Some(frame) = self.next_frame()? {
                let (xid, message) = self.decode(&frame)?;
                self.serve(xid, message)?;
            }
            if self.write().is_err() {
                break;
            }
        }
        Ok(())
    }

    /// Writes all that waits.
    pub(super) fn write(&mut self) -> Result<(), LabError> {
        self.stream
            .write_all(&self.outgoing)
            .map_err(LabError::io("write to the controller"))?;
        self.outgoing.clear();
        Ok(())
    }

    /// Reads once, as much as there is.
    pub(super) fn read(&mut self) -> Result<(), LabError> {
        self.buffer.copy_within(self.unread.clone(), 0);
        self.unread = 0..self.unread.len();
        let read = self
            .stream
            .read(&mut self.buffer[self.unread.end..])
            .map_err(LabError::io("read from the controller"))?;
        if read == 0 {
            return Err(LabError::unexpected("the controller's connection", "ended"));
        }
        self.unread.end += read;
        Ok(())
    }

    /// The place in the buffer of the next whole message, which is taken; [`SwitchConnection::bytes`] has it.
    pub(super) fn next_frame(&mut self) -> Result<Option<Range<usize>>, LabError> {
        let Some(header) = self.buffer[self.unread.clone()].first_chunk::<HEADER>() else {
            return Ok(None);
        };
        let length = usize::from(u16::from_be_bytes([header[2], header[3]]));
        if length < HEADER {
            return Err(LabError::unexpected("an OpenFlow message", length));
        }
        if self.unread.len() < length {
            return Ok(None);
        }
        let frame = self.unread.start..self.unread.start + length;
        self.unread.start = frame.end;
        Ok(Some(frame))
    }

    /// The bytes of a message, until the next read.
    pub(super) fn bytes(&self, frame: &Range<usize>) -> &[u8] {
        &self.buffer[frame.clone()]
    }

    /// A message and its xid.
    pub(super) fn decode(&self, frame: &Range<usize>) -> Result<(Xid, Message), LabError> {
        Message::decode(&Bytes::copy_from_slice(self.bytes(frame)))
            .map_err(|error| LabError::unexpected("an OpenFlow message", error))
    }

    fn put(&mut self, xid: Xid, message: &Message) -> Result<(), LabError> {
        message
            .encode(xid, &mut self.outgoing)
            .map_err(|error| LabError::unexpected("a message's length", error))
    }

    /// Does what a message asks, and answers it.
    #[allow(
        clippy::wildcard_enum_match_arm,
        reason = "a switch that keeps nothing but cookies and meters needs to do little"
    )]
    pub(super) fn serve(&mut self, xid: Xid, message: Message) -> Result<(), LabError> {
        let answer = match message {
            Message::FeaturesRequest => self.features(),
            Message::EchoRequest(data) => Message::EchoReply(data),
            Message::BarrierRequest => {
                self.settled = true;
                Message::BarrierReply
            }
            Message::BundleControl(control) => self.bundle(control),
            Message::MultipartRequest(MultipartRequest::MeterConfig(_)) => {
                return self.put_meters(xid);
            }
            Message::MultipartRequest(request) => nothing_of(&request),
            Message::MeterMod(meter) => {
                self.keep(meter);
                return Ok(());
            }
            Message::BundleAdd(add) => {
                if let Message::FlowMod(flow) = *add.message {
                    self.take(&flow);
                }
                return Ok(());
            }
            Message::Error(error) => return Err(LabError::unexpected("an answer", error)),
            _ => return Ok(()),
        };
        self.put(xid, &answer)
    }

    /// It says which meters it has, or the controller would mend it for ever.
    fn put_meters(&mut self, xid: Xid) -> Result<(), LabError> {
        let meters: Vec<MeterConfig> = self.meters.values().cloned().collect();
        let mut parts = meters.chunks(METERS_A_MESSAGE).peekable();
        loop {
            let part = parts.next().unwrap_or_default().to_vec();
            let more = parts.peek().is_some();
            let body = MultipartBody::MeterConfig(part);
            self.put(xid, &Message::MultipartReply(MultipartReply { more, body }))?;
            if !more {
                return Ok(());
            }
        }
    }

    fn keep(&mut self, wanted: MeterMod) {
        let MeterMod {
            command,
            flags,
            meter,
            bands,
        } = wanted;
        match command {
            MeterCommand::Delete => {
                self.meters.remove(&meter);
            }
            MeterCommand::Add | MeterCommand::Modify => {
                let config = MeterConfig {
                    flags,
                    meter,
                    bands,
                };
                self.meters.insert(meter, config);
            }
        }
    }

    fn features(&self) -> Message {
        Message::FeaturesReply(Features {
            datapath_id: self.datapath_id,
            buffers: 0,
            tables: 254,
            auxiliary_id: 0,
            capabilities: Capabilities(0x4f),
        })
    }

    fn bundle(&mut self, control: BundleControl) -> Message {
        self.settled = false;
        let kind = reply_to(control.kind).unwrap_or(control.kind);
        Message::BundleControl(BundleControl { kind, ..control })
    }

    fn take(&mut self, flow: &FlowMod) {
        match flow.command {
            Command::Delete | Command::DeleteStrict => {
                let asked = self.asked.remove(&flow.cookie);
                if let Some(asked) = asked.filter(|key| self.punts.get(key) == Some(&flow.cookie)) {
                    self.punts.remove(&asked);
                }
            }
            Command::Add | Command::Modify | Command::ModifyStrict => {
                let punted = question(flow).zip(flow.matches.value(Field::IN_PORT));
                if let Some((question, port)) = punted {
                    self.punts.insert((question, port as u32), flow.cookie);
                    self.asked.insert(flow.cookie, (question, port as u32));
                }
            }
        }
    }
}

/// What a flow sends up, if it does.
fn question(flow: &FlowMod) -> Option<Question> {
    let sends_up = flow.instructions.iter().any(|instruction| {
        matches!(instruction, Instruction::Apply(actions) if actions.iter().any(|action| {
            matches!(action, Action::Controller { .. })
                || matches!(action, Action::Output { port, .. } if *port == ports::CONTROLLER)
        }))
    });
    if !sends_up {
        None
    } else if flow.matches.value(Field::ICMPV6_TYPE) == Some(133) {
        Some(Question::RouterSolicitation)
    } else if flow.matches.value(Field::UDP_DST) == Some(547) {
        Some(Question::Solicit)
    } else {
        None
    }
}

/// There were no flows before; other things are not known of.
fn nothing_of(request: &MultipartRequest) -> Message {
    let body = if matches!(request, MultipartRequest::Flow(_)) {
        MultipartBody::Flow(vec![])
    } else {
        return Message::Error(ErrorMessage {
            code: ErrorCode::BAD_TYPE,
            data: Bytes::new(),
        });
    };
    Message::MultipartReply(MultipartReply { more: false, body })
}

//! A switch of the test's own, over TCP.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    reason = "each test uses a part; a switch that has nothing needs to do little"
)]

use bytes::BytesMut;
use rust_openflow::{
    BundleControl, BundleControlType, Capabilities, Features, Framer, Hello, Message,
    MultipartBody, MultipartReply, MultipartRequest, Xid,
};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

pub const DATAPATH: u64 = 0xd;
/// Far more than anything here takes, unless it never happens.
pub const SOON: Duration = Duration::from_secs(20);

/// A switch without flows that takes everything.
pub struct Switch {
    stream: TcpStream,
    unread: BytesMut,
    /// Octets of flows that it was given.
    pub taken: usize,
}

impl Switch {
    pub async fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        let mut switch = Self {
            stream,
            unread: BytesMut::new(),
            taken: 0,
        };
        switch.send(0, &Message::Hello(Hello::openflow13())).await;
        switch
    }

    pub async fn send(&mut self, xid: impl Into<Xid>, message: &Message) {
        let mut frame = BytesMut::new();
        message.encode(xid, &mut frame).unwrap();
        self.send_octets(&frame).await;
    }

    /// Sends what need not be a message.
    pub async fn send_octets(&mut self, octets: &[u8]) {
        // Whoever has hung up is noticed when reading.
        let _ = self.stream.write_all(octets).await;
    }

    /// The next message; none once the controller has hung up.
    pub async fn next(&mut self) -> Option<(Xid, Message)> {
        loop {
            if let Some(frame) = Framer.next(&mut self.unread).unwrap() {
                return Some(Message::decode(&frame).unwrap());
            }
            if timeout(SOON, self.stream.read_buf(&mut self.unread))
                .await
                .expect("the controller says something")
                .unwrap_or(0)
                == 0
            {
                return None;
            }
        }
    }

    /// Answers everything for which `answer` has no answer of its own, until the controller hangs up.
    pub async fn serve(&mut self, answer: impl Fn(&Message) -> Option<Option<Message>>) {
        while let Some((xid, message)) = self.next().await {
            if let Message::BundleAdd(add) = &message {
                let mut flow = BytesMut::new();
                add.message.encode(Xid(0), &mut flow).unwrap();
                self.taken += flow.len();
            }
            if let Some(reply) = answer(&message).unwrap_or_else(|| usual(&message)) {
                self.send(xid, &reply).await;
            }
        }
    }
}

pub fn usual(message: &Message) -> Option<Message> {
    let body = match message {
        Message::FeaturesRequest => return Some(Message::FeaturesReply(features(DATAPATH))),
        Message::EchoRequest(data) => return Some(Message::EchoReply(data.clone())),
        Message::BarrierRequest => return Some(Message::BarrierReply),
        Message::BundleControl(control) => return Some(bundle(control)),
        Message::MultipartRequest(MultipartRequest::Flow(_)) => MultipartBody::Flow(vec![]),
        Message::MultipartRequest(MultipartRequest::MeterConfig(_)) => {
            MultipartBody::MeterConfig(vec![])
        }
        _ => return None,
    };
    Some(Message::MultipartReply(MultipartReply {
        more: false,
        body,
    }))
}

pub fn features(datapath_id: u64) -> Features {
    Features {
        datapath_id,
        buffers: 0,
        tables: 254,
        auxiliary_id: 0,
        capabilities: Capabilities(0x4f),
    }
}

fn bundle(control: &BundleControl) -> Message {
    let kind = match control.kind {
        BundleControlType::OpenRequest => BundleControlType::OpenReply,
        BundleControlType::CloseRequest => BundleControlType::CloseReply,
        BundleControlType::CommitRequest => BundleControlType::CommitReply,
        _ => BundleControlType::DiscardReply,
    };
    Message::BundleControl(BundleControl { kind, ..*control })
}

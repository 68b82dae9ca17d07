//! One hypervisor that is played: its database's server and its switch, each with a connection to the controller.

use super::database::{Database, Monitored, NAME, USUAL_PROBE};
use super::schema::Schema;
use super::switch::{Switch, Talk};
use super::{Count, Counts, Order, Side};
use bytes::BytesMut;
use rust_openflow::{ALL_TABLES, Framer, Message, MultipartRequest, Xid};
use serde_json::{Deserializer, Value as Json, json};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::{Instant, sleep_until};

/// It tries again at once after a connection that lasted for so long, and else after that time.
const BACKOFF: Duration = Duration::from_secs(1);

/// Octets that are read at a time.
const READ: usize = 16 * 1024;

/// Who keeps no history of transactions calls each by this.
const NO_TRANSACTION: &str = "00000000-0000-0000-0000-000000000000";

/// Where the controller listens.
#[derive(Clone, Copy, Debug)]
pub(super) struct Controller {
    pub(super) ovsdb: SocketAddr,
    /// `None`: switches connect to nobody.
    pub(super) openflow: Option<SocketAddr>,
}

/// A connection, and when to do something about it.
#[derive(Debug)]
struct Line {
    side: Side,
    stream: Option<TcpStream>,
    incoming: BytesMut,
    since: Instant,
    heard: Instant,
    is_probed: bool,
    /// Silence after which the controller is asked whether it is there; after as long again it is given up.
    probe: Duration,
    again: Instant,
}

impl Line {
    fn new(side: Side) -> Self {
        let now = Instant::now();
        Self {
            side,
            stream: None,
            incoming: BytesMut::new(),
            since: now,
            heard: now,
            is_probed: false,
            probe: USUAL_PROBE,
            again: now,
        }
    }

    async fn connect(&mut self, address: SocketAddr, counts: &Counts) -> bool {
        let now = Instant::now();
        let connected = TcpStream::connect(address).await;
        let connected = connected.and_then(|stream| stream.set_nodelay(true).map(|()| stream));
        self.incoming.clear();
        (self.since, self.heard, self.is_probed) = (now, now, false);
        self.again = now + BACKOFF;
        self.stream = connected.ok();
        if self.stream.is_some() {
            counts.add(Count::Connected(self.side), 1);
        }
        self.stream.is_some()
    }

    fn close(&mut self, counts: &Counts) {
        if self.stream.take().is_some() {
            counts.take(Count::Connected(self.side), 1);
            let now = Instant::now();
            let lasted = now - self.since > BACKOFF;
            self.again = if lasted { now } else { now + BACKOFF };
        }
    }

    /// Reads once; an error ends the connection.
    async fn read(&mut self) -> io::Result<()> {
        let Some(stream) = &mut self.stream else {
            return std::future::pending().await;
        };
        self.incoming.reserve(READ);
        if stream.read_buf(&mut self.incoming).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        (self.heard, self.is_probed) = (Instant::now(), false);
        Ok(())
    }

    async fn write(&mut self, octets: &mut BytesMut) -> io::Result<()> {
        if let Some(stream) = &mut self.stream
            && !octets.is_empty()
        {
            stream.write_all(octets).await?;
        }
        *octets = BytesMut::new();
        Ok(())
    }

    fn deadline(&self) -> Instant {
        match self.stream {
            None => self.again,
            Some(_) if self.is_probed => self.heard + 2 * self.probe,
            Some(_) => self.heard + self.probe,
        }
    }
}

/// A hypervisor.
#[derive(Debug)]
pub(super) struct Hypervisor {
    controller: Controller,
    counts: Arc<Counts>,
    database: Database,
    /// The integration bridge's datapath id, once the database gives it a controller.
    controlled: Option<u64>,
    monitored: Monitored,
    monitor: Json,
    to_manager: BytesMut,
    manager: Line,
    switch: Switch,
    talk: Talk,
    /// How many of its flows are in the counts.
    counted: usize,
    openflow: Line,
    is_stopped: bool,
}

impl Hypervisor {
    pub(super) fn new(
        number: u32,
        schema: Arc<Schema>,
        controller: Controller,
        counts: Arc<Counts>,
    ) -> Self {
        Self {
            controller,
            counts,
            database: Database::new(schema, number),
            controlled: None,
            monitored: Monitored::new(),
            monitor: Json::Null,
            to_manager: BytesMut::new(),
            manager: Line::new(Side::Database),
            switch: Switch::new(),
            talk: Talk::default(),
            counted: 0,
            openflow: Line::new(Side::Switch),
            is_stopped: false,
        }
    }

    /// Lives until nobody gives orders any more.
    pub(super) async fn live(mut self, mut orders: UnboundedReceiver<Order>) {
        loop {
            self.connect().await;
            self.send().await;
            self.reconfigure();
            let mut deadline = self.manager.deadline();
            if self.controlled.is_some() && self.controller.openflow.is_some() {
                deadline = deadline.min(self.openflow.deadline());
            }
            tokio::select! {
                read = self.manager.read() => match read {
                    Ok(()) => self.serve_manager(),
                    Err(_) => self.lost(Side::Database),
                },
                read = self.openflow.read() => match read {
                    Ok(()) => self.serve_controller(),
                    Err(_) => self.lost(Side::Switch),
                },
                order = orders.recv() => match order {
                    Some(order) => self.obey(order),
                    None => return,
                },
                () = sleep_until(deadline), if !self.is_stopped => self.probe(),
            }
        }
    }

    async fn connect(&mut self) {
        let now = Instant::now();
        if self.is_stopped {
            return;
        }
        if self.manager.stream.is_none() && now >= self.manager.again {
            self.monitored.clear();
            self.to_manager.clear();
            self.manager
                .connect(self.controller.ovsdb, &self.counts)
                .await;
        }
        self.reconfigure();
        let controlled = self.controlled.zip(self.controller.openflow);
        let Some((datapath_id, controller)) = controlled else {
            return;
        };
        if self.openflow.stream.is_none()
            && now >= self.openflow.again
            && self.openflow.connect(controller, &self.counts).await
        {
            self.talk = self.switch.greet(datapath_id);
        }
    }

    /// Takes from the database what concerns its connections, if it has changed.
    fn reconfigure(&mut self) {
        if self.database.take_changed() {
            self.manager.probe = self.database.probe("Manager");
            self.openflow.probe = self.database.probe("Controller");
            self.controlled = self.database.controlled();
        }
    }

    async fn send(&mut self) {
        self.put_update();
        if self.manager.write(&mut self.to_manager).await.is_err() {
            self.lost(Side::Database);
        }
        if self.openflow.write(&mut self.talk.outgoing).await.is_err() {
            self.lost(Side::Switch);
        }
    }

    fn put(&mut self, message: &Json) {
        self.to_manager
            .extend_from_slice(message.to_string().as_bytes());
    }

    /// Tells the manager what has changed since it was told last.
    fn put_update(&mut self) {
        if let Some(update) = self.database.take_update(&self.monitored) {
            let params = json!([self.monitor, NO_TRANSACTION, update]);
            self.put(&json!({"id": null, "method": "update3", "params": params}));
        }
    }

    fn line(&mut self, side: Side) -> &mut Line {
        match side {
            Side::Database => &mut self.manager,
            Side::Switch => &mut self.openflow,
        }
    }

    /// The connection ended, and not because somebody here wanted it.
    fn lost(&mut self, side: Side) {
        let line = match side {
            Side::Database => &mut self.manager,
            Side::Switch => &mut self.openflow,
        };
        if line.stream.is_some() {
            self.counts.add(Count::Lost(side), 1);
            line.close(&self.counts);
        }
        if side == Side::Switch {
            self.forget_talk();
        }
    }

    fn forget_talk(&mut self) {
        if self.talk.is_read {
            self.counts.take(Count::Read, 1);
        }
        self.talk = Talk::default();
    }

    fn probe(&mut self) {
        let now = Instant::now();
        for side in [Side::Database, Side::Switch] {
            let line = self.line(side);
            if line.stream.is_none() || now < line.deadline() {
                continue;
            }
            if line.is_probed {
                self.lost(side);
                continue;
            }
            line.is_probed = true;
            match side {
                Side::Database => {
                    let echo = json!({"id": "echo", "method": "echo", "params": []});
                    self.put(&echo);
                }
                Side::Switch => self
                    .talk
                    .put(Xid(0), &Message::EchoRequest(Default::default())),
            }
        }
    }

    fn obey(&mut self, order: Order) {
        match order {
            Order::Plug(ports) => self.database.plug(&ports),
            Order::Unplug(port) => self.database.unplug(&port),
            Order::Cut(Side::Database) => self.manager.close(&self.counts),
            Order::Cut(Side::Switch) => {
                self.openflow.close(&self.counts);
                self.forget_talk();
            }
            Order::Stop => {
                self.is_stopped = true;
                self.manager.close(&self.counts);
                self.openflow.close(&self.counts);
                self.forget_talk();
            }
            Order::Connect(controller) => {
                let now = Instant::now();
                (self.controller, self.is_stopped) = (controller, false);
                self.database.set_manager(controller.ovsdb);
                (self.manager.again, self.openflow.again) = (now, now);
            }
        }
    }

    fn serve_controller(&mut self) {
        loop {
            let frame = match Framer.next(&mut self.openflow.incoming) {
                Ok(Some(frame)) => frame,
                Ok(None) => break,
                Err(_) => return self.lost(Side::Switch),
            };
            // What ends the bundle counts as activity.
            if Switch::take_bundled(&mut self.talk, &frame) {
                continue;
            }
            let Ok((xid, message)) = Message::decode(&frame) else {
                return self.lost(Side::Switch);
            };
            let was_read = self.talk.is_read;
            if !is_routine(&message) {
                self.counts.note_activity();
            }
            let changed = self.switch.serve(&mut self.talk, xid, message);
            self.counts.add(Count::FlowMods, changed);
            if self.talk.is_read && !was_read {
                self.counts.add(Count::Read, 1);
                self.counts.add(Count::Reads, 1);
            }
        }
        let flows = self.switch.flows();
        self.counts.take(Count::Flows, self.counted);
        self.counts.add(Count::Flows, flows);
        self.counted = flows;
    }

    fn serve_manager(&mut self) {
        let incoming = self.manager.incoming.split();
        let mut messages = Deserializer::from_slice(&incoming).into_iter::<Json>();
        let mut taken = 0;
        let mut requests = vec![];
        while let Some(Ok(request)) = messages.next() {
            taken = messages.byte_offset();
            requests.push(request);
        }
        self.manager.incoming.extend_from_slice(&incoming[taken..]);
        requests.iter().for_each(|request| self.answer(request));
    }

    fn answer(&mut self, request: &Json) {
        let params = &request["params"];
        let result = match request["method"].as_str() {
            Some("echo") => params.clone(),
            Some("list_dbs") => json!([NAME]),
            Some("get_schema") => self.database.schema().clone(),
            Some("set_db_change_aware") => json!({}),
            Some("monitor_cond_since") => {
                self.counts.note_activity();
                self.monitor = params[1].clone();
                self.monitored = monitored(&params[2]);
                // What changed before is in the contents.
                self.database.take_update(&Monitored::new());
                json!([
                    false,
                    NO_TRANSACTION,
                    self.database.contents(&self.monitored)
                ])
            }
            Some("transact") => {
                self.counts.note_activity();
                let operations = params.as_array().map(|all| &all[1..]).unwrap_or_default();
                Json::Array(self.database.transact(operations))
            }
            Some(_) => {
                let error = json!({"id": request["id"], "result": null, "error": "unknown method"});
                self.put(&error);
                return;
            }
            // An answer, to an echo.
            None => return,
        };
        // What a transaction changes is told before its answer (RFC 7047 §4.1.6).
        self.put_update();
        let answer = json!({"id": request["id"], "result": result, "error": null});
        self.put(&answer);
    }
}

/// What a controller says without a reason: probes, advertisements, and a look at what a switch does not report by itself.
fn is_routine(message: &Message) -> bool {
    if let Message::MultipartRequest(MultipartRequest::Flow(request)) = message {
        return request.table != ALL_TABLES;
    }
    matches!(
        message,
        Message::EchoReply(_)
            | Message::EchoRequest(_)
            | Message::GetConfigRequest
            | Message::MultipartRequest(_)
            | Message::PacketOut(_)
    )
}

fn monitored(requests: &Json) -> Monitored {
    let tables = requests.as_object().into_iter().flatten();
    let columns = |request: &Json| {
        let columns = request[0]["columns"].as_array().into_iter().flatten();
        columns
            .filter_map(|name| name.as_str().map(str::to_owned))
            .collect()
    };
    tables
        .map(|(table, request)| (table.clone(), columns(request)))
        .collect()
}

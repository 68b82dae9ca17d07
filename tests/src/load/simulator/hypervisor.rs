//! One hypervisor that is played: its database's server and its switch, each with a connection to each controller.

use super::database::SimulatedDatabase;
use super::line::{Happened, Line};
use super::locks::SessionNumber;
use super::manager::{Manager, Request};
use super::schema::Schema;
use super::switch::{SimulatedSwitch, Talk};
use super::{Count, Counts, Order, Side};
use bytes::Bytes;
use rust_openflow::{ALL_TABLES, Framer, Message, MultipartRequest, Xid};
use serde_json::{Value as Json, json};
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::{Instant, sleep_until};

/// When nothing is due.
const LATER: Duration = Duration::from_secs(3600);

/// A switch's connection to a controller.
struct ControllerConnection {
    line: Line,
    talk: Talk,
}

/// What of a hypervisor is in the counts.
#[derive(Clone, Copy, Default)]
struct Counted {
    flows: usize,
    read: usize,
    owned: usize,
}

/// A hypervisor.
pub(super) struct SimulatedHypervisor {
    counts: Arc<Counts>,
    counted: Counted,
    database: SimulatedDatabase,
    managers: Vec<Manager>,
    sessions: SessionNumber,
    switch: SimulatedSwitch,
    controllers: Vec<ControllerConnection>,
    /// Whether the switch connects to anybody.
    has_switch: bool,
    is_stopped: bool,
}

impl SimulatedHypervisor {
    /// One that connects to nobody yet.
    pub(super) fn new(number: u32, schema: Arc<Schema>, counts: Arc<Counts>) -> Self {
        Self {
            counts,
            counted: Counted::default(),
            database: SimulatedDatabase::new(schema, number),
            managers: vec![],
            sessions: 0,
            switch: SimulatedSwitch::new(),
            controllers: vec![],
            has_switch: false,
            is_stopped: true,
        }
    }

    /// Lives until nobody gives orders any more.
    pub(super) async fn live(mut self, mut orders: UnboundedReceiver<Order>) {
        loop {
            self.reconfigure();
            self.count();
            let deadline = self.deadline();
            tokio::select! {
                // What has come already was not late, however late it is read.
                biased;
                order = orders.recv() => match order {
                    Some(order) => self.obey(order),
                    None => return,
                },
                (side, at, what) = self.next() => self.take(side, at, what),
                () = sleep_until(deadline), if !self.is_stopped => self.act(),
            }
        }
    }

    fn lines(&self) -> impl Iterator<Item = &Line> {
        let managers = self.managers.iter().map(|manager| &manager.line);
        managers.chain(self.controllers.iter().map(|controller| &controller.line))
    }

    fn deadline(&self) -> Instant {
        let first = self.lines().filter_map(Line::deadline).min();
        first.unwrap_or_else(|| Instant::now() + LATER)
    }

    /// Waits until something happens to a connection.
    async fn next(&mut self) -> (Side, usize, Happened) {
        std::future::poll_fn(|cx| {
            for (at, manager) in self.managers.iter_mut().enumerate() {
                if let Poll::Ready(what) = manager.line.poll(cx) {
                    return Poll::Ready((Side::Database, at, what));
                }
            }
            for (at, controller) in self.controllers.iter_mut().enumerate() {
                if let Poll::Ready(what) = controller.line.poll(cx) {
                    return Poll::Ready((Side::Switch, at, what));
                }
            }
            Poll::Pending
        })
        .await
    }

    /// Does what is due on all connections.
    fn act(&mut self) {
        let now = Instant::now();
        if self.is_stopped {
            return;
        }
        for at in 0..self.managers.len() {
            if let Some(what) = self.managers[at].line.act(now) {
                self.take(Side::Database, at, what);
            }
        }
        for at in 0..self.controllers.len() {
            if let Some(what) = self.controllers[at].line.act(now) {
                self.take(Side::Switch, at, what);
            }
        }
    }

    /// Takes from the database whom to connect to, if it has changed.
    fn reconfigure(&mut self) {
        if !self.database.take_changed() {
            return;
        }
        let managers = self.database.managers();
        for at in (0..self.managers.len()).rev() {
            if !has(&managers, &self.managers[at].line) {
                self.managers[at].line.close();
                self.leave(at);
                self.managers.remove(at);
            }
        }
        for (target, probe) in managers {
            let mut lines = self.managers.iter_mut().map(|manager| &mut manager.line);
            match lines.find(|line| line.target() == target) {
                Some(line) => line.probe = probe,
                None => {
                    let line = Line::new(Side::Database, target, self.counts.clone());
                    self.managers.push(Manager::new(line));
                }
            }
        }
        self.reconfigure_switch();
    }

    fn reconfigure_switch(&mut self) {
        let controllers = match self.has_switch {
            true => self.database.controllers(),
            false => vec![],
        };
        self.controllers.retain_mut(|controller| {
            let stays = has(&controllers, &controller.line);
            if !stays {
                controller.line.close();
            }
            stays
        });
        for (target, probe) in controllers {
            let mut all = self.controllers.iter_mut();
            match all.find(|other| other.line.target() == target) {
                Some(controller) => controller.line.probe = probe,
                None => {
                    let line = Line::new(Side::Switch, target, self.counts.clone());
                    let talk = Talk::default();
                    self.controllers.push(ControllerConnection { line, talk });
                }
            }
        }
    }

    fn take(&mut self, side: Side, at: usize, what: Happened) {
        match side {
            Side::Database => match what {
                Happened::Connected => {
                    self.sessions += 1;
                    self.managers[at].begin(self.sessions);
                }
                Happened::Received => self.serve_manager(at),
                Happened::Lost => self.leave(at),
                Happened::Silent => self.managers[at].probe(),
            },
            Side::Switch => {
                let controller = &mut self.controllers[at];
                match what {
                    Happened::Connected => match self.database.controlled() {
                        Some(datapath_id) => controller.talk = self.switch.greet(datapath_id),
                        None => controller.line.close(),
                    },
                    Happened::Received => self.serve_controller(at),
                    Happened::Lost => controller.talk = Talk::default(),
                    Happened::Silent => {
                        let echo = Message::EchoRequest(Bytes::new());
                        controller.talk.put(Xid(0), &echo);
                    }
                }
                self.controllers[at].send();
            }
        }
    }

    /// A manager's connection has ended: others have its locks.
    fn leave(&mut self, at: usize) {
        let session = self.managers[at].session;
        for (lock, next) in self.database.locks.leave(session) {
            self.notify(next, "locked", &lock);
        }
    }

    fn notify(&mut self, session: SessionNumber, method: &str, lock: &str) {
        let mut managers = self.managers.iter_mut();
        if let Some(manager) = managers.find(|manager| manager.session == session) {
            manager.notify(method, lock);
        }
    }

    /// Brings the counts in line with what is.
    fn count(&mut self) {
        let mut talks = self.controllers.iter().map(|controller| &controller.talk);
        let now = Counted {
            flows: self.switch.flows(),
            read: usize::from(talks.any(|talk| self.switch.is_in_hand(talk))),
            owned: usize::from(self.database.locks.is_used()),
        };
        for (count, before, now) in [
            (Count::Flows, self.counted.flows, now.flows),
            (Count::Read, self.counted.read, now.read),
            (Count::Owned, self.counted.owned, now.owned),
        ] {
            self.counts.add(count, now.saturating_sub(before));
            self.counts.take(count, before.saturating_sub(now));
        }
        self.counted = now;
    }

    fn obey(&mut self, order: Order) {
        match order {
            Order::Plug(ports) => self.database.plug(&ports),
            Order::Unplug(port) => self.database.unplug(&port),
            Order::Cut(side) => self.close(side),
            Order::Stop => {
                self.is_stopped = true;
                self.close(Side::Database);
                self.close(Side::Switch);
            }
            Order::Connect { managers, switches } => {
                (self.has_switch, self.is_stopped) = (switches, false);
                self.database.set_managers(&managers);
                let managers = self.managers.iter_mut().map(|manager| &mut manager.line);
                let controllers = self.controllers.iter_mut();
                let controllers = controllers.map(|controller| &mut controller.line);
                managers.chain(controllers).for_each(Line::hurry);
            }
        }
        self.tell_managers();
    }

    fn close(&mut self, side: Side) {
        match side {
            Side::Database => {
                for at in 0..self.managers.len() {
                    self.managers[at].line.close();
                    self.leave(at);
                }
            }
            Side::Switch => {
                for controller in &mut self.controllers {
                    controller.line.close();
                    controller.talk = Talk::default();
                }
            }
        }
    }

    fn serve_controller(&mut self, at: usize) {
        let ControllerConnection { line, talk } = &mut self.controllers[at];
        loop {
            let frame = match Framer.next(&mut line.incoming) {
                Ok(Some(frame)) => frame,
                Ok(None) => break,
                Err(_) => {
                    line.lose();
                    *talk = Talk::default();
                    break;
                }
            };
            // What ends the bundle counts as activity.
            if self.switch.take_bundled(talk, &frame) {
                continue;
            }
            let Ok((xid, message)) = Message::decode(&frame) else {
                line.lose();
                *talk = Talk::default();
                break;
            };
            let was_read = talk.is_read;
            if !is_routine(&message) {
                self.counts.note_activity();
            }
            let changed = self.switch.serve(talk, xid, message);
            self.counts.add(Count::FlowMods, changed);
            if talk.is_read && !was_read {
                self.counts.add(Count::Reads, 1);
            }
        }
    }

    fn serve_manager(&mut self, at: usize) {
        for request in self.managers[at].requests() {
            if let Some(wanted) = self.managers[at].take(&request, &self.database) {
                self.do_for(at, &request, wanted);
            }
        }
    }

    fn do_for(&mut self, at: usize, request: &Json, wanted: Request) {
        let session = self.managers[at].session;
        match wanted {
            Request::Monitor => {
                self.counts.note_activity();
                // What changed before is in the contents.
                self.tell_managers();
                self.managers[at].watch(request, &self.database);
            }
            Request::Transact(operations) => {
                self.counts.note_activity();
                let results = self.database.transact_for(session, &operations);
                // What a transaction changes is told before its answer (RFC 7047 §4.1.6).
                self.tell_managers();
                self.managers[at].answer(request, &Json::Array(results));
            }
            Request::Lock(lock) => match self.database.locks.lock(&lock, session) {
                Some(has) => self.managers[at].answer(request, &json!({ "locked": has })),
                None => self.managers[at].refuse(request, "must issue \"unlock\" first"),
            },
            Request::Steal(lock) => match self.database.locks.steal(&lock, session) {
                Some(victim) => {
                    self.managers[at].answer(request, &json!({ "locked": true }));
                    if let Some(victim) = victim {
                        self.notify(victim, "stolen", &lock);
                    }
                }
                None => self.managers[at].refuse(request, "must issue \"unlock\" first"),
            },
            Request::Unlock(lock) => {
                let next = self.database.locks.unlock(&lock, session);
                self.managers[at].answer(request, &json!({}));
                if let Some(next) = next {
                    self.notify(next, "locked", &lock);
                }
            }
        }
    }

    /// Tells managers what has changed since they were told last.
    fn tell_managers(&mut self) {
        let changes = self.database.take_changes();
        for manager in &mut self.managers {
            manager.tell(&changes, &self.database);
        }
    }
}

impl ControllerConnection {
    /// Hands what the switch says to the connection.
    fn send(&mut self) {
        if self.line.is_connected() {
            self.line.outgoing.unsplit(self.talk.outgoing.split());
        }
    }
}

fn has(targets: &[(SocketAddr, Duration)], line: &Line) -> bool {
    targets.iter().any(|(target, _)| *target == line.target())
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

//! A switch that refuses what it is told to refuse, and keeps the rest.

use crate::fake::{Switch, usual};
use rust_openflow::{
    BundleControlType, Command, Cookie, ErrorCode, ErrorMessage, FlowMod, Message, MeterCommand,
    Xid,
};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use tokio::task::JoinHandle;

type Judgement = Box<dyn Fn(&FlowMod) -> Option<ErrorCode> + Send>;

/// What a switch says of a flow or of a meter that it does not take.
pub(crate) struct Taste {
    pub(crate) flow: Judgement,
    pub(crate) meters: Option<ErrorCode>,
    /// Says so when it commits, one flow a bundle, as Open vSwitch does with some.
    pub(crate) late: bool,
}

impl Taste {
    pub(crate) fn of_everything() -> Self {
        Self::without(|_| None)
    }

    pub(crate) fn without(flow: impl Fn(&FlowMod) -> Option<ErrorCode> + Send + 'static) -> Self {
        Self {
            flow: Box::new(flow),
            meters: None,
            late: false,
        }
    }
}

#[derive(Default)]
pub(crate) struct Kept {
    /// Flows that were committed, by cookie.
    pub(crate) flows: BTreeMap<Cookie, FlowMod>,
    /// How often each flow was asked for.
    pub(crate) asked: BTreeMap<Cookie, usize>,
    pub(crate) bundles: usize,
}

/// A switch that is connected; it hangs up when dropped.
pub(crate) struct Picky {
    pub(crate) kept: Arc<Mutex<Kept>>,
    task: JoinHandle<()>,
}

impl Drop for Picky {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Picky {
    pub(crate) async fn connect(address: SocketAddr, taste: Taste) -> Self {
        let switch = Switch::connect(address).await;
        let kept = Arc::new(Mutex::new(Kept::default()));
        let task = tokio::spawn(serve(switch, taste, kept.clone()));
        Self { kept, task }
    }

    pub(crate) fn cookies(&self) -> Vec<Cookie> {
        self.kept.lock().unwrap().flows.keys().copied().collect()
    }
}

async fn serve(mut switch: Switch, taste: Taste, kept: Arc<Mutex<Kept>>) {
    let mut bundle: Vec<(Xid, FlowMod)> = Vec::new();
    while let Some((xid, message)) = switch.next().await {
        for (xid, answer) in answers(xid, &message, &taste, &kept, &mut bundle) {
            switch.send(xid, &answer).await;
        }
    }
}

fn answers(
    xid: Xid,
    message: &Message,
    taste: &Taste,
    kept: &Mutex<Kept>,
    bundle: &mut Vec<(Xid, FlowMod)>,
) -> Vec<(Xid, Message)> {
    match message {
        Message::BundleAdd(add) => {
            let Message::FlowMod(flow) = &*add.message else {
                panic!("{add:?}")
            };
            if flow.command == Command::Add {
                let mut kept = kept.lock().unwrap();
                *kept.asked.entry(flow.cookie).or_default() += 1;
            }
            match (taste.flow)(flow).filter(|_| !taste.late) {
                Some(code) => vec![(xid, error(code))],
                None => {
                    bundle.push((xid, flow.clone()));
                    vec![]
                }
            }
        }
        Message::MeterMod(meter) if meter.command == MeterCommand::Add => {
            let code = taste.meters.into_iter();
            code.map(|code| (xid, error(code))).collect()
        }
        Message::BundleControl(control) => {
            let flows = match control.kind {
                BundleControlType::CommitRequest => std::mem::take(bundle),
                BundleControlType::DiscardRequest => {
                    bundle.clear();
                    vec![]
                }
                _ => vec![],
            };
            let bad = flows
                .iter()
                .find_map(|(xid, flow)| Some((*xid, (taste.flow)(flow)?)));
            if let Some((at, code)) = bad.filter(|_| taste.late) {
                let failed = ErrorCode::Experimenter {
                    experimenter: 0x4f4e_4600,
                    kind: 2313,
                };
                return vec![(at, error(code)), (xid, error(failed))];
            }
            kept.lock().unwrap().commit(control.kind, flows);
            usual(message)
                .map(|reply| (xid, reply))
                .into_iter()
                .collect()
        }
        _ => usual(message)
            .map(|reply| (xid, reply))
            .into_iter()
            .collect(),
    }
}

impl Kept {
    fn commit(&mut self, kind: BundleControlType, flows: Vec<(Xid, FlowMod)>) {
        self.bundles += usize::from(kind == BundleControlType::CommitRequest);
        for (_, flow) in flows {
            match flow.command {
                Command::Delete | Command::DeleteStrict => drop(self.flows.remove(&flow.cookie)),
                _ => drop(self.flows.insert(flow.cookie, flow)),
            }
        }
    }
}

fn error(code: ErrorCode) -> Message {
    Message::Error(ErrorMessage {
        code,
        data: bytes::Bytes::new(),
    })
}

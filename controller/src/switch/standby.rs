//! A switch whose hypervisor another controller may own: its connection is kept, as a secondary one, until this controller does
//! (`docs/decisions/0021`). Then the connection is the primary one: the switch sends packets to it alone, and takes changes from it
//! alone.

use super::SwitchContext;
use super::line::SwitchLine;
use super::session::SwitchSessionError;
use crate::cluster::{Held, Tenure};
use crate::snapshot::Stopping;
use crate::state::Event;
use rust_openflow::{ErrorCode, Message, Role, RoleMessage, Xid};
use sextant_model::{ChassisId, Facts};
use std::time::Duration;
use tokio::time::{Instant, timeout};

/// Silence after which a switch is asked whether it is there: by its primary controller, and by who waits to be that.
const OWNING: Duration = Duration::from_secs(5);
const WAITING: Duration = Duration::from_secs(30);

/// By what right a session serves a switch.
pub(super) struct Right {
    /// The generation by which this controller owns the hypervisor. None where it is the only controller.
    pub(super) generation: Option<u64>,
    /// When this controller came to own it, if the switch stood by until then.
    pub(super) taken_over: Option<Instant>,
}

/// Waits until this controller owns the hypervisor, its database was read, and the switch takes it for its primary one.
pub(super) async fn stand_by(
    line: &mut SwitchLine,
    chassis: &ChassisId,
    tenure: &mut Tenure,
    context: &SwitchContext,
) -> Result<Right, SwitchSessionError> {
    let mut role = AskedRole::default();
    let mut has_waited = false;
    loop {
        let Some(held) = tenure.now() else {
            return Ok(Right {
                generation: None,
                taken_over: None,
            });
        };
        let Some(own) = held.own else {
            has_waited = true;
            line.connection.set_idle(WAITING);
            role.follow(line, held);
            tokio::select! {
                () = tenure.changed() => {}
                received = line.next() => role.take(received?),
            }
            continue;
        };
        line.connection.set_idle(OWNING);
        let owned = Instant::now();
        if was_read(line, chassis, tenure, context).await? {
            let patience = context.patience;
            let accepted = timeout(patience, become_primary(line, own)).await;
            accepted.map_err(|_| SwitchSessionError::Unanswered {
                what: "that it is its primary controller",
                within: patience,
            })??;
            return Ok(Right {
                generation: Some(own),
                taken_over: has_waited.then_some(owned),
            });
        }
    }
}

/// Whether the hypervisor's database was read, once it was or this controller does not own it any more.
async fn was_read(
    line: &mut SwitchLine,
    chassis: &ChassisId,
    tenure: &mut Tenure,
    context: &SwitchContext,
) -> Result<bool, SwitchSessionError> {
    let mut snapshots = context.snapshots.clone();
    while !is_read(&context.snapshots.latest().facts, chassis) {
        tokio::select! {
            changed = snapshots.hypervisors_changed() => drop(changed?),
            () = tenure.changed() => return Ok(false),
            received = line.next() => drop(received?),
        }
    }
    Ok(true)
}

/// The switch sends packets to its primary controller only after it has answered this.
async fn become_primary(line: &mut SwitchLine, generation: u64) -> Result<(), SwitchSessionError> {
    let asked = ask(line, Role::Primary, generation);
    loop {
        let (xid, message) = line.next().await?;
        if asked != Some(xid) {
            continue;
        }
        let accepts = matches!(message, Message::RoleReply(_));
        return accepts.then_some(()).ok_or(SwitchSessionError::Demoted);
    }
}

fn ask(line: &mut SwitchLine, role: Role, generation: u64) -> Option<Xid> {
    let request = Message::RoleRequest(RoleMessage { role, generation });
    line.connection.send(&request).ok()
}

/// The role of a secondary, which a switch refuses whose generation is a later one.
#[derive(Default)]
struct AskedRole {
    asked: Option<(Option<Xid>, u64)>,
    is_refused: bool,
}

impl AskedRole {
    /// Asks for it at first, and again once a later generation is known.
    fn follow(&mut self, line: &mut SwitchLine, held: Held) {
        let is_due = match self.asked {
            None => true,
            Some((_, generation)) => self.is_refused && generation < held.seen,
        };
        if is_due {
            self.asked = Some((ask(line, Role::Secondary, held.seen), held.seen));
            self.is_refused = false;
        }
    }

    fn take(&mut self, (xid, message): (Xid, Message)) {
        let is_answer = self.asked.is_some_and(|(asked, _)| asked == Some(xid));
        self.is_refused |= is_answer && matches!(message, Message::Error(_));
    }
}

/// Whether a switch says that another controller is its primary one.
pub(super) fn says_demoted(code: ErrorCode) -> bool {
    [ErrorCode::IS_SECONDARY, ErrorCode::STALE_ROLE].contains(&code)
}

/// The switch has another primary controller: this one does not own the hypervisor any more, whether or not it has heard of that.
pub(super) async fn resign(
    context: &SwitchContext,
    chassis: &ChassisId,
    generation: Option<u64>,
) -> Result<(), Stopping> {
    let Some(generation) = generation else {
        return Ok(());
    };
    context.tenures.end(chassis, generation);
    let event = Event::Disowned(chassis.clone(), generation);
    context.events.send(event).await.map_err(|_| Stopping)
}

fn is_read(facts: &Facts, chassis: &ChassisId) -> bool {
    let known = facts.chassis().get(chassis);
    known.is_some_and(|chassis| chassis.observed)
}

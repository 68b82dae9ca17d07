//! A switch whose hypervisor another controller may own: its connection is kept, as a secondary one, until this controller does
//! (`docs/decisions/0021`). Then the connection is the primary one: the switch sends packets to it alone, and takes changes from it
//! alone.

use super::Context;
use super::line::Line;
use super::session::SessionError;
use crate::cluster::{Held, Tenure};
use crate::snapshot::Stopping;
use rust_openflow::{ErrorCode, Message, Role, RoleMessage, Xid};
use sextant_model::{ChassisId, Facts};

/// Waits until this controller owns the hypervisor, and its database was read. Returns the generation by which it does; none where
/// it is the only controller.
pub(super) async fn stand_by(
    line: &mut Line,
    chassis: &ChassisId,
    tenure: &mut Tenure,
    context: &Context,
) -> Result<Option<u64>, SessionError> {
    let mut role = AskedRole::default();
    loop {
        let Some(held) = tenure.now() else {
            return Ok(None);
        };
        match held.own {
            Some(own) => {
                if was_read(line, chassis, tenure, context).await? {
                    ask(line, Role::Primary, own);
                    return Ok(Some(own));
                }
            }
            None => {
                role.follow(line, held);
                tokio::select! {
                    () = tenure.changed() => {}
                    received = line.next() => role.take(received?),
                }
            }
        }
    }
}

/// Whether the hypervisor's database was read, once it was or this controller does not own it any more.
async fn was_read(
    line: &mut Line,
    chassis: &ChassisId,
    tenure: &mut Tenure,
    context: &Context,
) -> Result<bool, SessionError> {
    let mut snapshots = context.snapshots.clone();
    let is_read = |facts: &Facts| {
        let known = facts.chassis().get(chassis);
        known.is_some_and(|chassis| chassis.observed)
    };
    while !is_read(&context.snapshots.latest().facts) {
        tokio::select! {
            changed = snapshots.hypervisors_changed() => drop(changed?),
            () = tenure.changed() => return Ok(false),
            received = line.next() => drop(received?),
        }
    }
    Ok(true)
}

fn ask(line: &mut Line, role: Role, generation: u64) -> Option<Xid> {
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
    fn follow(&mut self, line: &mut Line, held: Held) {
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
    context: &Context,
    chassis: &ChassisId,
    generation: Option<u64>,
) -> Result<(), Stopping> {
    let Some(generation) = generation else {
        return Ok(());
    };
    context.tenures.end(chassis, generation);
    let event = crate::state::Event::Disowned(chassis.clone(), generation);
    context.events.send(event).await.map_err(|_| Stopping)
}

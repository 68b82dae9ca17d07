//! The roles of a switch's connections (OpenFlow 1.3.5 §6.3.4), as Open vSwitch has them.

use rust_openflow::{ErrorCode, Message, Role, RoleMessage};

/// What Open vSwitch says as generation before anybody has named one.
const NO_GENERATION: u64 = u64::MAX;

/// What all connections of a switch have together.
#[derive(Debug, Default)]
pub(super) struct Roles {
    connections: u64,
    primary: Option<u64>,
    generation: Option<u64>,
}

/// What one connection has asked for.
#[derive(Debug, Default)]
pub(super) struct AskedRole {
    connection: u64,
    role: Option<Role>,
}

impl Roles {
    /// A connection, which is equal to others.
    pub(super) fn connect(&mut self) -> AskedRole {
        self.connections += 1;
        AskedRole {
            connection: self.connections,
            role: None,
        }
    }

    /// A connection that asked to be the primary one is a secondary one once another has asked for that.
    pub(super) fn of(&self, asked: &AskedRole) -> Role {
        let is_replaced =
            asked.role == Some(Role::Primary) && self.primary != Some(asked.connection);
        match is_replaced {
            true => Role::Secondary,
            false => asked.role.unwrap_or(Role::Equal),
        }
    }

    /// Whether a connection may change anything.
    pub(super) fn may_change(&self, asked: &AskedRole) -> bool {
        self.of(asked) != Role::Secondary
    }

    /// Does what a connection asks for.
    pub(super) fn ask(
        &mut self,
        asked: &mut AskedRole,
        wanted: RoleMessage,
    ) -> Result<Message, ErrorCode> {
        match wanted.role {
            Role::NoChange => {}
            Role::Equal => asked.role = Some(Role::Equal),
            Role::Primary | Role::Secondary => {
                let latest = self.generation;
                if latest.is_some_and(|latest| is_older(wanted.generation, latest)) {
                    return Err(ErrorCode::STALE_ROLE);
                }
                self.generation = Some(wanted.generation);
                asked.role = Some(wanted.role);
                if wanted.role == Role::Primary {
                    self.primary = Some(asked.connection);
                }
            }
        }
        Ok(Message::RoleReply(RoleMessage {
            role: self.of(asked),
            generation: self.generation.unwrap_or(NO_GENERATION),
        }))
    }
}

/// Generations go round: half of all are older than any.
fn is_older(generation: u64, latest: u64) -> bool {
    generation.wrapping_sub(latest).cast_signed() < 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(roles: &mut Roles, asked: &mut AskedRole, role: Role, generation: u64) -> String {
        let wanted = RoleMessage { role, generation };
        match roles.ask(asked, wanted) {
            Ok(Message::RoleReply(reply)) => format!("{:?} {}", reply.role, reply.generation),
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn the_latest_primary_makes_the_other_a_secondary() {
        let mut roles = Roles::default();
        let (mut one, mut other) = (roles.connect(), roles.connect());
        assert!(roles.may_change(&one) && roles.may_change(&other));
        assert_eq!(ask(&mut roles, &mut one, Role::Primary, 7), "Primary 7");
        assert_eq!(roles.of(&other), Role::Equal);
        assert_eq!(ask(&mut roles, &mut other, Role::Primary, 8), "Primary 8");
        assert_eq!(ask(&mut roles, &mut one, Role::NoChange, 0), "Secondary 8");
        assert!(!roles.may_change(&one) && roles.may_change(&other));
    }

    #[test]
    fn an_older_generation_is_refused() {
        let mut roles = Roles::default();
        let (mut one, mut other) = (roles.connect(), roles.connect());
        ask(&mut roles, &mut one, Role::Primary, 7);
        for role in [Role::Primary, Role::Secondary] {
            let wanted = RoleMessage {
                role,
                generation: 6,
            };
            let refused = roles.ask(&mut other, wanted);
            assert_eq!(refused, Err(ErrorCode::STALE_ROLE));
        }
        assert_eq!(roles.of(&one), Role::Primary);
        assert_eq!(roles.of(&other), Role::Equal);
        assert_eq!(
            ask(&mut roles, &mut other, Role::Secondary, 7),
            "Secondary 7"
        );
        assert_eq!(ask(&mut roles, &mut one, Role::Secondary, 7), "Secondary 7");
    }
}

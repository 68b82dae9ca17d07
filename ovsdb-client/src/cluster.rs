//! Being content with a server of a cluster, or not.
//!
//! A server describes its databases in a database of its own, `_Server` (ovsdb-server(5)). A member of a cluster that lost
//! the others goes on answering with what it last knew, and one that is not the leader may be behind.

use thiserror::Error;

use crate::monitor::MonitorRequest;
use crate::replica::Replica;
use crate::row::Row;
use crate::transaction::Condition;

/// Which server of a cluster will do. A database that is not clustered always does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Member {
    /// Any, even one that is cut off; the server is not asked.
    #[default]
    Any,
    /// One in contact with a majority of the cluster.
    Connected,
    /// The leader, whose contents are never behind.
    Leader,
}

/// The server is not one that will do; another one of the cluster may be.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum MemberError {
    /// It has no contact with a majority of its cluster.
    #[error("the server is cut off from its cluster")]
    Disconnected,
    /// It is not the leader, or no longer.
    #[error("the server is not the leader of its cluster")]
    NotLeader,
}

/// What to know about the database.
pub(crate) fn request(database: &str) -> MonitorRequest {
    MonitorRequest::new("_Server")
        .table("Database", ["name", "model", "connected", "leader"])
        .matching("Database", [Condition::equal("name", database)])
}

/// Whether what is known makes the server acceptable.
pub(crate) fn judge(server: &Replica, database: &str, wanted: Member) -> Result<(), MemberError> {
    match server.find("Database", "name", database) {
        Some((_, row)) => judge_row(row, wanted),
        None => Ok(()),
    }
}

fn judge_row(row: &Row, wanted: Member) -> Result<(), MemberError> {
    let clustered = row.string("model") == Ok("clustered");
    match (clustered, wanted) {
        (false, _) | (true, Member::Any) => Ok(()),
        (true, _) if row.boolean("connected") != Ok(true) => Err(MemberError::Disconnected),
        (true, Member::Leader) if row.boolean("leader") != Ok(true) => Err(MemberError::NotLeader),
        (true, Member::Connected | Member::Leader) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_cluster_s_members_are_judged() {
        let row = |model: &str, connected: bool, leader: bool| {
            Row::new()
                .with("model", model)
                .with("connected", connected)
                .with("leader", leader)
        };
        let lost = row("clustered", false, false);
        let follower = row("clustered", true, false);
        let leader = row("clustered", true, true);
        let alone = row("standalone", true, true);
        let judged = |wanted| [&lost, &follower, &leader, &alone].map(|row| judge_row(row, wanted));
        let disconnected = Err(MemberError::Disconnected);
        assert_eq!(judged(Member::Any), [const { Ok(()) }; 4]);
        assert_eq!(
            judged(Member::Connected),
            [disconnected.clone(), Ok(()), Ok(()), Ok(())]
        );
        assert_eq!(
            judged(Member::Leader),
            [disconnected, Err(MemberError::NotLeader), Ok(()), Ok(())]
        );
    }
}

//! What of a hypervisor's database a session has a replica of.
//!
//! All of it, where this controller owns the hypervisor. Where another one does, only who the hypervisor is: there may be many
//! hypervisors, and the rest is a round trip away.

use super::schema::{Bridge, Controller, DATABASE, Interface, MONITORED, Manager, Port};
use super::zone_limit::OPTIONAL;
use sextant_ovsdb_client::{Condition, Connection, MonitorRequest, Table};
use std::sync::LazyLock;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use uuid::Uuid;

/// The tables that only an owner reads.
const OF_OWNERS: [&str; 5] = [
    Bridge::NAME,
    Port::NAME,
    Interface::NAME,
    Controller::NAME,
    Manager::NAME,
];

/// Silence after which a hypervisor is asked whether it is there: by its owner, and by who waits to be that.
const OWNING: Duration = Duration::from_secs(5);
const WAITING: Duration = Duration::from_secs(30);

/// All sessions ask for the same.
static WHOLE: LazyLock<MonitorRequest> =
    LazyLock::new(|| MonitorRequest::declared(DATABASE, MONITORED).optional(OPTIONAL));
static NARROW: LazyLock<MonitorRequest> = LazyLock::new(|| {
    OF_OWNERS.into_iter().fold(WHOLE.clone(), |request, table| {
        request.matching(table, [no_row()])
    })
});

/// How much of the database the replica has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum View {
    /// What all controllers read.
    Narrow,
    /// All was asked for.
    Widening,
    /// All.
    Whole,
}

impl View {
    /// Asks for all, or for what a controller needs that may never own the hypervisor.
    pub(super) fn begin<S>(connection: &mut Connection<S>, may_be_anothers: bool) -> Self
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let (request, view) = match may_be_anothers {
            true => (&NARROW, Self::Narrow),
            false => (&WHOLE, Self::Whole),
        };
        connection.monitor_request((*request).clone());
        view.pace(connection);
        view
    }

    /// Monitors everything if this controller may own the hypervisor, and only its identity otherwise.
    pub(super) fn fit<S>(&mut self, connection: &mut Connection<S>, is_wanted: bool)
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        if is_wanted == (*self != Self::Narrow) {
            return;
        }
        for table in OF_OWNERS {
            let conditions = (!is_wanted).then(no_row);
            connection.change_conditions(table, conditions);
        }
        *self = match is_wanted {
            true => Self::Widening,
            false => Self::Narrow,
        };
        self.pace(connection);
    }

    /// How long a silence of the database may last before it is asked whether it is there.
    fn pace<S>(self, connection: &mut Connection<S>)
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let interval = match self {
            Self::Narrow => WAITING,
            Self::Widening | Self::Whole => OWNING,
        };
        connection.set_probe_interval(Some(interval));
    }

    /// The replica has what was asked for last.
    pub(super) fn selected(&mut self) {
        if *self == Self::Widening {
            *self = Self::Whole;
        }
    }
}

fn no_row() -> Condition {
    Condition::uuid(Uuid::nil())
}

//! What the labels of metrics may say, each declared once. Names that protocols have for their own messages and reasons are
//! theirs (`Punt::kind`, `Outcome`).

macro_rules! labels {
    ($($(#[doc = $help:literal])* $name:ident { $($(#[doc = $what:literal])* $variant:ident = $label:literal,)* })*) => {$(
        $(#[doc = $help])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name {
            $($(#[doc = $what])* $variant,)*
        }

        impl $name {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// The value of the label.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $label,)*
                }
            }
        }
    )*};
}

labels! {
    /// Why a connection was refused, or ended to make room.
    RefusedConnection {
        /// All places are taken.
        Full = "full",
        /// Too many have not said who they are, in all.
        Unidentified = "unidentified",
        /// Too many from one address have not said who they are.
        Origin = "origin",
        /// The oldest of those who have not said who they are was ended.
        Stale = "stale",
        /// An idle client was ended for a newer one.
        Idle = "idle",
        /// One address has too many requests under way.
        Address = "address",
    }

    /// What flows are computed of a switch.
    Computation {
        /// All of them.
        All = "all",
        /// What a change of the cloud makes of them.
        Change = "change",
    }

    /// What went wrong between Sextant and a switch.
    OpenFlowError {
        /// The switch sent what is no OpenFlow.
        Malformed = "malformed",
        /// The switch refused a message.
        Refused = "refused",
        /// A message is too long for OpenFlow.
        Unsent = "unsent",
    }

    /// Why a tunnel endpoint is in doubt.
    DoubtfulEndpoint {
        /// Another hypervisor has it, too.
        Shared = "shared",
        /// No other hypervisor can reach it.
        Impossible = "impossible",
    }

    /// What caused a Router Advertisement.
    AdvertisementCause {
        /// A Router Solicitation.
        Solicited = "solicited",
        /// Time, or a change.
        Periodic = "periodic",
        /// The router's port goes away.
        Final = "final",
    }

    /// What is done with flows.
    FlowOperation {
        /// They are added.
        Add = "add",
        /// They are deleted.
        Delete = "delete",
    }

    /// What became of flows that were sent.
    FlowOutcome {
        /// The switch has confirmed them.
        Confirmed = "confirmed",
        /// The switch has refused the change that they are part of.
        Refused = "refused",
        /// They were left out of a change.
        LeftOut = "left_out",
    }

    /// What others changed on a hypervisor.
    Drift {
        /// A flow.
        Flow = "flow",
        /// A meter.
        Meter = "meter",
        /// A group.
        Group = "group",
        /// The switch's treatment of fragments.
        Switch = "switch",
        /// What `br-int` is set to, or its controller.
        Bridge = "bridge",
        /// A port.
        Port = "port",
    }

    /// What became of a transaction with a hypervisor's database.
    TransactionOutcome {
        /// It was made.
        Confirmed = "confirmed",
        /// The database refused it.
        Refused = "refused",
    }

    /// What became of a commit to the store.
    CommitOutcome {
        /// It was made.
        Committed = "committed",
        /// Somebody else was faster.
        Conflict = "conflict",
        /// The store is broken or unreachable.
        Unavailable = "unavailable",
        /// The store takes nothing as large.
        TooLarge = "too_large",
        /// The store did not answer in time, and may have made it.
        Uncertain = "uncertain",
    }

    /// What became of a request that waited for a revision of the store.
    RevisionWait {
        /// This controller has reached it.
        Reached = "reached",
        /// It has not within the time that a request waits.
        TooLate = "too_late",
        /// It cannot, because the store is out of reach.
        OutOfReach = "out_of_reach",
    }

    /// What Keystone was asked for.
    KeystoneRequest {
        /// What a caller's token is.
        Validate = "validate",
        /// A token for Sextant itself.
        Login = "login",
    }

    /// What came of a request to Keystone.
    KeystoneOutcome {
        /// It gave what it was asked for.
        Ok = "ok",
        /// It does not know the token, or refuses the credentials or the token of Sextant itself.
        Refused = "refused",
        /// It did not answer in time, or with something else.
        Failed = "failed",
    }

    /// What Nova is told of a guest's port.
    NovaEventName {
        /// It is plugged in, and has its flows.
        VifPlugged = "network-vif-plugged",
        /// Its interface is gone.
        VifUnplugged = "network-vif-unplugged",
        /// It has other addresses.
        Changed = "network-changed",
        /// It was deleted.
        VifDeleted = "network-vif-deleted",
    }

    /// What came of an event that was sent to Nova.
    NovaOutcome {
        /// Nova has taken it.
        Taken = "taken",
        /// Nova does not know the guest, or has no use for the event.
        Dismissed = "dismissed",
        /// Nova did not answer in time, or with something else. It is sent again.
        Failed = "failed",
    }

    /// Who said whether a caller's token holds.
    TokenCheck {
        /// It was known.
        Cache = "cache",
        /// The answer to another caller with the same token.
        Shared = "shared",
        /// Keystone was asked.
        Asked = "asked",
    }

    /// Whether a subnet has the prefix for which a router asks.
    PrefixState {
        /// Not yet.
        Waiting = "waiting",
        /// A server has delegated one.
        Delegated = "delegated",
    }

    /// What became of a delegated prefix.
    PrefixChange {
        /// A subnet got its first.
        Delegated = "delegated",
        /// A subnet got another.
        Renumbered = "renumbered",
        /// A subnet has none any more.
        Reverted = "reverted",
        /// It overlaps another subnet's.
        Refused = "refused",
    }
}

impl RefusedConnection {
    /// Those of the listeners of switches and databases.
    pub const OF_HYPERVISORS: &[Self] =
        &[Self::Full, Self::Unidentified, Self::Stale, Self::Origin];
    /// Those of the listeners of HTTP.
    pub const OF_CLIENTS: &[Self] = &[Self::Idle, Self::Address];
}

/// What became of a DHCPv6 message of a prefix client, beside what [`sextant_responders::PacketVerdict`] says of those of servers.
pub const SENT: &str = "sent";
/// What is heard outside is counted as the packets that tell it are (`Punt::Heard`).
pub const HEARD: &str = "heard";

//! The tables and columns that Sextant reads (ovs-vswitchd.conf.db(5)), and nothing else of a database is sent.
//!
//! A database that lacks one of them, or has it with another type, is refused when it connects.

use sextant_ovsdb_client::tables;
use std::collections::{BTreeMap, BTreeSet};
use uuid::Uuid;

pub(super) const DATABASE: &str = "Open_vSwitch";

tables! {
    /// All tables and columns, to monitor.
    pub(super) const MONITORED;

    /// The root: what an administrator says of the whole.
    OpenVswitch = "Open_vSwitch" {
        external_ids: BTreeMap<String, String>,
        bridges: BTreeSet<Uuid>,
        manager_options: BTreeSet<Uuid>,
        ovs_version: Option<String>,
        iface_types: BTreeSet<String>,
    }

    /// A bridge.
    Bridge = "Bridge" {
        name: String,
        ports: BTreeSet<Uuid>,
        controller: BTreeSet<Uuid>,
        fail_mode: Option<String>,
        protocols: BTreeSet<String>,
        datapath_id: Option<String>,
        datapath_type: String,
        other_config: BTreeMap<String, String>,
        stp_enable: bool,
        rstp_enable: bool,
        external_ids: BTreeMap<String, String>,
    }

    /// A port of a bridge, which has one interface, or more where it is a bond.
    Port = "Port" {
        name: String,
        interfaces: BTreeSet<Uuid>,
        external_ids: BTreeMap<String, String>,
    }

    /// What a port sends and receives by.
    Interface = "Interface" {
        name: String,
        kind = "type": String,
        options: BTreeMap<String, String>,
        ofport: Option<i64>,
        bfd: BTreeMap<String, String>,
        bfd_status: BTreeMap<String, String>,
        external_ids: BTreeMap<String, String>,
    }

    /// Where a bridge finds its OpenFlow controller.
    Controller = "Controller" {
        target: String,
        connection_mode: Option<String>,
        max_backoff: Option<i64>,
        inactivity_probe: Option<i64>,
        external_ids: BTreeMap<String, String>,
    }

    /// Where the database finds its manager.
    Manager = "Manager" {
        target: String,
        max_backoff: Option<i64>,
        inactivity_probe: Option<i64>,
        external_ids: BTreeMap<String, String>,
    }
}

//! What resources are: their attributes, how requests are read into types and shown, and what a write does to the cloud.
//!
//! Nothing here knows who may do it, or HTTP beyond the status of an error.

pub(crate) mod action;
pub(crate) mod address_scope;
pub(crate) mod attributes;
pub(crate) mod body;
pub(crate) mod caller;
pub(crate) mod conditions;
pub(crate) mod dns;
pub(crate) mod draft;
pub(crate) mod error;
pub(crate) mod host_routes;
pub(crate) mod index;
pub(crate) mod ipam;
pub(crate) mod kind;
pub(crate) mod limits;
pub(crate) mod network;
pub(crate) mod placement;
pub(crate) mod policy;
pub(crate) mod port;
pub(crate) mod quota;
pub(crate) mod rbac;
pub(crate) mod resource;
pub(crate) mod router;
pub(crate) mod security_group;
pub(crate) mod shown;
pub(crate) mod subnet;
pub(crate) mod subnet_pool;
pub(crate) mod tags;
pub(crate) mod ties;
pub(crate) mod values;
pub(crate) mod view;

mod kinds;
pub(crate) mod python;

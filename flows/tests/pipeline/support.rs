//! Small clouds in few words, and what becomes of packets in them.

pub(crate) mod cloud;
pub(crate) mod fabric;
pub(crate) mod frames;
pub(crate) mod show;

pub(crate) use cloud::Cloud;
pub(crate) use fabric::{Fabric, from_underlay};

//! The store in etcd: the suite, and what a cluster has of its own.

mod access;
mod chaos;
mod doctor;
mod member;
mod opening;
mod outages;
mod presence;
mod revisions;
mod served;
mod sizes;
mod wire;

use crate::contract::contract;
use crate::world::Place;
pub(crate) use member::Member;
use sextant_controller::store::{Etcd, EtcdSettings, Password, Store};
use std::path::PathBuf;
use std::sync::Arc;

impl Place for Member {
    async fn open(&self) -> Arc<dyn Store> {
        Arc::new(Etcd::open(&settings([self.url()])).await.unwrap())
    }
}

contract!(|_| Member::alone());

/// How clients without a name reach members at these URLs.
pub(crate) fn settings<const N: usize>(urls: [String; N]) -> EtcdSettings {
    EtcdSettings {
        endpoints: urls.into(),
        prefix: "/cloud/".to_owned(),
        ca: PathBuf::new(),
        certificate: PathBuf::new(),
        private_key: PathBuf::new(),
        user: String::new(),
        password: Password::default(),
    }
}

//! A real OpenStack runs on the controller: Keystone, Placement, Glance and Nova with libvirt and qemu, on the lab's
//! hypervisors. `make test-openstack` runs these tests; each brings up a cloud of its own.

#[path = "nova_cloud/boot.rs"]
mod boot;
#[path = "nova_cloud/cloud.rs"]
mod cloud;
#[path = "nova_cloud/desk.rs"]
mod desk;
#[path = "nova_cloud/life.rs"]
mod life;
#[path = "nova_cloud/metadata.rs"]
mod metadata;
#[path = "nova_cloud/moves.rs"]
mod moves;
#[path = "nova_cloud/servers.rs"]
mod servers;
#[path = "nova_cloud/times.rs"]
mod times;

pub(crate) type Outcome = Result<(), Box<dyn std::error::Error>>;

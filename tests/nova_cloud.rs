//! A real OpenStack runs on the controller: Keystone, Placement, Glance and Nova with libvirt and qemu, on the lab's
//! hypervisors. `make test-openstack` runs these tests; each brings up a cloud of its own.

#[path = "nova_cloud/boot.rs"]
mod boot;
#[path = "nova_cloud/cloud.rs"]
mod cloud;
#[path = "nova_cloud/desk.rs"]
mod desk;

pub(crate) type Outcome = Result<(), Box<dyn std::error::Error>>;

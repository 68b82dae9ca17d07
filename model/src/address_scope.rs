//! Address scopes. Subnet pools of one scope never overlap.

use crate::{AddressScopeId, IpVersion, Meta};
use serde::{Deserialize, Serialize};

/// A scope in which addresses are unique.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AddressScope {
    /// Its id.
    pub id: AddressScopeId,
    /// Name, project, times, revision.
    pub meta: Meta,
    /// 4 or 6.
    pub ip_version: IpVersion,
    /// Visible to all projects.
    pub shared: bool,
}

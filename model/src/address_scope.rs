//! Address scopes: within one, no two subnet pools overlap.

use crate::{AddressScopeId, IpVersion, Meta};
use serde::{Deserialize, Serialize};

/// A scope of addresses that are unique within it.
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

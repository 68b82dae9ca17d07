//! Counts the `extra_dhcp_opts` that DHCP answers leave out because they cannot be sent.

use crate::metrics::Metrics;
use sextant_model::{Change, DhcpOption, Intent, IpVersion, Key, Object, ObjectKey, Port};
use std::sync::Arc;

/// The IP versions as labels.
const VERSIONS: [(IpVersion, &str); 2] = [(IpVersion::V4, "4"), (IpVersion::V6, "6")];

/// Counts the effect of a change that is not applied yet.
pub(super) fn count(intent: &Intent, change: &Change, metrics: &Metrics) {
    let Key::Object(ObjectKey::Port(id)) = change.key() else {
        return;
    };
    let before = intent.ports.get(&id);
    let after = match change {
        Change::Put(Object::Port(port)) => Some(port),
        Change::Put(_) | Change::Delete(_) => None,
    };
    // Most changes of ports are not about options.
    if options(before) == options(after) {
        return;
    }
    let [before, after] = [before, after].map(|port| port.map(|port| unsendable(port)));
    for (version, label) in VERSIONS {
        let [before, after] = [&before, &after].map(|options| -> i64 {
            let options = options.iter().flatten();
            options.map(|option| i64::from(*option == version)).sum()
        });
        let difference = after - before;
        if difference != 0 {
            let gauge = &metrics.dhcp_options_left_out;
            gauge.with_label_values(&[label]).add(difference);
        }
    }
}

fn options(port: Option<&Arc<Port>>) -> Option<&[DhcpOption]> {
    port.map(|port| port.extra_dhcp_opts.as_slice())
}

/// The IP versions of a port's options that cannot be sent.
fn unsendable(port: &Port) -> Vec<IpVersion> {
    let options = port.extra_dhcp_opts.iter();
    let lost = options.filter_map(|option| {
        let error = option.unsendable()?;
        tracing::debug!(port = %port.id, option = %option.opt_name, error, "DHCP answers leave out an entry of extra_dhcp_opts");
        Some(option.ip_version)
    });
    lost.collect()
}

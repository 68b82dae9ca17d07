//! Where Sextant answers otherwise than the Neutron that was recorded, on purpose, and why.

use serde_json::Value;

/// An answer that is not as recorded.
pub(crate) struct Difference {
    file: &'static str,
    pub(crate) label: &'static str,
    answer: Answer,
    reason: &'static str,
}

enum Answer {
    /// The request is not sent: it is about what Sextant does not have yet.
    LeftOut,
    /// Another body, all well.
    Otherwise,
    /// This status and type of error.
    Refused(u16, &'static str),
}

impl Difference {
    pub(crate) fn is_left_out(&self) -> bool {
        matches!(self.answer, Answer::LeftOut)
    }

    /// Whether this answer is the one that is meant.
    pub(crate) fn answers(&self, status: u16, body: &Value) -> bool {
        match self.answer {
            Answer::LeftOut => false,
            Answer::Otherwise => (200..300).contains(&status),
            Answer::Refused(expected, kind) => {
                status == expected && body["NeutronError"]["type"] == kind
            }
        }
    }
}

pub(crate) fn of(file: &str, label: &str) -> Option<&'static Difference> {
    DIFFERENCES
        .iter()
        .find(|difference| difference.file == file && difference.label == label)
}

pub(crate) fn labels(file: &str) -> impl Iterator<Item = &'static str> {
    DIFFERENCES
        .iter()
        .filter(move |difference| difference.file == file)
        .map(|difference| difference.label)
}

/// Whether an attribute is compared nowhere.
pub(crate) fn is_attribute(name: &str) -> bool {
    ATTRIBUTES.iter().any(|(attribute, _)| *attribute == name)
        || ["min_prefixlen", "max_prefixlen"].contains(&name)
}

/// Attributes that differ everywhere.
const ATTRIBUTES: &[(&str, &str)] = &[
    (
        "is_default",
        "shown by Neutron for its automatically allocated topology, which Sextant does not have",
    ),
    (
        "provider:segmentation_id",
        "a number that each chooses freely",
    ),
    (
        "revision_number",
        "Neutron counts a change of a port twice when it gains an address by itself, and more such",
    ),
    (
        "ip_allocation",
        "Neutron remembers that a port was made with an empty list of addresses",
    ),
    (
        "default_prefixlen",
        "Neutron answers with a string or a number by request, Sextant with a number; so for the minimum and maximum",
    ),
    (
        "floatingip",
        "Sextant has no floating IPs, so no quota of them",
    ),
    ("trunk", "Sextant has no trunks, so no quota of them"),
    (
        "security_groups",
        "Sextant has no security groups yet; ports have none",
    ),
];

const fn difference(
    file: &'static str,
    label: &'static str,
    answer: Answer,
    reason: &'static str,
) -> Difference {
    Difference {
        file,
        label,
        answer,
        reason,
    }
}

const DIFFERENCES: &[Difference] = &[
    difference(
        "01_discovery",
        "extensions",
        Answer::Otherwise,
        "lists exactly the extensions that work",
    ),
    difference(
        "02_networks",
        "list sort/limit",
        Answer::LeftOut,
        "the first of two networks of the same name follows from their random ids",
    ),
    difference(
        "02_networks",
        "create bad type",
        Answer::Otherwise,
        "Geneve is supported",
    ),
    difference(
        "05_subnet_errors",
        "cidr null",
        Answer::Refused(400, "BadRequest"),
        "Neutron fails with an internal error",
    ),
    difference(
        "05_subnet_errors",
        "list subnets",
        Answer::LeftOut,
        "the first page follows from random ids",
    ),
    difference(
        "06_subnetpools_pd",
        "use_default no default/PD",
        Answer::Refused(400, "BadRequest"),
        "prefix delegation is not there yet",
    ),
    difference(
        "06_subnetpools_pd",
        "PD explicit subnetpool_id",
        Answer::LeftOut,
        "prefix delegation is not there yet",
    ),
    difference(
        "06_subnetpools_pd",
        "PD explicit again (same ::/64)",
        Answer::LeftOut,
        "prefix delegation is not there yet",
    ),
    difference(
        "06_subnetpools_pd",
        "PD stateless",
        Answer::LeftOut,
        "prefix delegation is not there yet",
    ),
    difference(
        "06_subnetpools_pd",
        "PD stateful",
        Answer::LeftOut,
        "prefix delegation is not there yet",
    ),
    difference(
        "06_subnetpools_pd",
        "PD no modes",
        Answer::LeftOut,
        "prefix delegation is not there yet",
    ),
    difference(
        "06_subnetpools_pd",
        "PD ip_version 4",
        Answer::LeftOut,
        "prefix delegation is not there yet",
    ),
    difference(
        "06_subnetpools_pd",
        "PD + cidr",
        Answer::LeftOut,
        "prefix delegation is not there yet",
    ),
    difference(
        "06_subnetpools_pd",
        "subnet from pool cidr outside",
        Answer::Refused(400, "SubnetAllocationError"),
        "Neutron answers with status 500",
    ),
    difference(
        "06_subnetpools_pd",
        "small exhausted",
        Answer::Refused(409, "SubnetAllocationError"),
        "Neutron answers with status 500",
    ),
    difference(
        "06_subnetpools_pd",
        "set default",
        Answer::Otherwise,
        "shows all attributes, as on every other answer",
    ),
    difference(
        "06_subnetpools_pd",
        "unset default",
        Answer::Otherwise,
        "shows all attributes, as on every other answer",
    ),
    difference(
        "06_subnetpools_pd",
        "use_default with default pool",
        Answer::Otherwise,
        "takes the prefix from the default pool: prefix delegation is not there yet",
    ),
    difference(
        "07_ports",
        "sgs",
        Answer::LeftOut,
        "security groups are not there yet",
    ),
    difference(
        "07_ports",
        "sg rules",
        Answer::LeftOut,
        "security groups are not there yet",
    ),
    difference(
        "07_ports",
        "sg create",
        Answer::LeftOut,
        "security groups are not there yet",
    ),
    difference(
        "07_ports",
        "icmpv6 rule",
        Answer::LeftOut,
        "security groups are not there yet",
    ),
    difference(
        "07_ports",
        "icmpv6 alias",
        Answer::LeftOut,
        "security groups are not there yet",
    ),
    difference(
        "07_ports",
        "icmp with v6",
        Answer::LeftOut,
        "security groups are not there yet",
    ),
    difference(
        "07_ports",
        "ipv6-icmp with v4",
        Answer::LeftOut,
        "security groups are not there yet",
    ),
    difference(
        "07_ports",
        "tcp v6 prefix",
        Answer::LeftOut,
        "security groups are not there yet",
    ),
    difference(
        "07_ports",
        "v4 prefix w/ v6",
        Answer::LeftOut,
        "security groups are not there yet",
    ),
    difference(
        "07_ports",
        "dup rule",
        Answer::LeftOut,
        "security groups are not there yet",
    ),
    difference(
        "07_ports",
        "icmpv6 type 300",
        Answer::LeftOut,
        "security groups are not there yet",
    ),
    difference(
        "08_routers",
        "shared v6 port",
        Answer::Otherwise,
        "a router's port is there on every hypervisor as soon as it exists",
    ),
    difference(
        "08_routers",
        "router ports",
        Answer::Otherwise,
        "a router's port is there on every hypervisor as soon as it exists",
    ),
    difference(
        "08_routers",
        "shared v6 port after",
        Answer::Otherwise,
        "a router's port is there on every hypervisor as soon as it exists",
    ),
    difference(
        "08_routers",
        "pd subnet",
        Answer::LeftOut,
        "prefix delegation is not there yet",
    ),
    difference(
        "08_routers",
        "add pd subnet (no gw)",
        Answer::LeftOut,
        "prefix delegation is not there yet",
    ),
    difference(
        "08_routers",
        "delete router in use",
        Answer::Refused(409, "RouterInUse"),
        "lists one port less, as the subnet with a delegated prefix is left out",
    ),
    difference(
        "08_routers",
        "gw on ext w/o any subnet",
        Answer::Refused(400, "HTTPBadRequest"),
        "external gateways are not there yet",
    ),
    difference(
        "08_routers",
        "gw on ext v4 only",
        Answer::Refused(400, "HTTPBadRequest"),
        "external gateways are not there yet",
    ),
    difference(
        "08_routers",
        "gw dual fixed",
        Answer::Refused(400, "HTTPBadRequest"),
        "external gateways are not there yet",
    ),
    difference(
        "08_routers",
        "gw non-external net",
        Answer::Refused(400, "HTTPBadRequest"),
        "external gateways are not there yet",
    ),
    difference(
        "08_routers",
        "gw bad net",
        Answer::Refused(400, "HTTPBadRequest"),
        "external gateways are not there yet",
    ),
    difference(
        "08_routers",
        "router show after v6 ext sub added",
        Answer::Otherwise,
        "external gateways are not there yet",
    ),
    difference(
        "08_routers",
        "delete ext net in use",
        Answer::LeftOut,
        "external gateways are not there yet",
    ),
    difference(
        "08_routers",
        "floatingip v6 to slaac",
        Answer::Refused(404, "HTTPNotFound"),
        "floating IPs of IPv4 are not part of Sextant",
    ),
    difference(
        "08_routers",
        "fip to v6 fixed",
        Answer::Refused(404, "HTTPNotFound"),
        "floating IPs of IPv4 are not part of Sextant",
    ),
    difference(
        "08_routers",
        "extra routes v6",
        Answer::Refused(400, "HTTPBadRequest"),
        "static routes of routers are not there yet",
    ),
    difference(
        "08_routers",
        "extra route bad nh",
        Answer::Refused(400, "HTTPBadRequest"),
        "static routes of routers are not there yet",
    ),
    difference(
        "08_routers",
        "routes clear",
        Answer::Otherwise,
        "external gateways are not there yet",
    ),
    difference(
        "08_routers",
        "remove by port",
        Answer::Otherwise,
        "names the subnets of the port in the order of their addresses",
    ),
    difference(
        "09_quota",
        "details",
        Answer::Otherwise,
        "security groups are not there yet, so none is used",
    ),
];

const INTRODUCTION: &str = "\
# Compatibility with Neutron

The requests in `controller/tests/neutron_api` were recorded from a Neutron 21.0.0 with its answers. A test sends them to
Sextant and compares status, error and body. This page lists all differences; it is written by that test.

## Attributes

| attribute | why it is not compared |
|---|---|
";

/// The page that lists all this.
pub(crate) fn page() -> String {
    let mut page = INTRODUCTION.to_owned();
    for (attribute, reason) in ATTRIBUTES {
        page.push_str(&format!("| `{attribute}` | {reason} |\n"));
    }
    page.push_str(
        "\n## Answers\n\n| recorded in | request | Sextant's answer | why |\n|---|---|---|---|\n",
    );
    for Difference {
        file,
        label,
        answer,
        reason,
    } in DIFFERENCES
    {
        let answer = match answer {
            Answer::LeftOut => "not compared".to_owned(),
            Answer::Otherwise => "another body".to_owned(),
            Answer::Refused(status, kind) => format!("{status} {kind}"),
        };
        page.push_str(&format!("| {file} | {label} | {answer} | {reason} |\n"));
    }
    page
}

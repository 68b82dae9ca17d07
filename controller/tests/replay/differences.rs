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
    ATTRIBUTES.iter().any(|(attribute, _)| *attribute == name) || ["dns_assignment"].contains(&name)
}

/// Whether an attribute is null in the one and empty in the other, and that is no difference.
pub(crate) fn is_empty(name: &str, recorded: &Value, answered: &Value) -> bool {
    EMPTY.iter().any(|(attribute, _)| *attribute == name) && recorded.is_null() && answered == ""
}

/// Attributes that differ everywhere.
const ATTRIBUTES: &[(&str, &str)] = &[
    (
        "dns_name",
        "recorded without Neutron's DNS extension; so for `dns_assignment`",
    ),
    (
        "dns_domain",
        "of networks, recorded without Neutron's DNS extension",
    ),
    (
        "router:external",
        "of subnets, recorded before Neutron had the extension `subnet-external-network`",
    ),
    (
        "is_default",
        "Neutron shows it of any network that it has just made, Sextant of external ones",
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
        "floatingip",
        "Sextant has no floating IPs, so no quota of them",
    ),
    ("trunk", "Sextant has no trunks, so no quota of them"),
    (
        "standard_attr_id",
        "a number of Neutron's database, which it shows of the rules within a group",
    ),
];

/// Attributes that may be absent (null) in the one and empty in the other.
const EMPTY: &[(&str, &str)] = &[(
    "description",
    "only null and the empty text are taken for the same: Neutron shows null for rules that it makes itself",
)];

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
        "remove by port",
        Answer::Otherwise,
        "names the subnets of the port in the order of their addresses",
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

/// Nothing that was recorded is bound. `api_rules/bindings.rs` tests what Sextant does.
const BINDINGS: &str = "
## Where ports are bound

No recorded port is bound. What is other than in Neutron's driver for Open vSwitch:

| attribute | Sextant |
|---|---|
| `binding:vif_type` | is found whenever a port is shown: a port that could not be bound is, once its hypervisor is there |
| `binding:host_id`, `binding:vif_type` | a port that is plugged in without being asked for on a host is bound where its interface is |
| `binding:vif_details` | `port_filter` is true for `vhostuser`, too: flows filter there as well |
| `bindings` of a port | at most 10 beside the active one; one that cannot be is refused with 409, where Neutron answers with status 500; a change without `profile` leaves it; administrators may make them as well |
| `binding:vnic_type` | other types than `normal` are never bound. Neutron binds `direct`, `smart-nic` and such where hardware is configured |
";

/// The page that lists all this.
pub(crate) fn page() -> String {
    let mut page = INTRODUCTION.to_owned();
    for (attribute, reason) in ATTRIBUTES.iter().chain(EMPTY) {
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
    page.push_str(BINDINGS);
    page
}

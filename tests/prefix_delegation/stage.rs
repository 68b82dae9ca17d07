//! What the stories begin with: a router with a gateway, an ordinary router outside that will have a server, and subnets that
//! want their prefixes from it.

use crate::servers::routed;
use serde_json::{Value, json};
use sextant_lab::story::site::{Gateway, Site, connects, reaches};
use sextant_lab::story::{Failure, Outcome, Plugged, SOON, ensure, eui64};
use sextant_lab::{
    DelegatingServer, LabError, Lifetimes, Network, OutsideRouter, PrefixPool, Subnet, SubnetSpec,
    wait_for,
};
use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

/// A host outside.
pub(crate) const FAR: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0xfa, 0, 0, 0, 0, 1);
pub(crate) const CONFIG: &str = "ipv6_pd_enabled = true\n[gateway]\ngone_after = 1\n\
    [external.physnet1]\nipv6_gateway = \"fe80::1\"\n";
/// What servers delegate, for longer than any story.
pub(crate) const POOL: PrefixPool<'_> = PrefixPool {
    prefix: "2001:db8:2222::/48",
    length: 64,
    lifetimes: Lifetimes {
        renew: 1000,
        rebind: 2000,
        preferred: 3000,
        valid: 4000,
    },
};
/// What a subnet has as long as it has no prefix.
const NONE: &str = "::/64";

pub(crate) type Start = fn(&OutsideRouter, &PrefixPool<'_>) -> Result<DelegatingServer, LabError>;

/// The outside, and the cloud's way there.
pub(crate) struct Stage {
    pub(crate) vlan: Option<u16>,
    pub(crate) external: Network,
    pub(crate) edge: OutsideRouter,
    pub(crate) gateway: Gateway,
    pub(crate) server: DelegatingServer,
}

impl Stage {
    /// The external network is in this VLAN, or without tags.
    pub(crate) fn set(
        site: &Site,
        vlan: Option<u16>,
        start: Start,
        pool: &PrefixPool<'_>,
    ) -> Result<Self, Failure> {
        let edge = edge(site, "edge", vlan)?;
        let server = start(&edge, pool)?;
        let external = site.external(vlan)?;
        let gateway = site.gateway(&external)?;
        Ok(Self {
            vlan,
            edge,
            external,
            gateway,
            server,
        })
    }

    /// A network with a subnet of this mode that has its prefix, of this pool.
    pub(crate) fn segment(
        &self,
        site: &Site,
        name: &str,
        mode: &str,
        pool: &PrefixPool<'_>,
    ) -> Result<Segment, Failure> {
        let api = site.world.lab.api();
        let network = api.create_network(name)?;
        let wanted = json!({"subnetpool_id": "prefix_delegation"});
        let subnet = subnet(site, &network, mode, wanted)?;
        api.add_interface(&self.gateway.router, &subnet)?;
        let prefix = delegated(site, &subnet, pool)?;
        Ok(Segment {
            network,
            subnet,
            prefix,
        })
    }

    /// Gives the router another gateway, or none.
    pub(crate) fn set_gateway(&self, site: &Site, wanted: &Value) -> Outcome {
        let path = format!("/v2.0/routers/{}", self.gateway.router.id);
        let wanted = json!({"router": {"external_gateway_info": wanted}});
        let (status, body) = site.world.lab.api().put(&path, &wanted)?;
        ensure(status == 200, || format!("{status} {body}"))
    }

    /// Waits until the server's router has this prefix by way of the cloud's.
    pub(crate) fn routes(&self, prefix: &str) -> Outcome {
        routed(&self.edge, prefix, Some(self.gateway.link_local().into()))
    }

    /// Ping and TCP, both ways, between a guest and outside.
    pub(crate) fn is_reached_by(&self, guest: &Plugged, prefix: Prefix) -> Outcome {
        let (inside, outside) = (guest.guest.namespace(), self.edge.namespace());
        let own = prefix.address_of(guest);
        reaches(inside, FAR)?;
        reaches(outside, own)?;
        connects(inside, outside, FAR.into(), &[])?;
        connects(outside, inside, own.into(), &[])
    }
}

/// A router outside that is the cloud's next hop, and the host behind it.
pub(crate) fn edge(site: &Site, name: &str, vlan: Option<u16>) -> Result<OutsideRouter, LabError> {
    let edge = site.upstream.router(name, vlan)?;
    edge.address("fe80::1/64")?;
    edge.far(FAR.into())?;
    Ok(edge)
}

/// A network with a subnet that has its prefix.
pub(crate) struct Segment {
    pub(crate) network: Network,
    pub(crate) subnet: Subnet,
    pub(crate) prefix: Prefix,
}

/// A prefix of 64 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Prefix(pub(crate) Ipv6Addr);

impl Prefix {
    /// What is there without one.
    pub(crate) const PROVISIONAL: Self = Self(Ipv6Addr::UNSPECIFIED);

    /// The address of a guest, by SLAAC.
    pub(crate) fn address_of(self, guest: &Plugged) -> Ipv6Addr {
        eui64(&self.0.to_string(), &guest.port.mac)
    }

    fn host(self, number: u64) -> Ipv6Addr {
        Ipv6Addr::from_bits(self.0.to_bits() | u128::from(number))
    }

    /// What the API shows of a subnet with this prefix, as the guide has it.
    pub(crate) fn shown(self) -> Value {
        json!({
            "cidr": self.to_string(),
            "gateway_ip": self.host(1),
            "allocation_pools": [{"start": self.host(2), "end": self.host(u64::MAX)}],
        })
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/64", self.0)
    }
}

/// A subnet of this mode that wants its prefix from wherever the request says.
pub(crate) fn subnet(
    site: &Site,
    network: &Network,
    mode: &str,
    wanted: Value,
) -> Result<Subnet, LabError> {
    let mut more = wanted.as_object().cloned().unwrap_or_default();
    more.insert("ip_version".to_owned(), json!(6));
    let spec = SubnetSpec {
        mode: Some(mode),
        more,
        ..SubnetSpec::default()
    };
    site.world.lab.api().create_subnet(network, &spec)
}

/// Waits until a subnet has a prefix of this pool, and all that goes with it.
pub(crate) fn delegated(
    site: &Site,
    subnet: &Subnet,
    pool: &PrefixPool<'_>,
) -> Result<Prefix, Failure> {
    let pool = pool.prefix;
    let pool = pool.split_once("::").map_or(pool, |(start, _)| start);
    let prefix = wait_cidr(site, subnet, &format!("a prefix of {pool}"), |cidr| {
        cidr.starts_with(pool)
    })?;
    shows(site, subnet, prefix)?;
    Ok(prefix)
}

/// Waits until a subnet has no prefix any more.
pub(crate) fn reverted(site: &Site, subnet: &Subnet) -> Outcome {
    let prefix = wait_cidr(site, subnet, NONE, |cidr| cidr == NONE)?;
    shows(site, subnet, prefix)
}

fn wait_cidr(
    site: &Site,
    subnet: &Subnet,
    what: &str,
    fits: impl Fn(&str) -> bool,
) -> Result<Prefix, LabError> {
    wait_for(&format!("{what} for subnet {}", subnet.id), SOON, || {
        let shown = site.world.lab.api().show_subnet(&subnet.id);
        let shown = shown.map_err(|error| error.to_string())?;
        let cidr = shown.body["cidr"].as_str().unwrap_or_default();
        let prefix = cidr.strip_suffix("/64").and_then(|it| it.parse().ok());
        let prefix = prefix.filter(|_| fits(cidr));
        prefix.map(Prefix).ok_or_else(|| cidr.to_owned())
    })
}

/// The subnet has this prefix, and the gateway and the pool that go with it.
pub(crate) fn shows(site: &Site, subnet: &Subnet, prefix: Prefix) -> Outcome {
    let body = site.world.lab.api().show_subnet(&subnet.id)?.body;
    let wanted = prefix.shown();
    let names = ["cidr", "gateway_ip", "allocation_pools"];
    ensure(names.iter().all(|name| body[name] == wanted[name]), || {
        format!("{body} instead of {wanted}")
    })
}

/// Waits until a port has its address of this prefix, and no other.
pub(crate) fn addressed(site: &Site, guest: &Plugged, prefix: Prefix) -> Outcome {
    let wanted = [IpAddr::V6(prefix.address_of(guest))];
    let what = format!("{wanted:?} of port {}", guest.port.id);
    let own = || {
        let port = site.world.lab.api().show_port(&guest.port.id);
        let addresses = port.map_err(|error| error.to_string())?.addresses;
        match addresses == wanted {
            true => Ok(()),
            false => Err(format!("{addresses:?}")),
        }
    };
    Ok(wait_for(&what, SOON, own)?)
}

/// Waits until a guest has its address of a prefix, as preferred, and a router.
pub(crate) fn configured(guest: &Plugged, prefix: Prefix) -> Outcome {
    guest.guest.wait_address(prefix.address_of(guest), SOON)?;
    guest.guest.wait_default_route(SOON)?;
    Ok(())
}

/// Waits until a guest does not prefer its address of a prefix, or has it no more.
pub(crate) fn not_preferred(guest: &Plugged, prefix: Prefix) -> Outcome {
    let address = prefix.address_of(guest);
    let what = format!("the end of {address}");
    Ok(guest.guest.wait_network(&what, SOON, |guest| {
        let addresses = guest.addresses()?;
        let own = addresses.iter().find(|found| found.address == address);
        Ok(match own {
            Some(own) if !own.deprecated => Err(own.to_string()),
            _ => Ok(()),
        })
    })?)
}

/// So often subnets' prefixes changed in these ways since the controller was started.
pub(crate) fn counted(site: &Site, changes: &[(&str, u64)]) -> Outcome {
    changes.iter().try_for_each(|(change, wanted)| {
        let metric = "sextant_delegation_changes_total";
        measured(site, metric, &format!("change=\"{change}\""), *wanted)
    })
}

/// Waits until a metric with this one label has this value.
pub(crate) fn measured(site: &Site, name: &str, label: &str, wanted: u64) -> Outcome {
    let start = format!("{name}{{{label}}} ");
    let wanted = wanted.to_string();
    let has_value = || {
        let page = site
            .world
            .lab
            .metrics()
            .map_err(|error| error.to_string())?;
        let mut values = page.lines().filter_map(|line| line.strip_prefix(&start));
        match values.next() {
            Some(value) if value == wanted => Ok(()),
            other => Err(format!("{other:?}")),
        }
    };
    Ok(wait_for(&format!("{start}{wanted}"), SOON, has_value)?)
}

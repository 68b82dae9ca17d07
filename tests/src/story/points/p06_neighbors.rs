//! Neighbor Solicitations are answered by flows, without the controller.

use crate::story::world::{Plugged, SOON};
use crate::story::{Narrator, Outcome, Point, World, ensure};
use std::net::Ipv6Addr;
use std::time::Duration;

pub(super) const POINT: Point = Point {
    number: 6,
    title: "Neighbors are answered by flows: without the controller, guests resolve, ping routers, and find duplicates",
    asked: "the controller is stopped; ip -6 neigh flush; ping; ip addr add of another port's address",
    run,
};

const INTERVAL: Duration = Duration::from_millis(50);

fn run(world: &mut World, narrator: &mut Narrator) -> Outcome {
    let (_, controller, cloud, guests) = world.parts()?;
    for plugged in [&guests.slaac1, &guests.slaac1b, &guests.slaac2] {
        plugged.guest.wait_address(plugged.address(), SOON)?;
    }
    guests.slaac1.guest.wait_default_route(SOON)?;
    let status = controller.terminate()?;
    ensure(status.success(), || {
        format!("the controller ended with {status}")
    })?;
    narrator.observe("controller stopped");
    let outcome = without_controller(
        &guests.slaac1,
        &[
            ("its gateway's link-local", cloud.slaac.gateway_link_local()),
            ("its gateway", cloud.slaac.gateway_address()),
            (
                "the router's address on another network",
                cloud.stateful.gateway_address(),
            ),
            ("a peer on its hypervisor", guests.slaac1b.address()),
            ("a peer across", guests.slaac2.address()),
            (
                "a peer's link-local across",
                crate::story::world::link_local(&guests.slaac2.port.mac),
            ),
        ],
        guests.slaac2.address(),
        narrator,
    );
    controller.start_again()?;
    outcome
}

fn without_controller(
    asker: &Plugged,
    targets: &[(&str, Ipv6Addr)],
    taken: Ipv6Addr,
    narrator: &mut Narrator,
) -> Outcome {
    let guest = &asker.guest;
    for (what, target) in targets {
        guest.flush_neighbors()?;
        let report = guest.ping(*target, 3, INTERVAL)?;
        ensure(report.received > 0, || format!("{what} {target}: {report}"))?;
        let neighbor = guest
            .neighbors()?
            .into_iter()
            .find(|neighbor| neighbor.address == *target);
        let routers = what.contains("gateway");
        ensure(
            neighbor
                .as_ref()
                .is_none_or(|neighbor| neighbor.router == routers),
            || format!("{what}: {neighbor:?}"),
        )?;
        let flag = if routers { ", R set" } else { "" };
        narrator.observe(format_args!(
            "{what} {target}: resolved{flag} and answers, {report}"
        ));
    }
    duplicate(asker, taken, narrator)?;
    free(asker, narrator)
}

/// A probe for an address of another port is answered: to all nodes, Solicited clear, Override set (RFC 4861 §7.2.4).
fn duplicate(asker: &Plugged, taken: Ipv6Addr, narrator: &mut Narrator) -> Outcome {
    let guest = &asker.guest;
    let capture = guest.capture("icmp6 and ip6[40] == 136")?;
    guest.run(&[
        "ip",
        "-6",
        "addr",
        "add",
        &format!("{taken}/64"),
        "dev",
        "eth0",
    ])?;
    let failed = guest.wait_network("duplicate address detection", SOON, |guest| {
        let found = guest
            .addresses()?
            .into_iter()
            .find(|address| address.address == taken);
        Ok(found
            .filter(|address| !address.tentative || address.dad_failed)
            .ok_or_else(|| "tentative".to_owned()))
    })?;
    capture.wait_packets(1, SOON)?;
    let filter = format!("icmpv6.nd.na.target_address == {taken}");
    let rows = capture.stop()?.fields(
        &filter,
        &[
            "ipv6.dst",
            "icmpv6.nd.na.flag.s",
            "icmpv6.nd.na.flag.o",
            "ipv6.hlim",
        ],
    )?;
    guest.run(&[
        "ip",
        "-6",
        "addr",
        "del",
        &format!("{taken}/64"),
        "dev",
        "eth0",
    ])?;
    ensure(failed.dad_failed, || {
        format!("{taken} of another port became {failed}")
    })?;
    let row: Vec<String> = rows
        .first()
        .map(|row| {
            row.iter()
                .map(|field| field.replace("True", "1").replace("False", "0"))
                .collect()
        })
        .unwrap_or_default();
    ensure(row == ["ff02::1", "0", "1", "255"], || {
        format!("the probe was answered with {rows:?}")
    })?;
    narrator.observe(format_args!("a probe for {taken}, another port's: answered to ff02::1, S clear, O set; the kernel says dadfailed"));
    Ok(())
}

/// A probe for an address that nobody has is not answered.
fn free(asker: &Plugged, narrator: &mut Narrator) -> Outcome {
    let guest = &asker.guest;
    let free: Ipv6Addr = "2001:db8:a::f:ee".parse().unwrap_or(Ipv6Addr::UNSPECIFIED);
    let capture = guest.capture(&format!(
        "icmp6 and ip6[40] == 136 and not ether src {}",
        asker.port.mac
    ))?;
    guest.run(&[
        "ip",
        "-6",
        "addr",
        "add",
        &format!("{free}/64"),
        "dev",
        "eth0",
    ])?;
    let address = guest.wait_address(free, SOON)?;
    guest.run(&[
        "ip",
        "-6",
        "addr",
        "del",
        &format!("{free}/64"),
        "dev",
        "eth0",
    ])?;
    let answers = capture.stop()?.count();
    ensure(answers == 0, || {
        format!("{answers} answers to a probe for a free address")
    })?;
    narrator.observe(format_args!(
        "a probe for {}, nobody's: no answer",
        address.address
    ));
    Ok(())
}

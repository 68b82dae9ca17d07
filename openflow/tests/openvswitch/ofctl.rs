//! What `ovs-ofctl` sends is decoded and encoded again to the same bytes, and our text is its text.

use std::net::Ipv6Addr;

use crate::support::{Folder, corpus, encode, hex, ofp_print, record};
use bytes::Bytes;
use rust_openflow::multipart::FlowStats;
use rust_openflow::{
    Action, Field, FlowMod, Instruction, Match, Message, MultipartBody, MultipartReply, ports,
};

const FLOWS: &str = include_str!("../corpus/flows.txt");
pub(crate) const GROUPS: &str = include_str!("../corpus/groups.txt");
pub(crate) const METERS: &str = include_str!("../corpus/meters.txt");

pub(crate) fn recorded_flows() -> Vec<Bytes> {
    let folder = Folder::new();
    let file = folder.file("flows", &corpus(FLOWS).join("\n"));
    record("add-flows", &[file.to_str().unwrap()])
}

pub(crate) fn flow_mod(frame: &Bytes) -> FlowMod {
    match Message::decode(frame).unwrap() {
        (_, Message::FlowMod(flow)) => flow,
        (_, other) => panic!("{other:?}"),
    }
}

#[test]
fn flow_mods_of_ovs_ofctl_survive_byte_for_byte() {
    let recorded = recorded_flows();
    let lines = corpus(FLOWS);
    assert_eq!(recorded.len(), lines.len());
    let mut changed = Vec::new();
    for (line, frame) in lines.iter().zip(&recorded) {
        let (xid, message) =
            Message::decode(frame).unwrap_or_else(|error| panic!("{line}: {error}"));
        let again = encode(xid, &message);
        if again != frame {
            changed.push(format!(
                "{line}\n  {}\n  {}\n  {message:?}",
                hex(frame),
                hex(&again)
            ));
        }
    }
    assert!(
        changed.is_empty(),
        "{} of {}:\n{}",
        changed.len(),
        lines.len(),
        changed.join("\n")
    );
}

/// The flow as a switch would show it right after it was added.
fn as_stats(flow: FlowMod) -> FlowStats {
    FlowStats {
        table: flow.table,
        duration_sec: 0,
        duration_nsec: 0,
        priority: flow.priority,
        idle_timeout: flow.idle_timeout,
        hard_timeout: flow.hard_timeout,
        flags: flow.flags,
        cookie: flow.cookie,
        packets: 0,
        bytes: 0,
        matches: flow.matches,
        instructions: flow.instructions,
    }
}

#[test]
fn our_text_of_a_flow_is_that_of_ofp_print() {
    let flows: Vec<FlowStats> = recorded_flows()
        .iter()
        .map(|frame| as_stats(flow_mod(frame)))
        .collect();
    let reply = |flow: &FlowStats| MultipartReply {
        more: false,
        body: MultipartBody::Flow(vec![flow.clone()]),
    };
    let messages: Vec<Bytes> = flows
        .iter()
        .map(|flow| encode(1, &Message::MultipartReply(reply(flow))))
        .collect();
    let printed = ofp_print(&messages);
    assert_eq!(printed.len(), flows.len());
    let mut different = Vec::new();
    let mut raw = 0;
    for ((line, flow), printed) in corpus(FLOWS).iter().zip(&flows).zip(&printed) {
        let theirs = printed.lines().nth(1).unwrap_or(printed).trim();
        let ours = format!("{flow:#}");
        if ours.contains("raw:") {
            raw += 1;
        } else if ours != theirs {
            different.push(format!("{line}\n  ours   {ours}\n  theirs {theirs}"));
        }
    }
    // sample, fin_timeout, encap, decap, dec_nsh_ttl.
    assert_eq!(raw, 5);
    assert!(
        different.is_empty(),
        "{} of {}:\n{}",
        different.len(),
        flows.len(),
        different.join("\n")
    );
}

#[test]
fn what_we_build_is_printed_as_meant() {
    let apply = |actions| vec![Instruction::Apply(actions)];
    let address: Ipv6Addr = "2001:db8::1".parse().unwrap();
    let flows = [
        FlowMod::add(
            3,
            7,
            Match::new()
                .masked(Field::reg(1), 0x10_u8, 0xf0_u8)
                .with(Field::ETH_TYPE, 0x86dd_u16)
                .ipv6_prefix(Field::IPV6_DST, address, 64)
                .mac(Field::ETH_SRC, [0xfa, 0x16, 0x3e, 0, 0, 1]),
            apply(vec![
                Action::SetField {
                    field: Field::reg(0),
                    value: 0x20,
                    mask: 0xf0,
                },
                Action::set(Field::TUN_IPV6_DST, address),
                Action::copy(Field::ETH_SRC, Field::ETH_DST),
                Action::resubmit(4),
                Action::output(ports::IN_PORT),
            ]),
        ),
        FlowMod::add(0, 32768, Match::new(), apply(vec![Action::controller()])).with_cookie(42),
        FlowMod::delete_by_cookie(9, 0x1234),
    ];
    let messages: Vec<Bytes> = flows
        .iter()
        .map(|flow| encode(1, &Message::FlowMod(flow.clone())))
        .collect();
    let printed = ofp_print(&messages);
    let expected = [
        "ADD table:3 priority=7,ipv6,reg1=0x10/0xf0,dl_src=fa:16:3e:00:00:01,ipv6_dst=2001:db8::/64 \
         actions=set_field:0x20/0xf0->reg0,set_field:2001:db8::1->tun_ipv6_dst,\
         move:NXM_OF_ETH_SRC[]->NXM_OF_ETH_DST[],resubmit(,4),IN_PORT",
        "ADD cookie:0x2a actions=CONTROLLER:65535",
        "DEL table:9 priority=0 cookie:0x1234/0xffffffffffffffff actions=drop",
    ];
    for (printed, expected) in printed.iter().zip(expected) {
        assert_eq!(printed.split_once("): ").unwrap().1, expected);
    }
}

/// What `ovs-ofctl` sends for each line of a file.
pub(crate) fn recorded(command: &str, lines: &[&str]) -> Vec<Bytes> {
    lines
        .iter()
        .flat_map(|line| record(command, &[line]))
        .collect()
}

/// Of each message its text, after it came back from its bytes as it was.
fn texts(frames: &[Bytes]) -> Vec<String> {
    let texts = frames.iter().map(|frame| {
        let (xid, message) = Message::decode(frame).unwrap();
        assert_eq!(hex(&encode(xid, &message)), hex(frame), "{message:?}");
        if let Message::GroupMod(group) = message {
            group.to_string()
        } else if let Message::MeterMod(meter) = message {
            meter.to_string()
        } else {
            panic!("{message:?}")
        }
    });
    texts.collect()
}

/// The same texts as `ovs-ofctl ofp-print` has them, in one line and with commas.
fn printed(frames: &[Bytes]) -> Vec<String> {
    let texts = ofp_print(frames).into_iter().map(|text| {
        let (_, text) = text.split_once("xid=0x").unwrap();
        let (_, text) = text.split_once("):").unwrap();
        let words: Vec<&str> = text.split_whitespace().collect();
        words.join(",").replace("bands=,", "bands=")
    });
    texts.collect()
}

/// Our text of what was added is what `ovs-ofctl` prints, and what makes it send the same again.
fn text_is_that_of_ofctl(command: &str, lines: &[&str]) {
    let frames = recorded(command, lines);
    assert_eq!(frames.len(), lines.len());
    let ours = texts(&frames);
    let theirs: Vec<String> = printed(&frames)
        .iter()
        .map(|text| text.strip_prefix("ADD,").unwrap().to_owned())
        .collect();
    assert_eq!(ours, theirs);
    let again: Vec<&str> = ours.iter().map(String::as_str).collect();
    let bodies = |frames: &[Bytes]| frames.iter().map(|frame| hex(&frame[8..])).collect();
    let (first, second): (Vec<String>, Vec<String>) =
        (bodies(&frames), bodies(&recorded(command, &again)));
    assert_eq!(first, second);
}

#[test]
fn groups_of_ovs_ofctl_survive_byte_for_byte_and_in_its_words() {
    text_is_that_of_ofctl("add-group", &corpus(GROUPS));
}

#[test]
fn meters_of_ovs_ofctl_survive_byte_for_byte_and_in_its_words() {
    text_is_that_of_ofctl("add-meter", &corpus(METERS));
}

#[test]
fn changes_and_deletions_of_groups_and_meters_say_so() {
    let changes = [
        (
            "mod-group",
            "group_id=1,type=indirect,bucket=actions=output:1",
            "modify group_id=1,type=indirect,bucket=actions=output:1",
        ),
        ("del-groups", "group_id=1", "delete group_id=1"),
        ("del-groups", "group_id=all", "delete group_id=all"),
        (
            "mod-meter",
            "meter=1,kbps,band=type=drop,rate=2",
            "modify meter=1,kbps,bands=type=drop,rate=2",
        ),
        ("del-meter", "meter=1", "delete meter=1"),
        ("del-meters", "meter=all", "delete meter=all"),
    ];
    for (command, given, expected) in changes {
        assert_eq!(texts(&recorded(command, &[given])), [expected], "{command}");
    }
}

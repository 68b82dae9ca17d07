//! Has the real switch follow the packet, and compares: `--switch`.
//!
//! Sextant says what to ask. Who asked Sextant runs a command of their own with it. What Sextant said is passed on only as
//! arguments that mean nothing to a shell, since the command may pass them to one, as `ssh` does.

use super::super::flows::stage_name;
use super::ofproto::{self, SwitchTrace};
use super::{SwitchDifference, SwitchQuestion, TraceRow};
use crate::control::visible::in_one_line;
use rust_openflow::{Cookie, TableId};
use sextant_model::ChassisId;
use std::collections::BTreeMap;
use std::io;
use std::process::{Command, Stdio};

/// Stands in a command for the hypervisor's name.
const NAME: &str = "{}";

/// Asks the switches of the hypervisors that the packet came to, and adds what they say to the rows.
///
/// # Errors
/// The command cannot be run, fails, or does not answer with a trace.
pub(super) fn compared(
    rows: &[TraceRow],
    command: &str,
    length: u16,
) -> Result<Vec<TraceRow>, String> {
    let (mut compared, mut differing) = (Vec::with_capacity(rows.len()), vec![]);
    let places = rows.chunk_by(|_, next| !matches!(next, TraceRow::Arrived { .. }));
    for (number, place) in places.enumerate() {
        let (steps, end) = match place {
            [steps @ .., end @ TraceRow::Ended { .. }] => (steps, Some(end)),
            steps => (steps, None),
        };
        compared.extend_from_slice(steps);
        let is_asked = number == 0 || command.contains(NAME);
        if let Some(switched) = ask(steps, command, length, is_asked)? {
            differing.extend(switched.differing());
            compared.push(switched);
        }
        compared.extend(end.map(|end| end.besides(&differing)));
    }
    Ok(compared)
}

impl TraceRow {
    /// The hypervisor whose switch differs.
    fn differing(&self) -> Option<ChassisId> {
        if let Self::Switched {
            chassis,
            differences,
            ..
        } = self
        {
            Some(chassis.clone()).filter(|_| !differences.is_empty())
        } else {
            None
        }
    }

    /// The last row, which says that switches differ if they do.
    fn besides(&self, differing: &[ChassisId]) -> Self {
        let names: Vec<&str> = differing.iter().map(ChassisId::as_str).collect();
        if let Self::Ended { sentence } = self
            && !names.is_empty()
        {
            let names = names.join(", ");
            return Self::Ended {
                sentence: format!(
                    "By Sextant's flows: {sentence} But the switch of {names} does otherwise, as marked above."
                ),
            };
        }
        self.clone()
    }
}

fn ask(
    steps: &[TraceRow],
    command: &str,
    length: u16,
    is_asked: bool,
) -> Result<Option<TraceRow>, String> {
    let Some(TraceRow::Arrived {
        chassis, question, ..
    }) = steps.first()
    else {
        return Ok(None);
    };
    if !is_asked {
        return Ok(Some(TraceRow::Switched {
            chassis: chassis.clone(),
            differences: vec![],
            unasked: Some(format!(
                "{NAME} in the command of --switch stands for the name of each hypervisor"
            )),
        }));
    }
    let words = words(command, chassis)?;
    let said = question.put(&words)?;
    let answer = ofproto::read(&said, &question.bridge, question.in_port, length);
    let answer = answer.ok_or_else(|| {
        let first = said.lines().next().unwrap_or_default();
        format!(
            "'{}' did not answer with a trace of {}, but with: {}",
            words.join(" "),
            question.bridge,
            in_one_line(first)
        )
    })?;
    Ok(Some(TraceRow::Switched {
        chassis: chassis.clone(),
        differences: differences(steps, &answer),
        unasked: None,
    }))
}

/// The command, split at blanks, with the hypervisor's name where it is to stand.
fn words(command: &str, chassis: &ChassisId) -> Result<Vec<String>, String> {
    if command.contains(NAME) && !is_plain_name(chassis.as_str()) {
        return Err(format!(
            "'{}' is no name to put into a command: write it out in --switch",
            in_one_line(chassis.as_str())
        ));
    }
    let words = command.split_whitespace();
    let words: Vec<String> = words
        .map(|word| word.replace(NAME, chassis.as_str()))
        .collect();
    match words.is_empty() {
        true => Err("--switch names no command".to_owned()),
        false => Ok(words),
    }
}

/// Whether a name is one word to any program and shell, and no option.
fn is_plain_name(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_alphanumeric())
        && name
            .chars()
            .all(|letter| letter.is_ascii_alphanumeric() || "._-".contains(letter))
}

/// Whether a text is one word to any program and shell, and no option. Flows have no other letters.
fn is_plain_flow(text: &str) -> bool {
    !text.starts_with('-')
        && text
            .chars()
            .all(|letter| letter.is_ascii_alphanumeric() || "._-+:,=/|".contains(letter))
}

impl SwitchQuestion {
    /// What a command answers.
    fn put(&self, command: &[String]) -> Result<String, String> {
        let arguments = self.arguments()?;
        let line = command.join(" ");
        let (program, own) = command.split_first().ok_or("there is no command")?;
        let output = Command::new(program)
            .args(own)
            .args(arguments)
            .stdin(Stdio::null())
            .output()
            .map_err(|error| unstarted(program, &error))?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        let why = String::from_utf8_lossy(&output.stderr);
        let why: Vec<String> = why.lines().map(in_one_line).collect();
        let status = output.status;
        Err(format!("'{line}' failed ({status}): {}", why.join("; ")))
    }

    fn arguments(&self) -> Result<Vec<&str>, String> {
        let mut arguments = vec!["ofproto/trace", &self.bridge, &self.flow];
        for state in &self.connections {
            arguments.extend(["--ct-next", state]);
        }
        let said = [&self.bridge, &self.flow].into_iter();
        let mut said = said.chain(&self.connections);
        match said.find(|text| !is_plain_flow(text)) {
            Some(text) => Err(format!(
                "'{}' is nothing to ask a switch for",
                in_one_line(text)
            )),
            None => Ok(arguments),
        }
    }
}

fn unstarted(program: &str, error: &io::Error) -> String {
    if error.kind() == io::ErrorKind::NotFound {
        return format!(
            "the switch cannot be asked: there is no command '{program}' on this machine. Name another one, such as --switch \
             'ssh {NAME} ovs-appctl'"
        );
    }
    format!("the switch cannot be asked: '{program}' does not start: {error}")
}

/// A look-up: table, and the flow's cookie if one matched.
type LookUp = (u8, Option<u64>);

fn differences(steps: &[TraceRow], answer: &SwitchTrace) -> Vec<SwitchDifference> {
    let (mut traced, mut outputs, mut punts) = (BTreeMap::<LookUp, usize>::new(), vec![], 0);
    for step in steps {
        if let Some(look_up) = step.look_up() {
            *traced.entry(look_up).or_default() += 1;
        }
        outputs.extend(step.output());
        punts += usize::from(matches!(step, TraceRow::SentUp { .. }));
    }
    let mut differences = vec![];
    for visit in &answer.visits {
        let look_up = (visit.table, visit.cookie);
        match traced.get_mut(&look_up).filter(|count| **count > 0) {
            Some(count) => *count -= 1,
            None => differences.push(SwitchDifference::only_switch(look_up, &visit.flow)),
        }
    }
    for (look_up, count) in traced {
        let missing = SwitchDifference::only_traced(look_up);
        differences.extend(std::iter::repeat_n(missing, count));
    }
    differences.sort_by_key(SwitchDifference::table);
    let [traced, switch] = [(outputs, punts), (answer.outputs.clone(), answer.punts)].map(end);
    if traced != switch {
        differences.push(SwitchDifference::End { traced, switch });
    }
    differences
}

/// Where a packet ends, in words.
fn end((mut outputs, punts): (Vec<u32>, usize)) -> String {
    outputs.sort_unstable();
    let ports = outputs.iter().map(|port| format!("OpenFlow port {port}"));
    let up = std::iter::repeat_n("the controller".to_owned(), punts);
    let all: Vec<String> = ports.chain(up).collect();
    match all.is_empty() {
        true => "nowhere".to_owned(),
        false => all.join(", "),
    }
}

impl TraceRow {
    fn look_up(&self) -> Option<LookUp> {
        if let Self::LookedUp { table, cookie, .. } = self {
            let cookie = cookie.as_ref();
            let cookie = cookie.and_then(|cookie| super::super::flows::cookie(cookie).ok());
            Some((*table, cookie))
        } else {
            None
        }
    }

    fn output(&self) -> Option<u32> {
        match self {
            Self::Delivered { ofport, .. }
            | Self::Tunnelled { ofport, .. }
            | Self::Outside { ofport, .. }
            | Self::Metadata { ofport, .. }
            | Self::Astray { ofport, .. } => Some(*ofport),
            Self::Arrived { .. }
            | Self::LookedUp { .. }
            | Self::SentUp { .. }
            | Self::Dropped { .. }
            | Self::Switched { .. }
            | Self::Ended { .. } => None,
        }
    }
}

impl SwitchDifference {
    fn only_switch((table, cookie): LookUp, flow: &str) -> Self {
        Self::OnlySwitch {
            table,
            stage: stage_name(TableId(table)).to_owned(),
            cookie: cookie.map(|cookie| Cookie(cookie).to_string()),
            flow: flow.to_owned(),
        }
    }

    fn only_traced((table, cookie): LookUp) -> Self {
        Self::OnlyTraced {
            table,
            stage: stage_name(TableId(table)).to_owned(),
            cookie: cookie.map(|cookie| Cookie(cookie).to_string()),
        }
    }

    /// The end comes last.
    fn table(&self) -> u8 {
        match self {
            Self::OnlySwitch { table, .. } | Self::OnlyTraced { table, .. } => *table,
            Self::End { .. } => u8::MAX,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn question(flow: &str) -> SwitchQuestion {
        SwitchQuestion {
            bridge: "br-int".to_owned(),
            flow: flow.to_owned(),
            in_port: 1,
            connections: vec!["trk,inv".to_owned()],
        }
    }

    #[test]
    fn nothing_that_a_shell_understands_is_passed_on() {
        let flow = "icmp6,in_port=1,vlan_tci=0x0000/0x1fff,ipv6_dst=2001:db8::1,nw_frag=no";
        let expected = ["ofproto/trace", "br-int", flow, "--ct-next", "trk,inv"];
        assert_eq!(question(flow).arguments().unwrap(), expected);
        for flow in [
            "ip;reboot",
            "ip $(reboot)",
            "`reboot`",
            "-t",
            "ip\nreboot",
            "ip>f",
            "'",
        ] {
            let refused = question(flow).arguments().unwrap_err();
            assert!(refused.contains("is nothing to ask"), "{refused}");
        }
        let chassis = ChassisId::new("hv2.example.org");
        let put = words("ssh {} ovs-appctl", &chassis).unwrap();
        assert_eq!(put, ["ssh", "hv2.example.org", "ovs-appctl"]);
        for name in ["-oProxyCommand=reboot", "hv2;reboot", "hv 2", ""] {
            let refused = words("ssh {} ovs-appctl", &ChassisId::new(name)).unwrap_err();
            assert!(refused.contains("is no name to put"), "{refused}");
            assert!(words("ssh hv2 ovs-appctl", &ChassisId::new(name)).is_ok());
        }
    }

    #[test]
    fn a_command_that_does_not_do_is_named() {
        let put = |command: &str| {
            let words = words(command, &ChassisId::new("h1"))?;
            question("ip,in_port=1").put(&words)
        };
        let missing = put("/nonexistent/ovs-appctl").unwrap_err();
        assert!(missing.contains("there is no command '/nonexistent/ovs-appctl'"));
        let failed = put("ls /nonexistent/folder").unwrap_err();
        assert!(failed.contains("'ls /nonexistent/folder' failed (exit status: 2): ls: "));
        assert_eq!(put(" ").unwrap_err(), "--switch names no command");
        assert_eq!(
            put("echo").unwrap(),
            "ofproto/trace br-int ip,in_port=1 --ct-next trk,inv\n"
        );
    }
}

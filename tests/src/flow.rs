//! A flow as the switch has it: what it is, apart from how long and how often it was used.

use crate::error::LabError;
use std::time::Duration;

/// One line of `ovs-ofctl dump-flows`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InstalledFlow {
    /// Its cookie.
    pub cookie: u64,
    /// Its table.
    pub table: u8,
    /// How long it has been there, to the millisecond. Installing it again starts anew.
    pub duration: Duration,
    /// Packets that matched.
    pub packets: u64,
    /// Bytes of these packets.
    pub bytes: u64,
    /// Priority, match and actions, as printed.
    pub rule: String,
}

impl InstalledFlow {
    /// Reads `cookie=0x1, duration=1.5s, table=0, n_packets=0, n_bytes=0, RULE`; idle and hard
    /// ages are left out of the rule.
    pub(crate) fn parse(line: &str) -> Result<Self, LabError> {
        Self::read(line).ok_or_else(|| LabError::unexpected("a line of dump-flows", line))
    }

    fn read(line: &str) -> Option<Self> {
        let cookie = field(line, "cookie=0x")?;
        let seconds: f64 = field(line, "duration=")?.strip_suffix('s')?.parse().ok()?;
        Some(Self {
            cookie: u64::from_str_radix(cookie, 16).ok()?,
            table: field(line, " table=")?.parse().ok()?,
            duration: Duration::try_from_secs_f64(seconds).ok()?,
            packets: field(line, "n_packets=")?.parse().ok()?,
            bytes: field(line, "n_bytes=")?.parse().ok()?,
            rule: rule(line)?.to_owned(),
        })
    }
}

/// What stands behind a name.
fn field<'l>(line: &'l str, name: &str) -> Option<&'l str> {
    let (_, rest) = line.split_once(name)?;
    rest.split([',', ' ']).next()
}

/// What follows the counters: the first item that is none of them begins the rule.
fn rule(line: &str) -> Option<&str> {
    let (_, rest) = line.split_once("n_bytes=")?;
    let (_, mut rest) = rest.split_once(", ")?;
    while rest.starts_with("idle_age=") || rest.starts_with("hard_age=") {
        rest = rest.split_once(", ")?.1;
    }
    Some(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flow_is_read_without_its_ages() {
        let flow = InstalledFlow::parse(
            "cookie=0x1f, duration=3.250s, table=7, n_packets=4, n_bytes=392, idle_age=1, \
             priority=10,in_port=2 actions=resubmit(,8)",
        )
        .unwrap();
        assert_eq!((flow.cookie, flow.table, flow.packets), (0x1f, 7, 4));
        assert_eq!(flow.duration, Duration::from_millis(3250));
        assert_eq!(flow.rule, "priority=10,in_port=2 actions=resubmit(,8)");
    }

    #[test]
    fn a_flow_that_matches_all_has_its_actions_for_a_rule() {
        let line = "cookie=0x0, duration=0.1s, table=0, n_packets=0, n_bytes=0, actions=NORMAL";
        assert_eq!(InstalledFlow::parse(line).unwrap().rule, "actions=NORMAL");
    }

    #[test]
    fn what_is_no_flow_is_refused() {
        assert!(InstalledFlow::parse("OFPST_FLOW reply (OF1.3):").is_err());
    }
}

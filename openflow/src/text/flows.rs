//! Flows as text: those that a switch has, and changes to them.

use std::fmt::{self, Display, Formatter};

use super::actions::Instructions;
use super::matches::describe;
use crate::flags::FlowFlags;
use crate::flow_mod::{Command, FlowMod};
use crate::groups::GROUP_ANY;
use crate::multipart::FlowStats;
use crate::numbers::Cookie;
use crate::ports;

impl Display for FlowStats {
    /// As `ovs-ofctl --no-stats dump-flows`; with `{:#}`, as `ovs-ofctl dump-flows`.
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let all = f.alternate();
        if all || self.cookie.0 != 0 {
            write!(f, "cookie={}, ", self.cookie)?;
        }
        if all {
            write!(
                f,
                "duration={}, ",
                duration(self.duration_sec, self.duration_nsec)
            )?;
        }
        if all || self.table.0 != 0 {
            write!(f, "table={}, ", self.table)?;
        }
        if all {
            counter(f, "n_packets", self.packets)?;
            counter(f, "n_bytes", self.bytes)?;
        }
        timeouts(f, self.idle_timeout, self.hard_timeout)?;
        flags(f, self.flags)?;
        body(
            f,
            &describe(&self.matches, self.priority),
            Instructions(&self.instructions),
        )
    }
}

impl Display for FlowMod {
    /// The flow as `ovs-ofctl add-flow` takes it; other commands come first, as in a file for `ovs-ofctl bundle`.
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let (command, deletes, strict) = match self.command {
            Command::Add => ("", false, true),
            Command::Modify => ("modify ", false, false),
            Command::ModifyStrict => ("modify_strict ", false, true),
            Command::Delete => ("delete ", true, false),
            Command::DeleteStrict => ("delete_strict ", true, true),
        };
        f.write_str(command)?;
        self.fmt_cookie(f)?;
        if self.table != crate::flow_mod::ALL_TABLES {
            write!(f, "table={}, ", self.table)?;
        }
        timeouts(f, self.idle_timeout, self.hard_timeout)?;
        if self.out_port != ports::ANY {
            write!(f, "out_port={}, ", self.out_port)?;
        }
        if self.out_group != GROUP_ANY {
            write!(f, "out_group={}, ", self.out_group)?;
        }
        flags(f, self.flags)?;
        // Without a strict command the priority has no meaning.
        let matches = if strict {
            describe(&self.matches, self.priority)
        } else {
            self.matches.to_string()
        };
        if deletes {
            f.write_str(&matches)
        } else {
            body(f, &matches, Instructions(&self.instructions))
        }
    }
}

impl FlowMod {
    fn fmt_cookie(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match (self.cookie, self.cookie_mask) {
            (Cookie(0), 0) => Ok(()),
            (cookie, 0) => write!(f, "cookie={cookie}, "),
            (cookie, u64::MAX) => write!(f, "cookie={cookie}/-1, "),
            (cookie, mask) => write!(f, "cookie={cookie}/{mask:#x}, "),
        }
    }
}

fn body(f: &mut Formatter<'_>, matches: &str, instructions: Instructions<'_>) -> fmt::Result {
    let space = if matches.is_empty() { "" } else { " " };
    write!(f, "{matches}{space}actions={instructions}")
}

/// Seconds, with milliseconds or, where these are not exact, as many digits as there are (`ofp_print_duration()`).
pub(super) fn duration(seconds: u32, nanoseconds: u32) -> String {
    match (nanoseconds / 1_000_000, nanoseconds % 1_000_000) {
        (0, 0) => format!("{seconds}s"),
        (milliseconds, 0) => format!("{seconds}.{milliseconds:03}s"),
        _ => {
            let digits = format!("{nanoseconds:09}");
            format!("{seconds}.{}s", digits.trim_end_matches('0'))
        }
    }
}

/// A counter that the switch does not keep is left out.
fn counter(f: &mut Formatter<'_>, name: &str, value: u64) -> fmt::Result {
    if value == u64::MAX {
        Ok(())
    } else {
        write!(f, "{name}={value}, ")
    }
}

fn timeouts(f: &mut Formatter<'_>, idle: u16, hard: u16) -> fmt::Result {
    if idle != 0 {
        write!(f, "idle_timeout={idle}, ")?;
    }
    if hard != 0 {
        write!(f, "hard_timeout={hard}, ")?;
    }
    Ok(())
}

pub(super) fn flags(f: &mut Formatter<'_>, flags: FlowFlags) -> fmt::Result {
    flags.words().try_for_each(|word| write!(f, "{word} "))
}

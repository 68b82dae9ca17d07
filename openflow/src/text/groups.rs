//! Groups and meters as text, as `ovs-ofctl add-group` and `ovs-ofctl add-meter` take them.

use std::fmt::{self, Display, Formatter};

use super::actions::Actions;
use super::values::Dotted;
use crate::flags::MeterFlags;
use crate::groups::{Bucket, GROUP_ALL, GROUP_ANY, GroupCommand, GroupMod, GroupType};
use crate::meters::{Band, METER_ALL, MeterCommand, MeterMod};
use crate::ports;

/// The meter that all packets pass on their way to the controller (`OFPM_CONTROLLER`).
const CONTROLLER_METER: u32 = 0xffff_fffe;
/// The meter of packets that the datapath gives up (`OFPM_SLOWPATH`).
const SLOWPATH_METER: u32 = 0xffff_fffd;
/// The weight that is not printed where buckets share packets.
const DEFAULT_WEIGHT: u16 = 1;
/// The one that buckets have where it has no meaning.
const NO_WEIGHT: u16 = 0;

impl Display for GroupMod {
    /// The group as `ovs-ofctl add-group` takes it; other commands come first.
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self.command {
            GroupCommand::Add => "",
            GroupCommand::Modify => "modify ",
            GroupCommand::Delete => "delete ",
            GroupCommand::AddOrModify => "add_or_mod ",
        })?;
        match self.group {
            GROUP_ALL => f.write_str("group_id=all")?,
            group => write!(f, "group_id={group}")?,
        }
        if self.command == GroupCommand::Delete {
            return Ok(());
        }
        write!(f, ",type={}", self.kind)?;
        buckets(f, self.kind, &self.buckets)
    }
}

fn buckets(f: &mut Formatter<'_>, kind: GroupType, buckets: &[Bucket]) -> fmt::Result {
    buckets.iter().try_for_each(|bucket| {
        f.write_str(",bucket=")?;
        bucket.describe(f, kind)
    })
}

/// A group as `ovs-ofctl dump-groups` prints it.
pub(super) fn group(
    f: &mut Formatter<'_>,
    group: u32,
    kind: GroupType,
    list: &[Bucket],
) -> fmt::Result {
    write!(f, "group_id={group},type={kind}")?;
    buckets(f, kind, list)
}

/// A meter as `ovs-ofctl dump-meters` prints it: a line, and one for each band.
pub(super) fn meter(
    f: &mut Formatter<'_>,
    meter: u32,
    flags_set: MeterFlags,
    bands: &[Band],
) -> fmt::Result {
    number(f, meter)?;
    words(f, &Flags(flags_set))?;
    let nameless = flags_set.0 & !MeterFlags::KNOWN.0;
    if nameless != 0 {
        write!(f, " flags:{nameless:#x}")?;
    }
    f.write_str(" bands=\n")?;
    for band in bands {
        words(f, &Described(band, flags_set))?;
        f.write_str("\n")?;
    }
    Ok(())
}

/// What has commas elsewhere, with spaces.
fn words(f: &mut Formatter<'_>, list: &impl fmt::Display) -> fmt::Result {
    f.write_str(&list.to_string().replace(',', " "))
}

struct Flags(MeterFlags);

impl Display for Flags {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        flags(f, self.0)
    }
}

struct Described<'a>(&'a Band, MeterFlags);

impl Display for Described<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.0.describe(f, self.1)
    }
}

fn number(f: &mut Formatter<'_>, meter: u32) -> fmt::Result {
    match meter {
        METER_ALL => f.write_str("meter=all"),
        CONTROLLER_METER => f.write_str("meter=controller"),
        SLOWPATH_METER => f.write_str("meter=slowpath"),
        meter => write!(f, "meter={meter}"),
    }
}

impl Display for GroupType {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            GroupType::All => "all",
            GroupType::Select => "select",
            GroupType::Indirect => "indirect",
            GroupType::FastFailover => "ff",
        })
    }
}

impl Bucket {
    fn describe(&self, f: &mut Formatter<'_>, kind: GroupType) -> fmt::Result {
        let unsaid = match kind {
            GroupType::Select => DEFAULT_WEIGHT,
            GroupType::All | GroupType::Indirect | GroupType::FastFailover => NO_WEIGHT,
        };
        if self.weight != unsaid {
            write!(f, "weight:{},", self.weight)?;
        }
        if self.watch_port != ports::ANY {
            write!(f, "watch_port:{},", self.watch_port)?;
        }
        if self.watch_group != GROUP_ANY {
            write!(f, "watch_group:{},", self.watch_group)?;
        }
        write!(f, "actions={}", Actions(&self.actions))
    }
}

impl Display for MeterMod {
    /// The meter as `ovs-ofctl add-meter` takes it; other commands come first.
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self.command {
            MeterCommand::Add => "",
            MeterCommand::Modify => "modify ",
            MeterCommand::Delete => "delete ",
        })?;
        number(f, self.meter)?;
        flags(f, self.flags)?;
        for (position, band) in self.bands.iter().enumerate() {
            f.write_str(if position == 0 { ",bands=" } else { "," })?;
            band.describe(f, self.flags)?;
        }
        Ok(())
    }
}

fn flags(f: &mut Formatter<'_>, flags: MeterFlags) -> fmt::Result {
    flags.words().try_for_each(|word| write!(f, ",{word}"))
}

impl Band {
    /// A burst size has a meaning only where the meter's flags say so.
    fn describe(&self, f: &mut Formatter<'_>, flags: MeterFlags) -> fmt::Result {
        let (name, rate, burst, levels) = match self {
            Band::Drop { rate, burst } => ("drop", rate, burst, None),
            Band::DscpRemark {
                rate,
                burst,
                levels,
            } => ("dscp_remark", rate, burst, Some(levels)),
            Band::Raw(bytes) => return write!(f, "type=raw:{}", Dotted(bytes)),
        };
        write!(f, "type={name},rate={rate}")?;
        if flags.contains(MeterFlags::BURST) {
            write!(f, ",burst_size={burst}")?;
        }
        levels.map_or(Ok(()), |levels| write!(f, ",prec_level={levels}"))
    }
}

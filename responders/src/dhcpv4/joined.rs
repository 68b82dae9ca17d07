//! Joins options that come in several instances (RFC 3396 §7): their values in the order of the areas, which are the
//! options, then `file`, then `sname`.

use super::codec::{RawDhcpv4Option, RawDhcpv4Options};
use crate::answer::Malformed;
use std::collections::BTreeMap;

/// The instances of one option.
#[derive(Debug)]
struct Instances<'a> {
    first: RawDhcpv4Option<'a>,
    value: Vec<u8>,
    /// Whether all instances have the same value.
    alike: bool,
}

/// The options of a message, each once.
#[derive(Debug)]
pub(super) struct Joined<'a> {
    options: RawDhcpv4Options<'a>,
    /// Options with several instances. There are few, and nearly always none.
    several: BTreeMap<u8, Instances<'a>>,
}

/// An option, joined.
#[derive(Clone, Copy, Debug)]
pub(super) struct JoinedOption<'a> {
    /// The joined value.
    pub(super) whole: RawDhcpv4Option<'a>,
    /// Its first instance, if it has several.
    pub(super) first: Option<RawDhcpv4Option<'a>>,
    /// Whether all instances have the same value. Then the client may have meant the first only.
    pub(super) alike: bool,
}

impl<'a> Joined<'a> {
    pub(super) fn of(options: RawDhcpv4Options<'a>) -> Self {
        let (mut seen, mut several) = ([0_u64; 4], BTreeMap::new());
        for raw in options.flatten() {
            let (word, bit) = (usize::from(raw.code >> 6), 1 << (raw.code & 63));
            if seen[word] & bit != 0 {
                several.insert(raw.code, None);
            }
            seen[word] |= bit;
        }
        if !several.is_empty() {
            options.flatten().for_each(|raw| join(&mut several, raw));
        }
        let several = several
            .into_iter()
            .filter_map(|(code, instances)| Some((code, instances?)))
            .collect();
        Self { options, several }
    }

    /// Each option, at the place of its first instance.
    pub(super) fn iter(&self) -> impl Iterator<Item = Result<JoinedOption<'_>, Malformed>> {
        self.options.filter_map(|raw| match raw {
            Ok(raw) => self.joined(raw).map(Ok),
            Err(malformed) => Some(Err(malformed)),
        })
    }

    fn joined<'b>(&'b self, raw: RawDhcpv4Option<'b>) -> Option<JoinedOption<'b>> {
        let Some(instances) = self.several.get(&raw.code) else {
            let (first, alike) = (None, true);
            return Some(JoinedOption {
                whole: raw,
                first,
                alike,
            });
        };
        let value = instances.value.as_slice();
        (raw.offset == instances.first.offset).then_some(JoinedOption {
            whole: RawDhcpv4Option { value, ..raw },
            first: Some(raw),
            alike: instances.alike,
        })
    }
}

fn join<'a>(several: &mut BTreeMap<u8, Option<Instances<'a>>>, raw: RawDhcpv4Option<'a>) {
    match several.get_mut(&raw.code) {
        Some(Some(instances)) => {
            instances.alike &= instances.first.value == raw.value;
            instances.value.extend_from_slice(raw.value);
        }
        Some(none) => {
            *none = Some(Instances {
                first: raw,
                value: raw.value.to_vec(),
                alike: true,
            });
        }
        None => {}
    }
}

//! `extra_dhcp_opts` of a port.
//!
//! Whatever Neutron takes is taken, and shown as it was given. What no DHCP answer can carry is left out of answers, where
//! flows are computed, and counted by the owner of state.

use crate::api::contract::error::ApiError;
use crate::api::contract::limits::ENTRIES;
use crate::api::contract::python;
use crate::api::contract::values::{self, Invalid};
use serde_json::Value;
use sextant_model::{DhcpOption, IpVersion, Port};

/// The longest name, in characters (neutron-lib's `DHCP_OPT_NAME_MAX_LEN`).
const LONGEST_NAME: usize = 64;
/// Options that may be empty, which suppresses them (neutron-lib's `VALID_BLANK_EXTRA_DHCP_OPTS`).
const BLANK: [&str; 2] = ["router", "classless-static-route"];

/// A request about an option. Without a value the option is removed.
#[derive(Clone, Debug)]
pub(crate) struct PatchedOption {
    name: String,
    value: Option<String>,
    ip_version: IpVersion,
}

/// Applies a request. Options that it does not name stay, so their total is limited as well. A port that already has
/// more can keep and replace them.
pub(super) fn change(port: &mut Port, options: &[PatchedOption]) -> Result<(), ApiError> {
    let before = port.extra_dhcp_opts.len();
    for option in options {
        option.clone().merge(&mut port.extra_dhcp_opts);
    }
    let after = port.extra_dhcp_opts.len();
    match after > ENTRIES.max(before) {
        true => Err(too_many(after)),
        false => Ok(()),
    }
}

fn too_many(options: usize) -> ApiError {
    let reason = format!("{options} items are more than {ENTRIES}, the most that a port can have");
    Invalid::Reason(reason).of("extra_dhcp_opts")
}

impl PatchedOption {
    fn merge(self, options: &mut Vec<DhcpOption>) {
        let present = options.iter().position(|option| {
            (&option.opt_name, option.ip_version) == (&self.name, self.ip_version)
        });
        match (present, self.value) {
            (Some(at), None) => drop(options.remove(at)),
            (Some(at), Some(opt_value)) => options[at].opt_value = opt_value,
            (None, None) => {}
            (None, Some(opt_value)) => options.push(DhcpOption {
                opt_name: self.name,
                opt_value,
                ip_version: self.ip_version,
            }),
        }
    }
}

pub(super) fn option(value: &Value) -> Result<PatchedOption, Invalid> {
    let fields = ["opt_name", "opt_value", "ip_version"];
    let option = values::object(value, &fields, "extra dhcp option")?;
    let name = option.get("opt_name").ok_or_else(|| incomplete(value))?;
    let name = values::text(LONGEST_NAME)(one_line(name)?)?;
    let opt_value = option.get("opt_value").ok_or_else(|| incomplete(value))?;
    let value = values::or_null(values::text(values::LONG))(opt_value)?;
    if !BLANK.contains(&name.as_str()) {
        refuse_blank(&name)?;
        one_line(opt_value)?;
        value.as_deref().map_or(Ok(()), refuse_blank)?;
    }
    let ip_version = option.get("ip_version").map(values::ip_version);
    Ok(PatchedOption {
        name,
        value,
        ip_version: ip_version.transpose()?.unwrap_or(IpVersion::V4),
    })
}

fn incomplete(option: &Value) -> Invalid {
    let text = python::text(option);
    Invalid::Reason(format!(
        "Invalid data format for extra dhcp option: '{text}'"
    ))
}

/// A line break would end the line of the file in which dnsmasq reads options.
fn ends_line(letter: char) -> bool {
    letter.is_control() && letter != '\t' || "\u{2028}\u{2029}".contains(letter)
}

fn one_line(value: &Value) -> Result<&Value, Invalid> {
    match value.as_str() {
        Some(text) if text.trim_end_matches(ends_line).contains(ends_line) => Err(Invalid::Reason(
            format!("Multi-line string is not allowed: {}", python::repr(value)),
        )),
        Some(_) | None => Ok(value),
    }
}

fn refuse_blank(text: &str) -> Result<(), Invalid> {
    match text.trim().is_empty() {
        true => Err(Invalid::Reason(format!(
            "'{text}' Blank strings are not permitted"
        ))),
        false => Ok(()),
    }
}

//! Ports as text, and sets of bits by their names.

use std::fmt::{self, Display, Formatter};

use super::values::Mac;
use crate::port::{PortDesc, PortMod};

/// The names of the bits that are set; those without a name together as a number.
pub(crate) struct Bits(pub(crate) u32, pub(crate) &'static [(u32, &'static str)]);

impl Display for Bits {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let named = self.1.iter().filter(|(bit, _)| self.0 & bit != 0);
        let rest = self.1.iter().fold(self.0, |rest, (bit, _)| rest & !bit);
        let mut words: Vec<String> = named.map(|(_, name)| (*name).to_owned()).collect();
        if rest != 0 {
            words.push(format!("{rest:#x}"));
        }
        if words.is_empty() {
            words.push("0".to_owned());
        }
        f.write_str(&words.join(" "))
    }
}

const FEATURES: &[(u32, &str)] = &[
    (1, "10MB-HD"),
    (1 << 1, "10MB-FD"),
    (1 << 2, "100MB-HD"),
    (1 << 3, "100MB-FD"),
    (1 << 4, "1GB-HD"),
    (1 << 5, "1GB-FD"),
    (1 << 6, "10GB-FD"),
    (1 << 7, "40GB-FD"),
    (1 << 8, "100GB-FD"),
    (1 << 9, "1TB-FD"),
    (1 << 10, "OTHER"),
    (1 << 11, "COPPER"),
    (1 << 12, "FIBER"),
    (1 << 13, "AUTO_NEG"),
    (1 << 14, "AUTO_PAUSE"),
    (1 << 15, "AUTO_PAUSE_ASYM"),
];

fn mac(address: [u8; 6]) -> Mac {
    let [a, b, c, d, e, f] = address;
    Mac(u64::from_be_bytes([0, 0, a, b, c, d, e, f]).into())
}

/// A port in several lines, the first of which begins with its number.
pub(super) fn port_lines(f: &mut Formatter<'_>, port: &PortDesc) -> fmt::Result {
    let name: String = port.name.chars().filter(|c| !c.is_control()).collect();
    write!(f, "{}({name}): addr:{}", port.number, mac(port.address))?;
    write!(f, "\n     config:     {}", port.config)?;
    write!(f, "\n     state:      {}", port.state)?;
    let features = [
        ("current:   ", port.current),
        ("advertised:", port.advertised),
        ("supported: ", port.supported),
        ("peer:      ", port.peer),
    ];
    for (name, bits) in features.into_iter().filter(|(_, bits)| *bits != 0) {
        write!(f, "\n     {name} {}", Bits(bits, FEATURES))?;
    }
    let (now, most) = (port.current_speed / 1000, port.max_speed / 1000);
    write!(f, "\n     speed: {now} Mbps now, {most} Mbps max")
}

/// A change to a port in several lines.
pub(super) fn change(port: &PortMod) -> String {
    let advertise = match port.advertise {
        0 => "UNCHANGED".to_owned(),
        bits => Bits(bits, FEATURES).to_string(),
    };
    format!(
        "port: {}: addr:{}\n     config: {}\n     mask:   {}\n     advertise: {advertise}",
        port.number,
        mac(port.address),
        port.config,
        port.mask,
    )
}

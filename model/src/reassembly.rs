//! How a hypervisor's connection tracker puts fragments together.

/// How the connection tracker of a datapath puts fragments together, and how many it keeps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reassembly {
    /// The kernel's: as many as fit into its memory for fragments.
    #[default]
    Kernel,
    /// That of `ovs-vswitchd`: 1000 fragments at a time.
    Userspace,
    /// That of a version of `ovs-vswitchd` that ends when a packet grows too long (mended by "ipf: Fix the over-sized
    /// reassembly.").
    Flawed,
}

/// The first release of each branch of Open vSwitch that is mended. All later branches are.
const MENDED: [[u16; 3]; 7] = [
    [2, 17, 12],
    [3, 0, 8],
    [3, 1, 7],
    [3, 2, 5],
    [3, 3, 4],
    [3, 4, 2],
    [3, 5, 0],
];

impl Reassembly {
    /// The reassembly of this version of `ovs-vswitchd` (`ovs_version`; ovs-vswitchd.conf.db(5)). A version that cannot
    /// be parsed may be any.
    pub fn in_userspace(version: &str) -> Self {
        if read(version).is_some_and(is_mended) {
            Self::Userspace
        } else {
            Self::Flawed
        }
    }
}

fn is_mended(version: [u16; 3]) -> bool {
    let of_branch = MENDED.iter().find(|mended| mended[..2] == version[..2]);
    let newest = MENDED[MENDED.len() - 1];
    of_branch.map_or(version >= newest, |mended| version >= *mended)
}

/// Parses `3.1.0`, also with text after it.
fn read(version: &str) -> Option<[u16; 3]> {
    let mut numbers = version.split('.').map(|part| {
        let digits = part.find(|c: char| !c.is_ascii_digit());
        part[..digits.unwrap_or(part.len())].parse().ok()
    });
    Some([numbers.next()??, numbers.next()??, numbers.next()??])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_before_the_mend_are_flawed() {
        for version in [
            "3.1.0",
            "2.17.9",
            "3.3.3-1ubuntu0.24.04",
            "3.2.4",
            "2.16.99",
            "",
            "x",
        ] {
            assert_eq!(
                Reassembly::in_userspace(version),
                Reassembly::Flawed,
                "{version}"
            );
        }
        for version in [
            "3.1.7",
            "2.17.12",
            "3.3.9",
            "3.4.2",
            "3.5.0",
            "3.7.1",
            "4.0.0",
            "3.6.90-dev",
        ] {
            assert_eq!(
                Reassembly::in_userspace(version),
                Reassembly::Userspace,
                "{version}"
            );
        }
    }
}

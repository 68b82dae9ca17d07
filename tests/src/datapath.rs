//! Which of Open vSwitch's datapaths the switches of a lab have. Every hypervisor in the field runs the kernel's; a
//! machine without its module has the userspace one, which needs nothing of the machine.

use crate::command;
use crate::error::LabError;
use crate::namespace::Namespace;
use std::env;

/// The environment variable with the default datapath of labs: `userspace` or `system`.
const VARIABLE: &str = "SEXTANT_LAB_DATAPATH";

/// A datapath of Open vSwitch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Datapath {
    /// In ovs-vswitchd itself (`netdev`). It is configured to lack what each kernel lacks.
    #[default]
    Userspace,
    /// In the kernel (`system`): tunnels go through the IP stack of the hypervisor's namespace.
    System,
}

impl Datapath {
    /// The one that `SEXTANT_LAB_DATAPATH` names; userspace if it is not set.
    ///
    /// # Errors
    /// [`LabError::Unexpected`] when it names none.
    pub fn of_environment() -> Result<Self, LabError> {
        match env::var(VARIABLE).unwrap_or_default().as_str() {
            "" | "userspace" => Ok(Self::Userspace),
            "system" => Ok(Self::System),
            other => Err(LabError::unexpected(
                format!("{VARIABLE} (userspace or system)"),
                other,
            )),
        }
    }

    /// A bridge's `datapath_type`.
    #[must_use]
    pub fn bridge_type(self) -> &'static str {
        match self {
            Self::Userspace => "netdev",
            Self::System => "system",
        }
    }

    /// A bridge's `datapath_type`, as `ovs-vsctl set bridge` takes it.
    #[must_use]
    pub fn setting(self) -> String {
        format!("datapath_type={}", self.bridge_type())
    }

    /// Makes a veth into a switch more like a wire: `device` is the end with an IP stack, `port` the switch's.
    ///
    /// The userspace switch does not complete the checksums that a veth leaves open, so the device has to. The kernel's
    /// does, and takes large packets from the device, as from a virtual machine. They are cut on the way out, so that
    /// captures show their real sizes.
    pub(crate) fn wire(
        self,
        device: (&Namespace, &str),
        port: (&Namespace, &str),
    ) -> Result<(), LabError> {
        let (namespace, end) = match self {
            Self::Userspace => device,
            Self::System => port,
        };
        namespace
            .run(&["ethtool", "-K", end, "tx", "off"])
            .map(drop)
    }

    /// Checks that this machine has it. The kernel's module is loaded if it is not.
    pub(crate) fn require(self) -> Result<(), LabError> {
        if self == Self::Userspace {
            return Ok(());
        }
        // A kernel that has it built in, or a container, has no module to load.
        let loaded = command::run(command::program("modprobe").arg("openvswitch"));
        let asked = command::run(command::program("ovs-dpctl").arg("dump-dps"));
        match asked {
            Ok(_) => Ok(()),
            Err(asked) => Err(LabError::NoKernelDatapath {
                said: match loaded {
                    Ok(_) => asked.to_string(),
                    Err(loaded) => loaded.to_string(),
                },
            }),
        }
    }
}

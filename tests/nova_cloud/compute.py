"""A hypervisor of Nova: libvirtd with qemu, and nova-compute. The word is its number.

It says `ready` once both run, and goes on until one of them ends. Open vSwitch is not here: the lab has its sockets in
/run/openvswitch, and its database at os-vif's usual place, tcp:127.0.0.1:6640.
"""

import os
import sys
import time

from machine import CONTROLLER, Services, configure, say

INSTANCES = "/var/lib/nova/instances"
# Migration goes between libvirtds, over the lab's link.
LIBVIRTD = """
listen_tls = 0
listen_tcp = 1
listen_addr = "::"
auth_tcp = "none"
host_uuid = "0a5fc7a4-6f55-4c34-9b2c-00000000000{number}"
"""
# Without systemd there are no cgroups to make; all runs as one user.
QEMU = """
user = "root"
group = "root"
dynamic_ownership = 0
remember_owner = 0
security_driver = "none"
cgroup_controllers = []
namespaces = []
stdio_handler = "file"
"""
NOVA = """
[DEFAULT]
host = h{number}
my_ip = fd00:c::1:{number}
[libvirt]
live_migration_inbound_addr = fd00:c::1:{number}
"""


def write(file, text):
    os.makedirs(os.path.dirname(file), exist_ok=True)
    with open(file, "w") as opened:
        opened.write(text)


def forget_databases():
    """Only the other machine has them."""
    with open("/etc/nova/nova.conf") as opened:
        kept = [line for line in opened if not line.startswith("connection = mysql")]
    write("/etc/nova/nova.conf", "".join(kept))


def name_hosts():
    names = "".join(f"fd00:c::1:{number} h{number}\n" for number in [1, 2])
    write("/etc/hosts", f"127.0.0.1 localhost\n::1 localhost\n{CONTROLLER} ctl\n{names}")


def share(services):
    """The folder that all hypervisors have, by a file system that libvirt takes for a share: else it moves no guest alive."""
    os.makedirs("/srv/instances", exist_ok=True)
    services.start("bindfs", "bindfs", "-f", "-o", "subtype=glusterfs", "/srv/instances", INSTANCES)
    services.wait("the share", lambda: mounted(INSTANCES))


def mounted(folder):
    if not os.path.ismount(folder):
        raise OSError(f"{folder} is not mounted")


def main():
    number = sys.argv[1]
    begun = time.monotonic()
    services = Services()
    configure()
    forget_databases()
    name_hosts()
    write("/etc/libvirt/libvirtd.conf", LIBVIRTD.format(number=number))
    write("/etc/libvirt/qemu.conf", QEMU)
    write("/etc/nova/host.conf", NOVA.format(number=number))
    services.start("libvirtd", "libvirtd", "--listen")
    services.wait_port("libvirtd", "::1", 16509)
    share(services)
    os.makedirs("/run/sshd", exist_ok=True)
    services.start("sshd", "/usr/sbin/sshd", "-D")
    files = ["--config-file", "/etc/nova/nova.conf", "--config-file", "/etc/nova/host.conf"]
    services.start("nova-compute", "nova-compute", *files)
    say(f"ready after {time.monotonic() - begun:.0f} s")
    services.watch()


main()

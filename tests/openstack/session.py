"""A session of openstacksdk with the API at the address given: makes, finds, lists, changes and deletes."""

import sys

import openstack
from openstack import exceptions


def networks(cloud):
    made = [cloud.create_network(name=f"net{n}", description="of a session") for n in range(5)]
    assert cloud.find_network("net3").id == made[3].id
    assert cloud.find_network("nowhere") is None
    assert cloud.get_network(made[0].id).name == "net0"
    assert [network.name for network in cloud.networks(name="net1")] == ["net1"]
    assert {network.id for network in cloud.networks(description="of a session")} == {network.id for network in made}

    before = made[0].revision_number
    changed = cloud.update_network(made[0], name="first", mtu=1400)
    assert (changed.name, changed.mtu) == ("first", 1400)
    assert changed.revision_number > before
    refused(exceptions.BadRequestException, lambda: cloud.update_network(made[1], mtu="broad"))
    refused(exceptions.NotFoundException, lambda: cloud.get_network("0f0b2b6c-0000-4000-8000-000000000000"))
    return made


def pages(cloud, network):
    subnet = cloud.create_subnet(
        network_id=network.id,
        ip_version=6,
        cidr="2001:db8:1::/64",
        ipv6_ra_mode="slaac",
        ipv6_address_mode="slaac",
        name="slaac",
    )
    ports = cloud.create_ports([{"network_id": network.id, "name": f"port{n:02}"} for n in range(25)])
    ports = list(ports)
    assert len({port.fixed_ips[0]["ip_address"] for port in ports}) == 25
    paged = [port.id for port in cloud.ports(network_id=network.id, limit=7)]
    assert sorted(paged) == sorted(port.id for port in ports), "every port is on one page"
    by_name = [port.name for port in cloud.ports(network_id=network.id, sort_key="name", sort_dir="desc", limit=10)]
    assert by_name == [f"port{n:02}" for n in reversed(range(25))]
    some = list(cloud.ports(network_id=network.id, name=["port03", "port04"], fields=["id", "name"]))
    assert sorted(port.name for port in some) == ["port03", "port04"]
    assert some[0].mac_address is None, "only what was asked for is shown"
    address = ports[7].fixed_ips[0]["ip_address"]
    assert [port.id for port in cloud.ports(fixed_ips=f"ip_address={address}")] == [ports[7].id]
    return subnet, ports


def tags(cloud, ports):
    for port in ports[:3]:
        cloud.set_tags(port, ["red", "blue"])
    cloud.set_tags(ports[3], ["red"])
    assert len(list(cloud.ports(tags="red,blue"))) == 3
    assert [port.id for port in cloud.ports(tags="red", not_tags="blue")] == [ports[3].id]
    assert cloud.get_port(ports[0].id).tags == ["blue", "red"]


def revisions(cloud, port):
    """`If-Match` refuses a change of what somebody else has changed since."""
    seen = cloud.get_port(port.id)
    cloud.update_port(port.id, name="renamed")
    refused(
        exceptions.HttpException,
        lambda: cloud.update_port(seen, name="lost", if_revision=seen.revision_number),
        status=412,
    )
    now = cloud.get_port(port.id)
    assert now.name == "renamed"
    again = cloud.update_port(now, name="seen", if_revision=now.revision_number)
    assert again.name == "seen"


def routers(cloud, subnet):
    router = cloud.create_router(name="router")
    cloud.add_interface_to_router(router, subnet_id=subnet.id)
    interfaces = list(cloud.ports(device_id=router.id))
    assert len(interfaces) == 1
    refused(exceptions.ConflictException, lambda: cloud.delete_router(router, ignore_missing=False))
    cloud.remove_interface_from_router(router, subnet_id=subnet.id)
    cloud.delete_router(router, ignore_missing=False)
    assert cloud.find_router("router") is None


def farewell(cloud, made, ports):
    refused(exceptions.ConflictException, lambda: cloud.delete_network(made[0], ignore_missing=False))
    for port in ports:
        cloud.delete_port(port, ignore_missing=False)
    for network in made:
        cloud.delete_network(network, ignore_missing=False)
    assert cloud.delete_network(made[0]) is None, "to delete what is gone is no error unless asked"
    assert list(cloud.networks()) == [] and list(cloud.ports()) == [] and list(cloud.subnets()) == []


def refused(kind, request, status=None):
    try:
        answer = request()
    except kind as error:
        assert status in (None, error.status_code), error
        return
    raise AssertionError(f"it should have been refused: {answer}")


def main(endpoint):
    cloud = openstack.connect(auth_type="none", endpoint=endpoint).network
    made = networks(cloud)
    subnet, ports = pages(cloud, made[0])
    tags(cloud, ports)
    revisions(cloud, ports[9])
    routers(cloud, subnet)
    farewell(cloud, made, ports)
    print("done")


main(sys.argv[1])

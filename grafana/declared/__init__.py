"""The dashboards, in the order of the links between them."""

from . import api, first_hop, hypervisor, network, outside, overview, process

ALL = [module.BOARD for module in (overview, hypervisor, network, first_hop, outside, api, process)]

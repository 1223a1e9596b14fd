"""Network resource partitions: bandwidth cut out of links so that nobody else can use it (ietf-nrp)."""

from __future__ import annotations

from controller.network.model import Domain
from controller.planning.placement import NrpPlacement
from controller.rendering.tree import Tree

_CALENDAR_SLOT_BPS = 5_000_000_000  # FlexE counts in slots of 5 Gbit/s; what does not fit them gets a queue


def partition_fragment(partition: NrpPlacement, domain: Domain) -> Tree:
    """Return the fragment with one partition; the links are named both ways, working and standby alike."""
    rate = str(partition.rate_bps)
    kind = "ietf-nrp:queue-partition" if partition.rate_bps % _CALENDAR_SLOT_BPS else "ietf-nrp:virtual-interface"
    group: Tree = {
        "nrp:group-id": rate,
        "nrp:network-ref": domain.network_id,
        **{("nrp:link", link): {"nrp:link-ref": link} for link in partition.links},
        "nrp:resource-reservation": {"nrp:maximum-bandwidth": rate},
        "nrp:link-partition-type": kind,
    }
    policy: Tree = {
        "nrp:name": partition.name,
        "nrp:nrp-id": str(partition.nrp_id),
        "nrp:mode": "ietf-nrp:data-plane-partition",
        "nrp:resource-reservation": {"nrp:maximum-bandwidth": rate},
        "nrp:topology": {"nrp:select": {("nrp:topology-group", rate): group}},
    }
    return {"nw:networks": {"nrp:nrp-policies": {("nrp:nrp-policy", partition.name): policy}}}

"""Network resource partitions: bandwidth cut out of links so that nobody else can use it (ietf-nrp)."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from controller.network.model import Domain
from controller.planning.placement import NrpPlacement
from controller.rendering.tree import Step, Tree

_CALENDAR_SLOT_BPS = 5_000_000_000  # FlexE counts in slots of 5 Gbit/s; what does not fit them gets a queue


def partition_fragment(partition: NrpPlacement, domain: Domain) -> Tree:
    """Return the fragment with one partition; the links are named both ways, working and standby alike.

    A group has one bandwidth for all its links, so there is one group for every bandwidth that occurs.
    """
    groups: dict[int, list[str]] = {}
    rates = partition.rates_bps or (partition.rate_bps,) * len(partition.links)
    for link, rate in zip(partition.links, rates, strict=True):
        groups.setdefault(rate, []).append(link)
    policy: Tree = {
        "nrp:name": partition.name,
        "nrp:nrp-id": str(partition.nrp_id),
        "nrp:mode": "ietf-nrp:data-plane-partition",
        "nrp:resource-reservation": {"nrp:maximum-bandwidth": str(partition.rate_bps)},
        "nrp:topology": {
            "nrp:select": {
                ("nrp:topology-group", str(rate)): _group(rate, links, domain) for rate, links in sorted(groups.items())
            }
        },
    }
    return {"nw:networks": {"nrp:nrp-policies": {("nrp:nrp-policy", partition.name): policy}}}


def _group(rate_bps: int, links: Iterable[str], domain: Domain) -> Tree:
    kind = "ietf-nrp:queue-partition" if rate_bps % _CALENDAR_SLOT_BPS else "ietf-nrp:virtual-interface"
    return {
        "nrp:group-id": str(rate_bps),
        "nrp:network-ref": domain.network_id,
        **dict(map(_link, links)),
        "nrp:resource-reservation": {"nrp:maximum-bandwidth": str(rate_bps)},
        "nrp:link-partition-type": kind,
    }


@lru_cache(maxsize=1 << 16)
def _link(link: str) -> tuple[Step, Tree]:
    """Return one entry of a group; every partition over a link shares it."""
    return ("nrp:link", link), {"nrp:link-ref": link}

"""What a plane puts on links that routing leads it over, where the planner could hold nothing for it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from controller.planning.layers import Layers
from controller.planning.placement import Placement
from controller.simulation.rides import Carried, Ride


def hose_loads(net: Layers, placement: Placement, ways: Sequence[Carried], ride: Ride) -> Iterator[tuple[int, int]]:
    """Yield (directed link, bit/s): the lesser of what the nodes before it send and those behind it take (RFC 2475).

    Only what it did not hold there before: that is in the ledger already.
    """
    rates: dict[str, int] = {}
    for a in placement.attachments:
        rates[a.node] = rates.get(a.node, 0) + a.rate_bps
    senders: dict[int, set[str]] = {}
    takers: dict[int, set[str]] = {}
    for talk, way in zip(ride.talks, ways, strict=True):
        for i in way.links:
            for link, src, dst in ((i, talk.src, talk.dst), (int(net.reverse[i]), talk.dst, talk.src)):
                senders.setdefault(link, set()).add(src)
                takers.setdefault(link, set()).add(dst)
    held = {net.link_index[r.link]: r.rate_bps for r in placement.rates if r.link in net.link_index}
    for link in sorted(senders):
        load = min(sum(rates[n] for n in senders[link]), sum(rates[n] for n in takers[link]))
        if load > held.get(link, 0):
            yield link, load - held.get(link, 0)

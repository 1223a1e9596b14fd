"""Running, cut into the units that the plant simulates: one service, tunnel, partition, written link or measured
network each."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

from lab.netconf.data import Data, changed_entries, lookup, plain
from lab.netconf.schema import InstancePath, Schema

_LISTS: tuple[tuple[str, InstancePath], ...] = (
    ("vpn-service", ("l3nm:l3vpn-ntw", "l3nm:vpn-services", "l3nm:vpn-service")),
    ("tunnel", ("te:te", "te:tunnels", "te:tunnel")),
    ("nrp-policy", ("nw:networks", "nrp:nrp-policies", "nrp:nrp-policy")),
    ("network", ("nw:networks", "nw:network")),
)
_LINK = "link/"


def changed_units(
    schema: Schema, own_network: str, own_links: Collection[str], old: Data, new: Data
) -> tuple[dict[str, Any], list[str]]:
    """Return the units to put (as plain JSON) and those to drop; the device's own network and links are none."""
    put: dict[str, Any] = {}
    drop: list[str] = []
    for unit, path, entry in _changed(own_network, old, new):
        if unit == f"network/{own_network}" or (unit.startswith(_LINK) and unit.removeprefix(_LINK) in own_links):
            continue
        if entry is None:
            drop.append(unit)
        else:
            put[unit] = plain(schema.at(path), entry)
    return put, drop


def _changed(own_network: str, old: Data, new: Data) -> Iterator[tuple[str, InstancePath, Data | None]]:
    for kind, path in _LISTS:
        for key, _, entry in changed_entries(lookup(old, path), lookup(new, path)):
            yield f"{kind}/{key[0]}", path, entry
    links: InstancePath = ("nw:networks", ("nw:network", (own_network,)), "nt:link")
    for key, _, entry in changed_entries(lookup(old, links), lookup(new, links)):
        yield f"{_LINK}{key[0]}", links, entry

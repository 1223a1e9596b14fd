"""Running, cut into the units that the plant simulates: one service, tunnel, partition or measured network each."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from lab.netconf.data import Data, changed_entries, lookup, plain
from lab.netconf.schema import InstancePath, Schema

_LISTS: tuple[tuple[str, InstancePath], ...] = (
    ("vpn-service", ("l3nm:l3vpn-ntw", "l3nm:vpn-services", "l3nm:vpn-service")),
    ("tunnel", ("te:te", "te:tunnels", "te:tunnel")),
    ("nrp-policy", ("nw:networks", "nrp:nrp-policies", "nrp:nrp-policy")),
    ("network", ("nw:networks", "nw:network")),
)


def changed_units(schema: Schema, own_network: str, old: Data, new: Data) -> tuple[dict[str, Any], list[str]]:
    """Return the units to put (as plain JSON) and those to drop."""
    put: dict[str, Any] = {}
    drop: list[str] = []
    for unit, path, entry in _changed(old, new):
        if unit == f"network/{own_network}":
            continue
        if entry is None:
            drop.append(unit)
        else:
            put[unit] = plain(schema.at(path), entry)
    return put, drop


def _changed(old: Data, new: Data) -> Iterator[tuple[str, InstancePath, Data | None]]:
    for kind, path in _LISTS:
        for key, _, entry in changed_entries(lookup(old, path), lookup(new, path)):
            yield f"{kind}/{key[0]}", path, entry

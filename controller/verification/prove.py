"""The verdict on a change, before anything of it is sent."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice

from controller.intent.model import Service, ServiceId, VipAssurance
from controller.network.model import CityMap
from controller.verification.bookings import (
    circuit_bookings,
    partition_bookings,
    service_of,
    tunnel_bookings,
    vpn_bookings,
)
from controller.verification.forwarding import Forwarding
from controller.verification.igp import Interior
from controller.verification.model import ConfigurationModel
from controller.verification.promises import ServiceProver
from controller.verification.proof import CounterExample, Proofs, Property

MOST_EXAMPLES = 20  # a person reads the first; more than this only repeats it

_last: list[Interior] = []  # shortest paths of the newest map: they change only with the map


def prove(
    model: ConfigurationModel,
    city: CityMap,
    intents: Mapping[ServiceId, Service],
    changed: Iterable[ServiceId],
) -> Proofs:
    """Check everything that a change could have broken, and return a counter-example for each thing it did break.

    model: the configuration after the change, its `looked_at` the units that changed. intents: all active services
    after the change. changed: services put or removed. The work is in what changed: its units, its services, and the
    VIPs and planes that share a VPN with it.
    """
    forwarding = Forwarding(model, city, _interior(city))
    broken = tuple(islice(_examine(model, forwarding, intents, set(changed)), MOST_EXAMPLES))
    failed = {example.broken for example in broken}
    return Proofs(tuple(p for p in Property if p not in failed), broken, forwarding.steps)


def _examine(
    model: ConfigurationModel, forwarding: Forwarding, intents: Mapping[ServiceId, Service], changed: set[ServiceId]
) -> Iterator[CounterExample]:
    concerned = {sid for sid in changed if sid in intents}
    for unit in sorted(model.looked_at):
        vpn = model.vpns.get(unit)
        if vpn is not None:
            yield from vpn_bookings(vpn, forwarding)
            concerned |= {service_of(vpn.id)} & intents.keys()
        tunnel = model.tunnels.get(unit)
        if tunnel is not None:
            yield from tunnel_bookings(tunnel, _owner(tunnel.name), forwarding)
        partition = model.partitions.get(unit)
        if partition is not None:
            yield from partition_bookings(partition, _owner(partition.name), forwarding)
        circuit = model.circuits.get(unit)
        if circuit is not None:
            yield from circuit_bookings(circuit, forwarding)
    for sid in sorted(concerned):
        service = intents[sid]
        protected = intents.get(service.protects) if isinstance(service, VipAssurance) else None
        yield from ServiceProver(service, forwarding, protected).check()


def _owner(name: str) -> ServiceId:
    """Return the service of a tunnel or partition: `slice/<tenant>.<name>/…`."""
    parts = name.split("/")
    return service_of(parts[1]) if len(parts) > 1 else ServiceId(name)


def _interior(city: CityMap) -> Interior:
    if not _last or _last[0].city is not city:
        _last[:] = [Interior(city)]
    return _last[0]

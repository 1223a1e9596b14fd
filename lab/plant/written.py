"""IP links that clients configured, as the routers and the light between them carry them.

Such a link carries traffic while both its directions are configured, nothing else leaves by its ports, and a circuit
of the optical network joins their client ports, port to port. Nothing trusts that a domain controller checked.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from lab.plant.cable import Link, Port
from lab.plant.circuits import WAVELENGTH, Circuit, Circuits
from lab.plant.units import WrittenLink


class WrittenLinks:
    """The written links of all domains, each worked out anew from what stands under it."""

    def __init__(self, own: Iterable[Link], client_of: Mapping[Port, str], circuits: Circuits) -> None:
        """own: the city's own links, whose ports and names are theirs; client_of: router port → client port."""
        mine = list(own)
        self._own_ids, self._own_ports = {link.id for link in mine}, {link.source for link in mine}
        self._client_of, self._circuits = client_of, circuits
        self._links: dict[tuple[str, str], WrittenLink] = {}  # (domain, id)

    def __bool__(self) -> bool:
        return bool(self._links)

    def change(self, put: Iterable[WrittenLink], drop: Iterable[tuple[str, str]]) -> None:
        for gone in drop:
            self._links.pop(gone, None)
        self._links.update({(link.domain, link.id): link for link in put})

    def now(self) -> tuple[dict[str, Link], frozenset[str]]:
        """Return all of them as they are now, and those that light joins, whatever their routers' ports do."""
        leaving = Counter(link.source for link in self._links.values())
        by_ends = {(link.source, link.destination): link for link in self._links.values()}
        found: dict[str, Link] = {}
        lit = set()
        for (_, name), link in sorted(self._links.items(), key=lambda item: item[0]):
            if name in self._own_ids or name in found:
                continue  # somebody else's name
            circuit = self._circuit(link)
            found[name] = self._as_link(link, circuit)
            back = by_ends.get((link.destination, link.source))
            alone = all(leaving[end] == 1 and end not in self._own_ports for end in (link.source, link.destination))
            sound = alone and back is not None and back.domain == link.domain and _enabled(link) and _enabled(back)
            if sound and circuit is not None and self._circuits.states[circuit.id].up:
                lit.add(name)
        return found, frozenset(lit)

    def _as_link(self, link: WrittenLink, circuit: Circuit | None) -> Link:
        """Its rate is the configured one, as far as the circuit carries it; it is as long as the way of the light."""
        ends = (link.id, link.source, link.destination, link.domain)
        if circuit is None:
            return Link(*ends, link.rate_bps, None, 0, link.igp_metric, written=True)
        rate = min(link.rate_bps, circuit.rate_bps)
        return Link(*ends, rate, circuit.id, self._length_m(circuit), link.igp_metric, written=True)

    def _circuit(self, link: WrittenLink) -> Circuit | None:
        """Return the circuit that joins the client ports under a link, and nothing else."""
        near, far = self._client_of.get(link.source), self._client_of.get(link.destination)
        if near is None or far is None or near == far:
            return None
        riding = self._circuits.on_port(near)
        if len(riding) != 1 or self._circuits.on_port(far) != riding:
            return None
        circuit = self._circuits.specs[riding[0]]
        whole = {circuit.a, circuit.z} == {(near, 0), (far, 0)}
        return circuit if whole else None

    def _length_m(self, circuit: Circuit | None) -> int:
        """Return how long the working way of a circuit is."""
        if circuit is None or not circuit.legs:
            return 0
        if circuit.layer == WAVELENGTH:
            return self._circuits.length_m(circuit.legs[0].route)
        servers = (self._circuits.odu_links.get(hop) for hop in circuit.legs[0].route)
        below = [
            self._circuits.specs[s.circuit] for s in servers if s is not None and s.circuit in self._circuits.specs
        ]
        return sum(self._length_m(server) for server in below)


def _enabled(link: WrittenLink) -> bool:
    return link.admin_up and link.rate_bps > 0

"""Who answers for which address behind which port: asked of every neighbour that the configuration names.

Customers and neighbour routers are asked at once and then from time to time; what they answer is kept over restarts.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

from lab.openflow import wire
from lab.openflow.compiler import Compiler, neighbour_key
from lab.openflow.domain import Domain
from lab.openflow.names import Names, gateway_mac
from lab.openflow.numbers import Numbers
from lab.openflow.switch import Switch
from lab.plant.units import Access, Address, covers

ASK_S, AGAIN_S = 1.0, 15.0


class Neighbours:
    """Asks and answers for the routers of one domain."""

    def __init__(self, domain: Domain, names: Names, numbers: Numbers, compiler: Compiler) -> None:
        self._domain, self._names, self._numbers, self._compiler = domain, names, numbers, compiler
        self._asked: dict[str, float] = {}
        self._by_place: dict[tuple[str, str, int], Access] = {}

    def follow(self) -> None:
        """Learn which accesses there are; who hung on one that has gone is forgotten."""
        self._by_place = {(a.node, a.port, a.vlan): a for v in self._domain.vrfs() for a in v.accesses}
        there = {neighbour_key(a, wanted) for a in self._by_place.values() for _, wanted in _neighbours(a)}
        self._numbers.forget(there)
        self._asked = {key: at for key, at in self._asked.items() if key in there}

    def ask(self, switches: dict[str, Switch]) -> None:
        """Ask whoever has not been asked for a while."""
        now = time.monotonic()
        for access in self._by_place.values():
            switch, place = switches.get(access.node), self._compiler.port(access)
            if switch is None or place is None or not self._domain.access_up(access):
                continue
            for ours, wanted in _neighbours(access):
                key = neighbour_key(access, wanted)
                wait = AGAIN_S if key in self._numbers.macs else ASK_S
                if now - self._asked.get(key, -AGAIN_S) < wait:
                    continue
                self._asked[key] = now
                vlan = 0 if place[1] else access.vlan
                mac = gateway_mac(self._names.number[access.node])
                switch.packet_out(wire.ask(vlan, mac, ours, wanted), place[0])

    def hear(self, switch: Switch, port: int, frame: bytes) -> bool:
        """Take a question or answer; return whether it taught us an address."""
        question = wire.read_question(frame)
        place = next((p for p, (number, _) in switch.ports.items() if number == port), None)
        where = self._names.place(place) if place is not None else None
        if question is None or where is None:
            return False
        access = self._by_place.get((where.node, where.port, where.vlan or question.vlan))
        if access is None:
            return False
        if question.wanted in [ours for _, ours, _ in access.addresses]:
            reply = wire.answer(question, gateway_mac(self._names.number[access.node]))
            switch.packet_out(reply, port)
        if question.sender not in [wanted for _, wanted in _neighbours(access)]:
            return False
        return self._numbers.learn(neighbour_key(access, question.sender), question.mac)


def _neighbours(access: Access) -> Iterator[tuple[Address, Address]]:
    """Yield (our address, theirs) of whoever an access hands packets to."""
    wanted = [customer for _, _, customer in access.addresses if customer is not None]
    wanted += [hop for _, hop in access.lans]
    if access.bgp is not None and access.bgp.neighbor is not None:
        wanted.append(access.bgp.neighbor)
    for address in dict.fromkeys(wanted):
        ours = next((own for subnet, own, _ in access.addresses if covers(subnet, address)), None)
        if ours is not None and ours != address:
            yield ours, address

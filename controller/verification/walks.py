"""The ways of one VPN's packets, each found once and shared by everything that asks for it."""

from __future__ import annotations

from functools import cached_property

from controller.network.model import PortRef
from controller.verification.facts import Access
from controller.verification.forwarding import Forwarding, Key, Routes, Way


class Walks:
    """Ways between the instances of one VPN, as all is well and with the first border cut."""

    def __init__(self, forwarding: Forwarding, vpn_id: str) -> None:
        self.forwarding, self.vpn_id = forwarding, vpn_id
        self._tables: dict[tuple[Key, bool], Routes] = {}
        self._ways: dict[tuple[Key, Key, str, bool], Way] = {}

    @cached_property
    def everywhere(self) -> tuple[Access, ...]:
        """Return every access in all domains; both sides of a border or circuit have the same id."""
        return tuple(a for vpn in self.forwarding.vpn(self.vpn_id) for a in vpn.accesses.values())

    @cached_property
    def accesses(self) -> dict[str, Access]:
        """Return accesses by id, as the sites' are known."""
        return {a.id: a for a in self.everywhere}

    @cached_property
    def borders(self) -> tuple[Access, ...]:
        return tuple(a for a in self.everywhere if self.forwarding.role(a) == "border")

    @cached_property
    def first_borders(self) -> frozenset[PortRef]:
        """Return the ports of the borders that routing prefers: those which a failure takes away."""
        return frozenset(a.where for a in self.borders if a.rank == 1)

    def routes(self, origin: Key, cut: bool = False) -> Routes:
        if (origin, cut) not in self._tables:
            without = self.first_borders if cut else frozenset[PortRef]()
            self._tables[origin, cut] = self.forwarding.spread(origin, without)
        return self._tables[origin, cut]

    def way(self, src: Key, dst: Key, target: str = "*", cut: bool = False) -> Way:
        """Return the way from one instance to another; `cut`: with every first border gone."""
        asked = (src, dst, target, cut)
        if asked not in self._ways:
            self._ways[asked] = self.forwarding.walk(src, self.routes(dst, cut), target)
        return self._ways[asked]

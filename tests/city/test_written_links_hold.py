"""Whatever clients do to links, tunnels and accesses, in whatever order: what a domain took, it would take at once."""

from __future__ import annotations

from functools import cache
from typing import Any

from city_ip import documents as doc
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from lab.city import load_city
from lab.ip.resources import DomainResources
from lab.ip.topology import DeviceGuard, DomainTopology
from lab.netconf.checking import Changes, References
from lab.netconf.editing import Editing
from lab.netconf.errors import NetconfError
from lab.netconf.schema import Schema, load_schema

NODES = ("node:lg-buji", "node:lg-nanwan", "node:lg-zhihui")
ENDS = [(node, port) for node in NODES for port in ("tp:otn-1", "tp:otn-2")]
_end = st.sampled_from(ENDS)
_rate = st.sampled_from((doc.GBPS_100, doc.GBPS_10))


@cache
def device() -> tuple[Schema, DomainTopology, DeviceGuard]:
    schema, topology = load_schema(), DomainTopology(load_city("longgang"), "city-ip")
    return schema, topology, DeviceGuard(schema, topology)


class Device:
    """Running configuration, changed by what passes the checks and by nothing else."""

    def __init__(self) -> None:
        self.schema, self.topology, self.guard = device()
        self.running = self.topology.laid_over({})
        self.resources, self.references = DomainResources(self.schema, self.topology), References(self.schema)
        self._follow({}, self.running)

    def take(self, parts: tuple[str, ...]) -> bool:
        """Whether it took an edit."""
        config = etree.fromstring(doc.config(*parts))
        try:
            edited = Editing(self.schema, self.guard, self.running).apply(config, "merge")
        except NetconfError:
            return False
        changes = Changes(self.schema, self.running, edited)
        if self.references.errors(changes, edited) or self.resources.errors(self.running, edited):
            return False
        before, self.running = self.running, edited
        self._follow(before, edited)
        return True

    def _follow(self, old: Any, new: Any) -> None:
        self.references.follow(old, new)
        self.resources.follow(old, new)

    def taken_at_once(self) -> list[str]:
        """What a device that has only its own would say of all that stands."""
        new = Device()
        changes = Changes(self.schema, new.running, self.running)
        found = [*new.references.errors(changes, self.running), *new.resources.errors(new.running, self.running)]
        return [error.message for error in found]

    def written(self) -> set[str]:
        return {key[0] for key in self.topology.written_entries(self.running)}


def _links(a: tuple[str, str], z: tuple[str, str], rate: str, way: int) -> str:
    both = [doc.link(a, z, rate), doc.link(z, a, rate)]
    return doc.own_network(*both[: way + 1]) if way < 2 else doc.own_network(*both)


def _gone(a: tuple[str, str], z: tuple[str, str], way: int) -> str:
    return doc.link_removed(*[doc.link_name(a, z), doc.link_name(z, a)][: way + 1])


def _tunnel(a: tuple[str, str], z: tuple[str, str], number: int) -> str:
    return doc.tunnels(doc.tunnel(f"t{number}", [a], (a[0], z[0])))


_number = st.integers(0, 2)
_edit = st.one_of(
    st.builds(_links, _end, _end, _rate, st.sampled_from((0, 1, 1, 1))),
    st.builds(_gone, _end, _end, st.sampled_from((0, 1, 1, 1))),
    st.builds(_tunnel, _end, _end, _number),
    st.builds(lambda n: doc.tunnels(f'<tunnel nc:operation="delete"><name>t{n}</name></tunnel>'), _number),
    st.builds(
        lambda end, n: doc.services(doc.service(f"v{n}", [doc.node(end[0], [doc.access("x", end[1], 100 + n)])])),
        _end, _number,
    ),
    st.builds(lambda n: doc.services(doc.removed(f"v{n}")), _number),
)  # fmt: skip


@given(st.lists(st.lists(_edit, min_size=1, max_size=3).map(tuple), min_size=1, max_size=12))
def test_what_stands_was_taken_piece_by_piece_and_would_be_taken_at_once(edits: list[tuple[str, ...]]) -> None:
    router = Device()
    for edit in edits:
        standing = router.running
        if not router.take(edit):
            assert router.running is standing
    assert router.taken_at_once() == []
    links = router.topology.written_in(router.running)
    assert {link.reverse for link in links.links.values()} == router.written()
    assert all(len(leaving) == 1 for leaving in links.from_port.values())


def test_a_link_is_taken_among_these_edits() -> None:
    router = Device()
    (a, z) = ENDS[0], ENDS[2]
    assert router.take((_links(a, z, doc.GBPS_100, 1), _tunnel(a, z, 0)))
    assert not router.take((_gone(a, z, 1),))
    assert router.take((_gone(a, z, 1), doc.tunnels('<tunnel nc:operation="delete"><name>t0</name></tunnel>')))
    assert not router.written()

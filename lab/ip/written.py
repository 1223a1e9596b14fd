"""IP links that clients write into the domain's own network: between its routers' ports towards the optical network.

Each direction is an `nt:link` entry of its own (RFC 8345) with the attributes of RFC 8795. A link that the device
brought with it is never among them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from lab.bandwidth import te_bandwidth_bps
from lab.city import IpPort
from lab.netconf.data import Data, lookup
from lab.netconf.editing import schema_error
from lab.netconf.errors import NetconfError
from lab.netconf.schema import InstancePath, Schema

End = tuple[str, str]  # node and termination point, as on the wire
_ATTRIBUTES: InstancePath = ("tet:te", "tet:te-link-attributes")
_RATE: InstancePath = ("tet:te-bandwidth", "tet:generic")
_LINE: InstancePath = (*_ATTRIBUTES, "tet:max-link-bandwidth", *_RATE)
_RESERVABLE: InstancePath = (*_ATTRIBUTES, "tet:max-resv-link-bandwidth", *_RATE)
_SOURCE: tuple[InstancePath, InstancePath] = (("nt:source", "nt:source-node"), ("nt:source", "nt:source-tp"))
_DESTINATION: tuple[InstancePath, InstancePath] = (
    ("nt:destination", "nt:dest-node"),
    ("nt:destination", "nt:dest-tp"),
)


@dataclass(frozen=True, slots=True)
class WrittenLink:
    """One direction. An end that the entry leaves out is empty, a rate that it leaves out None."""

    id: str
    source: End
    destination: End
    rate_bps: int | None
    reservable_bps: int | None

    @property
    def reverse(self) -> str:
        return link_id(self.destination, self.source)


def link_id(source: End, destination: End) -> str:
    """Return the id that a link between two ports has, as the device names its own."""
    there, back = (f"{n.removeprefix('node:')}.{p.removeprefix('tp:')}" for n, p in (source, destination))
    return f"link:{there}..{back}"


def read_link(entry: Data) -> WrittenLink:
    """Read an `nt:link` entry of configuration."""
    ends = [tuple(lookup(entry, leaf) or "" for leaf in end) for end in (_SOURCE, _DESTINATION)]
    rates = (lookup(entry, leaf) for leaf in (_LINE, _RESERVABLE))
    line, reservable = (None if text is None else te_bandwidth_bps(text) for text in rates)
    return WrittenLink(entry["nt:link-id"], (ends[0][0], ends[0][1]), (ends[1][0], ends[1][1]), line, reservable)


class Sockets:
    """The ports of a domain between which links may be written, and those of the device's own links."""

    def __init__(self, ports: Mapping[End, IpPort], own: Mapping[End, str]) -> None:
        """own: port → the device's own link that leaves by it."""
        self._ports, self._own = ports, own

    def takes(self, link: WrittenLink) -> bool:
        """Whether both ends of a link are free ports towards the optical network."""
        return all(self._problem(end) is None for end in (link.source, link.destination))

    def rate_bps(self, end: End) -> int:
        return self._ports[end].rate_bps

    def _problem(self, end: End) -> tuple[str, str] | None:
        """Return error-tag and message for a port that no link can be written on."""
        port = self._ports.get(end)
        if port is None:
            return "invalid-value", f"{end[0]} has no port {end[1]!r}"
        if end in self._own:
            return "in-use", f"{end[1]} of {end[0]} is used by {self._own[end]}"
        if port.lock_id is None:
            return "invalid-value", f"{end[1]} of {end[0]} is not cabled to the optical network"
        return None

    def problems(self, link: WrittenLink) -> Iterator[tuple[str, str, InstancePath]]:
        """Yield error-tag, message and leaf for each end that does not do."""
        for end, leaves in ((link.source, _SOURCE), (link.destination, _DESTINATION)):
            missing = [leaf for leaf, value in zip(leaves, end, strict=True) if not value]
            if missing:
                yield "data-missing", "a link needs node and port of both its ends", missing[0]
            elif found := self._problem(end):
                yield (*found, leaves[1])
        if link.source[0] and link.source[0] == link.destination[0]:
            yield "invalid-value", "a link joins two nodes, not one with itself", _DESTINATION[0]


class WrittenLinks:
    """All written links of one version, and what is wrong with them as a whole."""

    def __init__(self, links: Iterable[WrittenLink]) -> None:
        self.links = {link.id: link for link in links}
        self.from_port: dict[End, list[WrittenLink]] = {}
        for link in self.links.values():
            self.from_port.setdefault(link.source, []).append(link)

    def far_end(self, node: str, port: str) -> str | None:
        """Return the node that a port leads to; None where no link leaves by it."""
        found = self.from_port.get((node, port))
        return found[0].destination[0] if found else None

    def errors(self, schema: Schema, holder: InstancePath, sockets: Sockets) -> Iterator[NetconfError]:
        """Yield what keeps the device from running these links; `holder` is the path of their network."""
        for link in self.links.values():
            here: InstancePath = (*holder, ("nt:link", (link.id,)))
            sound = True
            for tag, message, leaf in sockets.problems(link):
                sound = False
                app_tag = "missing-element" if tag == "data-missing" else ""
                yield schema_error(schema, tag, message, (*here, *leaf), app_tag)
            if sound:
                yield from self._errors(schema, link, here, sockets)

    def _errors(
        self, schema: Schema, link: WrittenLink, here: InstancePath, sockets: Sockets
    ) -> Iterator[NetconfError]:
        name = link_id(link.source, link.destination)
        if link.id != name:
            message = f"the link from {link.source[1]} of {link.source[0]} is called {name} here"
            yield schema_error(schema, "invalid-value", message, (*here, "nt:link-id"))
            return
        for end, leaf in ((link.source, _SOURCE[1]), (link.destination, _DESTINATION[1])):
            rivals = [k.id for k in self.from_port.get(end, ()) if k.id not in (link.id, link.reverse)]
            if rivals:
                message = f"{end[1]} of {end[0]} is used by {min(rivals)} too"
                yield schema_error(schema, "in-use", message, (*here, *leaf))
        back = self.links.get(link.reverse)
        if back is None:
            message = f"the other direction, {link.reverse}, is not there"
            yield schema_error(schema, "data-missing", message, here, "instance-required")
        yield from self._rate_errors(schema, link, back, here, sockets)

    @staticmethod
    def _rate_errors(
        schema: Schema, link: WrittenLink, back: WrittenLink | None, here: InstancePath, sockets: Sockets
    ) -> Iterator[NetconfError]:
        rate, most = link.rate_bps, min(sockets.rate_bps(link.source), sockets.rate_bps(link.destination))
        if not rate:
            yield schema_error(schema, "data-missing", "a link needs its rate", (*here, *_LINE), "missing-element")
        elif rate > most:
            message = f"{rate} bit/s is more than the {most} bit/s of its ports"
            yield schema_error(schema, "invalid-value", message, (*here, *_LINE))
        elif back is not None and back.rate_bps and rate != back.rate_bps:
            message = f"{rate} bit/s here and {back.rate_bps} bit/s back: both directions run at one rate"
            yield schema_error(schema, "invalid-value", message, (*here, *_LINE))
        if rate and link.reservable_bps is not None and link.reservable_bps > rate:
            message = f"{link.reservable_bps} bit/s can be reserved on a link of {rate} bit/s"
            yield schema_error(schema, "invalid-value", message, (*here, *_RESERVABLE))

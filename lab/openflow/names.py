"""How the parts of a city are called on switches, and what a rate of the city is among packets.

Interface names have at most 15 characters in Linux, so routers go by their number in the city file. Everything is
derived from the file: the process that builds and the processes that program agree without talking.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from lab.city import City, IpPort

DEFAULT_SCALE = 10_000  # 1 Gbit/s of the city is 100 kbit/s among packets
OPENFLOW_PORT = 6653  # of the first domain, inside the lab's own network namespace
_INTERFACE = re.compile(r"p(\d+)-([a-z]+-\d+)(?:\.(\d+))?")


@dataclass(frozen=True, slots=True)
class Place:
    """Where an OpenFlow port is: a router's port, and the VLAN where a circuit takes only that one (0: any)."""

    node: str
    port: str
    vlan: int


class Names:
    """Numbers and names of one city."""

    def __init__(self, city: City) -> None:
        self.nodes = tuple(n.id for d in city.ip.values() for n in d.nodes)
        self.number = {node: n for n, node in enumerate(self.nodes, 1)}
        self.domains = tuple(city.ip)
        self.access_ports: tuple[IpPort, ...] = tuple(
            p for d in city.ip.values() for p in d.ports if p.role == "access"
        )

    def switch(self, node: str) -> str:
        return f"p{self.number[node]}"

    def interface(self, node: str, port: str, vlan: int = 0) -> str:
        return f"p{self.number[node]}-{port}" + (f".{vlan}" if vlan else "")

    def place(self, interface: str) -> Place | None:
        """Return what an interface name says, None for one that is not a router's."""
        match = _INTERFACE.fullmatch(interface)
        if match is None or not 1 <= int(match[1]) <= len(self.nodes):
            return None
        return Place(self.nodes[int(match[1]) - 1], match[2], int(match[3] or 0))

    def site_switch(self, port: IpPort) -> str:
        return f"s{self.access_ports.index(port) + 1}"

    def hosts(self, port: IpPort, count: int) -> tuple[str, ...]:
        return tuple(f"h{self.access_ports.index(port) + 1}-{n}" for n in range(1, count + 1))

    def openflow_port(self, domain: str) -> int:
        return OPENFLOW_PORT + self.domains.index(domain)


def gateway_mac(number: int) -> str:
    """The address by which a router answers its customers and its neighbours."""
    return f"0a:00:00:00:{number >> 8:02x}:{number & 255:02x}"

"""Services of every kind with placements made by hand, on the map of Longgang: rendering without the planner."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from ipaddress import IPv4Address, IPv4Network
from itertools import pairwise

from controller.intent.model import (
    AccessSite,
    Conference,
    DedicatedPlane,
    Demand,
    ExclusiveSlice,
    MediaFlow,
    Metadata,
    Party,
    ServiceId,
    SiteId,
    VipAssurance,
    Window,
)
from controller.network.model import CityMap, PortRef
from controller.planning.placement import (
    Attachment,
    CircuitPlacement,
    Leg,
    NrpPlacement,
    Placement,
    Route,
    Steering,
    Stitch,
    StitchEnd,
    TunnelPlacement,
)
from tests.support.cities import city_map

CITY = "longgang"
WINDOW = Window(datetime(2026, 11, 21, 14, tzinfo=UTC), datetime(2026, 11, 21, 16, tzinfo=UTC))
FLOWS = (
    MediaFlow("sig", 6, 5060, 5061, 100_000, "signalling", 24, 5),
    MediaFlow("aud", 17, 16384, 16883, 128_000, "audio", 46, 6),
    MediaFlow("vid", 17, 20000, 20999, 4_000_000, "video", 34, 6),
)
NODES = {
    "city-ip": ("lg-zhihui", "lg-nanwan", "lg-buji", "lg-jihua", "lg-bantian", "lg-pinghu"),
    "district-ip": ("lg-longgang", "lg-baolong", "lg-pingdi", "lg-yuanshan", "lg-henggang"),
}


def city() -> CityMap:
    return city_map(CITY)


def _site(i: int) -> tuple[str, str]:
    """Return domain and node of the i-th site, dealt out round and round."""
    flat = [(domain, node) for domain, nodes in NODES.items() for node in nodes]
    return flat[i % len(flat)]


def plane(
    count: int, *, number: int = 1001, hub: bool = False, name: str = "office"
) -> tuple[DedicatedPlane, Placement]:
    """Return a plane of so many sites over both government networks, with both borders."""
    accesses = tuple(
        AccessSite(f"s{i:04}", SiteId("s"), 100_000_000, (IPv4Network((0x0A000000 + i * 256, 24)),), hub=hub and i == 0)
        for i in range(count)
    )
    service = DedicatedPlane(Metadata(name, "gov"), accesses, hub_and_spoke=hub)
    attachments = tuple(_attachment(i, access) for i, access in enumerate(accesses))
    return service, Placement(service.metadata.service, service.kind, number, attachments, borders())


def _attachment(i: int, access: AccessSite) -> Attachment:
    domain, node = _site(i)
    base = IPv4Address("172.16.0.0") + 4 * i
    return Attachment(
        access.name,
        "s",
        domain,
        f"node:{node}",
        "tp:acc-1",
        100 + i // 11,
        str(base + 1),
        str(base + 2),
        30,
        tuple(map(str, access.lans)),
        access.rate_bps,
        access.hub,
    )


def borders() -> tuple[Stitch, ...]:
    """Return the two option A borders between the city and the district network."""
    found = [link for link in city().links if link.border and link.src.node in ("node:lg-zhihui", "node:lg-nanwan")]
    ends = [link for link in found if city().nodes[link.dst.node].domain == "district-ip"]
    ends.sort(key=lambda link: link.src.node != "node:lg-zhihui")
    return tuple(
        Stitch(
            f"border.{i}",
            i,
            2001,
            500_000_000,
            StitchEnd("city-ip", link.src.node, link.src.port, f"172.31.0.{2 * i}", 65001),
            StitchEnd("district-ip", link.dst.node, link.dst.port, f"172.31.0.{2 * i + 1}", 65002),
            link.id,
            None,
        )
        for i, link in enumerate(ends, 1)
    )


def route(*nodes: str) -> Route:
    """Return the pinned path over these nodes, by the links of the map."""
    links = []
    for a, z in pairwise(nodes):
        links.append(next(x for x in city().links if (x.src.node, x.dst.node) == (f"node:{a}", f"node:{z}")))
    return Route(tuple(x.src for x in links), tuple(x.id for x in links), sum(x.delay_s for x in links))


def tunnels(prefix: str, rate_bps: int, partition: int | None = None) -> tuple[TunnelPlacement, ...]:
    """Return a pair of protected tunnels between Zhihui and Buji."""
    there = (route("lg-zhihui", "lg-nanwan", "lg-buji"), route("lg-zhihui", "lg-bantian", "lg-jihua", "lg-buji"))
    back = (route("lg-buji", "lg-nanwan", "lg-zhihui"), route("lg-buji", "lg-jihua", "lg-bantian", "lg-zhihui"))
    one, two = f"{prefix}/lg-zhihui-lg-buji", f"{prefix}/lg-buji-lg-zhihui"
    ends = ("node:lg-zhihui", "node:lg-buji")
    return tuple(
        TunnelPlacement(
            name, reverse, "city-ip", a, z, rate_bps, working, standby, 0.02, 1e-4, 3, 0, partition=partition
        )
        for name, reverse, (a, z), (working, standby) in ((one, two, ends, there), (two, one, ends[::-1], back))
    )


def nrp_slice(number: int = 4001, rate_bps: int = 5_000_000_000) -> tuple[ExclusiveSlice, Placement]:
    """Return a slice in a partition of the city network between Zhihui and Buji."""
    ends = tuple(
        AccessSite(name, SiteId(name), rate_bps, (IPv4Network(f"10.40.{i}.0/24"),))
        for i, name in enumerate(("zhihui", "buji"))
    )
    service = ExclusiveSlice(Metadata("survey", "resources"), ends, (Demand("zhihui", "buji", rate_bps),))
    paths = tunnels("slice/resources.survey", rate_bps, number)
    links = tuple(sorted({link for t in paths for r in (t.working, t.standby) if r for link in r.links}))
    attachments = tuple(
        replace(_attachment(900 + i, end), domain="city-ip", node=f"node:lg-{end.name}") for i, end in enumerate(ends)
    )
    return service, Placement(
        service.metadata.service,
        service.kind,
        number,
        attachments,
        tunnels=paths,
        partitions=(NrpPlacement("slice/resources.survey", number, "city-ip", rate_bps, links),),
        steering=tuple(
            Steering("city-ip", service.metadata.service, t.src, t.dst, "*", (t.name,), "drop") for t in paths
        ),
        isolation="nrp",
    )


def circuit_slice(number: int = 4101) -> tuple[ExclusiveSlice, Placement]:
    """Return a protected timeslot slice between routers at Buji and Pingdi, in two different IP domains."""
    ends = tuple(
        AccessSite(name, SiteId(name), 1_000_000_000, (IPv4Network(f"10.60.{i}.0/24"),))
        for i, name in enumerate(("buji", "pingdi"))
    )
    service = ExclusiveSlice(Metadata("records", "health"), ends, (Demand("buji", "pingdi", 1_000_000_000),))
    domains = ("city-ip", "district-ip")
    attachments = tuple(
        replace(_attachment(950 + i, end), domain=domains[i], node=f"node:lg-{end.name}") for i, end in enumerate(ends)
    )
    ports = [
        next(p for p in city().ports.values() if p.ref.node == f"node:lg-{end.name}" and p.role == "otn")
        for end in ends
    ]
    clients = [port.peer or PortRef("", "") for port in ports]
    circuit = CircuitPlacement(
        "health.records/buji-pingdi",
        "city-otn",
        clients[0],
        clients[1],
        100,
        101,
        "odu",
        1_000_000_000,
        "ODU0",
        "",
        Leg(("odu-a", "odu-b"), None, ((1,), (4,)), 0.0001),
        Leg(("odu-c",), None, ((2,),), 0.0002),
    )
    stitch = Stitch(
        "circuit.buji-pingdi",
        1,
        100,
        1_000_000_000,
        StitchEnd("city-ip", ports[0].ref.node, ports[0].ref.port, "172.31.1.0", 65001),
        StitchEnd("district-ip", ports[1].ref.node, ports[1].ref.port, "172.31.1.1", 65002),
        None,
        circuit.id,
    )
    return service, Placement(
        service.metadata.service, service.kind, number, attachments, (stitch,), (circuit,), isolation="timeslot"
    )


def conference(
    carrier: DedicatedPlane, parties: int, *, name: str = "flood", priority: int = 0
) -> tuple[VipAssurance, Placement]:
    """Return a conference over a plane: the MCU at its first access, so many parties at the others."""
    count = len(carrier.accesses)
    places = [carrier.accesses[1 + i % (count - 1)] for i in range(parties)]
    people = tuple(
        Party(f"p{i:03}", place.name, IPv4Address(int(place.lans[0].network_address) + 10 + i // (count - 1)))
        for i, place in enumerate(places)
    )
    mcu = Party("mcu", carrier.accesses[0].name, IPv4Address(int(carrier.accesses[0].lans[0].network_address) + 9))
    service = VipAssurance(
        Metadata(name, "office"), carrier.metadata.service, WINDOW, Conference(mcu, people, FLOWS), priority=priority
    )
    paths = tuple(replace(t, setup_priority=1) for t in tunnels(f"vip/office.{name}", 300_000_000))
    steering = tuple(
        Steering("city-ip", carrier.metadata.service, t.src, t.dst, flow.target_class, (t.name,), "best-effort")
        for t in paths
        for flow in FLOWS
    )
    return service, Placement(
        service.metadata.service, service.kind, 5001 + priority, tunnels=paths, steering=steering, start=WINDOW.start
    )


def everything_assured(carrier: ServiceId) -> tuple[VipAssurance, Placement]:
    """Return a VIP that assures all traffic of a service, whatever it is."""
    service = VipAssurance(Metadata("all", "office"), carrier, WINDOW)
    return service, Placement(service.metadata.service, service.kind, 5101)

"""Wrong configuration, one mistake at a time: what a bug in rendering, a bad merge or a stray hand could leave."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

from controller.rendering.paths import at
from controller.rendering.tree import Leaf, Path, Tree
from controller.verification.proof import Property
from tests.verification.scene import Trees, changed

CITY, EAST, OTN = "city-ip", "district-ip", "city-otn"
VPNS: Path = ("l3nm:l3vpn-ntw", "l3nm:vpn-services")
OFFICE, RING, BUDGET, SURVEY = "government.office", "gov.ring", "gov.budget", "natural-resources.natural-resources"
DISPATCH, WEST = "emergency.dispatch", "gov.west"
SURVEY_CIRCUIT, FIRST_CIRCUIT = f"{SURVEY}/buji-longgang", "demo.my-first-slice/buji-longgang"
RING_TUNNEL = "slice/gov.ring/lg-buji-lg-zhihui"


@dataclass(frozen=True)
class Plant:
    name: str
    broken: Property
    culprit: str  # what some counter-example must name
    plant: Callable[[Trees], dict[str, Tree]]


def vpn(name: str) -> Path:
    return (*VPNS, ("l3nm:vpn-service", name))


def node(name: str, router: str) -> Path:
    return (*vpn(name), "l3nm:vpn-nodes", ("l3nm:vpn-node", f"node:lg-{router}"))


def access(name: str, router: str, which: str) -> Path:
    return (*node(name, router), "l3nm:vpn-network-accesses", ("l3nm:vpn-network-access", f"{name}.{which}"))


def targets(name: str, profile: str) -> Path:
    return (
        *vpn(name), "l3nm:vpn-instance-profiles", ("l3nm:vpn-instance-profile", profile),
        ("l3nm:address-family", "ietf-vpn-common:ipv4"), "l3nm:vpn-targets",
    )  # fmt: skip


def tunnel(name: str) -> Path:
    return ("te:te", "te:tunnels", ("te:tunnel", name))


def hops(name: str, path: str = "working") -> Path:
    kind = "primary" if path == "working" else "secondary"
    return (*tunnel(name), f"te:{kind}-paths", (f"te:{kind}-path", path), "te:explicit-route-objects")


def nrp(name: str) -> Path:
    return ("nw:networks", "nrp:nrp-policies", ("nrp:nrp-policy", f"slice/{name}"))


def circuit(name: str) -> Path:
    return (("opt:circuit", name),)


STATUS: Path = ("l3nm:status", "l3nm:admin-status", "l3nm:status")
DOWN = "ietf-vpn-common:admin-down"
VLAN: Path = ("l3nm:connection", "l3nm:encapsulation", "l3nm:dot1q", "l3nm:cvlan-id")
IPV4: Path = ("l3nm:ip-connection", "l3nm:ipv4")
BGP: Path = ("l3nm:routing-protocols", ("l3nm:routing-protocol", "bgp"), "l3nm:bgp")
LANS: Path = (
    "l3nm:routing-protocols", ("l3nm:routing-protocol", "static"), "l3nm:static", "l3nm:cascaded-lan-prefixes",
)  # fmt: skip
STATIC_TYPE: Path = (*LANS[:-2], "l3nm:type")
RULES: Path = ("l3nm:service", "l3nm:qos", "l3nm:qos-classification-policy")
ACTIONS: Path = ("l3nm:service", "l3nm:qos", "l3nm:qos-action")


def put(domain: str, path: Path, value: Tree | Leaf | None) -> Callable[[Trees], dict[str, Tree]]:
    return lambda trees: changed(trees, domain, path, value)


def move(domain: str, path: Path, change: Callable[[Tree], Tree]) -> Callable[[Trees], dict[str, Tree]]:
    """Replace a container by what `change` makes of it."""

    def planted(trees: Trees) -> dict[str, Tree]:
        found = at(trees[domain], path)
        assert isinstance(found, dict), path
        return changed(trees, domain, path, change(found))

    return planted


def both(*plants: Callable[[Trees], dict[str, Tree]]) -> Callable[[Trees], dict[str, Tree]]:
    def planted(trees: Trees) -> dict[str, Tree]:
        for plant in plants:
            trees = plant(trees)
        return dict(trees)

    return planted


def target(value: str, kind: str) -> Tree:
    return {"l3nm:id": "1", ("l3nm:route-targets", value): {"l3nm:route-target": value}, "l3nm:route-target-type": kind}


def retarget(name: str, profile: str, value: str, kind: str, number: str = "1") -> Callable[[Trees], dict[str, Tree]]:
    return put(CITY, (*targets(name, profile), ("l3nm:vpn-target", number)), target(value, kind))


def standing_target(trees: Trees, name: str, domain: str = CITY) -> str:
    found = cast(Tree, at(trees[domain], (*targets(name, "a2a"), ("l3nm:vpn-target", "1"))))
    return next(step[1] for step in found if isinstance(step, tuple))


def overheard(trees: Trees) -> dict[str, Tree]:
    return retarget(DISPATCH, "a2a", standing_target(trees, OFFICE), "import", "2")(trees)


def swapped(trees: Trees) -> dict[str, Tree]:
    """The hub's VRF of one domain with its import and export changed over."""
    found = at(trees[EAST], targets(BUDGET, "hub"))
    turned = {"import": "export", "export": "import"}
    for step, entry in cast(Tree, found).items():
        way = cast(str, cast(Tree, entry)["l3nm:route-target-type"])
        trees = changed(trees, EAST, (*targets(BUDGET, "hub"), step, "l3nm:route-target-type"), turned[way])
    return dict(trees)


def stranger(trees: Trees) -> dict[str, Tree]:
    """A VPN of nobody that hears what the office plane says."""
    own = cast(Tree, at(trees[CITY], vpn(OFFICE)))
    nodes = {("l3nm:vpn-node", "node:lg-pinghu"): {
        "l3nm:vpn-node-id": "node:lg-pinghu", "l3nm:ne-id": "node:lg-pinghu",
        "l3nm:active-vpn-instance-profiles": {("l3nm:vpn-instance-profile", "a2a"): {
            "l3nm:profile-id": "a2a", "l3nm:rd": "1:10.0.1.6:64000"}},
    }}  # fmt: skip
    planted: Tree = {**own, "l3nm:vpn-id": "shadow.spy", "l3nm:vpn-nodes": cast(Tree, nodes)}
    return changed(trees, CITY, vpn("shadow.spy"), planted)


def moved_access(trees: Trees) -> dict[str, Tree]:
    content = cast(Tree, at(trees[CITY], access(OFFICE, "jihua", "jihua")))
    taken = changed(trees, CITY, access(OFFICE, "jihua", "jihua"), None)
    return changed(taken, CITY, access(OFFICE, "pinghu", "jihua"), content)


def route_to(lan: str, hop: str) -> Tree:
    return {("l3nm:ipv4-lan-prefixes", lan, hop): {"l3nm:lan": lan, "l3nm:next-hop": hop}}


def reversed_entries(tree: Tree) -> Tree:
    return dict(zip(tree, reversed(tree.values()), strict=True))


def without_first(tree: Tree) -> Tree:
    return dict(list(tree.items())[1:])


def last_first(tree: Tree) -> Tree:
    """Two rules for one party in which a wide one now comes first."""
    wide: Tree = {"l3nm:id": "a-wide-rule", "l3nm:ipv4": {"l3nm:protocol": "17"}, "l3nm:target-class-id": "bulk"}
    return {("l3nm:rule", "a-wide-rule"): wide, **tree}


def rule_with(leaf: Path, value: Leaf | None) -> Callable[[Tree], Tree]:
    def change(tree: Tree) -> Tree:
        first = next(iter(tree))
        return changed({"": tree}, "", (first, *leaf), value)[""]

    return change


def without_hosts(tree: Tree) -> Tree:
    """The first rule for any source and any destination."""
    step, rule = next(iter(tree.items()))
    match = cast(Tree, cast(Tree, rule)["l3nm:ipv4"])
    any_host: Tree = {k: v for k, v in match.items() if "network" not in k[0] and "network" not in k}
    return {**tree, step: {**cast(Tree, rule), "l3nm:ipv4": any_host}}


def without_ports(tree: Tree) -> Tree:
    step, rule = next(iter(tree.items()))
    return {**tree, step: {k: v for k, v in cast(Tree, rule).items() if k not in ("l3nm:tcp", "l3nm:udp")}}


def legs(name: str, **leaves: Leaf) -> Callable[[Trees], dict[str, Tree]]:
    return both(*(put(OTN, (*circuit(name), "opt:working", f"opt:{k}"), v) for k, v in leaves.items()))


def over(*ports: str) -> Tree:
    """Explicit hops: the outgoing ports of routers, as `buji/ge-2`."""
    found: Tree = {}
    for index, (router, port) in enumerate((p.split("/") for p in ports), start=1):
        end: Tree = {"te:link-tp-id-uri": f"tp:{port}", "te:node-id-uri": f"node:lg-{router}"}
        found["te:route-object-include-exclude", str(index)] = {"te:index": str(index), "te:unnumbered-link-hop": end}
    return found


def detour(
    name: str, path: str = "working", by: tuple[str, ...] = ("bantian/ge-3",)
) -> Callable[[Trees], dict[str, Tree]]:
    """Lead a slice's tunnel from buji to zhihui over jihua and bantian, in place of nanwan."""
    return put(CITY, hops(f"slice/gov.{name}/lg-buji-lg-zhihui", path), over("buji/ge-2", "jihua/ge-2", *by))


def far_round(name: str) -> Callable[[Trees], dict[str, Tree]]:
    """Switch a slice's circuit from buji to zhihui over jihua, bantian and pinghu."""
    return both(
        put(OTN, (*circuit(f"gov.{name}/buji-zhihui"), "opt:working", "opt:route"), PROTECT_ROUTE[:4]),
        put(OTN, (*circuit(f"gov.{name}/buji-zhihui"), "opt:working", "opt:slots"), ("70",) * 4),
    )


SURVEY_ROUTE = (
    "odu-f-nanwan-buji-1", "odu-f-zhihui-nanwan-1", "odu-f-zhihui-longcheng-1", "odu-f-longcheng-longgang-1",
)  # fmt: skip
PROTECT_ROUTE = (
    "odu-f-buji-jihua-1", "odu-f-jihua-bantian-1", "odu-f-bantian-pinghu-1", "odu-f-pinghu-zhihui-1",
    "odu-f-zhihui-longcheng-1", "odu-f-longcheng-longgang-1",
)  # fmt: skip
VIDEO = "public-security.video-surveillance/bantian-zhihui"
GROUP: Path = (*nrp(RING), "nrp:topology", "nrp:select", ("nrp:topology-group", "1000000000"))
COUNCIL_TUNNEL = "vip/government.council/lg-zhihui-lg-buji"
P = Property

PLANTS = (
    # -- who hears whom
    Plant("hub's and spokes' route targets swapped", P.REACHABILITY, "gov/budget", swapped),
    Plant("an access in a profile that is nowhere", P.REACHABILITY, "none is not active",
          put(EAST, (*access(OFFICE, "pingdi", "pingdi"), "l3nm:vpn-instance-profile"), "none")),
    Plant("two tenants' route targets swapped", P.ISOLATION, "emergency/dispatch", overheard),
    Plant("a missing export", P.REACHABILITY, "government/office", retarget(OFFICE, "a2a", "0:65001:1", "import")),
    Plant("another route target in one domain's profile", P.REACHABILITY, "gov/budget",
          retarget(BUDGET, "hub", "0:65001:9", "export", "2")),
    Plant("a spoke that imports spokes", P.ISOLATION, "past the hub",
          lambda trees: retarget(BUDGET, "spoke", next(
              s[1] for s in cast(Tree, at(trees[CITY], (*targets(BUDGET, "spoke"), ("l3nm:vpn-target", "2"))))
              if isinstance(s, tuple)), "import", "3")(trees)),
    Plant("a border to spokes in the VRF of this router's spokes", P.ISOLATION, "past the hub",
          put(CITY, (*access(BUDGET, "nanwan", "border.2"), "l3nm:vpn-instance-profile"), "spoke")),
    Plant("a VPN of nobody that listens in", P.ISOLATION, "shadow/spy", stranger),
    Plant("a profile that is not active", P.REACHABILITY, "a2a is not active",
          put(CITY, (*access(SURVEY, "buji", "buji"), "l3nm:vpn-instance-profile"), "a2a")),
    Plant("a route distinguisher used twice", P.REACHABILITY, "route distinguisher",
          lambda trees: changed(trees, CITY, (*node(OFFICE, "zhihui"), "l3nm:active-vpn-instance-profiles",
              ("l3nm:vpn-instance-profile", "a2a"), "l3nm:rd"), cast(str, at(trees[CITY], (*node(
              DISPATCH, "zhihui"), "l3nm:active-vpn-instance-profiles", ("l3nm:vpn-instance-profile", "a2a"),
              "l3nm:rd"))))),
    # -- borders
    Plant("a border VLAN missing on one side", P.REACHABILITY, "government.office.border.1",
          put(CITY, access(OFFICE, "zhihui", "border.1"), None)),
    Plant("the second border VLAN missing on one side", P.REACHABILITY, "government.office.border.2",
          put(EAST, access(OFFICE, "henggang", "border.2"), None)),
    Plant("a whole second border missing", P.REACHABILITY, "first border cut",
          both(put(EAST, access(OFFICE, "henggang", "border.2"), None),
               put(CITY, access(OFFICE, "nanwan", "border.2"), None))),
    Plant("border VLANs that differ", P.REACHABILITY, "VLAN 3999",
          put(CITY, (*access(OFFICE, "zhihui", "border.1"), *VLAN), "3999")),
    Plant("the border VLAN of another VPN", P.ISOLATION, "emergency/dispatch",
          both(put(CITY, (*access(OFFICE, "zhihui", "border.1"), *VLAN), "2002"))),
    Plant("a wrong peer AS", P.REACHABILITY, "65099",
          put(CITY, (*access(OFFICE, "zhihui", "border.1"), *BGP, "l3nm:peer-as"), "65099")),
    Plant("a wrong neighbour", P.REACHABILITY, "172.31.9.9",
          put(CITY, (*access(OFFICE, "zhihui", "border.1"), *BGP, "l3nm:neighbor"), ("172.31.9.9",))),
    Plant("a border in another subnet", P.REACHABILITY, "border.1",
          put(CITY, (*access(OFFICE, "zhihui", "border.1"), *IPV4, "l3nm:prefix-length"), "30")),
    Plant("a routing profile the domain does not own", P.REACHABILITY, "border-gold",
          move(CITY, (*access(OFFICE, "zhihui", "border.1"), *BGP[:-1]), lambda t: {
              **{k: v for k, v in t.items() if k[0] != "l3nm:routing-profiles"},
              ("l3nm:routing-profiles", "border-gold"): {"l3nm:id": "border-gold"}})),
    Plant("a border too narrow for a slice", P.CAPACITY, "gov/ring",
          put(CITY, (*access(RING, "zhihui", "border.1"), "l3nm:service", "l3nm:pe-to-ce-bandwidth"), "1000")),
    # -- accesses
    Plant("an access on another router", P.REACHABILITY, "the site hangs on", moved_access),
    Plant("an access that is missing", P.REACHABILITY, "yuanshan",
          put(EAST, access(OFFICE, "yuanshan", "yuanshan"), None)),
    Plant("the wrong VPN on a port", P.ISOLATION, "gov.west.guest",
          lambda trees: changed(trees, CITY, access(WEST, "buji", "guest"), {
              **cast(Tree, at(trees[CITY], access(WEST, "buji", "buji"))), "l3nm:id": "gov.west.guest",
              "l3nm:connection": {"l3nm:encapsulation": {"l3nm:dot1q": {"l3nm:cvlan-id": "777"}}}})),
    Plant("a VLAN used twice on a port", P.CAPACITY, "VLAN 101",
          put(CITY, (*access(WEST, "buji", "buji"), *VLAN), "101")),
    Plant("a customer outside the subnet", P.REACHABILITY, "10.0.0.1",
          put(CITY, (*access(OFFICE, "jihua", "jihua"), *IPV4, ("l3nm:address", "1"), "l3nm:customer-address"),
              "10.0.0.1")),
    Plant("a LAN that is missing", P.REACHABILITY, "10.10.3.0/24",
          put(CITY, (*access(OFFICE, "jihua", "jihua"), *LANS), {})),
    Plant("a LAN drawn in by two accesses", P.ISOLATION, "10.10.0.0",
          put(CITY, (*access(OFFICE, "jihua", "jihua"), *LANS), route_to("10.10.0.0/16", "172.16.0.2"))),
    Plant("a wrong next hop", P.REACHABILITY, "10.9.9.9",
          put(CITY, (*access(OFFICE, "jihua", "jihua"), *LANS), route_to("10.10.3.0/24", "10.9.9.9"))),
    Plant("a rate below the promise", P.CAPACITY, "jihua",
          put(CITY, (*access(OFFICE, "jihua", "jihua"), "l3nm:service", "l3nm:ce-to-pe-bandwidth"), "1000000")),
    Plant("a QoS profile the domain does not own", P.REACHABILITY, "gold",
          put(CITY, (*access(OFFICE, "jihua", "jihua"), "l3nm:service", "l3nm:qos", "l3nm:qos-profile"),
              {("l3nm:qos-profile", "gold"): {"l3nm:profile": "gold"}})),
    Plant("a hose that no link bears", P.CAPACITY, "guaranteed",
          both(*(put(CITY, (*access(OFFICE, r, r), "l3nm:service", f"l3nm:{leaf}-bandwidth"), str(10**12))
                 for r in ("buji", "jihua", "bantian") for leaf in ("pe-to-ce", "ce-to-pe")))),
    # -- circuits
    Plant("a static route to the far LAN missing", P.REACHABILITY, "no route for 10.20.2.0/24",
          put(CITY, (*access(SURVEY, "buji", "circuit.buji-longgang.at.lg-buji"), *LANS), {})),
    Plant("static routes called BGP", P.REACHABILITY, "bgp-routing",
          put(CITY, (*access(OFFICE, "jihua", "jihua"), *STATIC_TYPE), "ietf-vpn-common:bgp-routing")),
    Plant("BGP at a border called static", P.REACHABILITY, "government.office.border.1",
          put(CITY, (*access(OFFICE, "zhihui", "border.1"), *BGP[:-1], "l3nm:type"), "ietf-vpn-common:static-routing")),
    Plant("a routing protocol of no type", P.REACHABILITY, "none at all",
          put(CITY, (*access(OFFICE, "bantian", "bantian"), *STATIC_TYPE), None)),
    Plant("a VLAN under another encapsulation", P.REACHABILITY, "priority-tagged",
          put(CITY, (*access(OFFICE, "jihua", "jihua"), *VLAN[:-2], "l3nm:type"), "ietf-vpn-common:priority-tagged")),
    Plant("a static route to the wrong far side", P.REACHABILITY, "172.31.200.1",
          put(CITY, (*access(SURVEY, "buji", "circuit.buji-longgang.at.lg-buji"), *LANS),
              route_to("10.20.2.0/24", "172.31.200.1"))),
    Plant("a wrong VLAN at a circuit's end", P.REACHABILITY, "natural-resources",
          put(OTN, (*circuit(SURVEY_CIRCUIT), "opt:z-vlan"), "999")),
    Plant("a circuit that ends on another site's port", P.REACHABILITY, "natural-resources",
          put(OTN, (*circuit(SURVEY_CIRCUIT), "opt:z-port"), "otn-baolong/c4")),
    Plant("a client port taken whole by two", P.CAPACITY, "otn-zhihui/c14",
          put(OTN, (*circuit("public-security.video-surveillance/henggang-zhihui"), "opt:z-port"), "otn-zhihui/c14")),
    Plant("a client port of the infrastructure", P.CAPACITY, "infra/",
          put(OTN, (*circuit(VIDEO), "opt:z-port"), "otn-zhihui/c1")),
    Plant("a timeslot used twice", P.CAPACITY, "timeslot 5 of", legs(SURVEY_CIRCUIT, slots=("5,6,7,8",) * 4)),
    Plant("too few timeslots", P.CAPACITY, "4 are needed", legs(SURVEY_CIRCUIT, slots=("2,3,4",) * 4)),
    Plant("a channel used twice", P.CAPACITY, "channel 4 of",
          put(OTN, (*circuit("public-security.video-surveillance/henggang-zhihui"), "opt:protect", "opt:route"),
              ("f-henggang-zhihui",))),
    Plant("a channel of the infrastructure", P.CAPACITY, "channel 1 of", legs(VIDEO, channel="1")),
    Plant("a channel off the grid", P.CAPACITY, "channel 99", legs(VIDEO, channel="99")),
    Plant("a circuit's hop missing", P.REACHABILITY, SURVEY_CIRCUIT,
          legs(SURVEY_CIRCUIT, route=(SURVEY_ROUTE[0], *SURVEY_ROUTE[2:]), slots=("2,3,4,5",) * 3)),
    Plant("a circuit's hops reversed", P.REACHABILITY, SURVEY_CIRCUIT,
          legs(SURVEY_CIRCUIT, route=SURVEY_ROUTE[::-1])),
    Plant("a protect leg in the working leg's duct", P.DISJOINTNESS, "D7-longgang-avenue",
          both(put(OTN, (*circuit(SURVEY_CIRCUIT), "opt:protect", "opt:route"), PROTECT_ROUTE),
               put(OTN, (*circuit(SURVEY_CIRCUIT), "opt:protect", "opt:slots"), ("9,10,11,12",) * 6))),
    Plant("a protect leg missing", P.DISJOINTNESS, SURVEY_CIRCUIT,
          put(OTN, (*circuit(SURVEY_CIRCUIT), "opt:protect"), None)),
    Plant("a circuit missing", P.REACHABILITY, "natural-resources", put(OTN, circuit(SURVEY_CIRCUIT), None)),
    Plant("a circuit of nobody", P.ISOLATION, "no service nobody/knows", put(OTN, (
          *circuit(SURVEY_CIRCUIT), "opt:owner"), "nobody/knows")),
    Plant("a circuit slower than promised", P.CAPACITY, "less than 5 Gbit/s",
          put(OTN, (*circuit(SURVEY_CIRCUIT), "opt:rate-bps"), "1000000000")),
    # -- tunnels and partitions
    Plant("a tunnel's hops reversed", P.REACHABILITY, RING_TUNNEL, move(CITY, hops(RING_TUNNEL), reversed_entries)),
    Plant("a tunnel's hop missing", P.REACHABILITY, RING_TUNNEL, move(CITY, hops(RING_TUNNEL), without_first)),
    Plant("a tunnel to another router", P.REACHABILITY, RING_TUNNEL,
          put(CITY, (*tunnel(RING_TUNNEL), "te:destination", "te:node-id"), "node:lg-jihua")),
    Plant("a tunnel missing", P.REACHABILITY, RING_TUNNEL, put(CITY, tunnel(RING_TUNNEL), None)),
    Plant("a standby over the working ducts", P.DISJOINTNESS, "D2-bulan-road",
          lambda trees: changed(trees, CITY, hops(RING_TUNNEL, "standby"), at(trees[CITY], hops(RING_TUNNEL)))),
    Plant("a standby missing", P.DISJOINTNESS, "protection was asked",
          both(put(CITY, (*tunnel(RING_TUNNEL), "te:secondary-paths"), None),
               put(CITY, (*tunnel("slice/gov.ring/lg-buji-lg-nanwan"), "te:secondary-paths"), None))),
    Plant("a tunnel narrower than its demand", P.CAPACITY, RING_TUNNEL,
          put(CITY, (*tunnel(RING_TUNNEL), "te:te-bandwidth", "te:generic"), "0x1p+20")),
    Plant("steering missing", P.CAPACITY, "gov/ring",
          put(CITY, (*node(RING, "buji"), ("oc:steering", "node:lg-zhihui", "*")), None)),
    Plant("steering into another service's tunnel", P.ISOLATION, "gov/west",
          put(CITY, (*node(RING, "buji"), ("oc:steering", "node:lg-zhihui", "*"), "oc:tunnel"),
              ("slice/gov.west/lg-buji-lg-zhihui",))),
    Plant("a partition over capacity", P.CAPACITY, "guaranteed",
          put(CITY, (*GROUP, "nrp:resource-reservation", "nrp:maximum-bandwidth"), str(10**11))),
    Plant("a partition narrower than its tunnels", P.CAPACITY, "slice/gov.ring",
          put(CITY, (*GROUP, "nrp:resource-reservation", "nrp:maximum-bandwidth"), str(10**6))),
    Plant("a partition without a link of its tunnels", P.CAPACITY, "slice/gov.ring",
          put(CITY, (*GROUP, ("nrp:link", "link:lg-buji.ge-1..lg-nanwan.ge-2")), None)),
    Plant("a partition id used twice", P.CAPACITY, "nrp-id",
          lambda trees: changed(trees, CITY, (*nrp(WEST), "nrp:nrp-id"), at(trees[CITY], (*nrp(RING), "nrp:nrp-id")))),
    Plant("a tunnel outside its partition", P.CAPACITY, RING_TUNNEL,
          put(CITY, (*tunnel(RING_TUNNEL), "oc:nrp-id"), None)),
    Plant("a standby that the working path does not name", P.DISJOINTNESS, "nothing switches to",
          put(CITY, (*tunnel(RING_TUNNEL), "te:primary-paths", ("te:primary-path", "working"),
                     "te:candidate-secondary-paths"), None)),
    Plant("a standby of another name", P.DISJOINTNESS, "nothing switches to",
          put(CITY, (*tunnel(RING_TUNNEL), "te:primary-paths", ("te:primary-path", "working"),
                     "te:candidate-secondary-paths", ("te:candidate-secondary-path", "standby"), "te:secondary-path"),
              "other")),
    Plant("a slice's tunnel that others may push aside", P.CAPACITY, "others may take its place",
          put(CITY, (*tunnel(RING_TUNNEL), "te:hold-priority"), "5")),
    Plant("a slice's standby that others may push aside", P.CAPACITY, "others may take its place",
          put(CITY, (*tunnel(RING_TUNNEL), "te:secondary-paths", ("te:secondary-path", "standby"), "te:hold-priority"),
              "7")),
    Plant("a tunnel that waits before it switches", P.DISJOINTNESS, "waits 10000 ms",
          put(CITY, (*tunnel(RING_TUNNEL), "te:protection", "te:hold-off-time"), "10000")),
    Plant("steering of a slice that shares when its tunnel is gone", P.CAPACITY, "it is not dropped",
          put(CITY, (*node(RING, "buji"), ("oc:steering", "node:lg-zhihui", "*"), "oc:fallback"), None)),
    Plant("steering of a slice that falls back to what it likes", P.CAPACITY, "gov/west",
          put(CITY, (*node(WEST, "buji"), ("oc:steering", "node:lg-zhihui", "*"), "oc:fallback"), "best-effort")),
    Plant("no priority, which is the last", P.CAPACITY, "priority 7",
          put(CITY, (*tunnel(RING_TUNNEL), "te:hold-priority"), None)),
    # -- what is shut down
    Plant("a VPN that is shut down", P.REACHABILITY, "government/office", put(CITY, (*vpn(OFFICE), *STATUS), DOWN)),
    Plant("a router of a VPN that is shut down", P.REACHABILITY, "government/office",
          put(CITY, (*node(OFFICE, "jihua"), *STATUS), DOWN)),
    Plant("an access that is shut down", P.REACHABILITY, "jihua",
          put(CITY, (*access(OFFICE, "jihua", "jihua"), *STATUS), DOWN)),
    Plant("a border that is shut down", P.REACHABILITY, "government.office.border.1",
          put(CITY, (*access(OFFICE, "zhihui", "border.1"), *STATUS), DOWN)),
    # -- what light is made of
    Plant("a mode whose reach nobody knows", P.REACHABILITY, "400G 16QAM",
          put(OTN, (*circuit(VIDEO), "opt:mode"), "400G 16QAM")),
    Plant("no mode at all", P.REACHABILITY, "none at all", put(OTN, (*circuit(VIDEO), "opt:mode"), None)),
    Plant("a container too small for its client", P.CAPACITY, "ODU1 does not carry 5 Gbit/s",
          put(OTN, (*circuit(SURVEY_CIRCUIT), "opt:odu"), "ODU1")),
    Plant("a container with fewer slots than it fills", P.CAPACITY, "8 are needed",
          put(OTN, (*circuit(SURVEY_CIRCUIT), "opt:odu"), "ODU2")),
    Plant("a container that there is not", P.CAPACITY, "ODU9 does not carry",
          put(OTN, (*circuit(SURVEY_CIRCUIT), "opt:odu"), "ODU9")),
    Plant("a layer that there is not", P.REACHABILITY, "no layer of the optical network",
          put(OTN, (*circuit(SURVEY_CIRCUIT), "opt:layer"), "otu")),
    # -- what was promised besides bandwidth and latency
    Plant("a way that shakes too much", P.LIMITS, "gov/steady", detour("steady")),
    Plant("a way that loses too much", P.LIMITS, "gov/clean", detour("clean")),
    Plant("a way of too many hops", P.LIMITS, "gov/brisk", detour("brisk")),
    Plant("a standby of too many hops", P.LIMITS, "on its standby",
          detour("guarded", "standby", ("bantian/ge-2", "pinghu/ge-2"))),
    Plant("a circuit of too many hops", P.LIMITS, "gov.switched/buji-zhihui", far_round("switched")),
    Plant("a circuit that shakes too much", P.LIMITS, "gov.unshaken/buji-zhihui", far_round("unshaken")),
    Plant("a tunnel that leaves its company", P.DISJOINTNESS, "in no duct of gov/west", detour("beside")),
    Plant("a circuit that leaves its company", P.DISJOINTNESS, "in no duct of gov/switched", far_round("along")),
    Plant("a tunnel in the other plane", P.REGIONS, "is of plane B, A was asked", detour("planar")),
    # -- assurance
    Plant("a classification rule missing", P.REACHABILITY, "government/council",
          move(CITY, (*access(OFFICE, "buji", "buji"), *RULES), without_first)),
    Plant("a rule for another address", P.REACHABILITY, "government/council",
          move(CITY, (*access(OFFICE, "buji", "buji"), *RULES),
               rule_with(("l3nm:ipv4", "l3nm:source-ipv4-network"), "10.10.2.250/32"))),
    Plant("a rule into another class", P.REACHABILITY, "government/council",
          move(CITY, (*access(OFFICE, "buji", "buji"), *RULES),
               rule_with(("l3nm:target-class-id",), "vip.council.signalling"))),
    Plant("a rule that takes what anybody sends", P.CAPACITY, "not assured into class vip.council.",
          move(CITY, (*access(OFFICE, "buji", "buji"), *RULES),
               rule_with(("l3nm:ipv4", "l3nm:source-ipv4-network"), None))),
    Plant("a rule that takes a party's traffic to anybody", P.CAPACITY, "10.10.2",
          move(CITY, (*access(OFFICE, "buji", "buji"), *RULES),
               rule_with(("l3nm:ipv4", "l3nm:destination-ipv4-network"), None))),
    Plant("a rule for a whole LAN of a party", P.CAPACITY, "not assured into class vip.council.",
          move(CITY, (*access(OFFICE, "buji", "buji"), *RULES),
               rule_with(("l3nm:ipv4", "l3nm:source-ipv4-network"), "10.10.2.0/24"))),
    Plant("a rule that takes any protocol", P.CAPACITY, "not assured into class vip.council.",
          move(CITY, (*access(OFFICE, "buji", "buji"), *RULES), rule_with(("l3nm:ipv4", "l3nm:protocol"), None))),
    Plant("a rule at a border that takes whatever comes", P.CAPACITY, "government.office.border.2",
          move(CITY, (*access(OFFICE, "nanwan", "border.2"), *RULES), without_hosts)),
    Plant("a rule of named flows for all ports", P.CAPACITY, "not assured into class vip.flood-response.",
          move(CITY, (*access(DISPATCH, "buji", "buji"), *RULES), without_ports)),
    Plant("a wide rule in front", P.REACHABILITY, "a-wide-rule",
          move(CITY, (*access(OFFICE, "buji", "buji"), *RULES), last_first)),
    Plant("rules missing at a border", P.REACHABILITY, "government.office.border.2",
          move(CITY, (*access(OFFICE, "nanwan", "border.2"), *RULES), lambda _: {})),
    Plant("rules of named flows missing", P.REACHABILITY, "emergency/flood-response",
          move(CITY, (*access(DISPATCH, "buji", "buji"), *RULES), without_first)),
    Plant("an action missing", P.CAPACITY, "vip.council.video",
          put(CITY, (*access(OFFICE, "buji", "buji"), *ACTIONS, ("l3nm:rule", "vip.council.video")), None)),
    Plant("an action below the media rate", P.CAPACITY, "vip.council.video",
          put(CITY, (*access(OFFICE, "buji", "buji"), *ACTIONS, ("l3nm:rule", "vip.council.video"),
                     "oc:committed-rate"), "1000")),
    Plant("an action in another queue", P.CAPACITY, "vip.council.video",
          put(CITY, (*access(OFFICE, "buji", "buji"), *ACTIONS, ("l3nm:rule", "vip.council.video"), "oc:queue"), "0")),
    Plant("a class steered into no tunnel", P.REACHABILITY, "steered into no tunnel",
          put(CITY, (*node(OFFICE, "zhihui"), ("oc:steering", "node:lg-buji", "vip.council.video")), None)),
    Plant("a VIP's tunnel too narrow", P.CAPACITY, COUNCIL_TUNNEL,
          put(CITY, (*tunnel(COUNCIL_TUNNEL), "te:te-bandwidth", "te:generic"), "0x1p+10")),
    Plant("a VIP's tunnel over capacity", P.CAPACITY, "guaranteed",
          put(CITY, (*tunnel(COUNCIL_TUNNEL), "te:te-bandwidth", "te:generic"), "0x1p+40")),
)  # fmt: skip

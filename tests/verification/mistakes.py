"""How mistakes are planted in rendered configuration: where things stand in it, and what is done to them."""

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

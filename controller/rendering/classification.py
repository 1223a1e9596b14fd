"""Rules that find a VIP's traffic at an access, and what its classes get there (RFC 9182 `service/qos`).

Rules are tried in order, so their ids start with what orders them: `vip.<priority>.<tenant>.<name>.<who>.<kind>`,
and last `vip.rest.<priority>.<tenant>.<name>` of those that assure everything.
Rates stand twice: as a percentage of the access, which the published module can say, and in bit/s, which ours can.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal
from ipaddress import IPv4Address

from controller.intent.model import MediaFlow, ServiceId, VipAssurance
from controller.rendering.merge import rule_order
from controller.rendering.tree import Tree

_TCP, _UDP = 6, 17
_PERCENT_STEP = Decimal("0.00001")
REST = "rest"  # class of a VIP that assures all traffic of the accesses
_REST_QUEUE, _REST_DSCP = 6, 34


def class_id(vip: VipAssurance, target_class: str) -> str:
    """Return the class of a VIP's traffic as it is known in the network: `vip.<name>.<class>`."""
    return f"vip.{vip.metadata.name}.{target_class}"


def _dotted(service: ServiceId) -> str:
    return service.replace("/", ".")


def _rule_id(vip: VipAssurance, who: str, kind: str) -> str:
    return f"vip.{vip.priority}.{_dotted(vip.metadata.service)}.{who}.{kind}"


def to_host(
    vip: VipAssurance, who: str, flows: Iterable[MediaFlow], host: IPv4Address, source: IPv4Address | None = None
) -> Tree:
    """Return rules for traffic to a host's media ports, from one source or from everybody."""
    return _rules(vip, who, flows, "destination", host, source)


def from_host(vip: VipAssurance, who: str, flows: Iterable[MediaFlow], host: IPv4Address) -> Tree:
    """Return rules for traffic from a host's media ports, whoever it goes to: three, however many parties."""
    return _rules(vip, who, flows, "source", host, None)


def between_all(vip: VipAssurance, flows: Sequence[MediaFlow]) -> Tree:
    """Return rules for flows between any two accesses, known by their ports on either side; without flows, for all."""
    if not flows:
        # After the rules of every other VIP, of whatever priority: it takes all that those leave.
        name = f"vip.{REST}.{vip.priority}.{_dotted(vip.metadata.service)}"
        content: Tree = {"l3nm:id": name, "l3nm:target-class-id": class_id(vip, REST)}
        return {("l3nm:rule", name): content}
    return _rules(vip, "to", flows, "destination", None, None) | _rules(vip, "from", flows, "source", None, None)


def _rules(
    vip: VipAssurance,
    who: str,
    flows: Iterable[MediaFlow],
    side: str,
    host: IPv4Address | None,
    source: IPv4Address | None,
) -> Tree:
    out: Tree = {}
    for flow in flows:
        name = _rule_id(vip, who, flow.name)
        match: Tree = {"l3nm:protocol": str(flow.protocol)}
        if host is not None:
            match[f"l3nm:{side}-ipv4-network"] = f"{host}/32"
        if source is not None:
            match["l3nm:source-ipv4-network"] = f"{source}/32"
        rule: Tree = {"l3nm:id": name, "l3nm:ipv4": match}
        layer4 = {_TCP: "l3nm:tcp", _UDP: "l3nm:udp"}.get(flow.protocol)
        if layer4:
            rule[layer4] = {f"l3nm:{side}-port-range-or-operator": _ports(flow)}
        rule["l3nm:target-class-id"] = class_id(vip, flow.target_class)
        out["l3nm:rule", name] = rule
    return out


def _ports(flow: MediaFlow) -> Tree:
    return {"l3nm:lower-port": str(flow.port_low), "l3nm:upper-port": str(flow.port_high)}


@dataclass(frozen=True, slots=True)
class Treatment:
    """What one class gets at one access."""

    target_class: str
    rate_bps: int
    queue: int
    dscp: int


def treatments(flows: Sequence[MediaFlow], times: int) -> tuple[Treatment, ...]:
    """Return what each class gets where `times` parties' flows share an access; flows of one class add up."""
    out: dict[str, Treatment] = {}
    for flow in flows:
        known = out.get(flow.target_class)
        rate = flow.rate_bps * times + (known.rate_bps if known else 0)
        out[flow.target_class] = Treatment(flow.target_class, rate, flow.queue, flow.dscp)
    return tuple(out.values())


def everything(rate_bps: int) -> tuple[Treatment, ...]:
    """Return the one class of a VIP that assures all traffic."""
    return (Treatment(REST, rate_bps, _REST_QUEUE, _REST_DSCP),)


def qos_overlay(vip: VipAssurance, rules: Tree, treated: Iterable[Treatment], hose_bps: int, *, binding: bool) -> Tree:
    """Return what a VIP adds under an access's `service`: its rules in order and one action per class."""
    actions: Tree = {}
    for one in treated:
        name = class_id(vip, one.target_class)
        share = percent(one.rate_bps, hose_bps)
        action: Tree = {
            "l3nm:id": name,
            "l3nm:target-class-id": name,
            "l3nm:inbound-rate-limit": share,
            "l3nm:outbound-rate-limit": share,
        }
        if binding:
            action |= {
                "oc:queue": str(one.queue),
                "oc:mark-dscp": str(one.dscp),
                "oc:committed-rate": str(min(one.rate_bps, hose_bps)),
            }
        actions["l3nm:rule", name] = action
    ordered: Tree = dict(sorted(rules.items(), key=lambda item: rule_order(item[0])))
    return {"l3nm:qos": {"l3nm:qos-classification-policy": ordered, "l3nm:qos-action": actions}}


def percent(rate_bps: int, hose_bps: int) -> str:
    """Return a rate as a percentage of an access, rounded up to what the leaf can hold, at most the whole of it."""
    if rate_bps >= hose_bps:
        return "100.0"
    value = (Decimal(rate_bps) * 100 / hose_bps).quantize(_PERCENT_STEP, ROUND_CEILING)
    whole, _, rest = format(value, "f").partition(".")
    return f"{whole}.{rest.rstrip('0') or '0'}"

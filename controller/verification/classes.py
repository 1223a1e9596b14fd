"""Into which class an access puts a packet, and what the class gets there: rules tried in order, first match wins."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from controller.intent.model import MediaFlow, VipAssurance
from controller.verification.facts import Access, Rule, Span

REST = "rest"  # the class of a VIP that assures all traffic
EPHEMERAL = 50_000  # what a client's end of a flow uses
_LEAST_SHARE = 1 - 1e-6  # percentages have five decimals


@dataclass(frozen=True, slots=True)
class Packet:
    version: int
    source: int
    destination: int
    protocol: str
    source_port: int
    destination_port: int


def to_server(flow: MediaFlow, source: int, server: int, version: int = 4) -> Iterator[Packet]:
    """Yield packets to a server's media ports, the lowest and the highest."""
    for port in dict.fromkeys((flow.port_low, flow.port_high)):
        yield Packet(version, source, server, str(flow.protocol), EPHEMERAL, port)


def from_server(flow: MediaFlow, server: int, destination: int, version: int = 4) -> Iterator[Packet]:
    for port in dict.fromkeys((flow.port_low, flow.port_high)):
        yield Packet(version, server, destination, str(flow.protocol), port, EPHEMERAL)


class Classifier:
    """The rules of one access. Those of single hosts are found by the host: a conference has hundreds."""

    def __init__(self, access: Access) -> None:
        self._hosts: dict[int, list[tuple[int, Rule]]] = {}
        self._wide: list[tuple[int, Rule]] = []
        for at, rule in enumerate(access.rules):
            host = rule.source is not None and rule.source[1] == rule.source[2]
            here = self._hosts.setdefault(rule.source[1], []) if rule.source is not None and host else self._wide
            here.append((at, rule))

    def first(self, packet: Packet) -> Rule | None:
        """Return the rule that takes a packet; None where none does."""
        found = None
        for candidates in (self._hosts.get(packet.source, ()), self._wide):
            hit = next((c for c in candidates if _matches(c[1], packet)), None)
            if hit is not None and (found is None or hit[0] < found[0]):
                found = hit
        return found[1] if found is not None else None


def _matches(rule: Rule, packet: Packet) -> bool:
    return (
        rule.protocol in ("", packet.protocol)
        and _within(packet.version, packet.source, rule.source)
        and _within(packet.version, packet.destination, rule.destination)
        and rule.source_ports[0] <= packet.source_port <= rule.source_ports[1]
        and rule.destination_ports[0] <= packet.destination_port <= rule.destination_ports[1]
    )


def _within(version: int, address: int, span: Span | None) -> bool:
    return span is None or (span[0] == version and span[1] <= address <= span[2])


def class_of(vip: VipAssurance, target_class: str) -> str:
    """Return the class of a VIP's traffic as it is known in the network: `vip.<name>.<class>`."""
    return f"vip.{vip.metadata.name}.{target_class}"


def belongs(rule: Rule, vip: VipAssurance) -> bool:
    """Say whether a rule is one of a VIP's, by its name."""
    whose = f"{vip.priority}.{vip.metadata.service.replace('/', '.')}"
    return rule.id.startswith(f"vip.{whose}.") or rule.id == f"vip.{REST}.{whose}"


def misclassified(vip: VipAssurance, rule: Rule | None, wanted: str, others: Sequence[VipAssurance]) -> str:
    """Return why a packet is not in its class; a VIP of higher priority may take it, for it assures no less."""
    if rule is not None and rule.target == wanted:
        return ""
    if rule is None:
        return f"no rule puts it into class {wanted}"
    mine = (vip.priority, vip.metadata.service)
    for other in others:
        if belongs(rule, other) and (other.priority, other.metadata.service) < mine:
            return ""
    return f"rule {rule.id} comes first and puts it into class {rule.target}, not {wanted}"


def mistreated(access: Access, name: str, rate_bps: int, flows: Sequence[MediaFlow], binds: bool) -> str:
    """Return what a class lacks at an access: an action, bandwidth of this rate, or the queue and mark of its flows."""
    action = access.actions.get(name)
    if action is None:
        return f"class {name} has no action"
    needed = min(rate_bps, access.rate_bps)
    if min(action.inbound_share, action.outbound_share) * access.rate_bps < needed * _LEAST_SHARE:
        return f"class {name} is limited to less than {needed / 1e6:g} Mbit/s"
    if not binds:
        return ""
    if (action.committed_bps or 0) < needed:
        return f"class {name} is committed {(action.committed_bps or 0) / 1e6:g} of {needed / 1e6:g} Mbit/s"
    marks = {(flow.queue, flow.dscp) for flow in flows}
    if marks and (action.queue, action.dscp) not in marks:
        return f"class {name} is in queue {action.queue} with DSCP {action.dscp}, not as its flows ask"
    return ""

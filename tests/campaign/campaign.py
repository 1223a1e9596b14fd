"""Runs faults one after the other against a city with a daemon, and judges each by what packets do."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from onecity.v1 import controller_pb2 as pb
from onecity.v1 import incident_pb2, incident_pb2_grpc, status_pb2

from tests.campaign.faults import SINGLE, Fault
from tests.campaign.population import Member, carriable, members, vip
from tests.support.stage import COMMITTED, Stage, eventually

REPAIR_S = 6.0  # for every repairable service to be carried again
QUIET_S = 1.2
MOST_MOVES = 2  # of one service for one fault: away, and on to something better


@dataclass(slots=True)
class Verdict:
    """What a campaign came to. Every list names what went wrong."""

    faults: int = 0
    repairable: int = 0
    repaired: int = 0
    false_up: list[str] = field(default_factory=list)
    unrepaired: list[str] = field(default_factory=list)
    incidents: int = 0
    causes: int = 0
    singles: int = 0
    roots_right: int = 0
    wrong_roots: list[str] = field(default_factory=list)
    oscillations: list[str] = field(default_factory=list)
    overbooked: list[str] = field(default_factory=list)
    left_over: list[str] = field(default_factory=list)

    def numbers(self) -> dict[str, float]:
        """Return the numbers, keyed as in campaign.json."""
        return {
            "faults": self.faults,
            "repaired": self.repaired,
            "repairable": self.repairable,
            "false_up": len(self.false_up),
            "incidents_per_fault": round(self.incidents / max(1, self.causes), 3),
            "root_cause_right": round(self.roots_right / max(1, self.singles), 3),
            "oscillations": len(self.oscillations),
            "overbooked": len(self.overbooked),
        }


def fill(stage: Stage) -> None:
    """Apply the population; everybody must be carried before anything is broken."""
    _, result = stage.client.apply(*(m.document() for m in members()))
    assert result.outcome == COMMITTED, result.message
    _, result = stage.client.apply(vip())
    assert result.outcome == COMMITTED, result.message
    eventually(lambda: not _dead(stage, members()), 15)


def run(stage: Stage, faults: Iterable[Fault], *, patient: bool = True) -> Verdict:
    """Inject each fault, judge, restore; patient: also wait until its incidents are closed."""
    verdict = Verdict()
    for fault in faults:
        _one(stage, fault, verdict, patient)
    return verdict


def _one(stage: Stage, fault: Fault, verdict: Verdict, patient: bool) -> None:
    before = {i.id for i in _incidents(stage)}
    began = time.time()
    fault.inject(stage)
    should = tuple(carriable(fault.roots))
    verdict.faults += 1
    verdict.repairable += len(should)
    dead = _wait_carried(stage, should)
    verdict.repaired += len(should) - len(dead)
    verdict.unrepaired += [f"{fault.kind} {fault.title}: {m.name}" for m in dead]
    time.sleep(QUIET_S)
    verdict.false_up += [f"{fault.kind} {fault.title}: {name}" for name in _false_up(stage)]
    verdict.overbooked += [f"{fault.kind} {fault.title}: {name}" for name in _overbooked(stage)]
    _judge_incidents(stage, fault, verdict, before)
    moves = _moves(stage, began)
    verdict.oscillations += [f"{fault.title}: {s} moved {n} times" for s, n in moves.items() if n > MOST_MOVES]
    _restore(stage, fault)
    if patient:
        eventually(lambda: not _incidents(stage, closed=False), 60)
        left = _wait_carried(stage, members())
        verdict.left_over += [f"after {fault.kind} {fault.title}: {m.name}" for m in left]


def _restore(stage: Stage, fault: Fault) -> None:
    stage.city.plant({"type": "restore", "what": "all"})
    if fault.kind == "controller":
        stage.city.domain_process(fault.domain).restart()
    elif fault.kind == "silence":
        stage.city.domain_process(fault.domain).resume()


def _carried(stage: Stage, member: Member) -> bool:
    return bool(stage.city.plant(member.packet).get("delivered"))


def _dead(stage: Stage, wanted: Iterable[Member]) -> list[Member]:
    return [m for m in wanted if not _carried(stage, m)]


def _wait_carried(stage: Stage, wanted: Iterable[Member]) -> list[Member]:
    deadline = time.monotonic() + REPAIR_S
    dead = _dead(stage, wanted)
    while dead and time.monotonic() < deadline:
        time.sleep(0.1)
        dead = _dead(stage, dead)
    return dead


def _false_up(stage: Stage) -> list[str]:
    """Return services that are called well while their packets do not arrive; both asked twice, to be sure."""
    services = stage.client.services()
    suspects = [m for m in members() if _well(services.get(m.service)) and not _carried(stage, m)]
    if suspects:
        time.sleep(0.3)
        services = stage.client.services()
    return [m.name for m in suspects if _well(services.get(m.service)) and not _carried(stage, m)]


def _well(status: status_pb2.ServiceStatus | None) -> bool:
    conditions = {c.type: c.status for c in status.conditions} if status is not None else {}
    return conditions.get("WithinSlo") == status_pb2.CONDITION_STATUS_TRUE


def _overbooked(stage: Stage) -> list[str]:
    links = stage.client.stub.GetTopology(pb.GetTopologyRequest(), timeout=10).topology.links
    return [k.id for k in links if k.capacity_bps and k.reserved_bps > k.capacity_bps]


def _incidents(stage: Stage, *, closed: bool = True) -> list[incident_pb2.Incident]:
    stub: Any = incident_pb2_grpc.IncidentServiceStub(stage.client.channel)  # type: ignore[no-untyped-call]
    return list(stub.ListIncidents(incident_pb2.ListIncidentsRequest(closed=closed, limit=1000), timeout=10).incidents)


def _judge_incidents(stage: Stage, fault: Fault, verdict: Verdict, before: set[str]) -> None:
    expected = 2 if fault.kind == "double" else 1
    deadline = time.monotonic() + fault.told_s
    while True:
        fresh = [i for i in _incidents(stage) if i.id not in before]
        roots = {i.root for i in fresh}
        right = bool(roots) and roots <= fault.causes and len(fresh) == expected
        if right or time.monotonic() > deadline:
            break
        time.sleep(0.2)
    verdict.incidents += len(fresh)
    verdict.causes += expected
    if fault.kind in SINGLE:
        verdict.singles += 1
        verdict.roots_right += right
    if not right:
        verdict.wrong_roots.append(f"{fault.kind} {fault.title}: {sorted(roots) or 'none'}")


def _moves(stage: Stage, since: float) -> Counter[str]:
    changes = stage.client.stub.GetHistory(pb.GetHistoryRequest(limit=200), timeout=10).changes
    mine = [c for c in changes if c.kind == "repair" and c.accepted_at.ToNanoseconds() / 1e9 >= since]
    return Counter(s for c in mine for s in c.services if c.outcome == COMMITTED)

"""After a round: does every domain run exactly what was reported committed, and is nothing left open or reserved?"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from itertools import product
from typing import Any

from onecity.v1 import controller_pb2 as pb
from onecity.v1 import plan_pb2, status_pb2

from tests.chaos.clients import Customer, Order, Record
from tests.chaos.lit import LIGHT
from tests.chaos.world import World, patiently
from tests.support.stage import COMMITTED, UNCHANGED, Client

SETTLE_S = 45.0
UNDER_WAY = (status_pb2.PHASE_COMMITTING, status_pb2.PHASE_DELETING)
NOT_APPLIED = (
    plan_pb2.CHANGE_OUTCOME_FAILED,
    plan_pb2.CHANGE_OUTCOME_REFUSED,
    plan_pb2.CHANGE_OUTCOME_COMPENSATED,
)


@dataclass
class Verdict:
    """Sentences, one for each thing that is wrong; all empty is a pass."""

    torn: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    leaked_reservations: list[str] = field(default_factory=list)
    stuck: list[str] = field(default_factory=list)

    def __bool__(self) -> bool:
        return not (self.torn or self.lost or self.leaked_reservations or self.stuck)

    def lines(self) -> list[str]:
        return [
            f"{name}: {text}"
            for name in ("torn", "lost", "leaked_reservations", "stuck")
            for text in getattr(self, name)
        ]


def judge(world: World, customers: list[Customer], *, restart: bool = True) -> Verdict:
    """Wait until nothing is open, compare, restart the daemon, compare again. The world must have been healed."""
    verdict = Verdict()
    if not _settled(world, verdict):
        return verdict
    client = world.stage.client
    for customer in customers:
        _resolve(client, customer, verdict)
    _compare(world, client, customers, verdict)
    if restart and verdict:
        before = _reserved(client)
        world.kill_daemon()
        world.start_daemon(wait=True)
        _compare(world, client, customers, verdict)
        after = _reserved(client)
        if before != after:
            moved = {k: (before.get(k), after.get(k)) for k in before.keys() | after.keys() if before[k] != after[k]}
            verdict.leaked_reservations.append(f"reserved before and after a restart: {moved}")
    return verdict


def empty(world: World, customers: list[Customer]) -> Verdict:
    """Delete everything: the city must be as on the first day."""
    verdict = Verdict()
    standing = [s for customer in customers for s in customer.record.standing]
    if standing:
        _, result = world.stage.client.delete(*standing)
        if result.outcome != COMMITTED:
            verdict.stuck.append(f"deleting everything ended {result.outcome}: {result.message}")
            return verdict
        for customer in customers:
            customer.record.standing.clear()
    _compare(world, world.stage.client, customers, verdict)
    left = {link: bps for link, bps in _reserved(world.stage.client).items() if bps}
    if left:
        verdict.leaked_reservations.append(f"an empty city still reserves {left}")
    return verdict


def _settled(world: World, verdict: Verdict) -> bool:
    """Wait, bounded, until nothing is open in the daemon nor on any domain."""
    deadline = time.monotonic() + SETTLE_S
    while True:
        late = time.monotonic() > deadline
        try:
            services = patiently(world.stage, Client.services, deadline)
            busy = [s for s, status in services.items() if _busy(status)]
            domains = patiently(world.stage, _diff, deadline)
        except TimeoutError as error:
            verdict.stuck.append(str(error))
            return False
        away = [f"{d.domain}: {d.message}" for d in domains if not d.reachable]
        differs = {d.domain: [x.path for x in d.differences][:5] for d in domains if d.differences}
        held = [] if busy or away or (differs and not late) else world.held()
        if not (busy or away or differs or held):
            return True
        if late:
            verdict.stuck += [f"{s} is under way or in doubt" for s in busy] + away + held
            verdict.torn += [f"{d} differs: {paths}" for d, paths in differs.items()]
            return False
        time.sleep(0.2)


def _busy(status: status_pb2.ServiceStatus) -> bool:
    doubt = any(c.type == "InDoubt" and c.status == status_pb2.CONDITION_STATUS_TRUE for c in status.conditions)
    return status.phase in UNDER_WAY or doubt


def _diff(client: Client) -> list[Any]:
    return list(client.stub.Diff(pb.DiffRequest(), timeout=30).domains)


def _resolve(client: Client, customer: Customer, verdict: Verdict) -> None:
    """Learn from the history how orders in doubt ended; what was told once must still be told."""
    history = {c.change_id: c for c in client.stub.GetHistory(pb.GetHistoryRequest(limit=1000), timeout=30).changes}
    record = customer.record
    for change, outcome in record.told.items():
        kept = history.get(change)
        if outcome == COMMITTED and (kept is None or kept.outcome != COMMITTED):
            verdict.lost.append(f"change {change} was reported committed; the history says {kept and kept.outcome}")
        if outcome in NOT_APPLIED and kept is not None and kept.outcome in (COMMITTED, UNCHANGED):
            verdict.lost.append(f"change {change} was reported {outcome}; the history says committed")
    record.told.clear()
    for order in [o for o in record.unknown if o.change_id]:
        kept = history.get(order.change_id)
        if kept is None or not kept.HasField("ended_at"):
            verdict.stuck.append(f"change {order.change_id} was in doubt and the history has no end of it")
        elif kept.outcome == COMMITTED:
            record.done(order)
        record.unknown.remove(order)


def _compare(world: World, client: Client, customers: list[Customer], verdict: Verdict) -> None:
    """Services and their documents are the record's; the domains run these and no others."""
    for customer in customers:
        _choose(client, customer.record)
    expected = {s: text for customer in customers for s, text in customer.record.standing.items()}
    found = set(client.services())
    verdict.lost += [f"{s} was reported committed and is not there" for s in expected.keys() - found]
    verdict.torn += [f"{s} is there and was not reported committed" for s in found - expected.keys()]
    both = {s: text for s, text in expected.items() if s in found}
    verdict.lost += [f"{s} is not as it was reported committed" for s in _changed(client, both)]
    verdict.torn += [f"{d} differs: {paths[:5]}" for d, paths in client.differences().items() if paths]
    ids = {s.replace("/", ".") for s in expected if "/vip-" not in s}
    running = world.vpns()
    verdict.torn += [f"{vpn} runs on an IP domain and was not reported committed" for vpn in running - ids]
    verdict.lost += [f"{vpn} runs on no IP domain" for vpn in ids - running]
    verdict.torn += world.loose_ends()
    ours = {c.split("/")[0] for c in world.circuits() if not c.startswith(LIGHT)}
    wanted = {s.replace("/", ".") for s in expected if "/timeslot-" in s}
    verdict.torn += [f"circuits of {c} stand without it" for c in ours - wanted]
    verdict.lost += [f"{c} has no circuit" for c in wanted - ours]


def _changed(client: Client, documents: dict[str, str]) -> list[str]:
    """Return the services whose document a plan would change."""
    if not documents:
        return []
    plan = client.plan(*documents.values())
    return [a.service for a in plan.services if a.action != plan_pb2.ACTION_UNCHANGED]


def _choose(client: Client, record: Record) -> None:
    """Orders whose reply was lost may have happened or not, each whole: take the choice that fits what is there."""
    if not record.unknown:
        return
    there = set(client.services())
    choices = [_with(record, taken) for taken in product((False, True), repeat=len(record.unknown))]
    fitting = [c for c in choices if _fits(client, c, record.unknown, there)]
    record.standing = (fitting or choices)[0]
    record.unknown.clear()


def _with(record: Record, taken: tuple[bool, ...]) -> dict[str, str]:
    trial = Record(dict(record.standing))
    for order, happened in zip(record.unknown, taken, strict=True):
        if happened:
            trial.done(order)
    return trial.standing


def _fits(client: Client, standing: dict[str, str], orders: list[Order], there: set[str]) -> bool:
    concerned = {s for order in orders for s in order.services}
    if {s for s in concerned if s in standing} != concerned & there:
        return False
    return not _changed(client, {s: standing[s] for s in concerned if s in standing})


def _reserved(client: Client) -> dict[str, int]:
    topology = client.stub.GetTopology(pb.GetTopologyRequest(), timeout=30).topology
    return {link.id: link.reserved_bps for link in topology.links}

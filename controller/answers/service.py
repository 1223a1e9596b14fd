"""The changes room as northbound sees it: what changes something. What only looks is in `looking`."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from controller.answers.described import past_result
from controller.answers.looking import Looking
from controller.changes import present, windows
from controller.changes.conduct import Conductor
from controller.changes.desk import Desk
from controller.changes.domains import Domains
from controller.changes.keep import refused_record
from controller.changes.live import LiveChange, LiveChanges
from controller.changes.orders import Order, catalogue, content_digest, is_short, understand
from controller.changes.pipeline import Planned, Wanted
from controller.changes.ports import ApplyRequest, PlanRequest
from controller.changes.ports import Wanted as Asked
from controller.changes.rollback import TakenBack, take_back
from controller.changes.views import (
    Action,
    ChangeEvent,
    ChangeResult,
    NativeText,
    Outcome,
    Plan,
)
from controller.drift.port import DriftPolicy
from controller.drift.remedies import Remedies
from controller.drift.resend import Resender
from controller.drift.watch import Drift
from controller.errors import ConflictError, OnecityError, UnknownNameError
from controller.intent.model import DedicatedPlane, ExclusiveSlice, Service, ServiceId
from controller.store.records import ChangeRecord as StoredRecord
from controller.store.store import Store
from controller.telemetry.telemetry import Telemetry

log = logging.getLogger(__name__)

MOST_TURNS = 32  # windows that open or close at once
TRYING_AGAIN = ("window", "repair", "improve")  # kinds of changes whose refusal is no news

Ended = Callable[[str, Outcome, float], None]  # kind, outcome, seconds: for the metrics


class Changes(Looking):
    """Implements `ports.ChangeService` and `ports.Measurements`."""

    def __init__(
        self,
        desk: Desk,
        domains: Domains,
        conductor: Conductor,
        store: Store,
        telemetry: Telemetry,
        *,
        now: Callable[[], datetime],
        clock: Callable[[], float],
        doubtful: Callable[[], Mapping[str, frozenset[str]]],
        resender: Resender,
        drift: Drift,
        policies: Mapping[str, DriftPolicy],
    ) -> None:
        super().__init__(desk, domains, conductor, store, telemetry, drift, now, clock, doubtful)
        self._clock = clock
        self._live = LiveChanges()
        self._requests: dict[str, tuple[str, str]] = {}  # request id → (change id, content digest)
        self._tasks: set[asyncio.Task[ChangeResult]] = set()
        self._notes: set[asyncio.Task[None]] = set()
        self._timers: asyncio.Task[None] | None = None
        self._catching_up: asyncio.Task[None] | None = None
        self.remedies = Remedies(drift, resender, lambda: desk.state, policies, self._begin_work, now)
        domains.suspect = drift.suspect
        conductor.on_late.append(self._stands_late)
        self._on_end: list[Ended] = []
        self.on_led: list[Callable[[str, Sequence[str]], None]] = []  # change, services that we led elsewhere by it
        self.on_told: list[Callable[[Outcome, Sequence[ChangeEvent]], None]] = []  # the events of a change that ended

    def on_end(self, hear: Ended) -> None:
        """Be told of every change that ends."""
        self._on_end.append(hear)

    def in_flight(self) -> int:
        """Return how many changes were accepted and have not ended."""
        return len(self._tasks)

    async def start(self) -> None:
        """Begin to turn windows; call once changes may be accepted."""
        self._timers = asyncio.create_task(
            windows.keep(lambda: self._desk.state, self._now, self._turn, self._desk.moved, self._domains.down),
            name="windows",
        )
        for name, state in self._domains.states().items():
            if state.up:  # whatever happened to it while no controller ran
                self._drift.suspect(name)
        self._drift.start()
        self._catching_up = asyncio.create_task(self._conductor.chronicle.catch_up(), name="catching up")

    async def stop(self) -> None:
        """Let what is under way end or undo itself; accept nothing more."""
        await self._aside.stop()
        if self._timers is not None:
            self._timers.cancel()
            await asyncio.gather(self._timers, return_exceptions=True)
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.gather(*self._notes, return_exceptions=True)
        await self._drift.close()
        if self._catching_up is not None:
            await asyncio.gather(self._catching_up, return_exceptions=True)
        await self._conductor.chronicle.close()

    # Changing

    async def plan(self, request: PlanRequest) -> Plan:
        wanted, back = await self._understood(request.wanted)
        planned = await self._desk.look(wanted)
        return self._plan_view(planned, request.native, back.notes if back else ())

    async def apply(self, request: ApplyRequest) -> str:
        digest = content_digest(request.wanted)
        known = self._known_request(request.request_id, digest)
        if known:
            return known
        wanted, back = await self._understood(request.wanted)
        if request.expected_digest:
            await self._still_as_approved(wanted, request.expected_digest)
        change_id = secrets.token_hex(4)
        if request.request_id:
            self._requests[request.request_id] = (change_id, digest)
        kind = "objective" if wanted.objective else "apply" if request.wanted.documents else "delete"
        order = Order(wanted, kind, request.author, request.reason, request.request_id)
        if back is not None:
            reason = f"{request.reason}; {back.reason}" if request.reason else back.reason
            order = replace(order, kind="rollback", reason=reason, moved=back.moved)
        self._begin(order, change_id, request.partial)
        return change_id

    async def watch(self, change_id: str, after: int = 0, result_only: bool = False) -> AsyncIterator[ChangeEvent]:
        try:
            live = self._live.get(change_id)
        except UnknownNameError:
            yield self._from_history(change_id)
            return
        if result_only:
            yield await live.ended()
            return
        async for event in live.watch(after):
            yield event

    def _begin(self, order: Order, change_id: str, partial: bool = False) -> asyncio.Task[ChangeResult]:
        live = LiveChange(change_id, order.services, self._clock)
        self._live.add(live)
        work = self._each(order, live) if partial else self._conductor.carry_out(order, live)
        return self._run(work, order, live, partial)

    def _begin_work(
        self, order: Order, change_id: str, work: Callable[[LiveChange], Awaitable[ChangeResult]]
    ) -> asyncio.Task[ChangeResult]:
        """Begin a change that is not the conductor's to carry out."""
        live = LiveChange(change_id, order.services, self._clock)
        self._live.add(live)
        return self._run(work(live), order, live)

    def _run(
        self, work: Awaitable[ChangeResult], order: Order, live: LiveChange, partial: bool = False
    ) -> asyncio.Task[ChangeResult]:
        task = asyncio.create_task(self._to_end(work, order, live, partial), name=f"change {live.id}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _to_end(
        self, work: Awaitable[ChangeResult], order: Order, live: LiveChange, partial: bool
    ) -> ChangeResult:
        self._leaving.update(dict.fromkeys(order.wanted.drops, live.id))
        try:
            result = await work
        except Exception as error:
            log.exception("change %s failed by a defect of ours", live.id)
            result = ChangeResult(Outcome.FAILED, f"a defect of onecity: {type(error).__name__}: {error}")
        finally:
            for sid in order.wanted.drops:
                self._leaving.pop(sid, None)
        if result.outcome in (Outcome.COMMITTED, Outcome.PARTIAL):
            acted = [a for a in result.services if a.action in (Action.CREATE, Action.CHANGE)]
            moved = [a.service for a in acted if not a.refusal]
            self._drift.committed(moved, order.wanted.drops)
            self.wellbeing.confirmed(moved, order.wanted.drops)
            for led in self.on_led if moved and order.kind in ("repair", "improve") else ():
                led(live.id, moved)
        for hear in self._on_end:
            hear(order.kind, result.outcome, result.elapsed_s)
        for told in self.on_told:
            told(result.outcome, live.events)
        live.end(result)
        untold = result.outcome is Outcome.REFUSED and order.kind not in TRYING_AGAIN
        if untold or (partial and result.outcome is not Outcome.UNCHANGED):
            self._remember(order, live, result)
        return result

    def _stands_late(self, concerned: frozenset[ServiceId]) -> None:
        """Note that services of a change that was in doubt are confirmed everywhere just now."""
        drops = concerned - self._desk.state.services.keys()
        self._drift.committed(concerned - drops, drops)
        self.wellbeing.confirmed(concerned - drops, drops)

    def _remember(self, order: Order, live: LiveChange, result: ChangeResult) -> None:
        """Put a change into the history that was never opened there; nobody waits for that."""
        record = refused_record(live.id, order, order.services, self._desk.state, result, self._now())
        task = asyncio.create_task(self._kept(record), name=f"history of {live.id}")
        self._notes.add(task)
        task.add_done_callback(self._notes.discard)

    async def _kept(self, record: StoredRecord) -> None:
        try:
            await self._store.record_change(record)
        except OnecityError as error:
            log.warning("change %s (%s) could not be put into the history: %s", record.id, record.outcome, error)

    async def _each(self, order: Order, live: LiveChange) -> ChangeResult:
        """Carry out each service as a change of its own, carriers before what rides on them."""
        parts = [Wanted((s,)) for s in sorted(order.wanted.puts, key=_carriers_first)]
        parts += [Wanted(drops=frozenset((sid,))) for sid in sorted(order.wanted.drops)]
        results = []
        for number, part in enumerate(parts):
            own = LiveChange(f"{live.id}.{number}", live.services, self._clock)
            request_id = f"{order.request_id}.{number}" if order.request_id else ""
            each = replace(order, wanted=part, request_id=request_id)
            results.append(await self._conductor.carry_out(each, own))
            if results[-1].outcome is Outcome.REFUSED:
                self._remember(each, own, results[-1])
            live.say("planned", f"{number + 1} of {len(parts)}: {results[-1].outcome.value}")
        outcomes = {r.outcome for r in results} - {Outcome.UNCHANGED}
        outcome = outcomes.pop() if len(outcomes) == 1 else Outcome.PARTIAL if outcomes else Outcome.UNCHANGED
        message = "\n".join(r.message for r in results if r.message)
        return ChangeResult(
            outcome,
            message,
            tuple(a for r in results for a in r.services),
            tuple(f for r in results for f in r.failures),
            tuple(w for r in results for w in r.warnings),
            live.elapsed_s,
        )

    async def repair(self, services: frozenset[ServiceId], dead: frozenset[ServiceId], reason: str) -> ChangeResult:
        """Place services once more, as they are, on the map as it is; those that cannot be placed stay as they stand.

        Of them, nothing carries the `dead`: they are sooner placed without a standby than not at all. A change like
        any other: planned, proven, carried out on all domains or none, kept in the history.
        """
        order = Order(Wanted(again=services, dead=dead & services), "repair", "assurance", reason, alone=True)
        return await self._begin(order, secrets.token_hex(4))

    async def improve(self, services: frozenset[ServiceId], shun: frozenset[str], reason: str) -> ChangeResult:
        """Place services once more, none of them over these components: all of them, or each stays as it stands."""
        order = Order(Wanted(again=services, shun=shun), "improve", "assurance", reason)
        return await self._begin(order, secrets.token_hex(4))

    async def _turn(self, wanted: Wanted) -> None:
        """Close and open windows that are due, each a change of its own; one that fails holds up no other.

        What closes goes first: what opens at that moment may take its place, and no domain holds a label twice. VIPs
        are asked for before what they ride on where they close, after it where they open.
        """
        standing = self._desk.state.services

        def rank(sid: ServiceId) -> tuple[int, str]:
            return _carriers_first(standing[sid].service)

        closes = [Wanted(closes=frozenset((sid,))) for sid in sorted(wanted.closes, key=rank, reverse=True)]
        opens = [Wanted(opens=frozenset((sid,))) for sid in sorted(wanted.opens, key=rank)]
        failed = []
        for parts in (closes, opens):
            for few in (parts[at : at + MOST_TURNS] for at in range(0, len(parts), MOST_TURNS)):
                failed += [said for said in await asyncio.gather(*map(self._turned, few)) if said]
        if failed:
            raise ConflictError("\n".join(failed))

    async def _turned(self, part: Wanted) -> str:
        """Turn one window; say why it could not be, or nothing."""
        order = Order(part, "window", "onecity", "its window opens" if part.opens else "its window is over")
        try:
            result = await self._begin(order, secrets.token_hex(4))
        except OnecityError as error:
            return str(error)
        if result.outcome in (Outcome.COMMITTED, Outcome.UNCHANGED, Outcome.IN_DOUBT):
            return ""
        return result.message or f"the window change ended {result.outcome.value}"

    async def _understood(self, asked: Asked) -> tuple[Wanted, TakenBack | None]:
        state, now = self._desk.state, self._now()
        if asked.rollback is not None:
            back = await asyncio.to_thread(take_back, asked.rollback, self._store, state, now)
            return back.wanted, back
        there_is = catalogue(self._domains.city)
        if is_short(asked):
            return understand(asked, state, there_is, now), None
        return await asyncio.to_thread(understand, asked, state, there_is, now), None

    def _known_request(self, request_id: str, digest: str) -> str:
        """Return the change that this request already made; raises ConflictError where it asked for something else."""
        if not request_id:
            return ""
        change_id, before = self._requests.get(request_id, ("", digest))
        if not change_id:
            record = self._store.change_by_request(request_id)
            change_id = record.id if record is not None else ""
        if before != digest:
            raise ConflictError(
                f"request id {request_id!r} was used for change {change_id}, which asked for something else"
            )
        return change_id

    async def _still_as_approved(self, wanted: Wanted, digest: str) -> None:
        planned = await self._desk.look(wanted)
        if planned.digest != digest:
            lines = [f"  {p.action} {p.kind} {p.service}" for p in planned.plans if p.action != "unchanged"]
            now = "\n".join(lines) or "  nothing"
            raise ConflictError(f"the network moved since this plan was made; it would now do\n{now}\nplan again")

    def _plan_view(self, planned: Planned, native: bool, notes: tuple[str, ...]) -> Plan:
        refusals = {r.service: str(r) for r in planned.refusals}
        texts: tuple[NativeText, ...] = ()
        if native:
            texts = tuple(
                NativeText(e.domain, step.name, self._domains.drivers[e.domain].native(e))
                for step in self._conductor.steps(planned)
                for e in step.edits
            )
        return Plan(
            services=tuple(present.service_action(p, planned.city, refusals.get(p.service, "")) for p in planned.plans),
            domains=present.domain_counts(planned.edits, self._conductor.step_counts(planned)),
            proofs=present.proofs(planned) if planned.puts or planned.edits else (),
            proofs_s=planned.proofs_s if planned.puts or planned.edits else 0.0,
            native=texts,
            digest=planned.digest,
            notes=(*notes, *(f"{p.service}: {said}" for p in planned.plans for said in present.over(p))),
            warnings=present.obstacles(planned, self._domains.states()),
            drifted=self._drifted_under(planned),
        )

    def _drifted_under(self, planned: Planned) -> tuple[str, ...]:
        """Return the domains of unchanged services that are known to run something else, whosever it is."""
        quiet = [self._desk.state.services.get(p.service) for p in planned.plans if p.action == "unchanged"]
        used = {domain for standing in quiet if standing is not None for domain in standing.fragments}
        return tuple(d for d in self._drift.differing() if d in used)

    def _from_history(self, change_id: str) -> ChangeEvent:
        record = self._store.change(change_id)
        return ChangeEvent(1, result=past_result(record), services=tuple(s.service for s in record.services))


def _carriers_first(service: Service) -> tuple[int, str]:
    order = 0 if isinstance(service, DedicatedPlane) else 1 if isinstance(service, ExclusiveSlice) else 2
    return order, service.metadata.service

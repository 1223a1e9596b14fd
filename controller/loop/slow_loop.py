"""The slow loop: services that burn what they were promised are led away from what wears out, before it breaks.

Once a second it takes what the incidents found worn from per-hop measurements, and the steady health of who rides it.
A move places the service on the map without the worn part, keeping everything it was promised; where that cannot be,
with the worn part standing by and no more; where that cannot be either, it stays: a move never makes anything worse.
Light that fades is left before a packet suffers: where next to no margin is left, or its trend says that soon none will
be. Planes are not moved, routers choose their ways. A service says in its intent whether it is moved (`assurance:
auto`, the default), only proposed to be (`propose`), or left alone (`off`).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from controller.assurance.causes import Cause
from controller.assurance.components import Component, closure
from controller.assurance.health import Health
from controller.assurance.tuning import Burning, Move, Tuner
from controller.assurance.waves import tier
from controller.changes.desk import Desk
from controller.changes.domains import Domains
from controller.changes.views import Action, ChangeResult, Outcome
from controller.errors import UnknownNameError
from controller.intent.clauses import wish
from controller.intent.model import Assurance, ServiceId
from controller.loop.wellbeing import Wellbeing
from controller.planning.placement import Placement
from controller.planning.worked import carried_by

log = logging.getLogger(__name__)

LOOK_S = 0.5

# Places services once more without these components; says why.
Improve = Callable[[frozenset[ServiceId], frozenset[Component], str], Awaitable[ChangeResult]]


@dataclass(frozen=True, slots=True)
class Proposal:
    """A move that waits for somebody to accept it."""

    service: ServiceId
    reason: str
    since: float  # monotonic seconds
    move: Move


class SlowLoop:
    """Owns one task. `worn` gives the causes of wear found now; `riding` the services that ride any of some parts."""

    def __init__(
        self,
        desk: Desk,
        domains: Domains,
        wellbeing: Wellbeing,
        worn: Callable[[], tuple[Cause, ...]],
        riding: Callable[[frozenset[Component]], set[ServiceId]],
        improve: Improve,
        clock: Callable[[], float],
    ) -> None:
        self._desk, self._domains, self._wellbeing = desk, domains, wellbeing
        self._worn, self._riding, self._improve, self._clock = worn, riding, improve, clock
        self._tuner = Tuner()
        self._proposals: dict[ServiceId, Proposal] = {}
        self._moving: set[ServiceId] = set()
        self._task: asyncio.Task[None] | None = None

    @property
    def proposals(self) -> tuple[Proposal, ...]:
        """Return what waits to be accepted, by service."""
        return tuple(p for _, p in sorted(self._proposals.items()))

    async def accept(self, service: str) -> ChangeResult:
        """Carry out a proposal; raises UnknownNameError."""
        proposal = self._proposals.pop(ServiceId(service), None)
        if proposal is None:
            raise UnknownNameError(f"nothing is proposed for {service!r}; `onecity proposals` lists what is")
        return await self._move(proposal.move)

    async def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name="slow loop")

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(LOOK_S)
            try:
                await self._look()
            except Exception:  # one defect must not end the loop
                log.exception("a round of the slow loop failed")

    async def _look(self) -> None:
        causes = [c for c in self._worn() if c.kind == "degraded"]
        if not causes:
            self._proposals.clear()
            return
        city, routes = self._domains.discovered, self._domains.lit()
        closed = {c.root: closure(city, {c.root}, routes) | c.members for c in causes}
        burning = [b for c in causes for b in self._burning(c, closed[c.root])]
        proposed = {b.service for b in burning}
        self._proposals = {s: p for s, p in self._proposals.items() if s in proposed}
        for move in self._tuner.decide(burning, closed, self._clock()):
            way = self._wish(move.service)
            if way is Assurance.PROPOSE:
                self._propose(move)
            elif way is Assurance.AUTO:
                await self._move(move)

    def _propose(self, move: Move) -> None:
        """Propose a move, or renew what is proposed: what is worn by now is shunned when it is accepted."""
        soon = "" if move.cause.felt else ", and its margin is spent or soon will be"
        reason = f"{move.cause.title}{soon}: lead it elsewhere"
        before = self._proposals.get(move.service)
        since = self._clock() if before is None else before.since
        self._proposals[move.service] = Proposal(move.service, reason, since, move)

    def _burning(self, cause: Cause, parts: frozenset[Component]) -> list[Burning]:
        services = self._desk.state.services
        found = []
        for sid in self._riding(parts):
            standing = services.get(sid)
            if standing is None or not standing.active or sid in self._moving or sid in self._desk.under_way:
                continue
            rank = tier(standing.service)
            if rank == 2 or self._wish(sid) is Assurance.OFF:
                continue
            fading = _rides(standing.placement, cause.at_risk)
            on_it = cause.felt and not parts.isdisjoint(carried_by(standing.placement))  # not only what stands by
            if fading or on_it:
                health = self._wellbeing.now(sid) if on_it else Health.UNKNOWN
                found.append(Burning(sid, rank, health, cause, fading))
        return found

    def _wish(self, sid: ServiceId) -> Assurance:
        standing = self._desk.state.services.get(sid)
        return wish(standing.service) if standing is not None else Assurance.AUTO

    async def _move(self, move: Move) -> ChangeResult:
        self._moving.add(move.service)
        try:
            result = await self._improve(frozenset({move.service}), move.shun, f"{move.cause.title}; led elsewhere")
        finally:
            self._moving.discard(move.service)
        refused = any(a.action is Action.REFUSED for a in result.services)
        if result.outcome is Outcome.COMMITTED and not refused:
            self._tuner.moved((move.service,), self._clock())
        else:
            self._tuner.stayed((move.service,), self._clock())
            log.info("%s stays on %s: %s", move.service, move.cause.root, " ".join(result.message.split()))
        return result


def _rides(placement: Placement, fading: frozenset[Component]) -> bool:
    """Return whether what fades carries a service, and does not only stand by."""
    own = any(f"circuit:{c.id}" in fading for c in placement.circuits)
    return own or not fading.isdisjoint(carried_by(placement))

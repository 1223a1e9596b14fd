"""The slow loop: services that burn what they were promised are led away from what wears out, before it breaks.

Once a second it takes what the incidents found worn from per-hop measurements, and the steady health of who rides it.
A move places the service on the map without the worn part, keeping everything it was promised; where that cannot be,
with the worn part standing by and no more; where that cannot be either, it stays: a move never makes anything worse.
Light that fades is left before a packet suffers: where next to no margin is left, or its trend says that soon none
will be. A full link is left by those alone that are outside their SLO. Planes are not moved, routers choose their
ways. A service says in its intent whether it is moved (`assurance: auto`, the default), only proposed to be
(`propose`), or left alone (`off`).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace

from controller.assurance.causes import Cause
from controller.assurance.components import Component, closure
from controller.assurance.health import Health
from controller.assurance.tuning import Burning, Move, Tuner
from controller.assurance.waves import tier
from controller.changes.desk import Desk
from controller.changes.domains import Domains
from controller.changes.state import Standing
from controller.changes.views import Action, ChangeResult, Outcome
from controller.errors import UnknownNameError
from controller.intent.clauses import wish
from controller.intent.model import Assurance, DedicatedPlane, ServiceId, VipAssurance
from controller.loop.wellbeing import Wellbeing
from controller.planning.placement import Placement
from controller.planning.worked import carried_by, crossed_by

log = logging.getLogger(__name__)

LOOK_S = 0.5
CONGESTED = "congested"
MOVED_OFF = ("degraded", CONGESTED)  # kinds of causes

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
        self._fading: set[ServiceId] = set()
        self._staying: dict[ServiceId, str] = {}
        self._task: asyncio.Task[None] | None = None

    @property
    def proposals(self) -> tuple[Proposal, ...]:
        """Return what waits to be accepted, by service."""
        return tuple(p for _, p in sorted(self._proposals.items()))

    @property
    def staying(self) -> Mapping[ServiceId, str]:
        """Return who is carried by something worn and cannot be led away, and why, in one sentence each."""
        return dict(sorted(self._staying.items()))

    def stays(self, sid: ServiceId) -> str:
        """Return why a service stays on what wears out; empty for all others."""
        return self._staying.get(sid, "")

    def fades(self, sid: ServiceId) -> bool:
        """Return whether the light that carries a service is spent, or soon will be; whatever its intent says."""
        return sid in self._fading

    async def accept(self, service: str, author: str = "") -> ChangeResult:
        """Carry out a proposal; `author` accepts it. Raises UnknownNameError."""
        proposal = self._proposals.pop(ServiceId(service), None)
        if proposal is None:
            raise UnknownNameError(f"nothing is proposed for {service!r}; `onecity proposals` lists what is")
        return await self._move(replace(proposal.move, accepted_by=author))

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
        causes = [c for c in self._worn() if c.kind in MOVED_OFF]
        self._fading.clear()
        if not causes:
            self._proposals.clear()
            self._staying.clear()
            return
        city, routes = self._domains.discovered, self._domains.lit()
        closed = {c.root: closure(city, {c.root}, routes) | c.members for c in causes}
        burning = [b for c in causes for b in self._burning(c, closed[c.root])]
        on_worn = {b.service: self._desk.state.services[b.service].placement for b in burning}
        for sid in [s for s in self._proposals if s not in on_worn]:
            del self._proposals[sid]
        for sid in self._staying.keys() - on_worn.keys() - self._moving - self._desk.under_way:
            del self._staying[sid]
        for move in self._tuner.decide(burning, closed, self._clock(), self._domains.city.version):
            standing = self._desk.state.services.get(move.service)
            if standing is None or standing.placement is not on_worn[move.service]:
                continue  # it was led away with the plane of another
            way = self._way(move, standing)
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
            if rank == 2:
                continue
            carried = carried_by(standing.placement) | self._crossed(standing)
            fading = _rides(standing.placement, carried, cause.at_risk)
            on_it = cause.felt and not parts.isdisjoint(carried)  # not only what stands by
            if fading:
                self._fading.add(sid)
            if wish(standing.service) is Assurance.OFF:
                continue
            if fading or on_it:
                health = self._wellbeing.now(sid) if on_it else Health.UNKNOWN
                if cause.kind == CONGESTED and health is not Health.VIOLATED:
                    continue  # a link that fills may empty again; who still has what was promised waits for that
                found.append(Burning(sid, rank, health, cause, fading))
        return found

    def _crossed(self, standing: Standing) -> frozenset[Component]:
        """Return the border links that carry a VIP because its plane crosses them."""
        if not isinstance(standing.service, VipAssurance):
            return frozenset()
        below = self._desk.state.services.get(standing.service.protects)
        if below is None or not isinstance(below.service, DedicatedPlane):
            return frozenset()  # a slice is led away itself
        crossed = crossed_by(self._domains.city, standing.placement, below.placement)
        return frozenset(f"link:{link}" for link in crossed)

    def _plane(self, standing: Standing, shun: frozenset[Component]) -> ServiceId | None:
        """Return the plane that has to cross another border for a VIP; None: no border that it crosses is shunned."""
        service = standing.service
        return service.protects if isinstance(service, VipAssurance) and self._crossed(standing) & shun else None

    def _along(self, plane: ServiceId) -> Mapping[ServiceId, Assurance]:
        """Return who is led elsewhere with a plane, itself included, and what each says to that."""
        services = self._desk.state.services
        concerned = (services[sid] for sid in (plane, *self._desk.state.protectors((plane,))) if sid in services)
        return {s.service.metadata.service: wish(s.service) for s in concerned if not s.expired}

    def _way(self, move: Move, standing: Standing) -> Assurance:
        """Return what may be done: what the service says, or who would go with it where that is to be asked first."""
        plane = self._plane(standing, move.shun)
        others = self._along(plane).values() if plane is not None else ()
        own = wish(standing.service)
        return Assurance.PROPOSE if own is Assurance.AUTO and Assurance.PROPOSE in others else own

    async def _move(self, move: Move) -> ChangeResult:
        sid, version = move.service, self._domains.city.version
        self._moving.add(sid)
        try:
            result, why = await self._lead(move)
        finally:
            self._moving.discard(sid)
        if _led(result):
            self._tuner.moved((sid,), self._clock())
        else:
            self._tuner.stayed((sid,), self._clock(), version)
        self._staying.pop(sid, None)
        if why:
            self._staying[sid] = f"{move.cause.title}, and it stays there: {why}"
            log.info("%s: %s", sid, self._staying[sid])
        return result

    async def _lead(self, move: Move) -> tuple[ChangeResult, str]:
        """Lead a service away, a VIP on a worn border with its plane; return also why it stays on something worn."""
        sid, standing = move.service, self._desk.state.services.get(move.service)
        plane = self._plane(standing, move.shun) if standing is not None else None
        if standing is None or plane is None:
            result = await self._attempt(move, sid)
            return result, "" if _led(result) else _why(result)
        off = [s for s, way in self._along(plane).items() if way is Assurance.OFF]
        if off:
            result = ChangeResult(Outcome.REFUSED, f"{', '.join(off)} is not to be moved (assurance: off)")
        else:
            result = await self._attempt(move, sid, plane)
        if _led(result):
            return result, ""
        why = f"{plane} can cross no other border with all that was promised: {_why(result)}"
        if not move.shun.isdisjoint(carried_by(standing.placement)):
            result = await self._attempt(move, sid)  # off all else that wears out under it
        return result, why

    async def _attempt(self, move: Move, *services: ServiceId) -> ChangeResult:
        by = f", accepted by {move.accepted_by}" if move.accepted_by else ""
        return await self._improve(frozenset(services), move.shun, f"{move.cause.title}; led elsewhere{by}")


def _led(result: ChangeResult) -> bool:
    return result.outcome is Outcome.COMMITTED and all(a.action is not Action.REFUSED for a in result.services)


def _why(result: ChangeResult) -> str:
    """Return in one line why nothing was moved: of refusals what binds."""
    lines = [line.strip() for line in result.message.splitlines()]
    binds = dict.fromkeys(line.removeprefix("binds").strip() for line in lines if line.startswith("binds "))
    return "; ".join(binds) or " ".join(result.message.split()) or "there is nothing better"


def _rides(placement: Placement, carried: frozenset[Component], fading: frozenset[Component]) -> bool:
    """Return whether what fades carries a service, and does not only stand by."""
    own = any(f"circuit:{c.id}" in fading for c in placement.circuits)
    return own or not fading.isdisjoint(carried)

"""The only writer of desired state: one planned change at a time takes its reservations, any number are under way.

Planning is serial and quick; carrying out is parallel and slow. In between, what a change will hold and what it
will let go are both reserved, so that whichever way it ends nobody was promised the same thing twice. A change
waits only for changes that touch the same services.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime

from controller.changes.pipeline import Planned, Wanted, plan
from controller.changes.state import DesiredState, Standing
from controller.intent.model import ServiceId, VipAssurance
from controller.network.ledger import Ledger
from controller.network.model import CityMap
from controller.planning.placement import LabelReservation, Placement, RateReservation
from controller.rendering.desired import edits as edits_between
from controller.verification.model import ConfigurationModel

ROOM_PATIENCE_S = 5.0  # how long a refusal may wait for changes under way that may make room

Services = Mapping[ServiceId, Standing]


@dataclass(frozen=True, slots=True)
class Taken:
    """What a change under way holds, and what stood before it."""

    change_id: str
    concerned: frozenset[ServiceId]  # services that it puts or drops
    before: Mapping[ServiceId, Standing]  # those of them that stood
    leavings: tuple[ServiceId, ...]  # ledger names of what only the old placements hold

    @classmethod
    def of(cls, planned: Planned, change_id: str) -> Taken:
        concerned = frozenset(planned.puts) | planned.drops
        return cls.between(planned.base.services, planned.after.services, concerned, change_id)

    @classmethod
    def between(cls, before: Services, after: Services, concerned: frozenset[ServiceId], change_id: str) -> Taken:
        left = leavings(before, after, concerned, change_id)
        standing = {sid: s for sid, s in before.items() if sid in concerned}
        return cls(change_id, concerned, standing, tuple(placement.service for placement in left))


class Desk:
    """Holds desired state and the verification's picture of it; both are replaced only here."""

    def __init__(self, state: DesiredState, city: Callable[[], CityMap], now: Callable[[], datetime]) -> None:
        self.state = state
        self.model = ConfigurationModel.build({d: state.desired.tree(d) for d in state.desired.domains})
        self.moved = asyncio.Event()  # set whenever desired state was replaced
        self.on_landed: list[Callable[[], None]] = []  # told whenever services are no longer held by a change
        self._city, self._now = city, now
        self._planning = asyncio.Lock()
        self._under_way: set[ServiceId] = set()
        self._landed = asyncio.Condition()
        self._open: set[str] = set()  # changes that hold more than they may come to hold
        self._freed = 0  # how often one of them let something go when it ended

    @property
    def under_way(self) -> frozenset[ServiceId]:
        return frozenset(self._under_way)

    async def look(self, wanted: Wanted) -> Planned:
        """Plan without taking anything."""
        return await asyncio.to_thread(plan, self.state, self.model, self._city(), wanted, self._now())

    async def take(self, wanted: Wanted, change_id: str, accept: Callable[[Planned], bool]) -> Planned:
        """Plan, and reserve at once if `accept` says so; nobody plans in between.

        A refusal is given only where it would be one in some order of the changes under way: what those hold that
        fail, or let go, is free in every order. Where any do, it is planned again. A repair is refused at once: it
        is asked for again whenever the map moves.
        """
        give_up_at = asyncio.get_running_loop().time() + ROOM_PATIENCE_S
        while True:
            async with self._planning:
                others, freed = frozenset(self._open), self._freed
                planned = await asyncio.to_thread(plan, self.state, self.model, self._city(), wanted, self._now())
                if accept(planned):
                    if not planned.changes_nothing:
                        self._open.add(change_id)
                        self._replace(replace(planned.after, ledger=_with_leavings(planned, change_id)), planned.model)
                    return planned
            if not planned.refusals or wanted.again or not await self._made_room(others, freed, give_up_at):
                return planned

    async def _made_room(self, others: frozenset[str], freed: int, give_up_at: float) -> bool:
        """Wait for the end of these changes; say whether anything was let go since."""
        try:
            async with asyncio.timeout_at(give_up_at), self._landed:
                await self._landed.wait_for(lambda: not others & self._open or self._freed != freed)
        except TimeoutError:
            return False
        return self._freed != freed

    def in_doubt(self, change_id: str) -> None:
        """The end of this change may take hours: nobody waits for the room that it may make."""
        self._open.discard(change_id)

    def _ended(self, taken: Taken, *, freed: bool) -> None:
        self._open.discard(taken.change_id)
        self._freed += freed

    async def settle(self, taken: Taken) -> None:
        """The change is everywhere: let go of what only the old placements held."""
        self._ended(taken, freed=bool(taken.leavings))
        if not taken.leavings:
            return
        async with self._planning:
            ledger = self.state.ledger.copy()
            for name in taken.leavings:
                ledger.remove(name)
            self._replace(replace(self.state, ledger=ledger), self.model)

    async def withdraw(self, taken: Taken) -> None:
        """The change is nowhere: its services stand again as they stood before it."""
        self._ended(taken, freed=True)
        async with self._planning:
            services = {sid: s for sid, s in self.state.services.items() if sid not in taken.concerned}
            services.update(taken.before)
            ledger = self.state.ledger.copy()
            for name in (*taken.leavings, *taken.concerned):
                ledger.remove(name)
            for standing in taken.before.values():
                if not standing.expired:
                    ledger.add(standing.placement)
            fragments = {sid: s.fragments for sid, s in taken.before.items() if s.active}
            desired = self.state.desired.with_changes(fragments, taken.concerned - fragments.keys())
            edits = edits_between(self.state.desired, desired)
            trees = {edit.domain: desired.tree(edit.domain) for edit in edits}
            number = self.state.number + 1
            self._replace(
                replace(self.state, services=services, desired=desired, ledger=ledger, number=number),
                self.model.updated(trees, edits),
            )

    @asynccontextmanager
    async def flight(self, wanted: Wanted) -> AsyncIterator[None]:
        """Hold the services that a change concerns; wait while another change holds any of them."""
        concerned = self._concerned(wanted)
        async with self._landed:
            await self._landed.wait_for(lambda: not concerned & self._under_way)
            self._under_way |= concerned
        try:
            yield
        finally:
            async with self._landed:
                self._under_way -= concerned
                self._landed.notify_all()
            for tell in self.on_landed:
                tell()

    def _concerned(self, wanted: Wanted) -> set[ServiceId]:
        """Return the services a change puts, drops or turns, those they protect, and those that protect them."""
        named = {s.metadata.service for s in wanted.puts} | wanted.drops | wanted.opens | wanted.closes | wanted.again
        named |= wanted.restores
        intents = [*wanted.puts, *(self.state.services[s].service for s in named if s in self.state.services)]
        protected = {s.protects for s in intents if isinstance(s, VipAssurance)}
        return named | protected | set(self.state.protectors(named))

    def _replace(self, state: DesiredState, model: ConfigurationModel) -> None:
        self.state, self.model = state, model
        self.moved.set()


def _with_leavings(planned: Planned, change_id: str) -> Ledger:
    concerned = planned.drops.union(planned.puts)
    left = leavings(planned.base.services, planned.after.services, concerned, change_id)
    if not left:
        return planned.after.ledger
    ledger = planned.after.ledger.copy()
    for placement in left:
        ledger.add(placement)
    return ledger


def leavings(before: Services, after: Services, concerned: Iterable[ServiceId], change_id: str) -> list[Placement]:
    """Return what only the old placements hold, under names of their own, until the change has ended."""
    found = []
    for sid in sorted(concerned):
        old = before.get(sid)
        if old is None or old.expired:
            continue
        new = after.get(sid)
        kept = new.placement if new is not None and not new.expired else None
        labels = _left(old.placement.labels, kept.labels if kept else ())
        rates = _less(old.placement.rates, kept.rates if kept else ())
        if labels or rates:
            found.append(Placement(ServiceId(f"{sid}#{change_id}"), old.placement.kind, 0, rates=rates, labels=labels))
    return found


def _left(old: Iterable[LabelReservation], new: Iterable[LabelReservation]) -> tuple[LabelReservation, ...]:
    held = {(label.resource, label.label) for label in new}
    return tuple(label for label in old if (label.resource, label.label) not in held)


def _less(old: Iterable[RateReservation], new: Iterable[RateReservation]) -> tuple[RateReservation, ...]:
    held: dict[str, int] = {}
    for rate in new:
        held[rate.link] = held.get(rate.link, 0) + rate.rate_bps
    left = []
    for rate in old:
        covered = min(rate.rate_bps, held.get(rate.link, 0))
        held[rate.link] = held.get(rate.link, 0) - covered
        if rate.rate_bps > covered:
            left.append(replace(rate, rate_bps=rate.rate_bps - covered))
    return tuple(left)

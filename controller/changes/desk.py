"""The only writer of desired state: changes take their reservations in turn, any number are under way.

Planning is serial and quick (those who wait are planned in one go where that gives the same answers, `jointly`);
carrying out is parallel and slow. In between, what a change will hold and what it
will let go are both reserved, so that whichever way it ends nobody was promised the same thing twice. A change
waits only for changes that touch the same services.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from datetime import datetime

from controller.changes.jointly import MOST_CHANGES, Asked, plain, plan_jointly
from controller.changes.leavings import Services, leavings
from controller.changes.pipeline import Planned, Wanted, active_intents, plan
from controller.changes.state import DesiredState, Standing, links_of, lit_after
from controller.errors import ConflictError
from controller.intent.model import Service, ServiceId, VipAssurance
from controller.network.ledger import Ledger
from controller.network.model import CityMap
from controller.planning.placement import LitLink
from controller.planning.restoration import sharing_with
from controller.rendering.desired import edits as edits_between
from controller.verification.lit import configured
from controller.verification.model import ConfigurationModel
from controller.verification.prove import renew

GATHER_S = 0.02  # while others are under way, those that come so soon one after the other are planned in one go
LIGHT_PATIENCE_S = 900.0  # for a change that lights or leaves a link which this one rides on: light takes minutes
ROOM_PATIENCE_S = 5.0  # how long a refusal may wait for changes under way that may make room


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
        standing = {sid: before[sid] for sid in sorted(concerned) if sid in before}
        return cls(change_id, concerned, standing, tuple(placement.service for placement in left))


class _Asking:
    """One that waits for a plan."""

    def __init__(self, asked: Asked, accept: Callable[[Planned], bool]) -> None:
        self.asked, self.accept = asked, accept
        self.change_id, self.wanted = asked.change_id, asked.wanted
        self.plain = plain(asked.wanted)  # may be planned in company
        self.gone = False  # its caller was cancelled
        self.planned: Planned | None = None
        self.taken = False  # by who planned it in company: it holds what it asked for
        self.awaits: frozenset[str] = frozenset()  # changes under way that light or leave a link which it rides on too


class Desk:
    """Holds desired state and the verification's picture of it; both are replaced only here."""

    def __init__(self, state: DesiredState, city: Callable[[], CityMap], now: Callable[[], datetime]) -> None:
        self.state = state
        self.model = ConfigurationModel.build({d: state.desired.tree(d) for d in state.desired.domains})
        self.moved = asyncio.Event()  # set whenever desired state was replaced
        self.on_landed: list[Callable[[], None]] = []  # told whenever services are no longer held by a change
        self.on_lit: Callable[[tuple[LitLink, ...]], None] = lambda lit: None  # told which IP links stand for services
        self.on_light_settled: Callable[[], None] = lambda: None  # told when a change that moved such a link has ended
        self._city, self._now = city, now
        self._planning = asyncio.Lock()
        self._under_way: set[ServiceId] = set()
        self._landed = asyncio.Condition()
        # Changes that hold more than they may come to hold → the services that they put or drop.
        self._open: dict[str, frozenset[ServiceId]] = {}
        self._lit_by: dict[str, frozenset[str]] = {}  # change under way → links lit for services that it concerns
        self._freed = 0  # how often one of them let something go when it ended
        self._asking: list[_Asking] = []  # who waits to be planned, in the order in which they came
        self._gathered_at = 0.0  # loop time until which those that come are waited for
        self._giving_back: set[asyncio.Task[None]] = set()
        self._standing: tuple[DesiredState | None, Mapping[ServiceId, Service]] = None, {}  # its active intents

    @property
    def under_way(self) -> frozenset[ServiceId]:
        return frozenset(self._under_way)

    @property
    def committing(self) -> frozenset[ServiceId]:
        """Return the services whose change is decided and on its way; others that are under way merely wait for it."""
        return frozenset[ServiceId]().union(*self._open.values())

    @property
    def held_now(self) -> Ledger:
        """Return what is reserved at this moment, whatever windows open later."""
        return self.state.ledger.at(self._now())

    @property
    def whole(self) -> bool:
        """Whether the proof of capacity rests on the links as they are now, for every service."""
        book = self.model.loads
        return book.links is configured(self.model, self._city()).links and not book.aging

    async def make_whole(self, most: int) -> int:
        """Find anew what the proof of capacity lacks, for at most so many services; return how many are left."""
        async with self._planning:
            state, model, city = self.state, self.model, self._city()
            if self._standing[0] is not state:  # asked again and again while nothing changes
                self._standing = state, await asyncio.to_thread(active_intents, state)
            intents = self._standing[1]
            self.model, left = await asyncio.to_thread(lambda: renew(model, city, intents, most))
            if not left:
                self._standing = None, {}
            return left

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
            one = _Asking(Asked(change_id, wanted), accept)
            others, freed, planned = await self._planned(one)
            if one.awaits:
                await self._see_the_end_of(one.awaits)
                continue
            if not planned.refusals or wanted.again or not await self._made_room(others, freed, give_up_at):
                return planned

    async def _planned(self, one: _Asking) -> tuple[frozenset[str], int, Planned]:
        """Wait for a turn; plan, with others that wait as well, or find that one of them has done it.

        Returns also which changes were under way then, and how often one had let something go.
        """
        self._asking.append(one)
        try:
            if one.plain and self._open:
                await self._gather()
            async with self._planning:
                others, freed = frozenset(self._open), self._freed
                if one.planned is None:
                    await self._plan_those_waiting(one)
                if one.planned is None:
                    one.planned = await self._plan_alone(one)
                return others, freed, one.planned
        except asyncio.CancelledError:
            one.gone = True
            if one.planned is not None and one.taken:  # by who planned it: nobody is left to carry it out
                task = asyncio.create_task(self.withdraw(Taken.of(one.planned, one.change_id)))
                self._giving_back.add(task)
                task.add_done_callback(self._giving_back.discard)
                with suppress(asyncio.CancelledError):
                    await asyncio.shield(task)
            raise
        finally:
            if one in self._asking:
                self._asking.remove(one)

    async def _gather(self) -> None:
        """Wait for others to come, for a moment that begins with the first of them."""
        now = asyncio.get_running_loop().time()
        if now >= self._gathered_at:
            self._gathered_at = now + GATHER_S
        await asyncio.sleep(self._gathered_at - now)

    async def _plan_alone(self, one: _Asking) -> Planned:
        self._asking.remove(one)
        planned = await asyncio.to_thread(plan, self.state, self.model, self._city(), one.wanted, self._now())
        ridden = links_of(planned.base.services, planned.puts, planned.drops)
        if one.accept(planned) and not planned.changes_nothing:
            one.awaits = frozenset(c for c, links in self._lit_by.items() if ridden & links)
            if one.awaits:
                return planned
            if ridden:
                self._lit_by[one.change_id] = ridden
            self._open[one.change_id] = frozenset(planned.puts) | planned.drops
            self._replace(replace(planned.after, ledger=_with_leavings(planned, one.change_id)), planned.model)
        return planned

    async def _plan_those_waiting(self, first: _Asking) -> None:
        """Plan all that wait and are plain in one go; who cannot be planned so is left to be planned alone."""
        party = [one for one in self._asking if one.plain and one.planned is None][:MOST_CHANGES]
        if len(party) < 2 or first not in party:
            return
        asked = [one.asked for one in party]
        found = await asyncio.to_thread(plan_jointly, self.state, self.model, self._city(), asked, self._now())
        if any(one.gone or not one.accept(found[one.change_id]) for one in party if one.change_id in found):
            found = {}
        for one in party:
            one.plain = False
            if one.change_id in found:
                one.planned = found[one.change_id]
                one.taken = not one.planned.changes_nothing
                if one.taken:
                    self._open[one.change_id] = frozenset(one.planned.puts) | one.planned.drops
        if any(one.taken for one in party):
            of_all = next(iter(found.values()))
            self._replace(of_all.after, of_all.model)

    async def _made_room(self, others: frozenset[str], freed: int, give_up_at: float) -> bool:
        """Wait for the end of these changes; say whether anything was let go since."""
        try:
            async with asyncio.timeout_at(give_up_at), self._landed:
                await self._landed.wait_for(lambda: not others & self._open.keys() or self._freed != freed)
        except TimeoutError:
            return False
        return self._freed != freed

    async def _see_the_end_of(self, changes: frozenset[str]) -> None:
        """Wait for changes over a link that others share; raises ConflictError where they take too long.

        What they configure of it is not written again by who comes after them: it has to be there, or gone, by then.
        """
        try:
            async with asyncio.timeout(LIGHT_PATIENCE_S), self._landed:
                await self._landed.wait_for(lambda: not changes & self._lit_by.keys())
        except TimeoutError:
            text = f"change {', '.join(sorted(changes))} is under way over an IP link that this one shares with it"
            raise ConflictError(f"{text}; try again when it has ended") from None

    def in_doubt(self, change_id: str) -> None:
        """The end of this change may take hours: nobody waits for the room that it may make."""
        self._open.pop(change_id, None)

    def _ended(self, taken: Taken, *, freed: bool) -> None:
        self._open.pop(taken.change_id, None)
        self._freed += freed

    async def settle(self, taken: Taken) -> None:
        """The change is everywhere: let go of what only the old placements held."""
        self._ended(taken, freed=bool(taken.leavings))
        if taken.leavings:
            async with self._planning:
                ledger = self.state.ledger.copy()
                for name in taken.leavings:
                    ledger.remove(name)
                self._replace(replace(self.state, ledger=ledger), self.model)
        await self._let_ride(taken)

    async def _let_ride(self, taken: Taken) -> None:
        """What the change lit is there, or is not: who waits to ride on it may be planned again."""
        if self._lit_by.pop(taken.change_id, None):
            self.on_light_settled()
            async with self._landed:
                self._landed.notify_all()

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
            gone = (self.state.services[sid] for sid in taken.concerned if sid in self.state.services)
            lit = lit_after(self.state.lit, services, (*taken.before.values(), *gone))
            self._replace(
                replace(self.state, services=services, desired=desired, ledger=ledger, number=number, lit=lit),
                self.model.updated(trees, edits),
            )
        await self._let_ride(taken)

    @asynccontextmanager
    async def flight(self, wanted: Wanted) -> AsyncIterator[frozenset[ServiceId]]:
        """Hold the services that a change concerns, and say which; wait while another change holds any of them."""
        concerned = self._concerned(wanted)
        async with self._landed:
            await self._landed.wait_for(lambda: not concerned & self._under_way)
            self._under_way |= concerned
        try:
            yield frozenset(concerned)
        finally:
            async with self._landed:
                self._under_way -= concerned
                self._landed.notify_all()
            for tell in self.on_landed:
                tell()

    def _concerned(self, wanted: Wanted) -> set[ServiceId]:
        """Return the services a change puts, drops or turns, those they protect, and those that protect them.

        Also those that keep a way in common with them: they give way where it has to be lit.
        """
        named = {s.metadata.service for s in wanted.puts} | wanted.drops | wanted.opens | wanted.closes | wanted.again
        named |= wanted.restores
        intents = [*wanted.puts, *(self.state.services[s].service for s in named if s in self.state.services)]
        protected = {s.protects for s in intents if isinstance(s, VipAssurance)}
        standing = [self.state.services[s].placement for s in named if s in self.state.services]
        beside = {other for p in standing for other in sharing_with(self.state.ledger, p)}
        return named | protected | set(self.state.protectors(named)) | (beside & self.state.services.keys())

    def _replace(self, state: DesiredState, model: ConfigurationModel) -> None:
        changed = state.lit != self.state.lit
        self.state, self.model = state, model
        if changed:
            self.on_lit(state.lit)
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

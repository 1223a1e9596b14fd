"""The slow loop's rounds: who is carried by what wears out is led away once; for whom it only stands by, stays."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from controller.assurance.causes import Cause
from controller.assurance.components import Component
from controller.assurance.health import Health
from controller.changes.views import ChangeResult, Outcome
from controller.errors import UnknownNameError
from controller.intent.model import Assurance, Service, ServiceId
from controller.loop.slow_loop import SlowLoop
from controller.network.fading import for_standbys
from controller.network.ledger import Ledger
from controller.planning.place import place
from controller.planning.placement import Placement
from tests.support.cities import city_map
from tests.support.intents import NOW, conference, plane

CITY = city_map("longgang")
ROOT = "fibre:f-zhihui-nanwan"
PLANE = plane("hall", "zhihui", "nanwan", "buji")
MEETING = conference("meeting", "hall", "zhihui", "nanwan", "buji")
NAME = MEETING.metadata.service
ROUTES = {k.circuit: k.fibres for k in CITY.links if k.circuit is not None}


def _worn(root: str) -> Cause:
    return Cause(root, "degraded", f"{root.replace(':', ' ')} loses more than it should", frozenset({root}))


class _Scene:
    """A city whose every service is violated, and a worn fibre; changes are planned for real and end at once."""

    def __init__(self) -> None:
        self.standing: dict[ServiceId, tuple[Service, Placement]] = {}
        self.causes = [_worn(ROOT)]
        self.outcome = Outcome.COMMITTED
        self.moves: list[frozenset[Component]] = []
        self.reasons: list[str] = []
        self.now = 0.0
        self.put(CITY, PLANE, MEETING)
        state = SimpleNamespace(services=_Services(self))
        desk: Any = SimpleNamespace(state=state, under_way=frozenset())
        domains: Any = SimpleNamespace(discovered=CITY, city=CITY, lit=lambda: ROUTES)
        self.health = Health.VIOLATED
        wellbeing: Any = SimpleNamespace(now=lambda sid: self.health)
        self.loop = SlowLoop(
            desk, domains, wellbeing, lambda: tuple(self.causes), lambda parts: set(self.standing), self._improve,
            lambda: self.now,
        )  # fmt: skip

    def put(self, city: Any, *services: Service) -> bool:
        ledger = Ledger(city)
        for _, placement in self.standing.values():
            ledger.add(placement)
        outcome = place(city, ledger, services, self.standing, NOW, explain=False)
        self.standing |= {s.metadata.service: (s, outcome.placements[s.metadata.service]) for s in services}
        return not outcome.refusals

    async def _improve(self, services: frozenset[ServiceId], shun: frozenset[Component], reason: str) -> ChangeResult:
        self.moves.append(shun)
        self.reasons.append(reason)
        assert services == {NAME}
        await asyncio.sleep(0)  # a change takes a while, in which the loop goes on looking
        await self.meanwhile()
        if self.outcome is Outcome.COMMITTED:
            assert self.put(for_standbys(CITY, shun), self.standing[NAME][0])
        return ChangeResult(self.outcome)

    async def meanwhile(self) -> None:
        """What happens while a move is made."""

    def wish(self, way: Assurance) -> None:
        """Have the intent say so."""
        _, placement = self.standing[NAME]
        self.standing[NAME] = (replace(MEETING, assurance=way), placement)

    async def rounds(self, count: int) -> None:
        for _ in range(count):
            self.now += 100.0
            await self.loop._look()


class _Services:
    def __init__(self, scene: _Scene) -> None:
        self._scene = scene

    def get(self, sid: ServiceId) -> Any:
        if sid not in self._scene.standing:
            return None
        service, placement = self._scene.standing[sid]
        return SimpleNamespace(active=True, service=service, placement=placement)

    __getitem__ = get


def test_a_vip_is_led_away_once_and_what_then_stands_by_for_it_moves_it_no_more() -> None:
    scene = _Scene()
    asyncio.run(scene.rounds(5))
    assert len(scene.moves) == 1
    assert ROOT in scene.moves[0]
    worn = {k.id for k in CITY.links if "f-zhihui-nanwan" in k.fibres}
    tunnels = scene.standing[NAME][1].tunnels
    assert all(worn.isdisjoint(t.working.links) for t in tunnels)
    assert all(t.standby is not None and not worn.isdisjoint(t.standby.links) for t in tunnels)


async def test_a_proposal_is_made_once_moves_nothing_by_itself_and_is_accepted_once() -> None:
    scene = _Scene()
    scene.wish(Assurance.PROPOSE)
    await scene.rounds(3)
    assert scene.moves == []
    (proposal,) = scene.loop.proposals
    assert (proposal.service, proposal.since) == (NAME, 100.0)

    async def look() -> None:
        await scene.loop._look()
        assert scene.loop.proposals == (), "what is being made is proposed no more"
        with pytest.raises(UnknownNameError):
            await scene.loop.accept(NAME)

    scene.meanwhile = look  # type: ignore[method-assign]
    assert (await scene.loop.accept(NAME, "ann")).outcome is Outcome.COMMITTED
    assert scene.reasons == ["fibre f-zhihui-nanwan loses more than it should; led elsewhere, accepted by ann"]
    await scene.rounds(2)
    assert scene.loop.proposals == ()
    assert len(scene.moves) == 1


async def test_a_proposal_keeps_clear_of_everything_that_is_worn_when_it_is_accepted() -> None:
    scene = _Scene()
    scene.wish(Assurance.PROPOSE)
    await scene.rounds(1)
    other = "fibre:f-zhihui-henggang"
    scene.causes.append(_worn(other))
    await scene.rounds(1)
    await scene.loop.accept(NAME)
    assert {ROOT, other} <= scene.moves[0]


async def test_a_proposal_goes_with_its_cause_its_service_or_the_wish_to_be_asked() -> None:
    scene = _Scene()
    for end in (
        lambda: scene.causes.clear(),
        lambda: scene.wish(Assurance.OFF),
        lambda: scene.standing.pop(NAME),
    ):
        kept, scene.causes = scene.standing[NAME], [_worn(ROOT)]
        scene.wish(Assurance.PROPOSE)
        await scene.rounds(1)
        assert len(scene.loop.proposals) == 1
        end()
        await scene.rounds(1)
        assert scene.loop.proposals == ()
        with pytest.raises(UnknownNameError):
            await scene.loop.accept(NAME)
        scene.standing[NAME] = kept
    assert scene.moves == []


async def test_a_proposal_that_could_not_be_carried_out_is_made_again_later() -> None:
    scene = _Scene()
    scene.wish(Assurance.PROPOSE)
    await scene.rounds(1)
    scene.outcome = Outcome.FAILED
    assert (await scene.loop.accept(NAME)).outcome is Outcome.FAILED
    await scene.rounds(1)
    assert [p.service for p in scene.loop.proposals] == [NAME]


async def test_who_wants_to_be_left_alone_is() -> None:
    scene = _Scene()
    scene.wish(Assurance.OFF)
    await scene.rounds(3)
    assert (scene.moves, scene.loop.proposals) == ([], ())


async def test_a_full_link_is_left_by_who_is_outside_its_slo_and_by_nobody_else() -> None:
    scene = _Scene()
    link = scene.standing[NAME][1].tunnels[0].working.links[0]
    pair = frozenset({f"link:{link}", f"link:{CITY.link_by_id[link].reverse}"})
    scene.causes = [Cause(min(pair), "congested", "link is full", pair)]
    scene.health = Health.AT_RISK
    await scene.rounds(3)
    assert scene.moves == []
    scene.health = Health.VIOLATED
    await scene.rounds(3)
    assert len(scene.moves) == 1
    assert pair <= scene.moves[0]
    assert all(pair.isdisjoint(f"link:{k}" for k in t.working.links) for t in scene.standing[NAME][1].tunnels)


async def test_who_rides_light_that_is_nearly_spent_is_known_also_where_it_wants_to_be_left_alone() -> None:
    scene = _Scene()
    scene.wish(Assurance.OFF)
    scene.health = Health.OK
    links = frozenset(f"link:{k}" for k in scene.standing[NAME][1].tunnels[0].working.links)
    scene.causes = [replace(_worn(ROOT), felt=False, at_risk=links)]
    assert not scene.loop.fades(NAME)
    await scene.rounds(1)
    assert scene.loop.fades(NAME)
    assert scene.moves == []
    scene.causes.clear()
    await scene.rounds(1)
    assert not scene.loop.fades(NAME)

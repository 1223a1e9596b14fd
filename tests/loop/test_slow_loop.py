"""The slow loop's rounds: who is carried by what wears out is led away once; for whom it only stands by, stays."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

from controller.assurance.causes import Cause
from controller.assurance.components import Component
from controller.assurance.health import Health
from controller.changes.views import ChangeResult, Outcome
from controller.intent.model import Service, ServiceId
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


class _Scene:
    """A city whose every service is violated, and a worn fibre; changes are planned for real and end at once."""

    def __init__(self) -> None:
        self.standing: dict[ServiceId, tuple[Service, Placement]] = {}
        self.moves: list[frozenset[Component]] = []
        self.now = 0.0
        self.put(CITY, PLANE, MEETING)
        state = SimpleNamespace(services=_Services(self))
        desk: Any = SimpleNamespace(state=state, under_way=frozenset())
        domains: Any = SimpleNamespace(discovered=CITY, lit=lambda: ROUTES)
        wellbeing: Any = SimpleNamespace(now=lambda sid: Health.VIOLATED)
        cause = Cause(ROOT, "degraded", "fibre f-zhihui-nanwan loses more than it should", frozenset({ROOT}))
        self.loop = SlowLoop(
            desk, domains, wellbeing, lambda: (cause,), lambda parts: set(self.standing), self._improve,
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
        assert services == {NAME}
        assert self.put(for_standbys(CITY, shun), MEETING)
        return ChangeResult(Outcome.COMMITTED)

    async def rounds(self, count: int) -> None:
        for _ in range(count):
            self.now += 100.0
            await self.loop._look()


class _Services:
    def __init__(self, scene: _Scene) -> None:
        self._scene = scene

    def get(self, sid: ServiceId) -> Any:
        service, placement = self._scene.standing[sid]
        return SimpleNamespace(active=True, service=service, placement=placement)


def test_a_vip_is_led_away_once_and_what_then_stands_by_for_it_moves_it_no_more() -> None:
    scene = _Scene()
    asyncio.run(scene.rounds(5))
    assert len(scene.moves) == 1
    assert ROOT in scene.moves[0]
    worn = {k.id for k in CITY.links if "f-zhihui-nanwan" in k.fibres}
    tunnels = scene.standing[NAME][1].tunnels
    assert all(worn.isdisjoint(t.working.links) for t in tunnels)
    assert all(t.standby is not None and not worn.isdisjoint(t.standby.links) for t in tunnels)

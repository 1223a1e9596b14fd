"""A VIP over a worn border: led over the other one with its plane, whatever else stands over that, or told why not."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

from controller.assurance.causes import Cause
from controller.assurance.components import Component
from controller.assurance.health import Health
from controller.changes.desk import Desk
from controller.changes.pipeline import Wanted, plan
from controller.changes.views import ChangeResult, Outcome
from controller.intent.model import Service, ServiceId
from controller.loop.slow_loop import SlowLoop
from controller.network.model import CityMap
from controller.planning.placement import Placement
from tests.changes.wanted import NOW, council, empty, office, planned, services
from tests.support.cities import city_map

CITY = city_map("longgang")
FIBRE = "f-zhihui-compute"  # under the first border between the city and the compute centre, and nothing else
OFFICE, COUNCIL = ServiceId("gov/office"), ServiceId("gov/council")
FIRST, SECOND = ("node:lg-compute-a", "node:lg-zhihui"), ("node:lg-compute-b", "node:lg-nanwan")
PLANE = office().replace("site: longgang", "site: compute")
MEETING = council(-60, 7200).replace("access: longgang", "access: compute")
OTHER = MEETING.replace("name: council", "name: panel")


class _Scene:
    """A city whose VIPs are violated while they ride a worn fibre; changes are planned and proven, and end at once."""

    def __init__(self, *texts: str, city: CityMap = CITY, fibre: str = FIBRE) -> None:
        self.city, self.now, self.well = city, 0.0, False
        self.asked: list[tuple[float, frozenset[ServiceId]]] = []
        self.impacts: set[str] = set()
        state, self._model = empty(city)
        first = planned(city, state, self._model, Wanted(services(*texts)))
        self._model = first.model
        opened = {sid: replace(s, active=True) for sid, s in first.after.services.items()}
        self.desk = Desk(replace(first.after, services=opened), lambda: city, lambda: NOW)
        ways = {k.circuit: k.fibres for k in city.links if k.circuit is not None}
        domains: Any = type("Domains", (), {"discovered": city, "city": city, "lit": staticmethod(lambda: ways)})()
        wellbeing: Any = type("Wellbeing", (), {"now": staticmethod(lambda sid: Health.VIOLATED)})()
        cause = Cause(f"fibre:{fibre}", "degraded", f"fibre {fibre} loses too much", frozenset({f"fibre:{fibre}"}))
        self.loop = SlowLoop(
            self.desk, domains, wellbeing, lambda: () if self.well else (cause,),
            lambda parts: set(self.desk.state.services), self._improve, lambda: self.now,
        )  # fmt: skip

    async def _improve(self, whom: frozenset[ServiceId], shun: frozenset[Component], reason: str) -> ChangeResult:
        self.asked.append((self.now, whom))
        found = plan(self.desk.state, self._model, self.city, Wanted(again=whom, shun=shun), NOW)
        if found.refusals:
            return ChangeResult(Outcome.REFUSED, "\n".join(map(str, found.refusals)))
        assert not found.proofs.broken, found.proofs.broken
        self.impacts |= {p.impact for p in found.plans}
        kept = {sid: replace(s, active=True) for sid, s in found.after.services.items()}
        self.desk.state = replace(found.after, services=kept)
        self._model = found.model
        return ChangeResult(Outcome.UNCHANGED if found.changes_nothing else Outcome.COMMITTED)

    def rounds(self, count: int) -> None:
        async def run() -> None:
            for _ in range(count):
                self.now += 20.0
                await self.loop._look()

        asyncio.run(run())

    def placement(self, sid: ServiceId) -> Placement:
        return self.desk.state.services[sid].placement

    @property
    def borders(self) -> list[tuple[str, ...]]:
        """Return the borders of the office, the one that carries first."""
        stitches = sorted(self.placement(OFFICE).stitches, key=lambda s: s.rank)
        return [tuple(sorted((s.a.node, s.z.node))) for s in stitches]


def test_a_vip_over_a_worn_border_is_led_over_the_other_one_with_its_plane_and_once() -> None:
    scene = _Scene(PLANE, MEETING)
    assert scene.borders == [FIRST, SECOND]
    before = {t.name: t for t in scene.placement(COUNCIL).tunnels}
    scene.rounds(20)
    assert [whom for _, whom in scene.asked] == [{OFFICE, COUNCIL}]
    assert scene.borders == [SECOND, FIRST]
    assert scene.impacts <= {"none", "make-before-break"}
    assert {t.name: t for t in scene.placement(COUNCIL).tunnels} == before  # both borders had theirs
    assert not scene.loop.staying
    worn = {k.circuit for k in CITY.links if FIBRE in k.fibres}
    assert all(worn.isdisjoint(p.via) for p in scene.placement(COUNCIL).promises)


def test_two_vips_of_one_plane_go_together() -> None:
    scene = _Scene(PLANE, MEETING, OTHER)
    scene.rounds(20)
    assert len(scene.asked) == 1
    assert scene.borders == [SECOND, FIRST]


def test_nothing_goes_back_once_the_border_is_well_again() -> None:
    scene = _Scene(PLANE, MEETING)
    scene.rounds(3)
    there = {sid: s.placement for sid, s in scene.desk.state.services.items()}
    scene.well = True
    scene.rounds(50)
    again = plan(scene.desk.state, scene._model, CITY, Wanted(again=frozenset(there)), NOW)
    assert again.changes_nothing
    assert {sid: s.placement for sid, s in scene.desk.state.services.items()} == there
    assert len(scene.asked) == 1


def _narrow(border: tuple[str, str] = SECOND) -> CityMap:
    """Return the city with hardly any room on one border."""
    ends = {tuple(sorted((k.src.node, k.dst.node))): k for k in CITY.links}
    full = {ends[border].id, ends[border].reverse}
    links = tuple(replace(k, capacity_bps=10**7) if k.id in full else k for k in CITY.links)
    return replace(CITY, links=links)


def test_who_finds_no_room_on_the_other_border_stays_says_why_and_is_tried_ever_less_often() -> None:
    scene = _Scene(PLANE, MEETING, city=_narrow())
    stood = scene.placement(COUNCIL)
    scene.rounds(180)  # an hour
    assert len(scene.asked) == 6  # after 1, 2, 4, 8, 16 and 32 minutes
    assert scene.placement(COUNCIL) == stood
    assert scene.borders == [FIRST, SECOND]
    assert scene.loop.stays(COUNCIL).startswith(
        f"fibre {FIBRE} loses too much, and it stays there: gov/office can cross no other border with all that was "
        "promised: link lg-compute-b–lg-nanwan has 5.616 Mbit/s left of 10 Mbit/s"
    )
    scene.well = True
    scene.rounds(1)
    assert not scene.loop.staying


def test_who_has_to_stay_on_a_worn_border_is_led_off_all_else_that_wears_out() -> None:
    fibre = "f-zhihui-longcheng"  # under the first border to the district, and under a link inside that
    near, far = ("node:lg-longgang", "node:lg-zhihui"), ("node:lg-henggang", "node:lg-nanwan")
    worn = {k.id for k in CITY.links if fibre in k.fibres and not k.border}
    scene = _Scene(office(), council(-60, 7200), city=_narrow(far), fibre=fibre)
    assert any(not worn.isdisjoint(t.working.links) for t in scene.placement(COUNCIL).tunnels)
    scene.rounds(5)
    assert scene.borders == [near, far]
    assert all(worn.isdisjoint(t.working.links) for t in scene.placement(COUNCIL).tunnels)
    note = f"rides fibre {fibre}: it is fading, and the border of gov/office runs over it"
    assert note in scene.placement(COUNCIL).notes
    assert "gov/office can cross no other border" in scene.loop.stays(COUNCIL)


def test_a_vip_that_is_not_to_be_moved_keeps_its_plane_and_those_over_it_where_they_are() -> None:
    scene = _Scene(PLANE, MEETING, OTHER.replace("protects:", "assurance: off\n  protects:"))
    scene.rounds(5)
    assert scene.asked == []
    assert scene.borders == [FIRST, SECOND]
    assert "gov/panel is not to be moved (assurance: off)" in scene.loop.stays(COUNCIL)


def test_one_that_wants_to_be_asked_first_makes_the_move_a_proposal() -> None:
    scene = _Scene(PLANE, MEETING, OTHER.replace("protects:", "assurance: propose\n  protects:"))
    scene.rounds(5)
    assert scene.asked == []
    assert [p.service for p in scene.loop.proposals] == ["gov/council", "gov/panel"]
    assert asyncio.run(scene.loop.accept("gov/panel")).outcome is Outcome.COMMITTED
    assert scene.borders == [SECOND, FIRST]
    scene.rounds(1)
    assert not scene.loop.proposals


def test_a_plane_is_not_moved_for_its_own_sake() -> None:
    scene = _Scene(PLANE)
    scene.rounds(5)
    assert scene.asked == []
    assert isinstance(scene.desk.state.services[OFFICE].service, Service)

"""The fast loop: who is repaired before whom, and what wakes it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from collections.abc import Set as AbstractSet
from dataclasses import replace

import pytest

from controller.assurance.components import Damage, closure
from controller.changes.desk import Desk
from controller.changes.pipeline import Wanted
from controller.changes.views import ChangeResult, Outcome
from controller.intent.model import ServiceId
from controller.loop.courtesy import APART_S, MOST_S, Courtesy
from controller.loop.faults import RepairSettings
from controller.loop.repair import Repairs
from controller.loop.wounded import spread
from controller.network.model import CityMap, PortRef
from controller.network.outage import without
from controller.planning.placement import LitLink
from controller.southbound.driver import Sample
from tests.changes.wanted import NOW, council, empty, office, planned, services, slice_over_three

OFFICE, COUNCIL, SURVEY = ServiceId("gov/office"), ServiceId("gov/council"), ServiceId("lands/survey")


class Domains:
    """Shows as down what is said to be; no session behind it."""

    def __init__(self, city: CityMap) -> None:
        self.city = self._whole = city
        self._fallen = frozenset[str]()

    def fallen(self, down: AbstractSet[str]) -> frozenset[str]:
        return closure(self._whole, down, {})

    def outage(self, down: AbstractSet[str]) -> frozenset[str]:
        fallen = self.fallen(down)
        if fallen != self._fallen:
            self._fallen = fallen
            self.city = replace(without(self._whole, fallen), version=self.city.version + 1)
        return fallen


class Room:
    """A loop over an office and an assurance of it, and the repairs that it asked for, each ended by the test."""

    def __init__(self, city: CityMap) -> None:
        state, model = empty(city)
        first = planned(city, state, model, Wanted(services(office(), council(0, 3600), slice_over_three())))
        self.desk = Desk(first.after, lambda: city, lambda: NOW)
        vip = first.after.services[COUNCIL].placement
        self.links = [rate.link for rate in vip.rates if rate.link.startswith("link:")]
        self.asked: list[frozenset[ServiceId]] = []
        self.dead: set[ServiceId] = set()
        self.may_end = asyncio.Event()
        self.now = 1000.0  # the test moves it, so that no deadline depends on how busy the machine is
        self.repairs = Repairs(self.desk, Domains(city), self._repair, lambda: self.now)  # type: ignore[arg-type]
        self.rounds = 0
        look = self.repairs._look

        def counted() -> None:
            self.rounds += 1
            look()

        self.repairs._look = counted  # type: ignore[method-assign]

    async def _repair(self, wave: frozenset[ServiceId], dead: frozenset[ServiceId], reason: str) -> ChangeResult:
        self.asked.append(wave)
        self.dead |= dead
        await self.may_end.wait()
        return ChangeResult(Outcome.COMMITTED)

    def hear(self, subject: str, value: float, metric: str = "up") -> None:
        self.repairs.hear([Sample("city-ip", subject, metric, value, 0.0)])


def light(room: Room, *links: LitLink) -> None:
    """Have these links, and no others, stand for services."""
    room.desk._replace(replace(room.desk.state, lit=links), room.desk.model)
    room.repairs._wake.set()


async def eventually(holds: Callable[[], bool]) -> None:
    for _ in range(3000):
        if holds():
            return
        await asyncio.sleep(0.01)
    pytest.fail("not within 30 s")


@pytest.fixture
async def room(city: CityMap) -> AsyncIterator[Room]:
    room = Room(city)
    await room.repairs.start()
    yield room
    room.may_end.set()
    await room.repairs.stop()


async def test_all_others_wait_until_the_assurance_stands_also_when_more_is_heard_of_the_cut(room: Room) -> None:
    room.hear(f"link:{room.links[0]}", 0.0)
    await eventually(lambda: len(room.asked) > 0)
    rounds = room.rounds
    room.hear(f"link:{room.links[-1]}", 0.0)
    await eventually(lambda: room.rounds > rounds)
    assert room.asked == [frozenset({COUNCIL})]
    assert room.repairs.hurried
    room.may_end.set()
    await eventually(lambda: len(room.asked) > 1)
    assert frozenset({OFFICE}) in room.asked


async def test_others_wait_for_the_end_of_a_repair_and_not_only_for_its_plan(room: Room) -> None:
    room.hear(f"link:{room.links[0]}", 0.0)
    room.hear(f"link:{room.links[-1]}", 0.0)
    await eventually(lambda: len(room.asked) > 0)
    state = room.desk.state
    vip = state.services[COUNCIL]
    led_away = replace(vip, placement=replace(vip.placement, tunnels=(), rates=()))
    room.desk.state = replace(state, services={**state.services, COUNCIL: led_away})  # what its plan comes to
    rounds = room.rounds
    room.repairs._wake.set()
    await eventually(lambda: room.rounds > rounds)
    assert room.asked == [frozenset({COUNCIL})]
    room.may_end.set()
    await eventually(lambda: any(OFFICE in wave for wave in room.asked))


async def test_an_assurance_whose_domain_hangs_holds_up_nobody_for_long(room: Room) -> None:
    room.hear(f"link:{room.links[0]}", 0.0)
    await eventually(lambda: len(room.asked) > 0)
    room.now += 5.0
    room.hear(f"link:{room.links[-1]}", 0.0)
    await eventually(lambda: len(room.asked) > 1)
    assert room.asked == [frozenset({COUNCIL}), frozenset({OFFICE})]
    assert not room.may_end.is_set()


async def test_what_cannot_be_repaired_for_days_is_tried_again_once_a_minute(room: Room) -> None:
    for _ in range(1200):
        room.repairs._give_up((OFFICE,), "no way there")
    assert room.repairs.waiting[OFFICE].due == room.now + RepairSettings().most_retry_s


async def test_of_a_wave_that_fails_each_is_tried_alone_and_only_who_fails_alone_waits(room: Room) -> None:
    asked = []

    async def repair(wave: frozenset[ServiceId], dead: frozenset[ServiceId], reason: str) -> ChangeResult:
        asked.append(wave)
        return ChangeResult(Outcome.FAILED if SURVEY in wave else Outcome.COMMITTED, "city-otn: card is broken")

    room.repairs._repair = repair
    await room.repairs._try((OFFICE, SURVEY))
    assert asked == [frozenset({OFFICE, SURVEY}), frozenset({OFFICE}), frozenset({SURVEY})]
    assert set(room.repairs.waiting) == {SURVEY}
    assert room.repairs.waits(SURVEY).startswith("city-otn: card is broken; tried again when the map changes")


async def test_who_waits_is_tried_again_when_the_map_changes_and_not_before_its_time_otherwise(room: Room) -> None:
    first, second = f"link:{room.links[0]}", f"link:{room.links[-1]}"

    async def refuse(wave: frozenset[ServiceId], dead: frozenset[ServiceId], reason: str) -> ChangeResult:
        room.asked.append(wave)
        return ChangeResult(Outcome.FAILED, "no way there")

    room.repairs._repair = refuse
    room.hear(first, 0.0)
    await eventually(lambda: COUNCIL in room.repairs.waiting)
    room.asked.clear()
    rounds = room.rounds
    room.repairs._wake.set()
    await eventually(lambda: room.rounds > rounds)
    assert frozenset({COUNCIL}) not in room.asked
    room.hear(second, 0.0)
    await eventually(lambda: frozenset({COUNCIL}) in room.asked)


async def test_a_second_failure_in_the_middle_of_a_repair_is_found_when_that_ends(room: Room) -> None:
    room.hear(f"link:{room.links[0]}", 0.0)
    await eventually(lambda: len(room.asked) > 0)
    room.hear(f"link:{room.links[-1]}", 0.0)
    assert room.asked.count(frozenset({COUNCIL})) == 1
    room.may_end.set()
    await eventually(lambda: room.asked.count(frozenset({COUNCIL})) > 1 and frozenset({OFFICE}) in room.asked)


async def test_what_comes_back_piece_by_piece_is_looked_at_once(room: Room) -> None:
    for link in room.links[:2]:
        room.hear(f"link:{link}", 0.0)
    room.may_end.set()
    await room.repairs.stop()
    room.now += 100.0
    room.repairs._look()
    room.now += 5.0
    room.hear(f"link:{room.links[0]}", 1.0)
    room.now += 0.03
    room.hear(f"link:{room.links[1]}", 1.0)
    hold_s, gather_s = RepairSettings().damping.first_hold_s, RepairSettings().return_gather_s
    pause_s = room.repairs._pause_s()
    assert pause_s is not None
    assert pause_s == pytest.approx(hold_s + gather_s - 0.03)
    room.now += pause_s
    assert not room.repairs.reported


async def test_who_is_dead_by_two_failures_together_is_down_by_both_and_by_none_that_only_exposes_it(
    room: Room,
) -> None:
    circuit = room.desk.state.services[SURVEY].placement.circuits[0]
    assert circuit.protect is not None
    first, second = f"odu:{circuit.working.route[0]}", f"odu:{circuit.protect.route[0]}"
    await room.repairs.stop()
    room.repairs._look()
    assert room.repairs.concerned_by({first}) == ({SURVEY}, set())
    room.hear(first, 0.0)
    room.hear(second, 0.0)
    room.repairs._look()
    assert room.repairs.concerned_by({first}) == ({SURVEY}, {SURVEY})
    assert room.repairs.concerned_by({second}) == ({SURVEY}, {SURVEY})
    end = f"node:{circuit.a.node}"
    room.hear(end, 0.0)
    room.repairs._look()
    assert room.repairs.concerned_by({second})[1] == set(), "the dead node kills it by itself"
    assert SURVEY in room.repairs.concerned_by({end})[1]


async def test_whom_a_controller_out_of_reach_concerns_are_all_that_have_something_there(room: Room) -> None:
    await room.repairs.stop()
    for root in ("controller:city-otn", "telemetry:city-otn"):
        assert room.repairs.concerned_by({root}) == ({SURVEY}, set())
    assert room.repairs.concerned_by({"controller:compute-ip"}) == (set(), set())


async def test_what_its_domain_did_not_switch_is_dead_whatever_stands_by(room: Room) -> None:
    circuit = room.desk.state.services[SURVEY].placement.circuits[0]
    assert circuit.protect is not None
    hop = next(h for h in circuit.working.route if h not in circuit.protect.route)
    room.may_end.set()
    room.hear(f"odu:{hop}", 0.0)
    await eventually(lambda: any(SURVEY in wave for wave in room.asked))
    assert SURVEY not in room.dead, "it should have been switched"
    assert room.repairs.harm(SURVEY) is Damage.SWITCHED
    room.asked.clear()
    room.hear(f"circuit:{circuit.id}", 0.0)
    room.hear("link:" + room.links[0], 0.0)  # the map moves: it is tried again
    await eventually(lambda: any(SURVEY in wave for wave in room.asked))
    assert SURVEY in room.dead
    assert room.repairs.concerned_by({f"odu:{hop}"})[1] == {SURVEY}, "and so its incident says"


async def test_what_is_led_back_goes_in_waves_of_which_the_next_waits_for_the_one_before(room: Room) -> None:
    room.may_end.set()
    for link in (room.links[0], room.links[-1]):
        room.hear(f"link:{link}", 0.0)
    await eventually(lambda: {COUNCIL, OFFICE} <= {s for wave in room.asked for s in wave} and not room.repairs.hurried)
    room.asked.clear()
    room.may_end.clear()
    for link in (room.links[0], room.links[-1]):
        room.hear(f"link:{link}", 1.0)
    for pause_s in (2.0, 60.0):  # what is up again counts after a moment, and is ridden again once it has stayed up
        room.now += pause_s
        room.repairs._wake.set()
        await eventually(lambda: not room.repairs.down)
    await eventually(lambda: len(room.asked) > 0)
    assert room.asked == [frozenset({COUNCIL})]
    rounds = room.rounds
    room.repairs._wake.set()
    await eventually(lambda: room.rounds > rounds)
    assert len(room.asked) == 1
    room.may_end.set()
    await eventually(lambda: len(room.asked) > 1)
    assert room.asked[1] == frozenset({OFFICE})


async def test_what_is_up_again_carries_at_once_and_is_planned_over_after_a_moment(room: Room) -> None:
    name = f"link:{room.links[0]}"
    room.hear(name, 0.0)
    await eventually(lambda: room.repairs.harm(COUNCIL) is not Damage.NONE)
    room.hear(name, 1.0)
    await eventually(lambda: room.repairs.harm(COUNCIL) is Damage.NONE)
    assert name in room.repairs.down
    room.now += 2.0
    room.repairs._wake.set()
    await eventually(lambda: name not in room.repairs.down)
    assert room.repairs.harm(COUNCIL) is Damage.NONE


async def test_a_link_lit_for_services_that_went_dark_is_new_when_it_is_lit_again(room: Room) -> None:
    name, back = room.links[0], room.links[-1]
    (circuit, *_) = room.desk.state.services[SURVEY].placement.circuits
    lit = LitLink(name, back, "city-ip", PortRef("a", "1"), PortRef("z", "1"), 10**9, 0.001, (), circuit, 1.0)
    light(room, lit)
    room.hear(f"link:{name}", 0.0)
    await eventually(lambda: f"link:{name}" in room.repairs.down)
    light(room)
    await eventually(lambda: not room.repairs.down)
    assert not room.repairs.reported
    light(room, lit)
    room.hear(f"link:{name}", 1.0)
    assert not room.repairs.reported


async def test_a_state_that_is_told_again_wakes_nobody(room: Room) -> None:
    room.hear(f"link:{room.links[0]}", 0.0)
    await eventually(lambda: len(room.asked) > 0)
    await asyncio.sleep(0.1)
    rounds = room.rounds
    for _ in range(20):
        room.hear(f"link:{room.links[0]}", 0.0)
        room.hear("tunnel:vip/gov.council/a-b", 0.0)
        await asyncio.sleep(0.01)
    assert room.rounds <= rounds + 1  # it looks by itself when something is due


async def test_others_give_way_while_a_vip_is_repaired_and_no_longer(city: CityMap) -> None:
    room = Room(city)
    courtesy = room.repairs.courtesy
    await room.repairs.start()
    await courtesy.wait()
    assert not courtesy.given
    room.hear(f"link:{room.links[0]}", 0.0)
    waiting = asyncio.create_task(courtesy.wait())
    await eventually(lambda: room.asked == [frozenset({COUNCIL})])
    assert courtesy.given == 1
    room.may_end.set()
    await asyncio.wait_for(waiting, 30)
    async with asyncio.timeout(30):
        given = -1
        while given != courtesy.given:  # the room's clock stands still: only the end of the repair lets them go on
            given = courtesy.given
            await courtesy.wait()
    await room.repairs.stop()


async def test_failures_without_end_hold_up_others_for_a_quarter_of_the_time_at_most() -> None:
    now = 0.0
    courtesy = Courtesy(lambda: now)
    held = 0
    for step in range(4000):
        now = step / 1000
        courtesy.begin()
        waiting = asyncio.create_task(courtesy.wait())
        await asyncio.sleep(0)
        held += not waiting.done()
        waiting.cancel()
    assert held / 4000 == pytest.approx(MOST_S / APART_S, abs=0.01)


async def test_who_gave_way_goes_on_by_himself_where_nobody_ends_it() -> None:
    courtesy = Courtesy(asyncio.get_running_loop().time)
    courtesy.begin()
    await asyncio.wait_for(courtesy.wait(), 30)
    assert courtesy.given == 1


def test_of_too_many_to_name_each_tenant_has_some_and_always_the_same() -> None:
    many = [ServiceId(f"big/s{n:04}") for n in range(3000)] + [ServiceId("small/one"), ServiceId("small/two")]
    named = spread(many, 1000)
    assert len(named) == 1000
    assert {"small/one", "small/two", "big/s0000", "big/s0997"} <= named
    assert spread(reversed(many), 1000) == named
    assert spread(many[:5], 1000) == {str(s) for s in many[:5]}

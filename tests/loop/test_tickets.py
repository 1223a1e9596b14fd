"""Incidents from what is told: whatever comes first, and however late it is taken, a cause stays one incident."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

from controller.assurance.components import Damage
from controller.changes.domains import DomainState
from controller.loop.faults import Fault
from controller.loop.kept_incidents import kept
from controller.loop.tickets import REFUSED_S, SILENT_S, Tickets
from controller.southbound.driver import Sample, StreamCounts
from controller.store.attained import KeptIncident
from controller.telemetry.telemetry import Telemetry
from tests.support.cities import city_map, topologies

CITY = city_map("longgang")
ROUTES = {c.id: c.route for t in topologies("longgang") for c in t.circuits}
FIBRE = "fibre:f-baolong-pingdi"
DOMAINS = ("city-ip", "city-otn")


class Driver:
    """Says how its streams are, and nothing else."""

    trouble = ""

    def stream_counts(self) -> StreamCounts:
        return StreamCounts(trouble=self.trouble)


class Room:
    """Two domains on a made-up clock. `reported`: what counts as down, as the repair loop would say."""

    def __init__(self, known: tuple[KeptIncident, ...] = ()) -> None:
        self.now, self.reported = 5000.0, set[str]()
        self.states = {d: DomainState(True) for d in DOMAINS}
        self.drivers = {d: Driver() for d in DOMAINS}
        self.telemetry = Telemetry((), lambda: self.now)
        self._suspected: list[frozenset[str]] = []
        domains: Any = SimpleNamespace(
            discovered=CITY,
            drivers=self.drivers,
            states=lambda: self.states,
            lit=lambda: ROUTES,
            wavelengths=dict,
            odu_servers=dict,
            line_modes=dict,
            fades=lambda _: None,
            suspects=self._suspected.append,
        )
        self.concerned = set[str]()
        self.dead = set[str]()
        repairs: Any = SimpleNamespace(
            on_fault=[],
            held=frozenset(),
            switched=SimpleNamespace(suspect=lambda _: None),
            concerned_by=lambda _: (self.concerned, self.dead),
            harm=lambda sid: Damage.DEAD if sid in self.dead else Damage.SWITCHED,
        )
        self.repairs = repairs
        self.tickets = Tickets(domains, repairs, self.telemetry, self._wall, lambda: self.now, known)

    def _wall(self) -> datetime:
        return datetime.fromtimestamp(1e9 + self.now, UTC)

    def tell(self, domain: str, *samples: tuple[str, str, float], at: float = 0.0) -> None:
        self.telemetry.take([Sample(domain, s, m, v, at or 1e9 + self.now) for s, m, v in samples])
        for subject, metric, value in samples:
            if metric == "up":
                (self.reported.discard if value else self.reported.add)(subject)

    def look(self, seconds: float = 1.0, heard: tuple[str, ...] = DOMAINS) -> list[str]:
        """Let time pass, second by second, in which these domains are heard; return the open incidents' roots."""
        end = self.now + seconds
        while self.now < end:
            self.now = min(end, self.now + 1.0)
            for domain in heard:
                self.tell(domain, ("node:x", "temperature", 20.0))
            self.repairs.reported = frozenset(self.reported)
            self.tickets.look()
        return [i.root for i in self.tickets.open]

    def restarted(self) -> Room:
        return Room(tuple(kept(i, 1e9) for i in self.tickets.listed(True, 100)))


def test_an_open_incident_waits_after_a_restart_for_its_own_domain_to_tell_of_it_however_much_else_came() -> None:
    room = Room()
    room.tell("city-otn", (FIBRE, "up", 0.0))
    assert room.look(3.0) == [FIBRE]
    again = room.restarted()
    assert again.look(12.0) == [FIBRE]  # everybody is heard; of the fibre nobody told yet
    circuit = next(c for c, fibres in ROUTES.items() if FIBRE[6:] in fibres)
    again.tell("city-otn", (f"circuit:{circuit}", "up", 0.0))
    assert again.look(2.0) == [FIBRE]
    again.tell("city-otn", (FIBRE, "up", 0.0))
    assert again.look(2.0) == [FIBRE]
    (same,) = again.tickets.open
    assert [e.text for e in same.timeline if "gone" in e.text or "again" in e.text] == []
    again.tell("city-otn", (f"circuit:{circuit}", "up", 1.0), (FIBRE, "up", 1.0))
    assert again.look(10.0) == []
    assert len(again.tickets.listed(True, 100)) == 1


def test_timelines_are_in_the_order_in_which_we_learnt_and_tell_of_clocks_that_are_off() -> None:
    room = Room()
    room.look(1.0)
    room.now += 0.4
    late = room._wall().timestamp() - 3600.0  # an hour slow
    room.tell("city-otn", (f"alarm:{FIBRE}", "los", 4.0), at=late)
    room.now += 0.2
    room.tell("city-otn", (FIBRE, "up", 0.0), (f"alarm:{FIBRE}", "ais", 3.0))
    assert room.look(3.0) == [FIBRE]
    (one,) = room.tickets.open
    assert [e.at for e in one.timeline] == sorted(e.at for e in one.timeline)
    alarm, second, begun = one.timeline[:3]
    assert ("LOS" in alarm.text, alarm.said_at) == (True, late)
    assert ("AIS" in second.text, second.said_at) == (True, None)
    assert begun.text == one.title
    (again,) = room.restarted().tickets.open
    assert again.timeline == one.timeline


def test_a_fibre_that_must_be_cut_is_shunned_once_that_is_told_and_until_its_domain_says_so() -> None:
    room, fibre = Room(), "f-pinghu-zhihui"
    room.tell("city-otn", (f"fibre:{fibre}", "up", 1.0))
    for link in CITY.links:
        if fibre in ROUTES.get(link.circuit or "", ()):
            room.tell("city-ip", (f"link:{link.id}", "up", 0.0))
    room.look(0.1)
    assert not room._suspected[-1], "its domain may tell of it a moment later"
    assert room.look(3.0) == [f"fibre:{fibre}"]
    assert room._suspected[-1] == {f"fibre:{fibre}"}
    (guessed,) = room.tickets.open
    assert "must be cut, though city-otn tells that all is well" in guessed.title
    room.tell("city-otn", (f"fibre:{fibre}", "up", 0.0))
    assert room.look(2.0) == [f"fibre:{fibre}"]
    assert not room._suspected[-1], "what is said to be down needs no guess"
    assert [i.id for i in room.tickets.listed(True, 100)] == [guessed.id]


def test_a_domain_that_dies_before_the_first_look_is_lost_and_not_merely_silent() -> None:
    room = Room()
    room.tell("city-ip", ("node:x", "temperature", 20.0))
    room.states["city-ip"] = DomainState(False, "connection refused")
    assert room.look(SILENT_S + 3.0, heard=("city-otn",)) == ["controller:city-ip"]


def test_what_we_did_not_listen_to_is_no_silence_of_the_domains() -> None:
    room = Room()
    assert room.look(3.0) == []
    room.now += 60.0  # the machine was busy with something else, or slept
    room.tickets.look()
    assert room.look(10.0) == []
    assert room.tickets.listed(True, 100) == ()


def test_a_domain_that_is_silent_is_told_though_a_look_came_late() -> None:
    room = Room()
    room.look(2.0)
    assert room.look(SILENT_S + 3.0, heard=("city-otn",)) == ["telemetry:city-ip"]
    room.now += 4.0
    assert room.look(2 * SILENT_S, heard=("city-otn",)) == ["telemetry:city-ip"]
    assert len(room.tickets.listed(True, 100)) == 1


def test_a_domain_that_refuses_a_stream_is_told_with_its_words_though_it_sends_the_other() -> None:
    room = Room()
    assert room.look(3.0) == []
    room.drivers["city-ip"].trouble = "failures are not heard (INVALID_ARGUMENT: no such path)"
    assert room.look(REFUSED_S - 2.0) == []
    assert room.look(5.0) == ["telemetry:city-ip"]
    assert room.tickets.open[0].title == f"no telemetry from city-ip: {room.drivers['city-ip'].trouble}"
    room.drivers["city-ip"].trouble = ""
    assert room.look(8.0) == []


def test_a_domain_that_never_sent_a_measurement_and_refuses_to_is_told() -> None:
    room = Room()
    room.drivers["city-ip"].trouble = "measurements are not heard (UNAUTHENTICATED: wrong token)"
    assert room.look(REFUSED_S + 3.0, heard=("city-otn",)) == ["telemetry:city-ip"]


def test_a_domain_that_never_answered_is_lost_though_not_at_once() -> None:
    room = Room()
    room.states["city-ip"] = DomainState(False, "domain city-ip: connection refused")
    assert room.look(10.0, heard=("city-otn",)) == []
    assert room.look(15.0, heard=("city-otn",)) == ["controller:city-ip"]
    assert room.tickets.open[0].title == "the controller of city-ip cannot be reached: connection refused"


async def test_who_watches_slowly_is_told_of_everything_in_the_end_and_of_each_incident_as_it_is_then() -> None:
    room = Room()
    room.tell("city-otn", (FIBRE, "up", 0.0))
    assert room.look(3.0) == [FIBRE]
    async with aclosing(room.tickets.watch()) as stream:  # type: ignore[type-var]
        async with asyncio.timeout(20):
            first = await anext(stream)
            for _ in range(1500):  # so often something happens, and nobody fetches it
                room.tickets._tell(first)
            room.tell("city-otn", (FIBRE, "up", 1.0))
            assert room.look(10.0) == []
            last = await anext(stream)
            assert (last.id, last.closed is not None) == (first.id, True)
            room.tell("city-otn", (FIBRE, "up", 0.0))
            assert room.look(3.0) == [FIBRE]
            assert (await anext(stream)).closed is None


def test_a_timeline_tells_who_was_led_elsewhere_by_which_change_and_who_waits() -> None:
    room = Room()
    room.concerned, room.dead = {"gov/video", "gov/office", "lands/survey"}, {"lands/survey"}
    room.tell("city-otn", (FIBRE, "up", 0.0))
    assert room.look(3.0) == [FIBRE]
    room.tickets.led("c0ffee", ["gov/video", "edu/school"])
    fault = Fault(frozenset({FIBRE}), room.now, {"gov/video", "gov/office", "lands/survey"})  # type: ignore[arg-type]
    fault.repaired, fault.ended = {"gov/video"}, room.now + 0.25  # type: ignore[arg-type]
    room.tickets._fault(fault)
    room.tickets.led("decade", ["lands/survey"])
    room.tickets.led("facade", ["edu/school"])
    (one,) = room.tickets.open
    assert [e.text for e in one.timeline][1:] == [
        "3 services concerned",
        "gov/video placed anew, change c0ffee",
        "1 of 3 services repaired within 0.25 s, 2 wait, 1 of them down",
        "lands/survey placed anew, change decade",
    ]


def test_what_comes_and_goes_is_told_to_be_up_though_it_does_not_count_yet() -> None:
    room = Room()
    room.tell("city-otn", (FIBRE, "up", 0.0))
    assert room.look(3.0) == [FIBRE]
    room.repairs.held = frozenset({FIBRE, "fibre:of-nobody"})
    room.look(5.0)
    (one,) = room.tickets.open
    assert [e.text for e in one.timeline[1:]] == [
        "f-baolong-pingdi says it is up; it came and went, and counts once it has stayed up"
    ]

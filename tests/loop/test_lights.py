"""The light of wavelengths, watched: who fades is told with its fibre, who is led elsewhere begins anew."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from controller.loop import lights as room
from controller.loop.alarms import Alarms
from controller.loop.lights import Lights
from controller.southbound.driver import Sample
from controller.telemetry.telemetry import Telemetry
from tests.support.cities import city_map

CITY = city_map("longgang")
A, B, C = sorted(CITY.fibres)[:3]


class Room:
    """Three wavelengths, two of them over one fibre; margins are told each second of a made-up clock."""

    def __init__(self) -> None:
        self.now = 0.0
        self.telemetry = Telemetry((), lambda: self.now)
        self.routes = {"one": ((A,), ()), "two": ((A, B), ()), "three": ((C,), ())}
        domains: Any = SimpleNamespace(
            discovered=CITY,
            wavelengths=lambda: self.routes,
            odu_servers=lambda: {"odu-1": "one"},
            line_modes=dict,
        )
        alarms = Alarms(lambda: self.now, self.telemetry.silence_s)
        self.lights = Lights(domains, self.telemetry, alarms, lambda: self.now)

    def tell(self, seconds: int, **slopes: float) -> list[tuple[str, frozenset[str]]]:
        """Tell margins that fall by so many dB a second from now on; return the causes of the last second."""
        start = {c: self.telemetry.newest(f"circuit:{c}", "margin_db") or 15.0 for c in self.routes}
        for second in range(1, seconds + 1):
            self.now += 1.0
            margins = {c: start[c] - slopes.get(c, 0.0) * second for c in self.routes}
            batch = [Sample("otn", f"circuit:{c}", "margin_db", m, self.now) for c, m in margins.items()]
            self.telemetry.take([*batch, *(Sample("otn", f"circuit:{c}", "up", 1.0, self.now) for c in margins)])
            found = self.lights.look()
        return [(c.root, c.at_risk) for c in found]


def test_the_fibre_that_all_who_fade_share_is_told_before_the_margin_is_spent() -> None:
    room = Room()
    assert room.tell(20) == []
    ((root, at_risk),) = room.tell(8, one=1.0, two=1.0)
    assert root == f"fibre:{A}"
    assert at_risk == {"circuit:one", "circuit:two", "odu:odu-1"}
    assert room.lights.dim == {A}


def test_who_is_led_elsewhere_is_compared_with_nothing_of_its_old_way() -> None:
    room = Room()
    room.tell(20)
    assert [root for root, _ in room.tell(8, three=1.5)] == ["circuit:three"]
    room.routes["three"] = ((B,), ())
    assert room.tell(1) == []


def test_what_lost_its_light_stays_dim_until_something_shines_over_it_again() -> None:
    room = Room()
    room.tell(20)
    room.tell(8, one=1.5, two=1.5)
    room.now += 30.0  # nothing is measured any more
    dark = [Sample("otn", f"circuit:{c}", "up", 0.0, room.now) for c in ("one", "two")]
    room.telemetry.take(dark)
    assert room.lights.look() == ()
    assert room.lights.dim == {A}
    room.tell(1)
    assert room.lights.dim == frozenset()


def test_where_more_fade_than_can_be_looked_at_the_poorest_come_first(monkeypatch: Any) -> None:
    monkeypatch.setattr(room, "MOST_TRENDS", 2)
    some = Room()
    some.tell(20)
    found = some.tell(8, one=1.2, two=1.2, three=1.0)
    assert [root for root, _ in found] == [f"fibre:{A}"]

"""Alarms that stand: told again they are no news, alone for long they are a matter of their own, unheard they end."""

from __future__ import annotations

from collections.abc import Set

from controller.assurance.causes import Cause
from controller.assurance.incidents import Incidents
from controller.loop.alarms import AGAIN_S, ALONE_S, EXPIRES_S, Alarms
from controller.southbound.driver import Sample

NODE = "node:node:lg-buji"


class Story:
    """Alarms and incidents over seconds of a made-up clock."""

    def __init__(self) -> None:
        self.now, self.silence_s = 0.0, 0.0
        self.alarms = Alarms(lambda: self.now, lambda _: self.silence_s)
        self.incidents = Incidents(lambda n: f"i{n}")

    def hear(self, kind: str, severity: int, component: str = NODE) -> list[str]:
        sample = Sample("city-ip", f"alarm:{component}", kind, float(severity), 0.0)
        return [a.text for a in self.alarms.hear([sample])]

    def look(self, *found: Cause) -> list[tuple[str, str]]:
        known = {m for c in found for m in c.members}
        self.incidents.update((*found, *self.alarms.unexplained(known)), _nobody, 1e9 + self.now, self.now)
        return [(i.root, i.kind) for i in self.incidents.open if i.told]


def _nobody(_: Set[str]) -> tuple[Set[str], Set[str]]:
    return set(), set()


def test_only_what_is_new_worse_or_over_is_news() -> None:
    story = Story()
    assert story.hear("eqpt", 3) == [f"city-ip: alarm EQPT (major) on {NODE[5:]}"]
    assert story.hear("eqpt", 3) == []
    assert story.hear("eqpt", 4) == [f"city-ip: alarm EQPT (critical) on {NODE[5:]}"]
    assert story.hear("eqpt", 0) == [f"city-ip: alarm EQPT cleared on {NODE[5:]}"]
    assert story.hear("eqpt", 0) == []
    assert not story.alarms.standing


def test_an_alarm_that_nothing_explains_becomes_an_incident_of_its_own_and_ends_with_it() -> None:
    story = Story()
    story.hear("fan", 1)
    story.now = ALONE_S
    assert story.look() == []  # it may have been cleared by a restart without a word: it has to be told again
    story.now = 10.0
    assert story.hear("fan", 1) == []
    assert story.look() == []
    story.now = 11.5
    assert story.look() == [(NODE, "alarm")]
    assert "FAN (warning)" in story.incidents.open[0].title
    story.hear("fan", 0)
    story.now = 12.0
    story.look()
    story.now = 18.0
    assert story.look() == []
    assert [i.root for i in story.incidents.closed] == [NODE]


def test_a_deeper_cause_that_comes_late_takes_the_alarm_over_and_makes_no_second_incident() -> None:
    story = Story()
    story.hear("eqpt", 4)
    story.now = 10.0
    story.hear("eqpt", 4)
    story.look()
    story.now = 11.5
    assert story.look() == [(NODE, "alarm")]
    (before,) = story.incidents.open
    for kind in ("node", "degraded"):
        assert story.look(Cause(NODE, kind, "it is down", frozenset({NODE, "link:l"})))[0][0] == NODE
    assert story.incidents.open == [before]
    assert before.kind == "node"


def test_what_was_cleared_while_nobody_listened_ends_but_not_while_the_domain_is_silent() -> None:
    story = Story()
    story.hear("eqpt", 4)
    story.now, story.silence_s = EXPIRES_S + 1, EXPIRES_S + 1
    assert story.alarms.expire() == ()
    assert story.alarms.unexplained(frozenset()) == ()
    story.silence_s = 0.5
    assert [a.text for a in story.alarms.expire()] == [f"city-ip: alarm EQPT cleared on {NODE[5:]}"]
    assert story.alarms.expire() == ()
    assert AGAIN_S < EXPIRES_S


def test_alarms_alone_call_down_only_what_does_not_call_itself_up() -> None:
    story = Story()
    story.hear("eqpt", 4)
    story.hear("link_down", 3, "link:l")
    story.hear("fan", 4, "node:n")
    assert story.alarms.outages(lambda _: None) == {NODE, "link:l"}
    assert story.alarms.outages(lambda c: 1.0 if c == NODE else 0.0) == {"link:l"}

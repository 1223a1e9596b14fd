"""A failpoint dies where it was told to and nowhere else; without one nothing is watched."""

from __future__ import annotations

import os
import signal

import pytest

from controller.errors import ConfigurationError
from controller.transactions.engine import Transactions
from controller.transactions.failpoints import DOMAIN_POINTS, JOURNAL_POINTS, failpoint
from tests.transactions.model_city import City


@pytest.fixture
def kills(monkeypatch):
    sent: list[tuple[int, int]] = []
    monkeypatch.setattr(os, "kill", lambda pid, number: sent.append((pid, number)))
    return sent


ONCE = ("intended", "deciding", "decided", "ending", "ended")
PASSED = dict.fromkeys(ONCE, 1) | dict.fromkeys(("connected", "prepared", "committed", "verified", "confirmed"), 3)


@pytest.mark.parametrize(("point", "passed"), PASSED.items())
async def test_each_point_is_passed_as_often_as_the_protocol_says(kills, point, passed):
    for count in (passed, passed + 1):
        die = failpoint({"ONECITY_DIE_AT": f"{point}:{count}"})
        assert die is not None
        city = City()
        engine = Transactions(die.before(city.journal), city.domains, {}, city.clock, watch=die.hear)
        city.engine = engine
        await city.apply()
        await engine.close()
    assert kills == [(os.getpid(), signal.SIGKILL)]


async def test_going_back_and_sending_again_are_points_too(kills):
    for point, verb, how in (("cancelled", "commit", "refuse"), ("resending", "confirm", "lost")):
        city = City()
        die = failpoint({"ONECITY_DIE_AT": f"{point}:1"})
        assert die is not None
        city.engine = Transactions(die.before(city.journal), city.domains, {}, city.clock, watch=die.hear)
        city.fault("city-ip", verb, how)
        if point == "resending":
            city.fault("city-ip", "outcome", "lost")
            await city.apply()
            city.clock.now += 120  # it rolls back meanwhile
            city.engine.nudge("city-ip")
            await city.ended()
        else:
            await city.apply()
        await city.engine.close()
    assert len(kills) == 2


def test_unset_there_is_none_and_nonsense_is_refused():
    assert failpoint({}) is None
    assert not set(JOURNAL_POINTS) & set(DOMAIN_POINTS)
    for text in ("decided", "decided:0", "decided:x", "nowhere:1"):
        with pytest.raises(ConfigurationError, match="POINT:COUNT"):
            failpoint({"ONECITY_DIE_AT": text})

"""Slices and planes that stand for a while: they come and go by themselves, over restarts and with domains away."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from onecity.v1 import status_pb2

from tests.end_to_end.intents import in_window, office, partition, wavelength
from tests.support.stage import COMMITTED, Stage, eventually

SCHEDULED, ACTIVE, EXPIRED = status_pb2.PHASE_SCHEDULED, status_pb2.PHASE_ACTIVE, status_pb2.PHASE_EXPIRED
PATIENCE_S = 100.0  # less than the whole test may take


def test_slices_and_planes_open_and_close_by_themselves_also_over_a_restart(longgang: Stage) -> None:
    """A plane, a slice over IP and two over optics, of which the second takes the wavelength of the first.

    No step hangs on how quick the machine is: a moment that comes too soon is only found to have come.
    """
    far = _from_now(3600)
    names = ("gov/office", "lands/partition", "lands/first")
    texts = (office(), partition(), wavelength("first"))
    second = wavelength("second", "10.91")
    ahead = [in_window(text, _from_now(1800), far) for text in texts]
    _, result = longgang.client.apply(*ahead, in_window(second, far, _from_now(7200)))
    assert result.outcome == COMMITTED, result.message
    longgang.kill_daemon()
    longgang.start_daemon()
    assert {_phase(longgang, name) for name in (*names, "lands/second")} == {SCHEDULED}
    before = longgang.client.describe("lands/first").status
    assert ", opens in " in before.summary
    assert {c.type: c.message for c in before.conditions}["Placed"].startswith("reserved for 20")
    assert not any(longgang.client.differences().values())

    _, result = longgang.client.apply(*(in_window(text, _from_now(1), far) for text in texts))
    assert result.outcome == COMMITTED, result.message
    eventually(lambda: {_phase(longgang, name) for name in names} == {ACTIVE}, PATIENCE_S)
    assert ", closes in " in longgang.client.services()["lands/first"].summary
    assert _phase(longgang, "lands/second") == SCHEDULED
    assert not any(longgang.client.differences().values())

    start = _from_now(-60)
    for ahead_s in (3, 20, 60):  # a moment that is gone before it is heard of is refused
        turn = _from_now(ahead_s)
        closing = [in_window(text, start, turn) for text in texts]
        _, result = longgang.client.apply(*closing, in_window(second, turn, far))
        if result.outcome == COMMITTED:
            break
    assert result.outcome == COMMITTED, result.message
    longgang.kill_daemon()
    longgang.start_daemon()
    eventually(lambda: _phase(longgang, "lands/second") == ACTIVE, PATIENCE_S)
    eventually(lambda: {_phase(longgang, name) for name in names} == {EXPIRED}, PATIENCE_S)
    assert not any(longgang.client.differences().values())


def test_a_window_that_cannot_open_holds_up_no_other_and_opens_as_soon_as_it_can(longgang: Stage) -> None:
    """The domain that one of them needs is away when both are due."""
    away = longgang.city.domain_process("district-ip")
    start, end = _from_now(2), _from_now(3600)
    texts = [in_window(office("a-plane"), start, end), in_window(wavelength("b-wave"), start, end)]
    _, result = longgang.client.apply(*texts)
    assert result.outcome == COMMITTED, result.message
    away.kill()
    try:
        eventually(lambda: _phase(longgang, "lands/b-wave") == ACTIVE, PATIENCE_S)
    finally:
        away.restart()
    eventually(lambda: _phase(longgang, "gov/a-plane") == ACTIVE, PATIENCE_S)
    assert not any(longgang.client.differences().values())


def _from_now(seconds: float) -> datetime:
    return datetime.now(UTC) + timedelta(seconds=seconds)


def _phase(longgang: Stage, service: str) -> int:
    return int(longgang.client.services()[service].phase)

"""Who runs without its standby is looked at again: a few at a time, ever less often, and soon once something is up."""

from __future__ import annotations

from itertools import pairwise

from controller.changes.state import Standing
from controller.intent.model import ServiceId
from controller.loop.unguarded import AT_ONCE, SPACING_S, Unguarded
from controller.planning.emergency import marked
from controller.planning.placement import Placement
from tests.support.intents import slice_between


def _standing(count: int, *, bare: bool = True) -> dict[ServiceId, Standing]:
    found = {}
    for number in range(count):
        service = slice_between(f"s{number:03}", "a", "z")
        placement = Placement(service.metadata.service, service.kind, number)
        placement = marked(placement) if bare else placement
        found[service.metadata.service] = Standing(service, placement, {}, 1, 1, True)
    return found


def test_the_pause_doubles_up_to_the_most_and_starts_anew_when_something_is_up() -> None:
    watch, now, looked = Unguarded(1.0, 60.0), 0.0, list[float]()
    watch.follow(_standing(1), (), now)
    while now < 300:
        now = max(watch.next_due(now), now)
        assert len(list(watch.take(now, (), ()))) == 1
        looked.append(now)
    pauses = [b - a for a, b in pairwise(looked)]
    assert pauses[:4] == [SPACING_S, SPACING_S, 8.0, 16.0]
    assert max(pauses) == 60.0
    watch.hasten(now)
    assert watch.next_due(now) <= now + SPACING_S


def test_no_more_than_a_few_are_looked_at_together_and_all_have_their_turn() -> None:
    watch, services, seen = Unguarded(1.0, 60.0), _standing(3 * AT_ONCE), set[ServiceId]()
    watch.follow(services, (), 0.0)
    for turn in range(1, 5):
        found = list(watch.take(turn * SPACING_S, (), ()))
        assert len(found) <= AT_ONCE
        seen.update(found)
    assert seen == set(services)


def test_who_is_hurt_or_under_a_change_waits_and_nobody_is_waited_for_in_a_spin() -> None:
    watch, services = Unguarded(1.0, 60.0), _standing(2)
    held, hurt = services
    watch.follow(services, (), 0.0)
    assert not list(watch.take(2.0, {held}, {hurt}))
    assert watch.next_due(2.0) >= 3.0
    assert list(watch.take(3.0, (), {hurt})) == [held]


def test_who_has_all_it_asks_for_or_is_gone_is_forgotten() -> None:
    watch = Unguarded(1.0, 60.0)
    watch.follow(_standing(2), (), 0.0)
    watch.follow(_standing(1, bare=False), _standing(2).keys() - _standing(1).keys(), 1.0)
    assert not list(watch.take(100.0, (), ()))
    assert watch.next_due(100.0) == float("inf")

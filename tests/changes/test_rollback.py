"""What a rollback puts back, what it leaves, and when it is refused: worked out from the history alone."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from controller.changes.keep import document_text
from controller.changes.pipeline import Wanted
from controller.changes.ports import Rollback
from controller.changes.rollback import take_back
from controller.changes.state import DesiredState
from controller.errors import PreconditionError, UnknownNameError
from controller.intent.model import ServiceId, VipAssurance, Window
from controller.network.model import CityMap
from controller.store.records import ChangeRecord, ServiceChange
from controller.store.store import Store
from tests.changes.wanted import NOW, council, empty, office, planned, services, slice_over_three

NANWAN = "    - {site: nanwan, lan: 10.10.3.0/24}\n"
OFFICE, SURVEY, COUNCIL = ServiceId("gov/office"), ServiceId("lands/survey"), ServiceId("gov/council")


class Past:
    """Changes one after the other, as the daemon keeps them, without a network."""

    def __init__(self, city: CityMap, store: Store) -> None:
        self.city, self.store = city, store
        self.state, self._model = empty(city)

    async def apply(self, *texts: str, drop: str = "", at: datetime = NOW, outcome: str = "committed") -> int:
        wanted = Wanted(services(*texts), frozenset((ServiceId(drop),)) if drop else frozenset())
        done = planned(self.city, self.state, self._model, wanted, at)
        moved = [
            ServiceChange(sid, _text(self.state, sid), _text(done.after, sid)) for sid in {*done.puts, *done.drops}
        ]
        number = self.store.last_revision() + 1
        record = ChangeRecord(
            f"c{number}", "ann", f"why {number}", at, services=tuple(moved), outcome=outcome, ended=at
        )
        await self.store.record_change(record)
        if outcome == "committed":
            self.state, self._model = done.after, done.model
        return number

    def undo(self, name: int | str, now: datetime = NOW) -> Wanted:
        return take_back(Rollback(f"{name}"), self.store, self.state, now).wanted

    def to(self, name: int | str, now: datetime = NOW) -> Wanted:
        return take_back(Rollback(f"{name}", everything_after=True), self.store, self.state, now).wanted


def _text(state: DesiredState, sid: ServiceId) -> str:
    return document_text(state.services[sid].service) if sid in state.services else ""


@pytest.fixture
def past(city: CityMap, tmp_path: Path) -> Iterator[Past]:
    store = Store.open(tmp_path / "onecity.db")
    yield Past(city, store)
    store.close()


async def test_a_change_is_undone_service_by_service(past: Past) -> None:
    made = await past.apply(office(), slice_over_three())
    assert past.undo(made) == Wanted((), frozenset((OFFICE, SURVEY)))
    changed = await past.apply(office(more=NANWAN))
    assert past.undo(changed) == Wanted(services(office()))
    dropped = await past.apply(drop="lands/survey")
    assert past.undo(dropped) == Wanted(services(slice_over_three()))
    assert past.undo("c2") == past.undo(2)


async def test_what_came_after_is_listed_newest_first_and_what_was_undone_is_no_obstacle(past: Past) -> None:
    made = await past.apply(office())
    more = await past.apply(office(more=NANWAN))
    await past.apply(slice_over_three())
    with pytest.raises(PreconditionError) as caught:
        past.undo(made)
    lines = str(caught.value).splitlines()
    assert lines[0] == "revision 1 cannot be undone alone, later changes build on it:"
    assert lines[1].split() == [
        "revision",
        f"{more}",
        "2026-11-21",
        "08:00:00",
        "UTC",
        "apply",
        "ann",
        "gov/office",
        "why",
        "2",
    ]
    assert lines[-1].endswith("onecity rollback --to 0")
    assert len(lines) == 3
    await past.apply(office())  # as after revision 1
    assert past.undo(made).drops == {OFFICE}


async def test_a_plane_under_a_vip_that_came_later_is_not_taken_away(past: Past) -> None:
    made = await past.apply(office())
    vip = await past.apply(council(60, 600), at=datetime.now(UTC))
    with pytest.raises(PreconditionError, match=rf"revision {vip} .*gov/council"):
        past.undo(made)


async def test_what_did_not_take_effect_or_moved_no_intent_cannot_be_taken_back(past: Past) -> None:
    failed = await past.apply(office(), outcome="failed")
    with pytest.raises(PreconditionError, match="ended failed: nothing of it stands"):
        past.undo(failed)
    window = ChangeRecord("w", "onecity", "", NOW, kind="window", outcome="committed", ended=NOW)
    await past.store.record_change(window)
    with pytest.raises(PreconditionError, match="changed no intent"):
        past.undo("w")
    await past.store.open_change(ChangeRecord("open", "ann", "", NOW))
    with pytest.raises(PreconditionError, match="still under way"):
        past.undo("open")
    with pytest.raises(UnknownNameError):
        past.to(99)


async def test_everything_returns_to_a_revision_whatever_happened_since(past: Past) -> None:
    await past.apply(office())
    state = past.state
    await past.apply(office(more=NANWAN))
    await past.apply(slice_over_three())
    await past.apply(drop="gov/office")
    back = past.to(1)
    assert back.puts == tuple(s.service for s in state.services.values())
    assert back.drops == {SURVEY}
    assert past.to(4) == Wanted()
    assert past.to(0) == Wanted((), frozenset((SURVEY,)))


async def test_a_window_that_passed_stays_passed_and_one_from_now_on_means_the_same_hours(past: Past) -> None:
    await past.apply(office())
    relative = (
        council(0, 0).split("window:")[0]
        + "window: {start: now, duration: 1h}\n  conference:"
        + (council(0, 600).split("conference:")[1])
    )
    await past.apply(relative)
    gone = await past.apply(drop="gov/council")
    (vip,) = past.undo(gone, NOW + timedelta(minutes=30)).puts
    assert isinstance(vip, VipAssurance)
    assert vip.window == Window(NOW, NOW + timedelta(hours=1))
    late = take_back(Rollback(f"{gone}"), past.store, past.state, NOW + timedelta(hours=2))
    assert late.wanted == Wanted()
    assert late.notes == ("gov/council: its window ended 2026-11-21 09:00 UTC and stays passed",)


async def test_a_rollback_notices_what_changed_under_it(past: Past) -> None:
    made = await past.apply(office())
    back = take_back(Rollback(f"{made}"), past.store, past.state, NOW)
    assert back.moved(past.state) == ""
    await past.apply(office(more=NANWAN))
    assert back.moved(past.state) == "gov/office changed while the rollback was on its way; look at the history again"

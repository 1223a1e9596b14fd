"""What a gNMI stream tells, when, and in which order, without the wire; `test_gnmi_server` has the same over TLS."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pygnmi.spec.v080 import gnmi_pb2

from lab.gnmi import TelemetryTree
from lab.gnmi.paths import any_match, parse_path, to_message
from lab.gnmi.stream import Stream
from lab.gnmi.telemetry import UPDATES_PER_MESSAGE

PATIENCE_S = 20.0
LONG_S = 3600.0


def access(number: int, leaf: str = "delay-us") -> str:
    return f"/onecity-flow:accesses/access[vpn=v{number % 7}][access=a{number}]/state/{leaf}"


def wanted(path: str, *, interval_s: float | None = None, **more: Any) -> Any:
    mode = gnmi_pb2.ON_CHANGE if interval_s is None else gnmi_pb2.SAMPLE
    nanoseconds = int((interval_s or 0) * 1e9)
    one = gnmi_pb2.Subscription(path=to_message(parse_path(path)), mode=mode, sample_interval=nanoseconds, **more)
    return gnmi_pb2.SubscriptionList(subscription=[one], encoding=gnmi_pb2.JSON_IETF)


@asynccontextmanager
async def reading(tree: TelemetryTree, *lists: Any) -> AsyncIterator[AsyncIterator[Any]]:
    together = gnmi_pb2.SubscriptionList(subscription=[s for one in lists for s in one.subscription])
    stream = Stream(tree, together)
    try:
        yield stream.responses()
    finally:
        stream.close()


async def told(responses: AsyncIterator[Any], within_s: float = PATIENCE_S) -> dict[str, Any]:
    """Return the next message's values by the key `access`; {} is the sync_response."""
    response = await asyncio.wait_for(anext(responses), within_s)
    return {u.path.elem[1].key["access"]: json.loads(u.val.json_ietf_val) for u in response.update.update}


async def test_a_sample_is_taken_as_soon_as_something_was_measured_and_once_in_an_interval() -> None:
    """The interval is an hour: what waited for the next look would never come."""
    tree = TelemetryTree()
    async with reading(tree, wanted("/accesses", interval_s=LONG_S, suppress_redundant=True)) as responses:
        assert await told(responses) == {}
        tree.update(access(1), 5.0, 1)
        tree.update(access(2), 6.0, 1)
        assert await told(responses) == {"a1": 5.0, "a2": 6.0}
        tree.update(access(1), 7.0, 2)
        with pytest.raises(TimeoutError):
            await told(responses, within_s=0.2)


async def test_what_was_measured_again_is_sampled_also_with_the_same_value_and_nothing_else_is() -> None:
    tree = TelemetryTree()
    for number in (1, 2):
        tree.update(access(number), 5.0, 1)
    async with reading(tree, wanted("/accesses", interval_s=0.1, suppress_redundant=True)) as responses:
        assert await told(responses) == {"a1": 5.0, "a2": 5.0}
        assert await told(responses) == {}
        tree.update(access(2), 5.0, 2)
        assert await told(responses) == {"a2": 5.0}
        tree.update(access(1), 5.0, 1)  # the same measurement, told again
        with pytest.raises(TimeoutError):
            await told(responses, within_s=0.3)


async def test_changes_and_samples_overtake_what_stood_when_the_reader_came() -> None:
    tree = TelemetryTree()
    many = 10 * UPDATES_PER_MESSAGE
    for number in range(many):
        tree.update(access(number), 0, 1)
        tree.update(access(number, "oper-status"), "UP", 1)
    every = wanted("/accesses/access/state/oper-status")
    measured = wanted("/accesses/access/state/delay-us", interval_s=0.1, suppress_redundant=True)
    async with reading(tree, every, measured) as responses:
        assert len(await told(responses)) == UPDATES_PER_MESSAGE
        tree.update(access(1), 9, 2)
        await asyncio.sleep(0.01)  # one turn for whoever waits for news
        assert await told(responses) == {"a1": 9}
        tree.update(access(3), 8, 2)
        tree.update(access(2, "oper-status"), "DOWN", 2)
        seen = []
        while {"a2": "DOWN"} not in seen or {"a3": 8} not in seen:
            seen.append(await told(responses))
            await asyncio.sleep(0.01)
        assert len(seen) < 2 * many // UPDATES_PER_MESSAGE - 1  # all that stood are twenty messages


def test_to_subscribe_costs_the_time_of_the_shapes_and_not_of_the_leaves(monkeypatch: pytest.MonkeyPatch) -> None:
    tree = TelemetryTree()
    for number in range(1000):
        tree.update(access(number), 0, 1)
        tree.update(access(number, "loss-ratio"), 0, 1)
    asked = 0

    def counting(*arguments: Any) -> bool:
        nonlocal asked
        asked += 1
        return any_match(*arguments)

    monkeypatch.setattr("lab.gnmi.telemetry.any_match", counting)
    watch = tree.watch([parse_path("/accesses/access[vpn=*]/state/*")], sampled=True)
    for number in range(1000):
        tree.update(access(number), 1, 2)
    assert len(watch.leaves()) == 2000
    assert len(watch.pending) == 1000
    assert asked == 0


STEPS = st.sampled_from(["a", "m:a", "b", "c"])
KEYS = st.dictionaries(st.sampled_from(["k", "l"]), st.sampled_from(["1", "2"]), max_size=2)
PATTERN_KEYS = st.dictionaries(st.sampled_from(["k", "l"]), st.sampled_from(["1", "2", "*"]), max_size=2)


def _text(steps: list[tuple[str, dict[str, str]]]) -> str:
    return "".join(f"/{name}" + "".join(f"[{k}={v}]" for k, v in sorted(keys.items())) for name, keys in steps)


@given(
    st.lists(st.lists(st.tuples(STEPS, KEYS), min_size=1, max_size=3).map(_text), max_size=12, unique=True),
    st.lists(st.lists(st.tuples(STEPS | st.just("*"), PATTERN_KEYS), max_size=3).map(_text), max_size=3),
)
def test_leaves_are_found_by_shape_as_by_matching_each(paths: list[str], patterns: list[str]) -> None:
    tree = TelemetryTree()
    wants = [parse_path(p) for p in patterns]
    early = tree.watch(wants)
    for number, path in enumerate(paths):
        tree.update(path, number, 1)
    late = tree.watch(wants, sampled=True)
    for number, path in enumerate(paths):
        tree.update(path, -number, 2)
    matching = {path for path in paths if any_match(wants, parse_path(path))}
    assert {paths[abs(leaf.value)] for leaf in tree.select(wants)} == matching
    assert {paths[abs(leaf.value)] for leaf in early.leaves()} == matching
    assert set(early.pending) == set(late.pending) == matching
    tree.unwatch(late)
    for path in paths:
        tree.remove(path)
    assert set(early.removed) == matching
    assert not early.leaves()
    assert set(late.pending) == matching  # it hears no more


@given(st.data())
async def test_a_reader_however_slow_ends_up_with_what_stands_and_never_goes_back(data: st.DataObject) -> None:
    """Leaves come, change and go while the reader takes messages of three leaves when it likes."""
    tree = TelemetryTree()
    clock = 0
    numbers = st.integers(0, 9)

    def write() -> None:
        nonlocal clock
        clock += 1
        path = access(data.draw(numbers))
        if data.draw(st.integers(0, 3)):
            tree.update(path, clock, clock)
        else:
            tree.remove(path)

    def hear(response: Any) -> None:
        nonlocal synced
        synced |= response.sync_response
        for path in response.update.delete:
            known.pop(path.elem[1].key["access"], None)
        for update in response.update.update:
            name, value = update.path.elem[1].key["access"], json.loads(update.val.json_ietf_val)
            assert value >= newest.get(name, 0)
            newest[name] = known[name] = value

    synced = False
    known: dict[str, int] = {}
    newest: dict[str, int] = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("lab.gnmi.stream.UPDATES_PER_MESSAGE", 3)
        patch.setattr("lab.gnmi.stream.BATCH_DELAY_S", 0.0)
        for _ in range(data.draw(st.integers(0, 10))):
            write()
        async with reading(tree, wanted("/accesses")) as responses:
            for _ in range(data.draw(st.integers(1, 15))):
                write()
                for _ in range(data.draw(st.integers(0, 2))):
                    await asyncio.sleep(0)
                if data.draw(st.booleans()):
                    write()
                    tree.update(access(99), clock, clock)  # something to take
                    hear(await asyncio.wait_for(anext(responses), PATIENCE_S))
            tree.update(access(100), clock, clock)
            while "a100" not in known or not synced:
                hear(await asyncio.wait_for(anext(responses), PATIENCE_S))
        standing = {leaf.elements[1].keys["access"]: leaf.value for leaf in tree.select([parse_path("/accesses")])}
        assert known == standing

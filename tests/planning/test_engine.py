"""The engine against exhaustive search: small networks, every way and every pair of ways written out."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations, permutations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.planning.engine.batch import route
from controller.planning.engine.bounded import Limits, cheapest_within, within
from controller.planning.engine.demands import Answers, Demands, Fate
from controller.planning.engine.network import Apart, Mask, Network, Path
from controller.planning.engine.packing import pack
from controller.planning.engine.pairs import PairWish, disjoint_pair
from controller.planning.engine.ragged import Ragged
from controller.planning.engine.room import Room

Route = Callable[[Room, Demands, list[Mask]], Answers]
KINDS = (Apart.LINKS, Apart.NODES | Apart.LINKS, Apart.LINKS | Apart.RISKS, Apart.LINKS | Apart.NODES | Apart.RISKS)


@st.composite
def networks(draw: st.DrawFn, most: int = 6) -> Network:
    """Up to `most` nodes, cables both ways (some parallel), delays of whole seconds, up to two ducts each."""
    nodes = draw(st.integers(2, most))
    pairs = list(combinations(range(nodes), 2))
    chosen = draw(st.lists(st.sampled_from(pairs), min_size=1, max_size=len(pairs) + 2))
    size = len(chosen)
    a, z = np.array(chosen).T
    delay = np.array(draw(st.lists(st.integers(0, 9), min_size=size, max_size=size)), dtype=np.float64)
    ducts = [sorted(draw(st.sets(st.integers(0, 4), max_size=2))) for _ in chosen]
    loss = np.array(draw(st.lists(st.sampled_from((0.0, 0.1, 0.3)), min_size=size, max_size=size)))
    every = np.arange(size)
    return Network(
        nodes, np.concatenate((a, z)), np.concatenate((z, a)), np.tile(delay, 2), Ragged.of(ducts * 2),
        np.concatenate((every + size, every)), np.tile(loss, 2),
    )  # fmt: skip


def every_way(net: Network, src: int, dst: int, usable: Mask) -> list[Path]:
    def beyond(at: int, seen: tuple[int, ...]) -> list[Path]:
        if at == dst:
            return [()]
        steps = [i for i in np.flatnonzero(usable & (net.src == at)).tolist() if net.dst[i] not in seen]
        return [(i, *rest) for i in steps for rest in beyond(int(net.dst[i]), (*seen, int(net.dst[i])))]

    return beyond(src, (src,))


def together(net: Network, one: Path, other: Path, apart: Apart) -> bool:
    """Say whether two ways have something of `apart` in common, from the arrays alone."""
    cables = [{min(i, int(net.reverse[i])) for i in way} for way in (one, other)]
    inner = [set(net.dst[list(way)][:-1].tolist()) for way in (one, other)]
    risks = [{int(r) for i in way for r in net.risks[i]} for way in (one, other)]
    return bool(
        cables[0] & cables[1]
        or (apart & Apart.NODES and inner[0] & inner[1])
        or (apart & Apart.RISKS and risks[0] & risks[1])
    )


@settings(max_examples=150, deadline=None)
@given(networks(), st.sampled_from(KINDS), st.sampled_from((None, 8.0, 15.0)))
def test_pairs_are_those_of_exhaustive_search(net: Network, apart: Apart, budget: float | None) -> None:
    ways = [w for w in every_way(net, 0, 1, net.everything()) if budget is None or net.delay_of(w) <= budget]
    totals = [net.delay_of(p) + net.delay_of(q) for p, q in permutations(ways, 2) if not together(net, p, q, apart)]
    pair = disjoint_pair(net, PairWish(0, 1, apart, Limits(budget)), net.everything())
    eager = disjoint_pair(net, PairWish(0, 1, apart, Limits(budget), eager=True), net.everything())
    assert (pair is None) == (eager is None) == (not totals)
    for found in (pair, eager):
        if found is not None:
            assert {found.working, found.standby} <= set(ways)
            assert not together(net, found.working, found.standby, apart)
            assert found.working_s <= found.standby_s
    if pair is not None:
        assert abs(pair.working_s + pair.standby_s - min(totals)) < 1e-6


@settings(max_examples=150, deadline=None)
@given(
    networks(),
    st.sampled_from((None, 4.0, 9.0, 20.0)),
    st.sampled_from((None, 1, 2, 3)),
    st.sampled_from((None, 0.0, 0.2, 0.5)),
    st.booleans(),
)
def test_the_cheapest_way_within_limits_is_that_of_exhaustive_search(
    net: Network, delay: float | None, hops: int | None, loss: float | None, priced: bool
) -> None:
    limits = Limits(delay, hops, loss)
    cost = (np.arange(net.links) * 7 % 5).astype(np.float64) if priced else None
    price = net.delay_s if cost is None else cost
    serving = [w for w in every_way(net, 0, 1, net.everything()) if within(net, w, limits)]
    found = cheapest_within(net, 0, 1, net.everything(), limits, cost)
    if not serving:
        assert found is None
    else:
        assert found in serving
        assert abs(price[list(found)].sum() - min(price[list(w)].sum() for w in serving)) < 1e-6


@st.composite
def demands(draw: st.DrawFn, net: Network, periods: int) -> Demands:
    size = draw(st.integers(1, 12))

    def each(values: st.SearchStrategy[int] | st.SearchStrategy[float]) -> list[float]:
        return draw(st.lists(values, min_size=size, max_size=size))

    first = each(st.integers(0, periods - 1))
    return Demands.of(
        each(st.integers(0, net.nodes - 1)), each(st.integers(0, net.nodes - 1)), each(st.integers(1, 6)),
        budget_s=each(st.sampled_from((np.inf, 5.0, 15.0))), hops=each(st.sampled_from((99, 3))),
        first=first, last=[draw(st.integers(int(f) + 1, periods)) for f in first], rank=each(st.integers(0, 2)),
        apart=each(st.sampled_from((0, *map(int, KINDS)))), fence=each(st.integers(0, 1)),
        loss_ratio=each(st.sampled_from((1.0, 0.4))),
    )  # fmt: skip


def _packed(room: Room, given_: Demands, fences: list[Mask]) -> Answers:
    """Two demands after each other are one service, where they have one rank."""
    return pack(room, given_, fences, np.arange(len(given_)) // 2 + 100 * given_.rank, 2)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_a_batch_keeps_every_limit_and_over_books_nothing(data: st.DataObject) -> None:
    _keeps_every_limit(route, data)


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_a_batch_that_competes_at_once_keeps_every_limit_and_over_books_nothing(data: st.DataObject) -> None:
    _keeps_every_limit(_packed, data)


def _keeps_every_limit(place: Route, data: st.DataObject) -> None:
    net = data.draw(networks())
    periods, both = data.draw(st.integers(1, 3)), data.draw(st.booleans())
    given_ = data.draw(demands(net, periods))
    cable = data.draw(st.lists(st.booleans(), min_size=net.links // 2, max_size=net.links // 2))
    fences = [net.everything(), np.tile(cable, 2)]
    room = Room.of(net, np.full((periods, net.links), 10), both_ways=both)
    answers = place(room, given_, fences)
    again = place(Room.of(net, np.full((periods, net.links), 10), both_ways=both), given_, fences)
    assert (answers.fate.tobytes(), answers.working.values.tobytes(), answers.standby.values.tobytes()) == (
        again.fate.tobytes(), again.working.values.tobytes(), again.standby.values.tobytes(),
    )  # fmt: skip
    held = np.zeros((periods, net.links), dtype=np.int64)
    for i in range(len(given_)):
        ways = [tuple(t[i].tolist()) for t in (answers.working, answers.standby)]
        if answers.fate[i] != Fate.PLACED:
            assert ways == [(), ()]
            continue
        src, dst, apart = int(given_.src[i]), int(given_.dst[i]), Apart(int(given_.apart[i]))
        limits = Limits(float(given_.budget_s[i]), int(given_.hops[i]), float(given_.loss_ratio[i]))
        for way in ways if apart and src != dst else ways[:1]:
            assert way in every_way(net, src, dst, fences[given_.fence[i]])
            assert within(net, way, limits)
            for link in way:
                for at in {link, int(net.reverse[link])} if both else {link}:
                    held[given_.first[i] : given_.last[i], at] += given_.rate_bps[i]
        if apart and src != dst:
            assert not together(net, ways[0], ways[1], apart)
    assert (held <= 10).all()
    assert (room.free == 10 - held).all()
    if place is _packed:
        service = np.arange(len(given_)) // 2 + 100 * given_.rank
        assert all(len(set(answers.placed[service == n].tolist())) == 1 for n in service)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_one_demand_on_an_empty_network_is_refused_only_where_nothing_serves(data: st.DataObject) -> None:
    net = data.draw(networks())
    one = data.draw(demands(net, 1)).take(np.array([0]))
    answers = route(Room.of(net, np.full(net.links, 5)), one, [net.everything()] * 2)
    if one.src[0] == one.dst[0]:
        assert answers.placed[0]
        return
    limits = Limits(float(one.budget_s[0]), int(one.hops[0]), float(one.loss_ratio[0]))
    usable = net.everything() & (one.rate_bps[0] <= 5)
    ways = [w for w in every_way(net, int(one.src[0]), int(one.dst[0]), usable) if within(net, w, limits)]
    apart = Apart(int(one.apart[0]))
    feasible = any(not together(net, p, q, apart) for p, q in permutations(ways, 2)) if apart else bool(ways)
    assert bool(answers.placed[0]) == feasible


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_admission_in_arrays_is_admission_one_after_the_other(data: st.DataObject) -> None:
    net = data.draw(networks())
    rows = [
        data.draw(st.lists(st.integers(0, net.links - 1), max_size=4, unique_by=lambda i: i % (net.links // 2)))
        for _ in range(data.draw(st.integers(1, 15)))
    ]
    rates = np.array([data.draw(st.integers(1, 5)) for _ in rows])
    first = np.array([data.draw(st.integers(0, 1)) for _ in rows])
    last = first + np.array([data.draw(st.integers(1, 2 - f)) for f in first])
    waves, single = (Room.of(net, np.full((2, net.links), 8)) for _ in (0, 1))
    expected = []
    for links, rate, start, end in zip(rows, rates, first, last, strict=True):
        at = np.array(links, dtype=np.int64)
        expected.append(single.fits(at, rate, start, end))
        if expected[-1]:
            single.hold(at, rate, start, end)
    assert waves.admit(Ragged.of(rows), rates, first, last).tolist() == expected
    assert (waves.free == single.free).all()

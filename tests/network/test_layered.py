"""A mapping with cheap copies behaves as a dict that was copied in full."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from controller.network import layered
from controller.network.layered import Layered

KEYS = st.integers(0, 12)
STEPS = st.lists(st.tuples(st.sampled_from(["set", "pop", "copy", "swap"]), KEYS, st.integers(1, 9)), max_size=60)


@given(STEPS, st.integers(0, 4))
def test_every_copy_holds_what_a_dict_copied_at_that_moment_would_hold(
    steps: list[tuple[str, int, int]], lately: int
) -> None:
    before, layered.MOST_LATELY = layered.MOST_LATELY, lately
    try:
        pairs: list[tuple[Layered[int, int], dict[int, int]]] = [(Layered({0: 1, 1: 2}), {0: 1, 1: 2})]
        for what, key, value in steps:
            mine, plain = pairs[-1]
            if what == "set":
                mine[key], plain[key] = value, value
            elif what == "pop":
                assert mine.pop(key) == plain.pop(key, None)
            elif what == "copy":
                pairs.append((mine.copy(), dict(plain)))
            else:
                pairs.insert(0, pairs.pop())
        for mine, plain in pairs:
            assert dict(mine.items()) == plain
            assert len(mine) == len(plain)
            assert set(mine) == set(mine.keys()) == set(plain)
            assert [mine.get(k) for k in range(13)] == [plain.get(k) for k in range(13)]
            assert [k in mine for k in range(13)] == [k in plain for k in range(13)]
    finally:
        layered.MOST_LATELY = before

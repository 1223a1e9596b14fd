"""Why no way within the limits exists where there are ways: which limit binds, and what the best way would take."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from math import isfinite
from typing import Any

from controller.intent.model import Disjointness
from controller.planning.constrained import Burdens, Vector, best_pair, best_way
from controller.planning.containers import LINE_MODE, reach_hops
from controller.planning.draft import time_text
from controller.planning.layers import Layers
from controller.planning.limits import DELAY, HOPS, JITTER, LOSS, REACH, Limits, jitter_text, loss_of, margin_text
from controller.planning.paths import Mask, Path
from controller.planning.reasons import short, why_no_pair

MOST_PAIRS = 16  # looked at for the one that comes nearest to a limit
_ONE_EACH = (("delay_s",), ("jitter_s",), ("loss_ratio",), ("hops",), ("reach", "mode"))  # what is one limit to people


@dataclass(frozen=True, slots=True)
class Bound:
    """What a search was held to. `fixed`: what the ends add; `names`: of the parts under the graph's edges."""

    net: Layers
    burdens: Burdens
    limits: Limits
    protected: bool
    disjoint: tuple[Disjointness, ...]
    fixed: Vector
    names: tuple[str, ...]
    working_within: Callable[[Mask], Mask]

    def paths(self, src: str, dst: str, usable: Mask, limits: Limits) -> tuple[Path, ...]:
        first = self.working_within(usable)
        if self.protected:
            pair = best_pair(self.burdens, src, dst, usable, limits.fits, self.disjoint, first, limits.most)
            return () if pair is None else (pair.working, pair.standby)
        path = best_way(self.burdens, src, dst, first, limits.fits, limits.most)
        return (path,) if path else ()


def why_beyond(bound: Bound, src: str, dst: str, usable: Mask) -> str:
    """Name what binds where there is room, but no path, or no pair, within the limits."""
    free = bound.paths(src, dst, usable, Limits())
    if not free:
        return why_no_pair(bound.net, bound.burdens.graph, src, dst, usable, bound.disjoint)
    alone = replace(bound, protected=False)
    for names in _ONE_EACH:
        only = replace(Limits(), **{name: getattr(bound.limits, name) for name in names})
        if not alone.paths(src, dst, usable, only):
            return _words(bound, names[0], src, dst, usable, alone.paths(src, dst, usable, Limits()), "way")
    for names in _ONE_EACH:
        only = replace(Limits(), **{name: getattr(bound.limits, name) for name in names})
        if bound.protected and not bound.paths(src, dst, usable, only):
            best = _least_pair(bound, names[0], src, dst, usable, free)
            return _words(bound, names[0], src, dst, usable, best, "standby")
    asked = [words for name, words in _ASKED.items() if getattr(bound.limits, name) is not None]
    if not bound.net.nodes or not asked:
        return f"no two ways from {short(src)} to {short(dst)} are apart"
    quickest = ", ".join(time_text(bound.burdens.of(p)[DELAY] + bound.fixed[DELAY]) for p in free)
    return (
        f"{' and '.join(asked)}: each could be kept, but no way from {short(src)} to {short(dst)} keeps them together "
        f"(the quickest takes {quickest})"
    )


def _least_pair(bound: Bound, name: str, src: str, dst: str, usable: Mask, pair: tuple[Path, ...]) -> tuple[Path, ...]:
    """Return the pair whose worse way has the least of one sum: the pair that is quickest in all need not be it."""
    column = _COLUMN.get(name)
    for _ in range(MOST_PAIRS if column is not None else 0):
        assert column is not None
        worst = max(bound.burdens.of(p)[column] for p in pair)
        less = round(worst) - 1 if column == HOPS else worst * (1 - 1e-6)
        limit = loss_of((0.0,) * LOSS + (less,)) if column == LOSS else less
        asked: dict[str, Any] = {name: limit}
        better = bound.paths(src, dst, usable, replace(Limits(), **asked))
        if not better or max(bound.burdens.of(p)[column] for p in better) >= worst:
            break
        pair = better
    return pair


_COLUMN = {"delay_s": DELAY, "jitter_s": JITTER, "loss_ratio": LOSS, "hops": HOPS}
_ASKED = {"delay_s": "latency", "jitter_s": "jitter", "loss_ratio": "loss", "hops": "hops", "reach": "reach"}


def _words(bound: Bound, name: str, src: str, dst: str, usable: Mask, paths: Iterable[Path], what: str) -> str:
    """Say what the limit meets: of one way the least it could come to, of a pair what its worse path comes to."""
    ends = f"from {short(src)} to {short(dst)}"
    found = [tuple(x + y for x, y in zip(bound.burdens.of(p), bound.fixed, strict=True)) for p in paths]
    worst = tuple(map(max, *found)) if len(found) > 1 else found[0]
    if what == "way":
        graph = bound.burdens.graph
        least = bound.burdens.least_to(graph.node_index[dst], usable)[graph.node_index[src]]
        worst = tuple(float(x) + y for x, y in zip(least, bound.fixed, strict=True))
    if name == "delay_s":
        return f"latency: the quickest {what} {ends} takes {time_text(worst[DELAY])}"
    if name == "jitter_s":
        return f"jitter: the steadiest {what} {ends} varies by {jitter_text(worst[JITTER])}"
    if name == "loss_ratio":
        return f"loss: the best {what} {ends} loses {loss_of(worst):.2g} of its packets"
    if name == "hops":
        return f"hops: the shortest {what} {ends} is led over {round(worst[HOPS])} links"
    far = min(paths, key=lambda p: (bound.limits.margin_db(bound.burdens.of(p)), -bound.burdens.of(p)[REACH]))
    margin = bound.limits.margin_db(bound.burdens.of(far))
    over = f"reach of {LINE_MODE}: {len(far)} fibres over {', '.join(bound.names[i] for i in far)}"
    if margin < 0:
        short_by = f"{margin_text(-margin)} short of its margin" if isfinite(margin) else "far beyond its limits"
        return f"{over}, {short_by} without regeneration"
    lengths = [bound.net.fibre_of[i].length_m for i in far]
    return f"{over}, at most {reach_hops(lengths)} without regeneration"

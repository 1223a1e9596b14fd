"""Many failures, one after another: every single one, or pairs drawn at random; and what they come to together."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from controller.errors import ConfigurationError
from controller.intent.model import Service, ServiceId
from controller.network.damage import Elements, Failure
from controller.planning.placement import Refusal
from controller.simulation.report import Fate, Outcome
from controller.simulation.simulate import Simulation

MOST_SAMPLES = 100_000
MOST_WEAK = 10
ALL_SINGLE, DOUBLE = "all-single", "double"


@dataclass(frozen=True, slots=True)
class SimulationRequest:
    """What fails (as written in `--fail`), what is thought to stand besides, and how pairs are drawn."""

    fail: tuple[str, ...]
    add: tuple[Service, ...] = ()
    seed: int = 1
    most_services: int = 200  # told one by one per failure


@dataclass(frozen=True, slots=True)
class Progress:
    done: int
    total: int


@dataclass(frozen=True, slots=True)
class Summary:
    """Over all failures. `weakest`: service, failures that break it, failures that degrade it."""

    failures: int
    harmless: int
    breaking: int
    services: int
    safe: int
    weakest: tuple[tuple[ServiceId, int, int], ...]
    refused: tuple[Refusal, ...]
    map_version: int
    elapsed_s: float = 0.0


SimulationEvent = Progress | Summary | Outcome


def scenarios(elements: Elements, fail: Sequence[str], seed: int) -> list[tuple[Failure, ...]]:
    """Return what fails together, for every scenario that was asked; raises ConfigurationError, UnknownNameError."""
    kind, _, count = fail[0].partition(":") if fail else ("", "", "")
    if kind in (ALL_SINGLE, DOUBLE) and len(fail) > 1:
        raise ConfigurationError(f"{fail[0]} stands alone; leave out {fail[1]}")
    if kind == ALL_SINGLE and not count:
        return [(failure,) for failure in elements.singles()]
    if kind == DOUBLE:
        if not count.isdecimal() or not 1 <= int(count) <= MOST_SAMPLES:
            raise ConfigurationError(
                f"{fail[0]!r}: write double:SAMPLES with a number of pairs from 1 to {MOST_SAMPLES:,}"
            )
        return _pairs(elements.singles(), int(count), seed)
    if not fail:
        raise ConfigurationError(
            "nothing fails; name a fibre:NAME, link:NAME, node:NAME or srlg:NAME, all-single or double:SAMPLES"
        )
    return [tuple(dict.fromkeys(elements.named(text) for text in fail))]


def _pairs(singles: Sequence[Failure], count: int, seed: int) -> list[tuple[Failure, ...]]:
    """Draw different pairs; all there are where fewer exist."""
    every = len(singles) * (len(singles) - 1) // 2
    if count >= every:
        return [(a, z) for i, a in enumerate(singles) for z in singles[i + 1 :]]
    draw = random.Random(seed)
    found: dict[tuple[int, int], None] = {}
    while len(found) < count:
        a, z = sorted(draw.sample(range(len(singles)), 2))
        found[a, z] = None
    return [(singles[a], singles[z]) for a, z in sorted(found)]


class Campaign:
    """Follows scenarios one by one and keeps what counts; outcomes come worst first once all are known."""

    def __init__(self, simulation: Simulation, refused: tuple[Refusal, ...] = (), most_services: int = 200) -> None:
        self.simulation, self.refused, self._most = simulation, refused, most_services
        self.outcomes: list[Outcome] = []
        self._hurt: dict[Fate, Counter[ServiceId]] = {Fate.BREAKS: Counter(), Fate.DEGRADES: Counter()}

    def run(self, fails: Sequence[tuple[Failure, ...]]) -> Iterator[Progress]:
        """Follow every scenario, telling how far it is after each."""
        for done, failures in enumerate(fails, start=1):
            outcome = self.simulation.quick(failures) if len(fails) > 1 else self.simulation.fail(failures)
            for effect in outcome.effects:
                if effect.fate in self._hurt:
                    self._hurt[effect.fate][effect.service] += 1
            self.outcomes.append(replace(outcome, effects=outcome.effects[: self._most]))
            yield Progress(done, len(fails))

    def summary(self) -> Summary:
        broken, degraded = self._hurt[Fate.BREAKS], self._hurt[Fate.DEGRADES]
        hurt = sorted({*broken, *degraded}, key=lambda sid: (-broken[sid], -degraded[sid], sid))
        return Summary(
            failures=len(self.outcomes),
            harmless=sum(1 for o in self.outcomes if o.harmless),
            breaking=sum(1 for o in self.outcomes if o.count(Fate.BREAKS)),
            services=self.simulation.services,
            safe=self.simulation.services - len(hurt),
            weakest=tuple((sid, broken[sid], degraded[sid]) for sid in hurt[:MOST_WEAK]),
            refused=self.refused,
            map_version=self.simulation.city.version,
        )

    def worst_first(self) -> list[Outcome]:
        """Return all outcomes; of equals in the order in which they were asked."""
        return sorted(self.outcomes, key=lambda o: o.counts, reverse=True)

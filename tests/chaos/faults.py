"""Which faults happen when, drawn from a seed before a round begins: the same seed, the same round."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Callable
from dataclasses import dataclass

from controller.transactions.failpoints import DOMAIN_POINTS, GROUP_POINTS, JOURNAL_POINTS
from tests.chaos.world import EXPIRED_S, OPTICAL, World

DOMAINS = ("city-ip", "district-ip", "compute-ip", OPTICAL)


@dataclass(frozen=True)
class Fault:
    """One fault: begins at `at_s` of the round, and ends after `lasts_s`."""

    at_s: float
    kind: str
    domain: str
    lasts_s: float
    amount_s: float = 0.0


@dataclass(frozen=True)
class Schedule:
    """A round: how the daemon dies, how long it then stays away, and what happens to the domains meanwhile."""

    length_s: float
    die_at: tuple[str, ...]  # for its first life of the round, its second …; empty: at a random instant
    kill_at_s: tuple[float, ...]
    away_s: tuple[float, ...]
    faults: tuple[Fault, ...]
    stop_at: str = ""  # where its first life is stopped, if it is, for the faults between: `at_s` counts from there
    between: tuple[Fault, ...] = ()


_KINDS = (  # kind, weight, shortest and longest it lasts
    ("cut", 8, 0.0, 0.0),
    ("delay", 3, 0.2, 1.0),
    ("refuse", 3, 0.2, 1.5),
    ("black-hole", 3, 0.2, 2.5),
    ("mute", 3, 0.2, 2.5),
    ("hang", 3, 0.1, 2.5),
    ("kill", 2, 0.0, 1.0),
    ("lock", 2, 0.2, 2.5),
    ("full", 2, 0.05, 0.6),
    ("stutter", 3, 0.2, 2.0),
    ("fail-commits", 2, 0.1, 1.0),
    ("squat", 2, 0.5, 3.0),
)
_BETWEEN = ("cut", "refuse", "black-hole", "mute", "hang", "kill", "stutter", "fail-commits", "delay")
IP_ONLY = ("lock", "squat")


def schedule(seed: str, domains: tuple[str, ...], *, length_s: float = 4.0) -> Schedule:
    draw = random.Random(seed)
    points = (*JOURNAL_POINTS, *DOMAIN_POINTS, *GROUP_POINTS)
    lives = draw.choice((2, 2, 3))
    die_at = tuple(_point(draw, points) if draw.random() < 0.8 else "" for _ in range(lives))
    # Rarely it stays away until every confirm timer has ended.
    away = tuple(EXPIRED_S if draw.random() < 0.06 else draw.random() * 0.3 for _ in range(lives))
    kills = tuple(sorted(draw.uniform(0.3, length_s) for _ in range(draw.choice((0, 1, 1)))))
    count = draw.choices((0, draw.randrange(4, 12), draw.randrange(16, 40)), (1, 4, 6))[0]  # 0: only the daemon dies
    happenings = [_fault(draw, domains, length_s) for _ in range(count)]
    if draw.random() < 0.15:  # a domain that is away until its confirm timer has ended: it is sent its image again
        kind = draw.choice(("black-hole", "hang", "refuse"))
        happenings.append(Fault(draw.uniform(0.5, length_s), kind, draw.choice(domains), EXPIRED_S))
        length_s += EXPIRED_S
    stop_at, between = "", tuple[Fault, ...]()
    if draw.random() < 0.7:  # what happens to some domains between the first and the last confirm
        stop_at, between = f"decided:{draw.randrange(1, 4)}", _between(draw, domains)
        die_at, length_s = ("", *die_at), length_s + 1.0
    return Schedule(length_s, die_at, kills, away, tuple(sorted(happenings, key=lambda f: f.at_s)), stop_at, between)


def _between(draw: random.Random, domains: tuple[str, ...]) -> tuple[Fault, ...]:
    """Return what befalls some domains right after a decision, while the others confirm."""
    chosen = draw.sample(domains, draw.randrange(1, len(domains)))
    lasts = EXPIRED_S if draw.random() < 0.1 else draw.uniform(0.2, 2.5)
    return tuple(Fault(0.0, draw.choice(_BETWEEN), domain, lasts, 0.1) for domain in chosen)


def _point(draw: random.Random, points: tuple[str, ...]) -> str:
    """Return a failpoint: as often soon after the start, while recovery is at work, as after many changes."""
    return f"{draw.choice(points)}:{draw.choice((draw.randrange(1, 5), draw.randrange(1, 30)))}"


def _fault(draw: random.Random, domains: tuple[str, ...], length_s: float) -> Fault:
    kind, _, shortest, longest = draw.choices(_KINDS, [k[1] for k in _KINDS])[0]
    domain = draw.choice([d for d in domains if kind not in IP_ONLY or d != OPTICAL])
    return Fault(
        draw.uniform(0, length_s), kind, domain, draw.uniform(shortest, longest), draw.choice((0.005, 0.02, 0.1))
    )


def begin(world: World, fault: Fault) -> bool:
    """Let the fault happen; False where it could not (the domain is dead already, the lock is held)."""
    weather = world.proxies[fault.domain].weather

    def refuse() -> None:
        weather.refuse = True
        world.proxies.cut(fault.domain)

    deeds: dict[str, Callable[[], object]] = {
        "cut": lambda: world.proxies.cut(fault.domain),
        "delay": lambda: setattr(weather, "delay_s", fault.amount_s),
        "refuse": refuse,
        "black-hole": lambda: setattr(weather, "black_hole", True),
        "mute": lambda: setattr(weather, "mute", True),
        "hang": lambda: world.pause_domain(fault.domain),
        "kill": lambda: world.kill_domain(fault.domain),
        "lock": lambda: world.lock(fault.domain),
        "full": world.fill_disk,
        "stutter": lambda: world.stutter(fault.domain, True),
        "fail-commits": lambda: world.fail_commits(fault.domain, True),
        "squat": lambda: world.squat(fault.domain),
    }
    return deeds[fault.kind]() is not False


def end(world: World, fault: Fault) -> None:
    weather = world.proxies[fault.domain].weather

    def unmute() -> None:
        """What the swallowed replies said is lost for good: the effect was there, the answer never comes."""
        world.proxies.cut(fault.domain)
        weather.mute = False

    def evict() -> None:
        with contextlib.suppress(Exception):  # a transaction of ours is open there: `heal` does it
            world.evict(fault.domain, 0.3)

    deeds: dict[str, Callable[[], object]] = {
        "delay": lambda: setattr(weather, "delay_s", 0.0),
        "refuse": lambda: setattr(weather, "refuse", False),
        "black-hole": lambda: setattr(weather, "black_hole", False),
        "mute": unmute,
        "hang": lambda: world.resume_domain(fault.domain),
        "kill": lambda: world.restart_domain(fault.domain),
        "lock": lambda: world.unlock(fault.domain),
        "full": world.empty_disk,
        "stutter": lambda: world.stutter(fault.domain, False),
        "fail-commits": lambda: world.fail_commits(fault.domain, False),
        "squat": evict,
    }
    deeds.get(fault.kind, lambda: None)()

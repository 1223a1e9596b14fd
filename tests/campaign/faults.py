"""What is done to the city, drawn from a seed: each fault with the causes that a true diagnosis would name."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from tests.campaign.population import CITY, ROUTES, members
from tests.support.stage import Stage

FIBRES = sorted(CITY.fibres)
ROUTERS = ("lg-buji", "lg-jihua", "lg-pinghu", "lg-baolong", "lg-pingdi")
OTN = ("otn-jihua", "otn-pinghu", "otn-pingdi", "otn-baolong")
LIT = sorted({k.circuit for k in CITY.links if k.circuit and k.circuit in ROUTES})
CLOCK_STEPS_S = (3600.0, -3600.0)
SINGLE = (
    "cut", "node", "otn-node", "duct", "flap", "degrade", "card", "congestion", "controller", "silence", "lie", "clock",
    "stuck", "cord", "frames", "detour", "spurious",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault. `roots`: components that have failed in the end; `causes`: what incidents should name."""

    kind: str
    title: str
    inject: Callable[[Stage], None]
    roots: frozenset[str]
    causes: frozenset[str]
    domain: str = ""  # whose controller has to be started or woken again
    told_s: float = 8.0  # within this its incidents are told with their roots


def draw(seed: int, count: int, kinds: tuple[str, ...] = ()) -> Iterator[Fault]:
    """Yield faults; the same seed gives the same ones."""
    dice = random.Random(seed)
    wanted = kinds or (*SINGLE, "cut", "cut", "double", "restart")
    for number in range(count):
        yield _make(wanted[number % len(wanted)], dice)


def _make(kind: str, dice: random.Random) -> Fault:
    fibre, other = dice.sample(FIBRES, 2)
    if kind in ("node", "otn-node"):
        name = dice.choice(ROUTERS if kind == "node" else OTN)
        root = f"node:node:{name}" if kind == "node" else f"node:{name}"
        return _fault(kind, name, lambda s: _do(s, type="down", node=name), root)
    if kind == "duct":
        srlg = min(CITY.fibres[fibre].srlgs)
        name = CITY.srlg_names[srlg]
        return _fault(kind, name, lambda s: _do(s, type="cut", fibre=name), f"fibre:{fibre}")
    if kind == "degrade":
        fibre = dice.choice(["f-nanwan-buji", "f-buji-jihua", "f-jihua-bantian", "f-baolong-pingdi"])
        return Fault(
            kind,
            fibre,
            lambda s: _do(s, type="degrade", link=fibre, loss=0.01, delay_s=0.0),
            frozenset(),
            frozenset({f"fibre:{fibre}"}),
        )
    if kind == "card":
        circuit = dice.choice(LIT)
        return _fault(kind, circuit, lambda s: _do(s, type="fail", circuit=circuit), f"circuit:{circuit}")
    if kind == "congestion":
        link = dice.choice([k for k in CITY.links if k.circuit])
        full = {"type": "flood", "link": link.id, "rate_bps": 1.3 * link.capacity_bps}
        causes = frozenset({f"link:{min(link.id, link.reverse)}"})
        return Fault(kind, link.id, lambda s: _do(s, **full), frozenset(), causes)
    if kind in ("cord", "frames", "detour", "spurious"):
        return _told_by_measurements_or_alarms(kind, dice)
    if kind in ("lie", "clock"):
        return _misled(kind, fibre, dice)
    if kind == "flap":
        return _fault(kind, fibre, lambda s: _flap(s, fibre), f"fibre:{fibre}")
    if kind == "double":
        return _fault(kind, f"{fibre}, {other}", lambda s: _twice(s, fibre, other), f"fibre:{fibre}", f"fibre:{other}")
    if kind == "restart":
        return _fault(kind, fibre, lambda s: _under_restart(s, fibre), f"fibre:{fibre}")
    if kind == "stuck":
        unnoticed = dice.random() < 0.5
        return _fault(kind, fibre, lambda s: _with_stuck_switches(s, fibre, unnoticed), f"fibre:{fibre}")
    if kind in ("controller", "silence"):
        domain = dice.choice(["district-ip", "compute-ip"])
        process = "kill" if kind == "controller" else "pause"
        return Fault(
            kind,
            domain,
            lambda s: getattr(s.city.domain_process(domain), process)(),
            frozenset(),
            frozenset({f"controller:{domain}", f"telemetry:{domain}"}),
            domain,
        )
    return _fault("cut", fibre, lambda s: _do(s, type="cut", fibre=fibre), f"fibre:{fibre}")


def _told_by_measurements_or_alarms(kind: str, dice: random.Random) -> Fault:
    """What takes nothing down: a dirty patch cord, spoilt frames, an untold detour, a complaint for nothing."""
    circuit, fibre, router = dice.choice(LIT), dice.choice(FIBRES), dice.choice(ROUTERS)
    title, command, cause, told_s = {
        "cord": (circuit, {"type": "degrade", "link": circuit, "light_db": 6.0}, f"circuit:{circuit}", 8.0),
        "frames": (circuit, {"type": "degrade", "link": circuit, "loss": 0.002}, f"circuit:{circuit}", 8.0),
        "detour": (fibre, {"type": "detour", "link": fibre, "longer_m": 12_000}, f"fibre:{fibre}", 15.0),
        "spurious": (router, {"type": "alarm", "name": router}, f"node:node:{router}", 30.0),
    }[kind]
    return Fault(kind, title, lambda s: _do(s, **command), frozenset(), frozenset({cause}), told_s=told_s)


def _misled(kind: str, fibre: str, dice: random.Random) -> Fault:
    """A cut while a domain's clock is an hour wrong, or while it goes on telling that all is well."""
    domain = dice.choice(["city-ip", "district-ip"])
    wrong = {"type": kind, "domain": domain, "step_s": dice.choice(CLOCK_STEPS_S)}

    def inject(stage: Stage) -> None:
        _do(stage, **wrong)
        time.sleep(1.5)  # it was heard
        _do(stage, type="cut", fibre=fibre)

    return _fault(kind, f"{domain}, {fibre}", inject, f"fibre:{fibre}")


def _fault(kind: str, title: str, inject: Callable[[Stage], None], *roots: str) -> Fault:
    return Fault(kind, title, inject, frozenset(roots), frozenset(roots))


def _do(stage: Stage, **command: object) -> None:
    stage.city.plant(command)


def _with_stuck_switches(stage: Stage, fibre: str, unnoticed: bool) -> None:
    """Cut a fibre when no standby of a slice takes over; unnoticed: their domain says that all did."""
    for member in members():
        if member.kind == "guarded":
            for part in stage.client.describe(member.service).parts:
                kind, _, name = part.subject.partition(":")
                if kind == "circuit":
                    _do(stage, type="stick", name=name, unnoticed=unnoticed)
    _do(stage, type="cut", fibre=fibre)


def _flap(stage: Stage, fibre: str) -> None:
    """Bounce every 300 ms and stay down in the end."""
    for _ in range(2):
        _do(stage, type="cut", fibre=fibre)
        time.sleep(0.3)
        _do(stage, type="restore", what=fibre)
        time.sleep(0.3)
    _do(stage, type="cut", fibre=fibre)


def _twice(stage: Stage, first: str, second: str) -> None:
    """The second cut comes while the first is being repaired."""
    _do(stage, type="cut", fibre=first)
    time.sleep(0.03)
    _do(stage, type="cut", fibre=second)


def _under_restart(stage: Stage, fibre: str) -> None:
    """The daemon is killed while it repairs."""
    _do(stage, type="cut", fibre=fibre)
    time.sleep(0.04)
    stage.kill_daemon()
    stage.start_daemon()

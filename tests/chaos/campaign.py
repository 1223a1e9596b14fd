"""Rounds of random changes under random faults, each followed by a verdict; every draw comes from the seed."""

from __future__ import annotations

import threading
import time
from collections import Counter
from dataclasses import dataclass, field, replace

from tests.chaos import faults
from tests.chaos.clients import Customer
from tests.chaos.faults import Fault, Schedule
from tests.chaos.verdict import Verdict, empty, judge
from tests.chaos.world import World

CUSTOMERS = 3
START_S = 15.0  # how long a daemon may need before it serves
END_S = 75.0  # how long a customer may need to learn how its last order ended


@dataclass
class Tally:
    """The numbers of build/chaos.json."""

    runs: int = 0
    kills: int = 0
    faults: int = 0
    orders: int = 0
    committed: int = 0
    torn: int = 0
    lost: int = 0
    leaked_reservations: int = 0
    stuck: int = 0
    kinds: Counter[str] = field(default_factory=Counter)

    def add(self, verdict: Verdict) -> None:
        self.torn += bool(verdict.torn)
        self.lost += bool(verdict.lost)
        self.leaked_reservations += bool(verdict.leaked_reservations)
        self.stuck += bool(verdict.stuck)

    @property
    def clean(self) -> bool:
        return not (self.torn or self.lost or self.leaked_reservations or self.stuck)

    def document(self) -> dict[str, int]:
        names = ("runs", "kills", "faults", "orders", "committed", "torn", "lost", "leaked_reservations", "stuck")
        return {name: getattr(self, name) for name in names}


class Campaign:
    """Rounds over one city that stays; the services of a round are what the next one starts from."""

    def __init__(self, world: World, seed: str) -> None:
        self.world, self.seed = world, seed
        self.customers = [Customer(world.stage.address, n, seed) for n in range(CUSTOMERS)]
        self.tally = Tally()

    def round(self, number: int, *, length_s: float = 4.0, delete_all: bool = False) -> Verdict:
        """Torture, heal, judge."""
        plan = faults.schedule(f"{self.seed}/{number}", tuple(self.world.city.domains), length_s=length_s)
        before = self.world.kills
        self._torture(plan, number)
        verdict = self._healed()
        if verdict:
            verdict = judge(self.world, self.customers)
        if verdict and delete_all:
            verdict = empty(self.world, self.customers)
        for customer in self.customers:
            verdict.stuck += customer.errors
            customer.errors.clear()
        self.tally.runs += 1
        self.tally.kills += self.world.kills - before
        self.tally.orders = sum(c.orders for c in self.customers)
        self.tally.committed = sum(c.committed for c in self.customers)
        self.tally.add(verdict)
        return verdict

    def _torture(self, plan: Schedule, number: int) -> None:
        world, lives = self.world, list(plan.die_at)
        die_at = lives.pop(0) if lives else ""
        if die_at or plan.stop_at:
            world.kill_daemon()
            world.start_daemon(die_at, wait=False, stop_at=plan.stop_at)
            if plan.stop_at:
                world.await_service(START_S)  # else the round is over before anything is decided
        self._stop = threading.Event()
        self._threads = [c.work(self._stop, f"{self.seed}/{number}/{c.family.number}") for c in self.customers]
        started = time.monotonic()
        away, kills = list(plan.away_s), list(plan.kill_at_s)
        coming, going = list(plan.faults), list[Fault]()
        back_at = 0.0
        between = plan.between
        while (now := time.monotonic() - started) < plan.length_s or back_at:
            if between and world.daemon_stopped():
                coming[:0] = [replace(fault, at_s=now) for fault in between]
                self.tally.kinds["between decision and confirms"] += len(between)
                between = ()
                self._weather(now, coming, going)
                world.let_go_on()
            if world.daemon_died():
                back_at = back_at or now + (away.pop(0) if away else 0.1)
                if now >= back_at:
                    world.start_daemon(lives.pop(0) if lives else "", wait=False)
                    back_at = 0.0
            elif kills and now >= kills[0]:
                kills.pop(0)
                world.kill_daemon()
            self._weather(now, coming, going)
            time.sleep(0.01)

    def _weather(self, now: float, coming: list[Fault], going: list[Fault]) -> None:
        while coming and coming[0].at_s <= now:
            fault = coming.pop(0)
            if faults.begin(self.world, fault):
                self.tally.faults += 1
                self.tally.kinds[fault.kind] += 1
                going.append(fault)
        for fault in [f for f in going if f.at_s + f.lasts_s <= now]:
            going.remove(fault)
            faults.end(self.world, fault)

    def _healed(self) -> Verdict:
        """Take every fault away and wait for the customers to learn how their last orders ended."""
        verdict = Verdict()
        self._stop.set()
        self.world.heal()
        if self.world.armed or self.world.daemon_died():
            self.world.kill_daemon()
            self.world.start_daemon(wait=False)
        deadline = time.monotonic() + END_S
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
            if thread.is_alive():
                verdict.stuck.append(f"{thread.name} still waits for an end")
        return verdict

"""Desired against running: what a domain holds that it should not, and what it lacks.

Both sides are normalised, so that defaults, order, spelling and whitespace make no difference. A domain is read whole
or not at all: what cannot be read is said, and is never taken for something that is gone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from controller.changes.views import Difference, DomainDiff, Whose
from controller.errors import OnecityError
from controller.intent.model import ServiceId
from controller.rendering.desired import Desired
from controller.rendering.diff import diff
from controller.rendering.lit import passed_through
from controller.rendering.paths import at, path_text
from controller.rendering.tree import Leaf, Operation, OperationKind, Tree
from controller.southbound.driver import Driver


@dataclass(frozen=True, slots=True)
class Deviation:
    """One place that runs something else than is desired, and the operation that would mend it."""

    operation: Operation
    running: Tree | Leaf | None  # None: is not there
    wanted: Tree | Leaf | None  # None: should not be there
    owners: tuple[ServiceId, ...]  # whose place it is; of what others added, whose entry it is in
    whose: Whose

    def view(self) -> Difference:
        wanted = None if self.wanted is None else _shown(self.wanted)
        running = None if self.running is None else _shown(self.running)
        if self.operation.ordered and self.operation.kind is OperationKind.MERGE:
            after = self.operation.after
            wanted, running = "first" if after is None else f"after {' '.join(after[1:])}", "elsewhere in the order"
        return Difference(path_text(self.operation.path), wanted, running, ", ".join(self.owners), self.whose)


@dataclass(frozen=True, slots=True)
class Compared:
    """One domain, as compared. `deviations` are in the order of the domain's tree."""

    domain: str
    deviations: tuple[Deviation, ...] = ()
    unread: str = ""  # why it could not be read; then nothing else is known

    def view(self) -> DomainDiff:
        if self.unread:
            return DomainDiff(self.domain, reachable=False, message=self.unread)
        return DomainDiff(self.domain, True, tuple(one.view() for one in self.deviations))


async def compare(drivers: Mapping[str, Driver], desired: Desired, names: Iterable[str]) -> tuple[Compared, ...]:
    """Read whole domains, all at once, and compare; one that cannot be read says so and is not guessed at."""
    return tuple(await asyncio.gather(*(_one(drivers[name], desired, name) for name in names)))


async def _one(driver: Driver, desired: Desired, name: str) -> Compared:
    try:
        running = await driver.read(())
    except OnecityError as error:
        return Compared(name, unread=str(error))
    return Compared(name, await asyncio.to_thread(deviations, name, running, desired.tree(name), desired))


def deviations(domain: str, running: Tree, wanted: Tree, desired: Desired) -> tuple[Deviation, ...]:
    """Return where `running` is not `wanted` (the domain's desired tree, or the same places cut out of both)."""
    return tuple(_deviation(domain, op, running, wanted, desired) for op in diff(running, wanted))


def _deviation(domain: str, op: Operation, running: Tree, wanted: Tree, desired: Desired) -> Deviation:
    have = at(running, op.path)
    if op.kind is OperationKind.DELETE:
        # Of a network that is the domain's own, only what we wrote there is ours: the rest is beside it.
        around = at(wanted, op.path[:2])
        beside = len(op.path) == 3 and around is not None and passed_through(op.path[1], around)
        inside = () if beside else desired.around(domain, op.path)
        return Deviation(op, have, None, inside, Whose.ADDED if inside else Whose.FOREIGN)
    return Deviation(op, have, at(wanted, op.path), desired.blame(domain, op.path), Whose.OURS)


def _shown(value: Tree | Leaf) -> str:
    if isinstance(value, dict):
        return f"({len(value)} nodes)"
    return ", ".join(value) if isinstance(value, tuple) else value or ""

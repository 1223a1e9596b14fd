"""Desired against running: what a domain holds that it should not, and what it lacks."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from controller.changes.domains import Domains
from controller.changes.views import Difference, DomainDiff
from controller.errors import OnecityError
from controller.rendering.desired import Desired
from controller.rendering.diff import diff
from controller.rendering.paths import at, path_text
from controller.rendering.tree import Leaf, Operation, OperationKind, Tree


async def compare(domains: Domains, desired: Desired, names: Iterable[str]) -> tuple[DomainDiff, ...]:
    """Read whole domains, all at once, and compare; one that cannot be read says so and is not guessed at."""
    return tuple(await asyncio.gather(*(_one(domains, desired, name) for name in names)))


async def _one(domains: Domains, desired: Desired, name: str) -> DomainDiff:
    try:
        running = await domains.drivers[name].read(())
    except OnecityError as error:
        return DomainDiff(name, reachable=False, message=str(error))
    wanted = desired.tree(name)
    return await asyncio.to_thread(_compared, name, running, wanted, desired)


def _compared(name: str, running: Tree, wanted: Tree, desired: Desired) -> DomainDiff:
    return DomainDiff(name, True, tuple(_difference(name, op, running, desired) for op in diff(running, wanted)))


def _difference(domain: str, op: Operation, running: Tree, desired: Desired) -> Difference:
    owners = ", ".join(desired.blame(domain, op.path))
    wanted = None if op.kind is OperationKind.DELETE else _shown(op.value)
    have = at(running, op.path)
    return Difference(path_text(op.path), wanted, None if have is None else _shown(have), owners)


def _shown(value: Tree | Leaf | None) -> str:
    if isinstance(value, dict):
        return f"({len(value)} nodes)"
    return ", ".join(value) if isinstance(value, tuple) else value or ""

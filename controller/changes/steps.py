"""In which order a change reaches the domains.

Optical comes up before the IP that rides on it and goes down after. What only adds or only removes is one
transaction whose waves keep that order; what does both is two: build and switch first, and only when that stands
on every domain, remove what nobody rides on any more.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from controller.network.discovered import DomainKind
from controller.rendering.tree import Edit, Operation, OperationKind, Path, Tree
from controller.rendering.tree import Step as TreeStep
from controller.transactions.step import Step


def steps_of(change_id: str, edits: Iterable[Edit], kinds: Mapping[str, DomainKind]) -> tuple[Step, ...]:
    """Return the transactions that carry out these edits; none for no edits."""
    ip = tuple(sorted((e for e in edits if kinds[e.domain] is DomainKind.IP), key=lambda e: e.domain))
    optical = tuple(sorted((e for e in edits if kinds[e.domain] is DomainKind.OPTICAL), key=lambda e: e.domain))
    build, remove = _split(optical)
    if ip and remove and not build:
        return (
            (_step(change_id, 0, "remove", (ip, remove)),) if _only_removes(ip) else _two(change_id, ip, build, remove)
        )
    if remove and (build or ip):
        return _two(change_id, ip, build, remove)
    name = "remove" if (not build and not ip) or (_only_removes(ip) and not build) else "build"
    waves = (build, ip, remove)
    return (_step(change_id, 0, name, waves),) if any(waves) else ()


def _two(change_id: str, ip: tuple[Edit, ...], build: tuple[Edit, ...], remove: tuple[Edit, ...]) -> tuple[Step, ...]:
    return _step(change_id, 0, "switch", (build, ip)), _step(change_id, 1, "remove", (remove,))


def _step(change_id: str, index: int, name: str, waves: tuple[tuple[Edit, ...], ...]) -> Step:
    filled = tuple(wave for wave in waves if wave)
    return Step(
        change_id,
        index,
        name,
        tuple(e for wave in filled for e in wave),
        tuple(tuple(e.domain for e in wave) for wave in filled),
    )


def _only_removes(edits: Iterable[Edit]) -> bool:
    return all(op.kind is OperationKind.DELETE for e in edits for op in e.operations)


def _split(edits: Iterable[Edit]) -> tuple[tuple[Edit, ...], tuple[Edit, ...]]:
    """Part each optical edit into what brings circuits up or changes them, and what takes circuits down."""
    build, remove = [], []
    for edit in edits:
        downs = tuple(op for op in edit.operations if op.kind is OperationKind.DELETE and len(op.path) == 1)
        ups = tuple(op for op in edit.operations if op not in downs)
        if ups:
            build.append(_part(edit, ups))
        if downs:
            remove.append(_part(edit, downs))
    return tuple(build), tuple(remove)


def _part(edit: Edit, operations: tuple[Operation, ...]) -> Edit:
    if len(operations) == len(edit.operations):
        return edit
    roots = {op.path[0] for op in operations}
    touched: tuple[Path, ...] = tuple(p for p in edit.touched if p[0] in roots)
    return Edit(edit.domain, operations, touched, _only(edit.before, roots), _only(edit.after, roots))


def _only(tree: Tree, roots: set[TreeStep]) -> Tree:
    return {step: value for step, value in tree.items() if step in roots}

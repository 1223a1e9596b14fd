"""Steps of several changes in one transaction, and whose fault it is when that is refused.

The members of a group touch the same domains in the same order, and no two of them the same place. What a domain says
decides who stays: a refusal that names a place of a member sets that member apart, the rest is tried again, and the
one set apart is then tried alone, so that its answer is its own. Where nothing is named, halves are tried. What says
nothing of the members (a domain that is gone, late or held by somebody else) is everybody's answer.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from controller.rendering.tree import Edit, Leaf, Path, Tree
from controller.rendering.tree import Step as TreeStep
from controller.transactions.step import DomainFailure, Step, StepOutcome, StepResult

# Keys in a path as domains write it: […='key'], […="key"], […=key], [key].
_KEY = re.compile(r"""=\s*'([^']*)'|=\s*"([^"]*)"|\[([^\]=]*)\]|=\s*([^\]'"\s]+)\s*\]""")


def together(steps: Sequence[Step], attempt: int) -> Step:
    """Return the step that carries these out as one. Its id differs from theirs, and with the attempt."""
    first = steps[0]
    names = [edit.domain for edit in first.edits]
    edits = tuple(_merged(name, [_edit(step, name) for step in steps]) for name in names)
    return Step(f"group-{first.change_id}-{first.index}", attempt, "group", edits, first.waves, tuple(steps))


def without_edits(step: Step) -> Step:
    """Return a group as it is written down: what it does is in its members."""
    return replace(step, edits=()) if step.members else step


def whole(step: Step) -> Step:
    """Return a group that was written down with its edits again."""
    return together(step.members, step.index) if step.members and not step.edits else step


def members_of(step: Step) -> tuple[Step, ...]:
    """Return the steps of changes that a transaction carries out: those of a group, or itself."""
    return step.members or (step,)


def parts(steps: Sequence[Step], result: StepResult) -> tuple[tuple[int, ...], ...]:
    """Return in which parts the members of a group that came to nothing are tried again; none: that is the end.

    Numbers are positions in `steps`. Each part is smaller than the whole, so this ends.
    """
    undone = result.outcome in (StepOutcome.ROLLED_BACK, StepOutcome.COMPENSATED)
    if len(steps) < 2 or not undone or any(failure.whole for failure in result.failures):
        return ()
    named = [n for n, step in enumerate(steps) if any(names(failure, step) for failure in result.failures)]
    if named and len(named) < len(steps):
        rest = tuple(n for n in range(len(steps)) if n not in named)
        return (rest, *((n,) for n in named))
    half = len(steps) // 2
    return tuple(range(half)), tuple(range(half, len(steps)))


def answer_to(step: Step, steps: Sequence[Step], result: StepResult) -> StepResult:
    """Return a group's result as one member hears it: without warnings that name only others."""

    def named(warning: str) -> list[Step]:
        domain, _, text = warning.partition(": ")
        return [one for one in steps if names(DomainFailure(domain, "", text, text), one)]

    told = tuple(warning for warning in result.warnings if not (who := named(warning)) or step in who)
    return replace(result, warnings=told) if told != result.warnings else result


def names(failure: DomainFailure, step: Step) -> bool:
    """Say whether the place that a domain named lies in one that the step touches there."""
    if not failure.path:
        return False
    told = {key for match in _KEY.finditer(failure.path) for key in match.groups() if key is not None}
    return any(
        not keys.isdisjoint(told)
        for edit in step.edits
        if edit.domain == failure.domain
        for keys in map(_unit_keys, edit.touched)
    )


def _unit_keys(path: Path) -> frozenset[str]:
    """Return the keys of the outermost entry: a VPN, a tunnel, a circuit belongs to one service."""
    entry = next((step for step in path if isinstance(step, tuple)), ())
    return frozenset(entry[1:])


def _edit(step: Step, domain: str) -> Edit:
    return next(edit for edit in step.edits if edit.domain == domain)


def _merged(domain: str, edits: Sequence[Edit]) -> Edit:
    return Edit(
        domain,
        tuple(operation for edit in edits for operation in edit.operations),
        tuple(path for edit in edits for path in edit.touched),
        _union([edit.before for edit in edits]),
        _union([edit.after for edit in edits]),
    )


def _union(trees: Iterable[Mapping[TreeStep, Tree | Leaf]]) -> Tree:
    """Return one tree with everything that these hold; what two of them hold they share or are containers of both."""
    found: dict[TreeStep, list[Tree | Leaf]] = {}
    for tree in trees:
        for step, value in tree.items():
            found.setdefault(step, []).append(value)
    out: Tree = {}
    for step, values in found.items():
        containers = [value for value in values if isinstance(value, dict)]
        out[step] = _union(containers) if len(containers) > 1 else values[0]
    return out

"""A finished step is undone exactly: what stood around the places that it touched stays."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

from controller.changes.recovery import bring_back
from controller.rendering.diff import apply, edit
from controller.rendering.tree import Tree
from controller.transactions.step import Step, StepOutcome, StepResult


def vpn(*nodes: str, customer: str = "gov") -> Tree:
    inside: Tree = {("l3nm:vpn-node", n): {"l3nm:vpn-node-id": n, "l3nm:ne-id": n} for n in nodes}
    service: Tree = {"l3nm:vpn-id": "a", "l3nm:customer-name": customer}
    if inside:
        service["l3nm:vpn-nodes"] = inside
    return {"l3nm:l3vpn-ntw": {"l3nm:vpn-services": {("l3nm:vpn-service", "a"): service}}}


async def undone(before: Tree, after: Tree) -> Tree:
    """Return what a domain holds after the undoing of a step from `before` to `after`."""
    sent: list[Step] = []

    async def enforce(step: Step) -> StepResult:
        sent.append(step)
        return StepResult(StepOutcome.COMMITTED)

    step = Step("c1", 0, "switch", (edit("city-ip", before, after),), (("city-ip",),))
    await bring_back(cast(Any, SimpleNamespace(enforce=enforce)), (step,), StepResult(StepOutcome.ROLLED_BACK))
    (undo,) = sent
    (back,) = undo.edits
    return apply(after, back.operations)


async def test_an_entry_that_grew_shrinks_again_and_stays() -> None:
    assert await undone(vpn("n1"), vpn("n1", "n2")) == vpn("n1")
    assert await undone(vpn(), vpn("n2")) == vpn()


async def test_what_went_comes_back_and_what_changed_changes_back() -> None:
    assert await undone(vpn("n1", "n2"), vpn("n1")) == vpn("n1", "n2")
    assert await undone(vpn("n1"), vpn("n1", customer="health")) == vpn("n1")
    assert await undone({}, vpn("n1")) == {}
    assert await undone(vpn("n1"), {}) == vpn("n1")

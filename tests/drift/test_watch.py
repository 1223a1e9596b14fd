"""Drift is what others changed: not how a domain writes things, not what is not ours, not what could not be read."""

from __future__ import annotations

import asyncio
import random
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from controller.changes.views import ChangeResult, Outcome, Whose
from controller.drift.acceptance import Acceptances
from controller.drift.compare import deviations
from controller.drift.port import DriftPolicy
from controller.drift.remedies import MOST_REVERTS, Remedies
from controller.drift.watch import Drift
from controller.errors import DomainUnreachableError
from controller.intent.model import ServiceId
from controller.rendering.desired import Desired
from controller.rendering.diff import edit
from controller.rendering.graft import Graft
from controller.rendering.normalise import normalise
from controller.rendering.schema import Schema, SchemaNode
from controller.rendering.tree import Path as DataPath
from controller.rendering.tree import Tree
from controller.rendering.xml import from_xml, to_xml
from controller.store.records import ChangeRecord
from controller.store.store import Store
from tests.rendering.test_kinds import KINDS, fragments

NOW = datetime(2026, 11, 21, 8, tzinfo=UTC)
DOMAIN, SERVICE = "city-ip", ServiceId("gov/office")
# Their lexical form may be padded (RFC 7950 §9); in text, and in what is made of text, a blank is a blank.
PADDED = {"uint8", "uint16", "uint32", "uint64", "decimal64", "boolean", "enumeration", "identityref"}


def vpn(name: str, **leaves: str) -> Tree:
    return {"l3nm:vpn-id": name, **{f"l3nm:{leaf.replace('_', '-')}": text for leaf, text in leaves.items()}}


def services(**vpns: Tree) -> Tree:
    entries: Tree = {("l3nm:vpn-service", name): content for name, content in vpns.items()}
    return {"l3nm:l3vpn-ntw": {"l3nm:vpn-services": entries}}


def path(name: str, *rest: str) -> DataPath:
    return ("l3nm:l3vpn-ntw", "l3nm:vpn-services", ("l3nm:vpn-service", name), *rest)


OURS = services(office=vpn("office", customer_name="gov"))
DESIRED = Desired().with_changes({SERVICE: {DOMAIN: OURS}})


def compared(running: Tree, desired: Desired = DESIRED) -> list[tuple[DataPath, Whose]]:
    found = deviations(DOMAIN, running, desired.tree(DOMAIN), desired)
    return [(one.operation.path, one.whose) for one in found]


# ── how a domain writes things ──────────────────────────────────────────────────────────────────────────────────


def rewritten(tree: Tree, draw: random.Random) -> Tree:
    """Return the tree as read from a server that orders, spells and pads as it likes and reports every default."""
    root = etree.fromstring(to_xml(tree))
    _rewrite(Schema.load().roots_by_tag, root, draw)
    return normalise(from_xml(etree.tostring(root)))


def _rewrite(by_tag: Any, element: etree._Element, draw: random.Random) -> None:
    here = list(element)
    for child in here:
        node: SchemaNode | None = by_tag.get(child.tag)
        if node is None:
            _rewrite(by_tag, child, draw)
        elif not node.is_leaf:
            _rewrite(node.by_tag, child, draw)
            for below in node.children.values():
                if below.default is not None and below.config and child.find(below.tag) is None and draw.random() < 0.3:
                    etree.SubElement(child, below.tag).text = below.default
        elif child.text and node.type.get("base") in PADDED and draw.random() < 0.3:
            child.text = f"\n   {child.text}  "
    ordered = {c.tag for c in here if (n := by_tag.get(c.tag)) is not None and n.user_ordered}
    moved = [c for c in element if c.tag not in ordered]
    draw.shuffle(moved)
    for child in moved:
        element.remove(child)
        element.append(child)
    element.text = "\n  "


@pytest.mark.parametrize("kind", KINDS)
def test_order_case_whitespace_and_defaults_are_no_drift(kind: str) -> None:
    trees = {d: t for d, t in fragments(kind)[1].items() if d != "city-otn"}
    desired = Desired().with_changes({SERVICE: trees})

    @settings(max_examples=5 if kind != "conference" else 1, deadline=None)
    @given(st.integers(0, 2**32))
    def always(seed: int) -> None:
        draw = random.Random(seed)
        for domain, tree in trees.items():
            assert deviations(domain, rewritten(tree, draw), tree, desired) == ()

    always()


# ── whose a difference is ───────────────────────────────────────────────────────────────────────────────────────


def test_ours_added_and_foreign_are_told_apart() -> None:
    running = services(office=vpn("office", customer_name="other", vpn_description="mine"), theirs=vpn("theirs"))
    assert set(compared(running)) == {
        (path("theirs"), Whose.FOREIGN),
        (path("office", "l3nm:customer-name"), Whose.OURS),
        (path("office", "l3nm:vpn-description"), Whose.ADDED),
    }
    assert compared({}) == [(path("office"), Whose.OURS)]
    assert compared(OURS) == []


# ── what is accepted ────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def acceptances(tmp_path: Path):
    store = Store.open(tmp_path / "onecity.db")
    yield Acceptances(store)
    store.close()


async def accept(acceptances: Acceptances, running: Tree) -> None:
    found = deviations(DOMAIN, running, OURS, DESIRED)
    record = ChangeRecord("c1", "mei", "", NOW, kind="drift", outcome="committed", ended=NOW)
    await acceptances.accept(DOMAIN, found, record, NOW)


async def test_exactly_what_was_accepted_is_accepted(acceptances: Acceptances) -> None:
    theirs = services(office=vpn("office", customer_name="theirs"))
    await accept(acceptances, theirs)
    kept = Acceptances(acceptances._store)  # as after a restart
    for known in (acceptances, kept):
        (marked,) = known.marked(DOMAIN, deviations(DOMAIN, theirs, OURS, DESIRED))
        assert marked.whose is Whose.ACCEPTED
        again = services(office=vpn("office", customer_name="once more"))
        (marked,) = known.marked(DOMAIN, deviations(DOMAIN, again, OURS, DESIRED))
        assert marked.whose is Whose.OURS
    await kept.forget_lapsed(DOMAIN, ())
    assert not kept._store.acceptances()


@pytest.mark.parametrize(
    "running",
    [
        services(office=vpn("office", customer_name="theirs")),
        services(office=vpn("office", customer_name="gov", vpn_description="theirs")),
        services(office=vpn("office")),
    ],
    ids=["changed", "added", "gone"],
)
async def test_a_change_beside_an_accepted_place_expects_it_as_it_runs(acceptances, running: Tree) -> None:
    await accept(acceptances, running)
    new = services(office=vpn("office", customer_name="gov", vpn_name="renamed"))
    (shown,) = acceptances.as_it_runs((edit(DOMAIN, OURS, new),))
    graft = Graft(running)
    graft.put(path("office", "l3nm:vpn-name"), "renamed")
    assert (shown.before, shown.after) == (running, graft.tree)


async def test_a_change_of_an_accepted_place_wins(acceptances: Acceptances) -> None:
    await accept(acceptances, services(office=vpn("office", customer_name="theirs")))
    new = services(office=vpn("office", customer_name="moved on"))
    (shown,) = acceptances.as_it_runs((edit(DOMAIN, OURS, new),))
    assert shown.after == new
    assert shown.before == services(office=vpn("office", customer_name="theirs"))
    (shown,) = acceptances.as_it_runs((edit(DOMAIN, OURS, {}),))
    assert shown.after == {}


async def test_an_entry_accepted_as_gone_stays_gone_in_the_images(acceptances: Acceptances) -> None:
    await accept(acceptances, {})
    (shown,) = acceptances.as_it_runs((edit(DOMAIN, OURS, {}),))
    assert (shown.before, shown.after) == ({}, {})


# ── reading, and what follows from it ───────────────────────────────────────────────────────────────────────────


class Domain:
    """As much of a driver as a comparison needs."""

    def __init__(self, running: Tree) -> None:
        self.running, self.reads, self.broken = running, 0, False

    async def read(self, paths: object) -> Tree:
        self.reads += 1
        if self.broken:
            raise DomainUnreachableError(DOMAIN, "get-config: the session ended half-way")
        return self.running


def watcher(acceptances: Acceptances, domain: Domain, every_s: float = 0.0) -> Drift:
    state = SimpleNamespace(desired=DESIRED, services={SERVICE: object()})
    drivers = cast(Any, {DOMAIN: domain})
    return Drift(drivers, lambda: cast(Any, state), frozenset, acceptances, lambda: datetime.now(UTC), every_s)


async def test_what_cannot_be_read_is_not_taken_for_gone(acceptances: Acceptances) -> None:
    domain = Domain({})
    drift = watcher(acceptances, domain)
    found: list[object] = []

    async def hear(name: str, deviating: object) -> None:
        found.append(deviating)

    drift.on_found = hear
    domain.broken = True
    drift.suspect(DOMAIN)
    await asyncio.sleep(0.4)
    assert domain.reads == 1
    (told,) = await drift.compared((DOMAIN,))
    assert not told.reachable
    assert "half-way" in told.message
    assert not found
    assert not drift.known()
    await drift.close()


async def test_a_domain_that_says_nothing_is_compared_now_and_then(acceptances: Acceptances) -> None:
    domain = Domain(OURS)
    drift = watcher(acceptances, domain, every_s=0.1)
    drift.start()
    await asyncio.sleep(0.6)
    assert domain.reads
    assert not drift.known()[DOMAIN].differing
    await drift.close()


class Sender:
    """Stands for what sends again: remembers what it was asked, and heals or not."""

    def __init__(self, domain: Domain, heals: bool = True) -> None:
        self.domain, self.heals, self.asked = domain, heals, list[Any]()

    async def carry_out(self, asked: Any, order: Any, live: Any) -> ChangeResult:
        self.asked.append(asked)
        if self.heals:
            self.domain.running = OURS
        return ChangeResult(Outcome.COMMITTED)


def remedies(drift: Drift, sender: Sender, policy: DriftPolicy) -> Remedies:
    def begin(order: Any, change_id: str, work: Any) -> asyncio.Task[ChangeResult]:
        return asyncio.create_task(work(None))

    return Remedies(drift, cast(Any, sender), drift._state, {DOMAIN: policy}, begin, lambda: datetime.now(UTC))


async def test_somebody_who_keeps_changing_it_back_is_left_to_a_person(acceptances, monkeypatch) -> None:
    monkeypatch.setattr("controller.drift.watch.PAUSE_S", 0.01)
    monkeypatch.setattr("controller.drift.watch.SETTLE_S", 0.01)
    domain = Domain(services(office=vpn("office", customer_name="theirs")))
    drift = watcher(acceptances, domain)
    sender = Sender(domain, heals=False)
    held = remedies(drift, sender, DriftPolicy.REVERT)
    drift.suspect(DOMAIN)
    await asyncio.sleep(0.5)
    assert len(sender.asked) == MOST_REVERTS
    assert "somebody changed it again" in held.standing()[0].message
    await drift.close()


@pytest.mark.parametrize(("policy", "sent", "accepted"), [("alert", 0, 0), ("revert", 1, 0), ("accept", 0, 1)])
async def test_each_policy_does_what_it_says(acceptances, policy: str, sent: int, accepted: int) -> None:
    domain = Domain(services(office=vpn("office", customer_name="theirs"), theirs=vpn("theirs")))
    drift = watcher(acceptances, domain)
    drift._state().services = {}  # type: ignore[misc]
    sender = Sender(domain)
    remedies(drift, sender, DriftPolicy(policy))
    drift.suspect(DOMAIN)
    await asyncio.sleep(0.6)
    assert len(sender.asked) == sent
    assert drift.known()[DOMAIN].counts.get(Whose.ACCEPTED, 0) == accepted
    assert len(acceptances._store.acceptances()) == accepted
    await drift.close()


async def test_what_moves_meanwhile_is_looked_at_again_and_not_called_drift(acceptances: Acceptances) -> None:
    domain = Domain(services(office=vpn("office", customer_name="theirs")))
    state = SimpleNamespace(desired=DESIRED, services={SERVICE: object()})
    moving = {SERVICE}
    drivers = cast(Any, {DOMAIN: domain})
    drift = Drift(drivers, lambda: cast(Any, state), lambda: moving, acceptances, lambda: datetime.now(UTC))
    await drift.deviations((DOMAIN,))
    assert not drift.known()[DOMAIN].drifted
    assert DOMAIN in drift._later
    await drift.close()

"""Several changes planned in one go, each as it would have been one after the other.

To plan a change costs a little for what it asks and more for what stands: the projections of all services are taken
up, changed in one place and put away. Changes that wait for the same desk share that. Each is placed on the ledger as
those before it left it, so that the answer is that of planning them in this order; rendering is merged, the model
brought up to date and proven once, and what each domain has to do is parted again by whose it is. Whatever is out of
the ordinary (a VIP, a window, a place that two of them share, a proof that fails) is nobody's answer: those concerned
are planned alone.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from controller.changes.leavings import leavings
from controller.changes.pipeline import (
    Planned,
    ServicePlan,
    Wanted,
    active_intents,
    plan_of,
    removals_and_windows,
    sort_out,
    state_after,
)
from controller.changes.rendered import standing_of
from controller.changes.state import DesiredState, Standing
from controller.errors import OnecityError
from controller.intent.model import Service, ServiceId
from controller.network.ledger import Ledger
from controller.network.lit import with_lit
from controller.network.model import CityMap
from controller.planning.place import place
from controller.planning.placement import Placement
from controller.rendering.desired import edits as edits_between
from controller.rendering.paths import extract, units
from controller.rendering.tree import Edit, Path, Tree
from controller.verification.model import ConfigurationModel
from controller.verification.prove import prove

MOST_SERVICES = 8  # of one change that is planned in company; a larger one gains nothing by it
MOST_CHANGES = 16  # in one go: the first of them waits for the last

Pairs = dict[ServiceId, tuple[Service, Placement]]


@dataclass(frozen=True, slots=True)
class Asked:
    """One of the changes."""

    change_id: str
    wanted: Wanted


def plain(wanted: Wanted) -> bool:
    """Say whether a change only puts, or only removes, a few services."""
    count = len(wanted.puts) + len(wanted.drops)
    return (
        count <= MOST_SERVICES
        and bool(wanted.puts) != bool(wanted.drops)
        and wanted == Wanted(wanted.puts, wanted.drops)
        and all(service.window is None for service in wanted.puts)  # every VIP has one
    )


def plan_jointly(
    state: DesiredState, model: ConfigurationModel, city: CityMap, asked: Sequence[Asked], now: datetime
) -> dict[str, Planned]:
    """Return how each change is planned, by its id; those missing have to be planned alone.

    The changes concern different services (`Desk.flight`). Each result tells of its own services and edits, and has no
    digest, as nobody approved it beforehand; base, after, model and proofs are those of all of them together, with
    what the old placements hold still reserved.
    """
    protected = state.protected()
    joint = _Joint(state, city, now)
    for one in asked:
        if not joint.touches(one.wanted, protected):
            joint.take(one)
    try:
        return joint.planned(model)
    except OnecityError:  # whose fault it is, planning them alone will say
        return {}


@dataclass(slots=True)
class _Part:
    """What one change comes to."""

    change_id: str
    puts: dict[ServiceId, Standing]
    drops: frozenset[ServiceId]
    plans: tuple[ServicePlan, ...]


class _Joint:
    """Changes taken one after the other, each on what those before it left."""

    def __init__(self, state: DesiredState, city: CityMap, now: datetime) -> None:
        self._state, self._city, self._now = state, with_lit(city, state.lit), now
        self._ledger: Ledger = state.ledger.on(self._city)
        self._pairs: Pairs = dict(state.pairs())
        self._parts: list[_Part] = []
        self._number = state.number

    def touches(self, wanted: Wanted, protected: Iterable[ServiceId]) -> bool:
        """Say whether the change concerns what is out of the ordinary.

        A service with a window, as every VIP has, what a VIP protects, or who rides on a link that others ride on too.
        """
        named = {s.metadata.service for s in wanted.puts} | wanted.drops
        standing = [s for sid in named if (s := self._state.services.get(sid)) is not None]
        if any(s.service.window is not None or s.placement.lit_links for s in standing):
            return True
        return not named.isdisjoint(protected)

    def take(self, one: Asked) -> None:
        """Place a change; where that is refused, it is as if it had not been asked."""
        state = replace(self._state, number=self._number)
        changed, quiet = sort_out(state, one.wanted, self._now)
        drops = one.wanted.drops & state.services.keys()
        if drops != one.wanted.drops:
            return
        try:
            placed = place(self._city, self._ledger, changed, self._pairs, self._now) if changed else None
        except OnecityError:
            return
        if placed is not None:
            if placed.refusals or any(p.lit_links for p in placed.placements.values()):
                return
            self._ledger = placed.ledger
        for sid in drops:
            self._ledger.remove(sid)
            self._pairs.pop(sid, None)
        puts, plans = self._rendered(state, changed, placed.placements if placed is not None else {})
        for left in leavings(state.services, puts, drops.union(puts), one.change_id):
            self._ledger.add(left)
        plans = (*plans, *removals_and_windows(state, one.wanted, drops), *quiet)
        self._parts.append(_Part(one.change_id, puts, drops, plans))
        self._number += bool(puts or drops)

    def _rendered(
        self, state: DesiredState, changed: Sequence[Service], placements: Mapping[ServiceId, Placement]
    ) -> tuple[dict[ServiceId, Standing], tuple[ServicePlan, ...]]:
        for service in changed:
            self._pairs[service.metadata.service] = (service, placements[service.metadata.service])
        puts = {}
        for service in changed:
            sid = service.metadata.service
            put = standing_of(state, service, placements[sid], self._city, self._pairs, self._now)
            if put is not None:
                puts[sid] = put
        return puts, tuple(plan_of(state, s, placements.get(s.metadata.service), self._now) for s in changed)

    def planned(self, model: ConfigurationModel) -> dict[str, Planned]:
        """Merge, prove, and give everybody what is theirs. Raises ConflictError where two want one leaf otherwise."""
        puts = {sid: put for part in self._parts for sid, put in part.puts.items()}
        drops = frozenset(sid for part in self._parts for sid in part.drops)
        after = replace(state_after(self._state, puts, drops, self._ledger), number=self._number)
        edits = edits_between(self._state.desired, after.desired)
        shares = self._parted(edits, after)
        if shares is None:
            return {}
        next_model = model.updated({e.domain: after.desired.tree(e.domain) for e in edits}, edits)
        started = time.perf_counter()
        proofs = prove(next_model, self._city, active_intents(after), frozenset(puts) | drops)
        proofs_s = time.perf_counter() - started
        if proofs.broken:
            return {}
        base, city = self._state, self._city
        return {
            p.change_id: Planned(
                base, after, next_model, p.plans, p.puts, p.drops, share, proofs, proofs_s, (), "", city
            )
            for p, share in zip(self._parts, shares, strict=True)
        }

    def _parted(self, edits: Sequence[Edit], after: DesiredState) -> list[tuple[Edit, ...]] | None:
        """Return whose each operation is; None where two changes are in one unit, or nobody is."""
        whose: dict[tuple[str, Path], int] = {}
        for number, part in enumerate(self._parts):
            for place_ in self._units(part):
                if whose.setdefault(place_, number) != number:
                    return None
        shares: list[list[Edit]] = [[] for _ in self._parts]
        for edit in edits:
            owned = _by_owner(edit, whose)
            if owned is None:
                return None
            old, new = self._state.desired.tree(edit.domain), after.desired.tree(edit.domain)
            for number, operations in sorted(owned.items()):
                touched = tuple(path for path in edit.touched if whose.get((edit.domain, _unit(path))) == number)
                mine = tuple(edit.operations[n] for n in operations)
                shares[number].append(Edit(edit.domain, mine, touched, extract(old, touched), extract(new, touched)))
        return [tuple(share) for share in shares]

    def _units(self, part: _Part) -> set[tuple[str, Path]]:
        """Return the units, domain by domain, that a change's services have now or had before."""
        standing = (self._state.services.get(sid) for sid in part.drops.union(part.puts))
        found: set[tuple[str, Path]] = set()
        for one in (*part.puts.values(), *(s for s in standing if s is not None)):
            found |= {(domain, unit) for domain, tree in one.fragments.items() for unit in _of(tree)}
        return found


def _of(tree: Tree) -> list[Path]:
    return [path for path, _ in units(tree)]


def _unit(path: Path) -> Path:
    """Return the outermost entry that a place lies in; all of the path where it lies in none."""
    return next((path[: n + 1] for n, step in enumerate(path) if isinstance(step, tuple)), path)


def _by_owner(edit: Edit, whose: Mapping[tuple[str, Path], int]) -> dict[int, list[int]] | None:
    """Return the numbers of the operations of each change; None where one belongs to none."""
    owned: dict[int, list[int]] = {}
    for n, operation in enumerate(edit.operations):
        number = whose.get((edit.domain, _unit(operation.path)))
        if number is None:
            return None
        owned.setdefault(number, []).append(n)
    return owned

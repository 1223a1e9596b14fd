"""Whose every place on a domain is, and which change it comes from; of what runs there also what is nobody's.

The service is known of every leaf (`Desired.blame`). The change is found as in version control: from the newest
change of these services backwards, the first that set the leaf. Changes keep only so many places; a leaf that none of
them names comes from the one that made its service.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field, replace

from controller.changes.leaves import Place, leaves
from controller.changes.ports import BlameRequest
from controller.changes.views import Blame, BlamedPlace, Outcome
from controller.errors import UnknownNameError
from controller.intent.model import ServiceId
from controller.rendering.desired import Desired
from controller.rendering.paths import at
from controller.rendering.tree import Path, Tree
from controller.store.records import ChangeRecord, DomainChange
from controller.store.store import Store

MOST_CHANGES = 200  # of one service that are looked through

Effects = Callable[[str], tuple[DomainChange, ...]]


def resolved(request: BlameRequest, services: Collection[ServiceId]) -> BlameRequest:
    """Return the request with its service by its full name; raises UnknownNameError where that is none, or several."""
    name = request.service
    if not name or name in services:
        return request
    matches = sorted(sid for sid in services if sid.partition("/")[2] == name)
    if len(matches) == 1:
        return replace(request, service=matches[0])
    hint = f"it may be {', '.join(matches)}" if matches else "`onecity get` lists them"
    raise UnknownNameError(f"no single service {name!r}; {hint}")


def blame(request: BlameRequest, desired: Desired, running: Tree | None, origins: Origins) -> Blame:
    """Return the places asked for, in their order; `running` is what the domain holds, where that was asked for."""
    tree = desired.tree(request.domain) if running is None else running
    found: list[BlamedPlace] = []
    for place, services in _asked(request, tree, desired):
        if len(found) == request.limit:
            return Blame(request.domain, tuple(found), more=True)
        wanted = _text(desired, request.domain, place.path)
        origin = origins.of(place.text, services)
        found.append(
            BlamedPlace(
                place.text,
                place.value,
                tuple(services),
                origin.revision if origin else 0,
                origin.id if origin else "",
                wanted if services and wanted != place.value else None,
            )
        )
    return Blame(request.domain, tuple(found))


def _asked(request: BlameRequest, tree: Tree, desired: Desired) -> Iterator[tuple[Place, tuple[ServiceId, ...]]]:
    prefix = request.path if request.path.startswith("/") else ""

    def enter(text: str) -> bool:
        return text.startswith(prefix) or prefix.startswith(text)

    for place in leaves(tree, enter):
        if not place.text.startswith(prefix) or (not prefix and request.path not in place.text):
            continue
        ours = _stands(desired.tree(request.domain), place.path)
        services = desired.blame(request.domain, place.path) if ours else ()
        if not request.service or request.service in services:
            yield place, services


def _stands(tree: Tree, path: Path) -> bool:
    return at(tree, path) is not None


def _text(desired: Desired, domain: str, path: Path) -> str | None:
    value = at(desired.tree(domain), path)
    if value is None or isinstance(value, dict):
        return None if value is None else ""
    return ", ".join(value) if isinstance(value, tuple) else value


@dataclass(slots=True)
class Origins:
    """Finds the change that a leaf comes from; remembers what it looked at, for one question."""

    domain: str
    store: Store
    effects: Effects
    _histories: dict[str, tuple[ChangeRecord, ...]] = field(default_factory=dict)
    _places: dict[str, frozenset[str]] = field(default_factory=dict)

    def of(self, path: str, services: tuple[ServiceId, ...]) -> ChangeRecord | None:
        """Return the newest change of these services that set the leaf; else the one that made the newest of them."""
        if not services:
            return None
        histories = [h for h in map(self._history, services) if h]
        records = sorted({r.id: r for h in histories for r in h}.values(), key=lambda r: -r.revision)
        for record in records:
            if path in self._set_by(record.id):
                return record
        makers = [h[-1] for h in histories]
        return min(makers, key=lambda r: r.revision, default=None)

    def _history(self, service: ServiceId) -> tuple[ChangeRecord, ...]:
        """Return the changes that made the service what it is, newest first, back to the one that put it in place."""
        known = self._histories.get(service)
        if known is None:
            found = []
            for record in self.store.history(MOST_CHANGES, service=service):
                if record.outcome != Outcome.COMMITTED or record.kind == "drift":  # which only sends a leaf again
                    continue
                found.append(record)
                if any(c.service == service and not c.before for c in record.services):
                    break
            known = self._histories[service] = tuple(found)
        return known

    def _set_by(self, change_id: str) -> frozenset[str]:
        known = self._places.get(change_id)
        if known is None:
            kept = [e for e in self.effects(change_id) if e.domain == self.domain]
            known = frozenset(p.path for e in kept for p in e.places if p.after is not None)
            self._places[change_id] = known
        return known

"""What every domain should hold: the merge of what each service asks for, and whose every leaf is.

A value: a change makes a new one and shares everything that it does not touch. Trees are merged per unit (a VPN, a
tunnel, a partition, a circuit), so that a change costs the units it touches and not the city. Equal leaves of two
services are one leaf, which stays until the last of them goes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass, field

from controller.errors import ConflictError
from controller.intent.model import ServiceId
from controller.rendering.diff import edit
from controller.rendering.graft import Graft
from controller.rendering.merge import LeafConflictError, merge
from controller.rendering.packed import opened
from controller.rendering.paths import at, path_text, units
from controller.rendering.tree import Edit, Leaf, Path, Tree

Fragments = Mapping[str, Tree]  # domain → what one service asks of it
_Shares = Mapping[ServiceId, Tree | Leaf]  # who asks for what in one unit
_Moves = dict[Path, dict[ServiceId, Tree | Leaf | None]]  # unit → who asks for something else there, or nothing more


@dataclass(frozen=True, slots=True)
class _DomainState:
    """One domain's tree and, unit by unit, the services that it is merged from."""

    tree: Tree = field(default_factory=dict)
    units: Mapping[Path, tuple[ServiceId, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Desired:
    """Desired configuration of all domains. Start from `Desired()` and go on with `with_changes`."""

    _services: Mapping[ServiceId, Fragments] = field(default_factory=dict)
    _domains: Mapping[str, _DomainState] = field(default_factory=dict)

    @property
    def domains(self) -> tuple[str, ...]:
        """Names of the domains that hold anything, sorted."""
        return tuple(sorted(name for name, state in self._domains.items() if state.tree))

    @property
    def services(self) -> Set[ServiceId]:
        return self._services.keys()

    def tree(self, domain: str) -> Tree:
        """Return the whole desired tree of a domain; empty where nothing is asked of it."""
        state = self._domains.get(domain)
        return state.tree if state else {}

    def fragments(self, service: ServiceId) -> Fragments:
        """Return what one service asks for, by domain; empty where it asks for nothing."""
        return self._services.get(service, {})

    def blame(self, domain: str, path: Path) -> tuple[ServiceId, ...]:
        """Return the services that ask for this place, or for anything under it, sorted."""
        return self.owners(domain)(path)

    def owners(self, domain: str) -> Callable[[Path], tuple[ServiceId, ...]]:
        """Return what `blame` answers for many places of one domain: what is asked for there is opened once."""
        units = state.units if (state := self._domains.get(domain)) is not None else {}
        known: dict[Path, dict[ServiceId, Tree | Leaf]] = {}

        def asked(unit: Path, services: tuple[ServiceId, ...]) -> dict[ServiceId, Tree | Leaf]:
            shares = known.get(unit)
            if shares is None:
                shares = known[unit] = {
                    service: opened(share) if isinstance(share, dict) else share
                    for service, share in self._shares(domain, unit, services).items()
                }
            return shares

        around: list[Path] = []  # the entry that was asked about last: who asks about one leaf asks about the next

        def answer(path: Path) -> tuple[ServiceId, ...]:
            if around and path[: len(around[0])] == around[0]:
                unit = around[0]
                found = {s for s, share in known[unit].items() if _holds(share, path[len(unit) :])}
                if found:
                    return tuple(sorted(found)) if len(found) > 1 else tuple(found)
            found = set()
            for length in range(1, len(path) + 1):
                services = units.get(path[:length])
                if services is None:
                    continue
                shares = asked(path[:length], services)
                found |= {s for s, share in shares.items() if _holds(share, path[length:])}
                if isinstance(path[length - 1], tuple):
                    around[:] = [path[:length]]
                    break  # an entry is the outermost one: no unit lies in it
            if not found:
                found = {s for unit, services in units.items() if unit[: len(path)] == path for s in services}
            return tuple(sorted(found))

        return answer

    def around(self, domain: str, path: Path) -> tuple[ServiceId, ...]:
        """Return the services whose unit (a VPN, a tunnel, a circuit …) a place lies in, theirs or not; sorted."""
        state = self._domains.get(domain)
        inner = range(len(path), 0, -1) if state is not None else range(0)
        return next((tuple(sorted(state.units[path[:n]])) for n in inner if state and path[:n] in state.units), ())

    def with_changes(self, puts: Mapping[ServiceId, Fragments], drops: Set[ServiceId] = frozenset()) -> Desired:
        """Return the state with these services put (new or changed) and those dropped; this one stays as it is.

        Raises ConflictError, naming both services and the leaf, where two services want different values.
        """
        services = dict(self._services)
        for name in drops:
            services.pop(name, None)
        services |= puts
        changes: dict[str, _Moves] = {}
        for service in sorted({*puts, *drops}):
            before, after = self.fragments(service), puts.get(service, {})
            for domain in {*before, *after}:
                if before.get(domain) is after.get(domain):
                    continue
                moved = _unit_changes(before.get(domain, {}), after.get(domain, {}))
                for unit, share in moved.items():
                    changes.setdefault(domain, {}).setdefault(unit, {})[service] = share
        domains = dict(self._domains)
        for domain, moves in changes.items():
            domains[domain] = self._moved(domain, moves)
        return Desired(services, domains)

    def _shares(self, domain: str, unit: Path, services: tuple[ServiceId, ...]) -> dict[ServiceId, Tree | Leaf]:
        """Return what each of these services asks for in a unit."""
        asked = ((service, at(self._services[service][domain], unit)) for service in services)
        return {service: share for service, share in asked if share is not None}

    def _moved(self, domain: str, moves: _Moves) -> _DomainState:
        """Return a domain's state after shares of its units came, changed or went."""
        state = self._domains.get(domain, _DomainState())
        table = dict(state.units)
        graft = Graft(state.tree)
        alone: dict[ServiceId, tuple[ServiceId, ...]] = {}  # most units are of one service: one tuple for all of those
        for unit, changed in moves.items():
            before = table.get(unit, ())
            left = tuple(name for name in before if name not in changed)
            fresh = {name: share for name, share in changed.items() if share is not None}
            if not left and not fresh:
                table.pop(unit, None)
                graft.remove(unit)
                continue
            standing = at(state.tree, unit)
            everyone = {**self._shares(domain, unit, left), **fresh}
            start = standing if before and len(left) == len(before) else None
            merged = _merged(domain, unit, start, fresh if start is not None else everyone, everyone)
            names = tuple(everyone)
            table[unit] = names if len(names) > 1 else alone.setdefault(names[0], names)
            graft.put(
                unit, merged
            )  # shares come packed; the few that are merged stand open, which costs a merge nothing
        return _DomainState(graft.tree, table)


def edits(old: Desired, new: Desired) -> tuple[Edit, ...]:
    """Return what each domain has to change to come from one desired state to the other; sorted by domain."""
    names = sorted({*old.domains, *new.domains})
    changed = (edit(name, old.tree(name), new.tree(name)) for name in names if old.tree(name) is not new.tree(name))
    return tuple(one for one in changed if one.operations)


def _holds(share: Tree | Leaf, rest: Path) -> bool:
    return not rest or (isinstance(share, dict) and at(share, rest) is not None)


def _unit_changes(before: Tree, after: Tree) -> dict[Path, Tree | Leaf | None]:
    """Return the units of a fragment that are new, changed (their content) or gone (None)."""
    was, now = dict(units(before)), dict(units(after))
    out: dict[Path, Tree | Leaf | None] = {unit: None for unit in was if unit not in now}
    out |= {unit: content for unit, content in now.items() if was.get(unit) is not content}
    return out


def _merged(domain: str, unit: Path, start: Tree | Leaf | None, shares: _Shares, everyone: _Shares) -> Tree | Leaf:
    """Merge shares of one unit, in the order of the services' names, onto what stands if given."""
    merged = start
    for service in sorted(shares):
        share = shares[service]
        try:
            if merged is None:
                merged = share
            elif isinstance(merged, dict) and isinstance(share, dict):
                merged = merge(merged, share, unit)
            elif merged != share:
                raise LeafConflictError(unit, merged, share)
        except LeafConflictError as conflict:
            raise _named(domain, service, conflict, unit, everyone) from conflict
    return merged if merged is not None else {}


def _named(
    domain: str, service: ServiceId, conflict: LeafConflictError, unit: Path, everyone: _Shares
) -> ConflictError:
    rest = conflict.path[len(unit) :]
    others = sorted(
        name
        for name, share in everyone.items()
        if name != service and (at(share, rest) if isinstance(share, dict) else share) not in (None, conflict.second)
    )
    return ConflictError(
        f"{service} and {', '.join(others)} ask for different values in domain {domain}: {path_text(conflict.path)} "
        f"is {conflict.first!r} for {', '.join(others)} and {conflict.second!r} for {service}; change or delete one"
    )

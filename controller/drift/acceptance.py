"""What somebody accepted: places that run otherwise than desired, and may.

An acceptance is of one place, with exactly the value that ran there and the value desired at that moment. It does not
touch desired state: that follows from the intents alone. It ends by itself as soon as either value is another one,
because a change of ours wrote the place, or because somebody changed it once more.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime

from controller.changes.views import Whose
from controller.drift.compare import Deviation
from controller.rendering.graft import Graft
from controller.rendering.paths import at
from controller.rendering.tree import Edit, Leaf, Operation, OperationKind, Path, Tree
from controller.store.records import Acceptance, ChangeRecord
from controller.store.store import Store

ACCEPTABLE = frozenset({Whose.OURS, Whose.ADDED})


class Acceptances:
    """All acceptances, in memory and in the store."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._known = {(one.domain, one.path): one for one in store.acceptances()}

    def marked(self, domain: str, found: Iterable[Deviation]) -> tuple[Deviation, ...]:
        """Return the deviations, those that are accepted marked so."""
        return tuple(replace(one, whose=Whose.ACCEPTED) if self._covers(domain, one) else one for one in found)

    def _covers(self, domain: str, one: Deviation) -> bool:
        known = self._known.get((domain, one.operation.path))
        if known is None or one.whose not in ACCEPTABLE:
            return False
        return (known.running, known.wanted) == (one.running, one.wanted)

    async def accept(self, domain: str, found: Iterable[Deviation], record: ChangeRecord, at: datetime) -> None:
        """Accept these places as they run, durably, with the entry in the history that says who and why."""
        new = tuple(Acceptance(domain, d.operation.path, d.running, d.wanted, record.id, at) for d in found)
        await self._store.accept(record, new)
        self._known |= {(one.domain, one.path): one for one in new}

    async def forget_lapsed(self, domain: str, marked: Iterable[Deviation]) -> None:
        """Forget what does not run any more as it was accepted; `marked` is all that deviates now."""
        held = {one.operation.path for one in marked if one.whose is Whose.ACCEPTED}
        lapsed = tuple(key for key in self._known if key[0] == domain and key[1] not in held)
        if lapsed:
            await self._store.forget_acceptances(lapsed)
            for key in lapsed:
                self._known.pop(key, None)

    def as_it_runs(self, edits: tuple[Edit, ...]) -> tuple[Edit, ...]:
        """Return edits whose images show accepted places as they run, so that reading back finds what it expects.

        Where an edit itself writes the place, its after-image stays: the intent wins, and the acceptance ends.
        """
        return tuple(self._shown_in(edit) for edit in edits) if self._known else edits

    def _shown_in(self, edit: Edit) -> Edit:
        concerned = [
            one
            for (domain, path), one in self._known.items()
            if domain == edit.domain and any(path[: len(place)] == place for place in edit.touched)
        ]
        if not concerned:
            return edit
        before, after = Graft(edit.before), Graft(edit.after)
        for one in concerned:
            _set(before, one.path, one.running)
            if not any(_overlap(operation, one.path) for operation in edit.operations):
                _set(after, one.path, one.running)
        return replace(edit, before=before.tree, after=after.tree)


def _overlap(operation: Operation, path: Path) -> bool:
    """Say whether an operation writes a place, or part of it. To move an entry, or to merge, leaves the rest alone."""
    shorter = min(len(operation.path), len(path))
    if operation.path[:shorter] != path[:shorter]:
        return False
    moves = operation.ordered and operation.kind is OperationKind.MERGE
    return not (moves and len(path) > len(operation.path))


def _set(image: Graft, path: Path, value: Tree | Leaf | None) -> None:
    """Set or clear a place, where the entry that it belongs to is in the image at all."""
    entry = next((path[:n] for n in range(len(path) - 1, 0, -1) if isinstance(path[n - 1], tuple)), ())
    if entry and at(image.tree, entry) is None:
        return
    if value is not None:
        image.put(path, value)
    elif at(image.tree, path) is not None:
        image.remove(path)

"""What a refused edit means where somebody else was faster: the entry to delete is gone, the one to create is there.

Where a domain holds already what a place shall become, the edit can go on in its idempotent form, with a word about
it. Where it holds something else than we left there, overwriting would destroy somebody's work: that is refused.
"""

from __future__ import annotations

from collections.abc import Iterable

from controller.errors import DomainError
from controller.rendering.paths import at, path_text
from controller.rendering.schema import Schema
from controller.rendering.tree import Edit, Path, Tree

SURPRISES = frozenset({"data-missing", "data-exists"})  # RFC 6241 §7.2: what delete and create are refused with
_NAMED = 5  # places named in a message


def places_to_read(edit: Edit) -> tuple[Path, ...]:
    """Return the places that an edit touches, and a key of each entry around them: whether it is still there."""
    return tuple(dict.fromkeys((*edit.touched, *(_key_of(path) for path in _entries_around(edit)))))


def go_on(edit: Edit, now: Tree, refused: DomainError) -> tuple[str, ...]:
    """Return what to tell about places that are already as they shall become; raises where one is neither way.

    `now` is what the domain holds at `places_to_read`. Where every place is as it was, the refusal stands.
    """
    lost = [path for path in _entries_around(edit) if at(now, _key_of(path)) is None]
    done = [path for path in edit.touched if _becomes(edit, path) and at(now, path) == at(edit.after, path)]
    other = [path for path in edit.touched if at(now, path) not in (at(edit.before, path), at(edit.after, path))]
    if lost or other:
        places = _named([f"{path_text(path)} is gone" for path in lost] + [path_text(path) for path in other])
        problem = f"somebody else changed what this change is about: {places}; see `onecity diff`"
        raise DomainError(edit.domain, problem, tag=refused.tag)
    if not done:
        raise refused
    return tuple(
        f"{path_text(path)} was already {'gone' if at(edit.after, path) is None else 'there'}" for path in done
    )


def _becomes(edit: Edit, path: Path) -> bool:
    return at(edit.before, path) != at(edit.after, path)


def _entries_around(edit: Edit) -> tuple[Path, ...]:
    """Return the innermost entry around each place, where the edit expects it: without it nothing fits there."""
    around: dict[Path, None] = {}
    for path in edit.touched:
        outer = next((path[:n] for n in range(len(path) - 1, 0, -1) if isinstance(path[n - 1], tuple)), None)
        if outer is not None and _key_of(outer) != outer:
            around[outer] = None
    return tuple(around)


def _key_of(path: Path) -> Path:
    node = Schema.load().find(path)
    return (*path, node.keys[0]) if node is not None and node.keys else path


def _named(places: Iterable[str]) -> str:
    listed = list(places)
    more = f" and {len(listed) - _NAMED} more" if len(listed) > _NAMED else ""
    return "; ".join(listed[:_NAMED]) + more

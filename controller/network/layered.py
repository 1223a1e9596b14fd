"""A mapping whose copies share what they do not change: what was written lately lies over a base that all share.

To try a plan costs what the plan touches, not what stands: a copy copies only what was written lately.
"""

from __future__ import annotations

from collections.abc import ItemsView, Iterator, KeysView
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")

MOST_LATELY = 256  # entries that a copy copies; beyond, the base is made anew


class Layered(Generic[K, V]):
    """A dict with cheap copies, as far as a ledger needs one. Values are not None, and are never changed in place."""

    __slots__ = ("_base", "_count", "_lately")

    def __init__(self, base: dict[K, V] | None = None) -> None:
        self._base: dict[K, V] = {} if base is None else base
        self._lately: dict[K, V | None] = {}  # None: deleted
        self._count = len(self._base)

    def copy(self) -> Layered[K, V]:
        """Return a mapping that starts as this one; neither sees what the other does later."""
        other: Layered[K, V] = Layered.__new__(Layered)
        other._base, other._lately, other._count = self._base, dict(self._lately), self._count
        return other

    def get(self, key: K) -> V | None:
        found = self._lately.get(key)
        return found if found is not None or key in self._lately else self._base.get(key)

    def __contains__(self, key: object) -> bool:
        return self._lately[key] is not None if key in self._lately else key in self._base

    def __len__(self) -> int:
        return self._count

    def __setitem__(self, key: K, value: V) -> None:
        self._count += key not in self
        self._write(key, value)

    def pop(self, key: K) -> V | None:
        """Take an entry out and return it; None where there is none."""
        found = self.get(key)
        if found is not None:
            self._count -= 1
            self._write(key, None)
        return found

    def _write(self, key: K, value: V | None) -> None:
        self._lately[key] = value
        if len(self._lately) > MOST_LATELY:
            self._base, self._lately = self._whole(), {}

    def _whole(self) -> dict[K, V]:
        whole = dict(self._base)
        for key, value in self._lately.items():
            if value is None:
                whole.pop(key, None)
            else:
                whole[key] = value
        return whole

    def items(self) -> ItemsView[K, V]:
        return (self._whole() if self._lately else self._base).items()

    def keys(self) -> KeysView[K]:
        return (self._whole() if self._lately else self._base).keys()

    def __iter__(self) -> Iterator[K]:
        return iter(self.keys())

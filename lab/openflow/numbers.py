"""Numbers for names – labels, groups, meters, neighbours – that stay the same when the process starts anew.

A restart that numbered things differently would move all traffic to new labels for nothing. The file also keeps the
hardware addresses that neighbours answered with, so that nobody has to be asked before packets flow on.
"""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path


class Numbers:
    """Lowest free number for each name of a kind. Names that are not used for a while are forgotten by `retain`."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._kinds: dict[str, dict[str, int]] = {}
        self._taken: dict[str, set[int]] = {}
        self._used: dict[str, set[str]] = {}
        self.macs: dict[str, str] = {}  # "router|port|vlan|address" → hardware address
        self._dirty = False
        with contextlib.suppress(OSError, ValueError, KeyError):
            document = json.loads(path.read_text())
            self._kinds = {k: {n: int(v) for n, v in names.items()} for k, names in document["numbers"].items()}
            self._taken = {k: set(names.values()) for k, names in self._kinds.items()}
            self.macs = dict(document["macs"])

    def of(self, kind: str, *name: object, first: int = 1) -> int:
        """Return the number of a name, the lowest free one from `first` on where it is new."""
        key = "|".join(map(str, name))
        names, taken = self._kinds.setdefault(kind, {}), self._taken.setdefault(kind, set())
        self._used.setdefault(kind, set()).add(key)
        number = names.get(key)
        if number is None:
            number = first
            while number in taken:
                number += 1
            names[key] = number
            taken.add(number)
            self._dirty = True
        return number

    def learn(self, key: str, mac: str) -> bool:
        """Remember a neighbour's hardware address; return whether that is news."""
        if self.macs.get(key) == mac:
            return False
        self.macs[key] = mac
        self._dirty = True
        return True

    def forget(self, keep: set[str]) -> None:
        """Forget the hardware addresses of all neighbours but these."""
        for key in self.macs.keys() - keep:
            del self.macs[key]
            self._dirty = True

    def begin(self) -> None:
        """Forget which names are in use; `retain` after everything was asked for drops the others."""
        self._used = {}

    def retain(self) -> None:
        for kind, names in self._kinds.items():
            for name in names.keys() - self._used.get(kind, set()):
                self._taken[kind].discard(names.pop(name))
                self._dirty = True

    def save(self) -> None:
        """Write to disk what changed, whole or not at all."""
        if self._dirty:
            fresh = self._path.with_suffix(".new")
            fresh.write_text(json.dumps({"numbers": self._kinds, "macs": self.macs}))
            os.replace(fresh, self._path)
            self._dirty = False

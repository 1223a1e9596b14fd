"""What a leaf of a gNMI path can mean, and how paths and values come off the wire."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, NamedTuple


class Element(NamedTuple):
    """One step of a path, without its module's name."""

    name: str
    keys: dict[str, str]


class Linear(NamedTuple):
    """A leaf that means one multiplication, with nothing to remember."""

    subject: str
    metric: str
    scale: float


class Unit(NamedTuple):
    """A leaf that tells the unit of its neighbours."""

    subject: str
    group: str


class Ranked(NamedTuple):
    """A leaf that can stand for a metric where no better one is told; rank 0 is the best."""

    subject: str
    group: str
    metric: str
    rank: int


class Limit(NamedTuple):
    """A leaf that tells from where on equipment finds something wrong; it holds until another is told."""

    subject: str
    metric: str


LeafPath = tuple[Element, ...]
Meaning = Linear | Unit | Ranked | Limit | LeafPath  # the path itself where it takes more than a number


def joined(prefix: Any, path: Any) -> LeafPath:
    """Return a notification's prefix and an update's path as one."""
    return (*_elements(prefix), *_elements(path))


def leaves_of(path: LeafPath, value: Any) -> Iterator[tuple[LeafPath, object]]:
    """Yield the leaves of an update, which may carry one value or a whole container as JSON."""
    kind = value.WhichOneof("value")
    if kind in ("json_ietf_val", "json_val"):
        try:
            decoded: object = json.loads(getattr(value, kind))
        except ValueError:
            return
        yield from _flattened(path, decoded)
    elif kind is not None and path:
        yield path, getattr(value, kind)


def _elements(path: Any) -> LeafPath:
    return tuple(Element(e.name.rpartition(":")[2], dict(e.key)) for e in path.elem)


def _flattened(path: LeafPath, value: object) -> Iterator[tuple[LeafPath, object]]:
    if isinstance(value, dict):
        for name, below in value.items():
            yield from _flattened((*path, Element(str(name).rpartition(":")[2], {})), below)
    elif path and not isinstance(value, list):  # an entry of a list is told with its own path
        yield path, value

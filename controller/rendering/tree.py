"""Configuration as a typed tree, and what it takes to get from one tree to another.

A tree is nested dicts, never changed once built (share subtrees freely: `a is b` means equal and is what
makes diffs cost what the change costs). Names carry the module's fixed prefix (`l3nm:vpn-services`).

    container, presence container   "l3nm:vpn-services" → dict
    list entry                      ("l3nm:vpn-service", "gov.office") → dict      (key values in schema order;
                                     the key leaves are also present inside the entry)
    leaf                            "l3nm:vpn-id" → "gov.office"                  (canonical text; empty type: "")
    leaf-list                       "oc:tunnel" → ("slice/a", "slice/b")          (tuple)

Entries of a user-ordered list stand in the dict in their order. Identity values are "module-name:identity".
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

Step = str | tuple[str, ...]
Leaf = str | tuple[str, ...]
Tree = dict[Step, "Tree | Leaf"]
Path = tuple[Step, ...]


class OperationKind(StrEnum):
    """How one place changes (RFC 6241 §7.2 `operation`)."""

    CREATE = "create"  # list entry that must not be there
    DELETE = "delete"  # list entry, leaf or container that must be there
    MERGE = "merge"  # leaf or container that appears
    REPLACE = "replace"  # leaf whose value changes; subtree replaced as a whole


@dataclass(frozen=True, slots=True)
class Operation:
    """One change at one path. `after`: for a new entry of a user-ordered list, the entry it follows (None: first)."""

    kind: OperationKind
    path: Path
    value: Tree | Leaf | None = None
    after: Step | None = None
    ordered: bool = False


@dataclass(frozen=True, slots=True)
class Edit:
    """What one transaction does to one domain: operations, and exact images of every place they touch.

    `touched` are paths of the smallest keyed entries that hold all operations; `before` and `after` are trees
    that contain just those paths (absent: the entry does not exist), normalised. Read-back compares with `after`.
    """

    domain: str
    operations: tuple[Operation, ...]
    touched: tuple[Path, ...]
    before: Tree
    after: Tree

"""What a switch is to hold, as plain values: rules, groups and meters. No library's types, so that any can carry them.

Matches are sorted tuples of (field, value) or (field, (value, mask)) with OpenFlow 1.3's field names; actions and
instructions are tuples whose first word says what they are.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any

Field = tuple[str, Any]
Match = tuple[Field, ...]
Action = tuple[Any, ...]
Instruction = tuple[Any, ...]
Key = tuple[int, int, Match]  # table, priority, match

# Tables in the order in which a packet meets them.
INGRESS, SOURCE, CLASS, MARK, ROUTES, TRANSPORT, LABELS, FAR, NEIGHBOURS = range(9)
ENTRY_TABLES = frozenset({INGRESS, SOURCE, CLASS, MARK, ROUTES, TRANSPORT})  # where what comes in is decided on
# Metadata: the VRF, the access by which a packet came in, its class, then the router or neighbour that it goes to.
VRF_SHIFT, ACCESS_SHIFT, CLASS_SHIFT, TARGET_SHIFT, MEASURED_BIT = 0, 16, 32, 40, 1 << 60
VRF_MASK, ACCESS_MASK, CLASS_MASK, TARGET_MASK = 0xFFFF, 0xFFFF << 16, 0xFF << 32, 0xFFFF << 40


@dataclass(frozen=True, slots=True)
class Group:
    """Buckets of (port whose life decides, actions); the first living one is used."""

    buckets: tuple[tuple[int, tuple[Action, ...]], ...]


@dataclass(frozen=True, slots=True)
class Meter:
    """A rate in kbit/s above which packets are dropped, and the burst in kbit that it lets pass."""

    rate_kbps: int
    burst_kbit: int


@dataclass(slots=True)
class Program:
    """All of one switch."""

    rules: dict[Key, tuple[Instruction, ...]] = field(default_factory=dict)
    groups: dict[int, Group] = field(default_factory=dict)
    meters: dict[int, Meter] = field(default_factory=dict)

    def add(self, table: int, priority: int, match: Mapping[str, Any], *instructions: Instruction) -> None:
        """Add a rule; one of the same place and match is kept, as the first one said it."""
        self.rules.setdefault((table, priority, tuple(sorted(match.items()))), instructions)


def cookie(key: Key, instructions: Iterable[Instruction]) -> int:
    """Name a rule by its content, so that a process that starts anew knows which of a switch's rules still hold."""
    digest = blake2b(repr((key, tuple(instructions))).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") & 0x7FFF_FFFF_FFFF_FFFF or 1


def metadata(value: int, mask: int) -> Instruction:
    return ("metadata", value, mask)


def goto(table: int) -> Instruction:
    return ("goto", table)


def apply(*actions: Action) -> Instruction:
    return ("apply", actions)

"""What a change hands to the transaction room, and what it gets back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from controller.rendering.tree import Edit


@dataclass(frozen=True, slots=True)
class Step:
    """One transaction: edits for n domains that take effect on all or on none.

    `waves` are groups of domain names in the order in which they commit (optical before the IP that rides on it,
    the reverse for removals); domains of one wave commit in parallel. Every edited domain is in exactly one wave.
    """

    change_id: str
    index: int  # 0, 1, … within the change
    name: str  # "build" | "switch" | "remove"
    edits: tuple[Edit, ...]
    waves: tuple[tuple[str, ...], ...]
    members: tuple[Step, ...] = ()  # of a group: the steps of the changes that travel in it, each whole
    # Its before-images are what ran there, not what we left there: sent only where a domain still runs them.
    guarded: bool = False

    @property
    def txn(self) -> str:
        """Id of the transaction on every domain; persist-id of the confirmed commit."""
        return f"onecity-{self.change_id}-{self.index}"


class StepOutcome(StrEnum):
    COMMITTED = "committed"
    ROLLED_BACK = "rolled-back"
    COMPENSATED = "compensated"
    IN_DOUBT = "in-doubt"  # decided, and a domain is still unreachable; recovery goes on by itself


@dataclass(frozen=True, slots=True)
class DomainFailure:
    domain: str
    stage: str  # "journal" | "connect" | "prepare" | "commit" | "verify" | "confirm" | "cancel" | "internal"
    message: str  # in the domain's own words
    path: str = ""  # the place that the domain named, where it named one: tells members of a group commit apart
    whole: bool = False  # says nothing of what was asked: whoever touches the domain now would hear the same


@dataclass(frozen=True, slots=True)
class StepResult:
    outcome: StepOutcome
    failures: tuple[DomainFailure, ...] = ()
    warnings: tuple[str, ...] = ()  # "city-ip: …": shown, not fatal
    again: bool = False  # it was undone in company, perhaps for the fault of others: alone it may stand


@dataclass(frozen=True, slots=True)
class Progress:
    """One line of what `apply` shows live."""

    change_id: str
    step: int
    domain: str
    # "connected" "prepared" "committed" "verified" "confirmed" "cancelled" "failed" "compensated"; of a group, with
    # an empty domain and only to whoever watches everything: "gathered" "parted"
    stage: str
    elapsed_s: float
    detail: str = ""


ProgressSink = Callable[[Progress], None]

"""What northbound asks about drift, and what it is answered: plain values, no gRPC."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from controller.changes.views import Difference, Whose


class DriftPolicy(StrEnum):
    """What is done by itself where a domain runs something else than desired."""

    ALERT = "alert"  # told: condition InSync, metrics, log
    REVERT = "revert"  # what is ours is sent again, as a change of its own
    ACCEPT = "accept"  # it may stay; desired state does not change


@dataclass(frozen=True, slots=True)
class DriftView:
    """How one domain differs from what is desired, as last compared."""

    domain: str
    policy: DriftPolicy
    compared_at: datetime | None  # None: not in this life of the daemon
    counts: Mapping[Whose, int]
    places: tuple[Difference, ...]  # the first of them
    message: str = ""  # why it could not be read, or why nothing is brought back by itself


class DriftService(Protocol):
    """How domains differ from what is desired, and what can be done about it."""

    async def drift(self, domain: str = "", *, afresh: bool = False) -> tuple[DriftView, ...]:
        """Tell of one domain or all: as last compared, or read and compared now. Raises UnknownNameError."""

    async def revert(
        self, domain: str, service: str, author: str, reason: str, *, added: bool = False, accepted: bool = False
    ) -> str:
        """Send again what is ours on a domain and deviates, as a change of its own; return its id.

        service: only this one's places. added: also take away what others put into entries of ours. accepted: also
        what was accepted. Raises PreconditionError where there is nothing to do or the domain cannot be read.
        """

    async def accept(self, domain: str, service: str, author: str, reason: str) -> tuple[str, int]:
        """Let what deviates now be as it is; return the entry's id in the history, and how many places that is.

        Desired state does not change. Raises PreconditionError where there is nothing to accept.
        """

    def standing(self) -> tuple[DriftView, ...]:
        """Tell of all domains from memory, at once."""

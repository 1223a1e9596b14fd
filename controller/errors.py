"""The one family of errors that a person may see.

Everything a user, a domain controller or the machine can do wrong ends as one of these, with the place,
the reason and the remedy in the message. Northbound maps `status` to gRPC in one place; the command prints
`str(error)` and nothing else. Anything outside this family is a defect of ours.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Status(Enum):
    """What kind of failure this is, in the words of gRPC (google.rpc.Code)."""

    INVALID_ARGUMENT = "invalid-argument"
    NOT_FOUND = "not-found"
    ALREADY_EXISTS = "already-exists"
    FAILED_PRECONDITION = "failed-precondition"
    RESOURCE_EXHAUSTED = "resource-exhausted"
    ABORTED = "aborted"
    UNAVAILABLE = "unavailable"
    DEADLINE_EXCEEDED = "deadline-exceeded"
    INTERNAL = "internal"


class OnecityError(Exception):
    """Base of all errors that may reach a person. `str(error)` is one complete sentence or block."""

    status = Status.INTERNAL


@dataclass(frozen=True, slots=True)
class Violation:
    """One mistake in what the user wrote: where, what, and what would be right."""

    source: str  # file name, or the name the caller gave the document
    line: int  # 1-based; 0 where no line is known
    field: str  # "spec.sites[3].bandwidth"; empty for the whole document
    problem: str  # one sentence, with the remedy

    def __str__(self) -> str:
        place = f"{self.source}:{self.line}" if self.line else self.source
        return f"{place}: {self.field}: {self.problem}" if self.field else f"{place}: {self.problem}"


class IntentError(OnecityError):
    """The intents, as written, cannot be accepted. Carries every mistake found, not just the first."""

    status = Status.INVALID_ARGUMENT

    def __init__(self, violations: tuple[Violation, ...], untold: int = 0) -> None:
        self.violations = violations
        self.untold = untold  # mistakes beyond these; where there are some, the last of `violations` says so
        super().__init__("\n".join(str(v) for v in violations))


class ConfigurationError(OnecityError):
    """`onecity.yaml`, a city file or a command-line option is wrong."""

    status = Status.INVALID_ARGUMENT


class UnknownNameError(OnecityError):
    """A service, change, revision or domain of this name does not exist."""

    status = Status.NOT_FOUND


class PlacementRefusedError(OnecityError):
    """The planner found no placement. `str(error)` says what was needed, what binds and what would fit."""

    status = Status.RESOURCE_EXHAUSTED


class VerificationFailedError(OnecityError):
    """The rendered configuration does not keep a promise; carries a counter-example. Nothing was sent."""

    status = Status.FAILED_PRECONDITION


class ConflictError(OnecityError):
    """Two services ask for different values of one leaf, or the state moved since a plan was made."""

    status = Status.ABORTED


class PreconditionError(OnecityError):
    """What was asked is sound, and what stands does not allow it; says what stands in its way."""

    status = Status.FAILED_PRECONDITION


class DomainError(OnecityError):
    """A domain controller refused or could not do something; in its own words, with the path it named."""

    status = Status.FAILED_PRECONDITION

    def __init__(self, domain: str, message: str, *, path: str = "", tag: str = "") -> None:
        self.domain, self.path, self.tag, self.reason = domain, path, tag, message
        where = f"{path}: " if path else ""
        refused = f" refused ({tag})" if tag else ""
        super().__init__(f"domain {domain}{refused}: {where}{message}")


class DomainUnreachableError(DomainError):
    """No session with the domain controller, or it did not answer within the deadline; outcome unknown."""

    status = Status.UNAVAILABLE


class TransactionFailedError(OnecityError):
    """A change was undone on every domain it touched. Carries the reason of each domain that refused."""

    status = Status.FAILED_PRECONDITION


class StoreError(OnecityError):
    """The store cannot be opened, is newer than this program, is corrupt, or the disk is full."""

    status = Status.INTERNAL

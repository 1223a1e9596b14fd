"""What every domain controller can be asked to do, whatever protocol it speaks.

One transaction at a time per domain. A verb that returns has had its effect; a `DomainError` is a refusal on the
merits (nothing changed); a `DomainUnreachableError` means the outcome is unknown and `outcome` must be asked.
Every verb has a deadline of its own. Drivers are found through the entry-point group `onecity.drivers`:
the object named there is called as `factory(DomainSettings) -> Driver`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol, runtime_checkable

from controller.network.discovered import DomainKind, DomainTopology
from controller.rendering.tree import Edit, Path, Tree

FINAL = "final"  # DomainError.tag where `cancel` is refused because the transaction stands for good


class TransactionState(StrEnum):
    """How far a domain has carried a transaction."""

    ABSENT = "absent"  # not there, or rolled back: the domain holds the before-image
    PREPARED = "prepared"  # resources held, nothing active
    COMMITTED = "committed"  # active, and will roll back by itself unless confirmed
    CONFIRMED = "confirmed"  # final
    UNKNOWN = "unknown"  # the domain cannot say; compare images


@dataclass(frozen=True, slots=True)
class DomainTimers:
    """How long one verb may take on one domain, in seconds."""

    connect_s: float = 5.0  # unreachable after this: the change fails before anything is sent
    edit_s: float = 20.0
    commit_s: float = 20.0  # also for all that comes before the decision: others may be waiting for its neighbours
    confirm_s: float = 60.0  # the domain rolls back by itself after this
    read_s: float = 30.0


@dataclass(frozen=True, slots=True)
class DomainSettings:
    """One entry of `domains:` in onecity.yaml, credentials not yet read."""

    name: str
    driver: str  # entry-point name: "netconf" | "optical"
    address: str  # host:port
    network_id: str = ""
    username: str = ""
    password_file: str = ""  # or password_env; exactly one for netconf unless key_file
    password_env: str = ""
    key_file: str = ""
    known_hosts: str = ""  # netconf: OpenSSH known_hosts file; mandatory, never trust-on-first-use
    ca_file: str = ""  # gRPC/gNMI: the CA that signed the server's certificate
    token_file: str = ""  # gRPC/gNMI: bearer token sent with every call; empty: none
    telemetry_address: str = ""  # gNMI host:port; empty: none
    drift: str = "alert"  # or "revert", "accept": what the controller does where the domain runs something else
    timers: DomainTimers = field(default_factory=DomainTimers)


class EventKind(StrEnum):
    CONNECTED = "connected"
    LOST = "lost"
    TOPOLOGY_CHANGED = "topology-changed"  # discover again
    CONFIG_CHANGED = "config-changed"  # by somebody; compare


@dataclass(frozen=True, slots=True)
class DomainEvent:
    domain: str
    kind: EventKind
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Sample:
    """One measured value in SI units (seconds, ratio 0..1, bit/s, dB). Never a made-up zero for a gap."""

    domain: str
    # "link:<id>", "tunnel:<name>", "access:<vpn-id>/<access id>", "flow:<class>@<vpn-id>/<access>", "circuit:<id>",
    # "host:<vpn-id>/<address>/<sent or heard>" (one host of an assured class), "node:<id>", "fibre:<id>",
    # "odu:<id>" (an ODU link), "amplifier:<name>", "channel:<monitor>/<lower frequency in MHz>",
    # "alarm:<what it is about>": the metric is its type as "los", the value its severity, 1 warning to 4 critical,
    # 0 cleared
    subject: str
    metric: str  # "delay_s", "jitter_s", "loss_ratio", "throughput_bps", "margin_db", "gain_db", "input_dbm", "up"
    value: float
    at: float  # seconds since the epoch, the domain's clock


@dataclass(frozen=True, slots=True)
class StreamCounts:
    """What a domain's measurement streams went through since start."""

    reconnects: int = 0  # attempts to stand a stream up again after it was lost
    dropped: int = 0  # batches lost here, because nobody fetched them in time
    trouble: str = ""  # which streams do not stand now, and why; empty: all do, or none was tried yet


@runtime_checkable
class CountsStreams(Protocol):
    """A driver that can say so; drivers need not."""

    def stream_counts(self) -> StreamCounts:
        """Answer from memory."""


@runtime_checkable
class GivesWay(Protocol):
    """A driver that takes in no measurements while something urgent is done; drivers need not."""

    def give_way(self, wait: Callable[[], Awaitable[None]]) -> None:
        """Await this before each message of measurements. States and events never wait."""


class Driver(Protocol):
    """One domain controller. Instances belong to the daemon's event loop."""

    domain: str
    kind: DomainKind

    async def connect(self) -> None:
        """Open the session(s); idempotent.

        Raises DomainUnreachableError, or DomainError where credentials or the server's identity are refused.
        """

    async def close(self) -> None:
        """Close sessions without touching what is open on the domain."""

    async def discover(self) -> DomainTopology:
        """Read topology, profiles and capabilities."""

    async def read(self, paths: Sequence[Path]) -> Tree:
        """Return the running configuration at these paths, normalised; a path that does not exist is absent.

        An empty sequence reads everything that a controller of ours could own. All or error: never a partial answer.
        """

    async def prepare(self, txn: str, edit: Edit, *, replay: bool = False) -> tuple[str, ...]:
        """Hold everything the edit needs without making it active; return warnings.

        replay: idempotent operations (replace, remove) for a repeat after a crash.
        """

    async def commit(self, txn: str, confirm_timeout_s: float) -> None:
        """Make it active; the domain rolls back by itself unless confirmed within the timeout."""

    async def confirm(self, txn: str) -> None:
        """Make it final. Idempotent."""

    async def cancel(self, txn: str) -> None:
        """Undo whatever this transaction did, at any state before confirmed. Idempotent, also for an unknown txn."""

    async def outcome(self, txn: str, edit: Edit) -> TransactionState:
        """Say how far the transaction got, after a lost reply or a restart; reconnects and compares images."""

    def native(self, edit: Edit) -> str:
        """Return exactly what `prepare` would send, as text for people (XML, protobuf text format)."""

    def events(self) -> AsyncIterator[DomainEvent]:
        """Yield what happens on the domain, for ever; reconnects by itself with backoff."""

    def samples(self, interval_s: float) -> AsyncIterator[tuple[Sample, ...]]:
        """Yield batches of measurements from the domain's telemetry, for ever; a lost stream is a gap."""

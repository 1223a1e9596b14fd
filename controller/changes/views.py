"""What the controller shows to those who ask: plans, progress, status, history. Plain values, no gRPC.

What it shows of the map is in map_views, of a conference's parties in party_views. Rates are bit/s, times seconds,
ratios 0..1, instants aware UTC datetimes; None is "not known" or "not asked".
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from controller.changes.party_views import AssuranceRecord, PartyView
from controller.telemetry.indicator import ServiceIndicators


class Action(StrEnum):
    CREATE = "create"
    CHANGE = "change"
    REMOVE = "remove"
    UNCHANGED = "unchanged"
    REFUSED = "refused"


class Impact(StrEnum):
    """What running traffic notices."""

    NONE = "none"
    MAKE_BEFORE_BREAK = "make-before-break"
    INTERRUPTING = "interrupting"


@dataclass(frozen=True, slots=True)
class PathSegment:
    """One part of a service's way, in one layer of one domain."""

    layer: str  # "ip" | "optical"
    domain: str  # "" for a border
    role: str  # "working" | "standby" | "restoration" | "tree" | "border"
    name: str  # tunnel, circuit, border or tree
    hops: tuple[str, ...]  # node ids and, in the optical layer, fibre or ODU link ids, in order
    delay_s: float | None = None
    detail: str = ""  # "193.10 THz, 100G QPSK", "slots 1–8 of odu-f-…-1", "VLAN 2001"


@dataclass(frozen=True, slots=True)
class Resource:
    """What a service holds of one resource."""

    kind: str  # "rate" | "vlan" | "channel" | "slot" | "port" | "number" | "address"
    where: str  # link, port, fibre, ODU link or pool
    taken: str  # as people read it: "10 Gbit/s", "VLAN 101", "channel 5"


@dataclass(frozen=True, slots=True)
class PromiseView:
    """What the placement gives between two ends beside what was asked; one way, the worse direction."""

    a: str
    z: str
    rate_bps: int
    delay_s: float
    budget_s: float | None
    standby_delay_s: float | None
    availability: float
    via: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ServiceAction:
    """What a plan does to one service, and where it puts it."""

    service: str  # "tenant/name"
    kind: str
    action: Action
    impact: Impact = Impact.NONE
    summary: str = ""  # columns for the plan line, separated by "\t": "10 Gbit/s\town wavelength 193.10 THz\t…"
    changes: tuple[str, ...] = ()  # "spec.sites[3]: lg-pinghu added"
    paths: tuple[PathSegment, ...] = ()
    resources: tuple[Resource, ...] = ()
    promises: tuple[PromiseView, ...] = ()
    notes: tuple[str, ...] = ()
    refusal: str = ""  # REFUSED: the whole block of text, as str(Refusal) gives it
    interrupts: tuple[str, ...] = ()  # the sites or other parts whose traffic stops; none: all, if INTERRUPTING


@dataclass(frozen=True, slots=True)
class DomainCount:
    """How much of one domain's configuration moves. Counted in places (operations), not in lines."""

    domain: str
    steps: int
    adds: int
    changes: int
    removes: int


@dataclass(frozen=True, slots=True)
class NativeText:
    """Exactly what a driver would send in one step: XML, or protobuf text."""

    domain: str
    step: str  # "build" | "switch" | "remove"
    text: str


@dataclass(frozen=True, slots=True)
class Proof:
    """One property shown on the rendered configuration."""

    name: str  # "isolation" "reachability" "loops" "capacity" "disjointness" "latency"
    holds: bool
    detail: str = ""  # the counter-example where it does not hold


@dataclass(frozen=True, slots=True)
class Plan:
    """The answer to "what would happen". Nothing was reserved, stored or sent."""

    services: tuple[ServiceAction, ...]  # unchanged ones too
    domains: tuple[DomainCount, ...] = ()  # only domains that change
    proofs: tuple[Proof, ...] = ()
    proofs_s: float = 0.0
    native: tuple[NativeText, ...] = ()
    digest: str = ""  # of the wanted state, the map's version and the touched reservations
    notes: tuple[str, ...] = ()  # what a rollback leaves as it is, and why
    warnings: tuple[str, ...] = ()  # what stands in the way of applying it now
    drifted: tuple[str, ...] = ()  # domains of unchanged services that run something else


class Outcome(StrEnum):
    """How a change ended."""

    COMMITTED = "committed"
    UNCHANGED = "unchanged"  # there was nothing to do
    REFUSED = "refused"  # by planning or verification; nothing was sent
    FAILED = "failed"  # undone on every domain it touched
    COMPENSATED = "compensated"  # was decided, then put back because a domain refused on the merits
    IN_DOUBT = "in-doubt"  # decided; a domain is unreachable and recovery goes on by itself
    PARTIAL = "partial"  # `partial` was asked: some services committed, others did not


@dataclass(frozen=True, slots=True)
class ProgressEvent:
    """One line of what apply shows live."""

    stage: str  # whole change: "queued" "planned" "verified" "reserved"; one domain: "connected" "prepared"
    # "committed" "verified" "confirmed" "cancelled" "failed" "compensated"
    domain: str = ""  # "" the whole change
    step: int = 0
    step_name: str = ""
    elapsed_s: float = 0.0  # since the change was taken from the queue
    detail: str = ""


@dataclass(frozen=True, slots=True)
class DomainFailureView:
    domain: str
    stage: str
    message: str  # the domain's own words


@dataclass(frozen=True, slots=True)
class ChangeResult:
    """The end of a change."""

    outcome: Outcome
    message: str = ""  # one sentence or block: why, where it did not commit
    services: tuple[ServiceAction, ...] = ()  # with partial: REFUSED where one did not make it
    failures: tuple[DomainFailureView, ...] = ()
    warnings: tuple[str, ...] = ()
    elapsed_s: float = 0.0  # from acceptance to the last confirm


@dataclass(frozen=True, slots=True)
class ChangeEvent:
    """One message of a watch: progress, or the result, which is the last."""

    sequence: int  # 1, 2, … within the change
    progress: ProgressEvent | None = None
    result: ChangeResult | None = None
    services: tuple[str, ...] = ()  # the change's services, on the first event


@dataclass(frozen=True, slots=True)
class Condition:
    type: str  # "Placed" "Committed" "InSync" "Probed" "Protected" "WithinSlo" "InDoubt"
    status: str  # "True" | "False" | "Unknown"
    reason: str = ""
    message: str = ""
    since: datetime | None = None


@dataclass(frozen=True, slots=True)
class SloView:
    """What is promised, one way. None: best effort."""

    delay_s: float | None = None
    jitter_s: float | None = None
    loss_ratio: float | None = None
    availability: float | None = None
    rate_bps: int | None = None  # committed bandwidth; of a plane, the smallest hose


@dataclass(frozen=True, slots=True)
class ServiceStatus:
    """A service as `get` lists it."""

    service: str
    kind: str
    phase: str  # "Scheduled" "Committing" "Active" "Deleting" "Expired" "Failed"
    generation: int  # of the intent
    observed_generation: int  # that the network carries
    revision: int
    labels: tuple[tuple[str, str], ...] = ()
    conditions: tuple[Condition, ...] = ()
    summary: str = ""  # "10 Gbit/s, own wavelength", "1300 sites, any-to-any"
    slo: SloView = field(default_factory=SloView)
    measured: ServiceIndicators = field(default_factory=ServiceIndicators)
    window_start: datetime | None = None
    window_end: datetime | None = None


@dataclass(frozen=True, slots=True)
class EndMeasurement:
    """Measured values of one tunnel, circuit, access or flow of a service."""

    subject: str
    measured: ServiceIndicators


@dataclass(frozen=True, slots=True)
class ServiceDescription:
    """All that is known of one service."""

    status: ServiceStatus
    intent_yaml: str = ""  # as accepted, defaults filled in
    isolation: str = ""  # what AUTO became
    promises: tuple[PromiseView, ...] = ()
    paths: tuple[PathSegment, ...] = ()
    resources: tuple[Resource, ...] = ()
    notes: tuple[str, ...] = ()  # "squeezed by gov/flood until 18:00", missing modules
    parts: tuple[EndMeasurement, ...] = ()
    last_change: str = ""
    parties: tuple[PartyView, ...] = ()  # of an assured conference, in its window
    record: AssuranceRecord | None = None  # of an assurance whose window has opened


class Whose(StrEnum):
    """What a difference between desired and running is to us."""

    OURS = "ours"  # a place of our services that is missing, or holds something else
    ADDED = "added"  # put by others into an entry of ours: nobody's, and yet our services'
    ACCEPTED = "accepted"  # either of these, which may be so because somebody said so
    FOREIGN = "foreign"  # beside ours: none of our business


@dataclass(frozen=True, slots=True)
class Difference:
    """One place where two configurations differ."""

    path: str  # "/l3nm:l3vpn-ntw/…"
    wanted: str | None  # None: should not be there
    running: str | None  # None: is not there
    service: str = ""  # whose leaf it is; of what others added, whose entry it is in
    whose: Whose | None = None  # None: a change's own difference


@dataclass(frozen=True, slots=True)
class DomainDiff:
    """Desired against running on one domain; or, of a change, after against before."""

    domain: str
    reachable: bool = True
    differences: tuple[Difference, ...] = ()
    message: str = ""  # why it could not be read


@dataclass(frozen=True, slots=True)
class ChangeRecord:
    """Who changed what, when, why, and how it ended."""

    change_id: str
    kind: str  # "apply" "delete" "rollback" "window" "repair" "drift"
    author: str
    reason: str
    accepted_at: datetime
    ended_at: datetime | None  # None: still running
    outcome: Outcome | None
    services: tuple[str, ...]
    message: str = ""
    revision: int = 0  # position in the history


@dataclass(frozen=True, slots=True)
class FieldView:
    """One field of an intent that a change set, changed or took away."""

    path: str  # "spec.sites[buji].bandwidth"
    old: str | None  # None: was not there
    new: str | None  # None: is not there any more
    impact: Impact


@dataclass(frozen=True, slots=True)
class ServiceDifference:
    """What a change did to one service; UNCHANGED where it moved although its intent stayed."""

    service: str
    kind: str
    action: Action
    fields: tuple[FieldView, ...] = ()  # of a service that stood before and after


@dataclass(frozen=True, slots=True)
class DomainEffect:
    """What a change did to one domain."""

    domain: str
    native: str  # the exact text it was sent; long ones are cut, and say so
    places: tuple[Difference, ...]  # wanted: after the change; running: before it
    left_out: int = 0  # places beyond what is kept


@dataclass(frozen=True, slots=True)
class ChangeDescription:
    """All that is known of one change."""

    record: ChangeRecord
    services: tuple[ServiceDifference, ...]
    domains: tuple[DomainEffect, ...]


@dataclass(frozen=True, slots=True)
class BlamedPlace:
    """One leaf, or entry without leaves, on a domain."""

    path: str
    value: str
    services: tuple[str, ...]  # none: nobody's
    revision: int = 0  # of the change that it comes from; 0: not known, or nobody's
    change_id: str = ""
    wanted: str | None = None  # where something else is desired there


@dataclass(frozen=True, slots=True)
class Blame:
    """Places of one domain, in their order there."""

    domain: str
    places: tuple[BlamedPlace, ...]
    more: bool = False  # there are more than were asked for


@dataclass(frozen=True, slots=True)
class ServiceReading:
    """One service's promise and what is measured of it, for /metrics."""

    service: str
    kind: str
    phase: str
    slo: SloView
    measured: ServiceIndicators
    health: str = ""  # "ok" | "at-risk" | "violated" | "down" | "unknown"; "" not in the network, so not judged
    reason: str = ""  # one sentence, where it is not ok
    steady: str = ""  # the same word as `health`, patient with what comes and goes; also "at-risk"

"""One incident for one cause: opened, kept up to date and closed by itself.

A cause is known by what it explains: a link that was dark before its fibre was known to be cut is the same incident,
whose root moves down. What bounces within the calm time is the same incident too. An incident is told to nobody in
its first moment, in which the deeper cause may still be coming. Times are arguments: wall clock for people (seconds
since the epoch), monotonic seconds for durations, so that a clock that steps opens and closes nothing.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Callable, Iterable, Sequence, Set
from dataclasses import dataclass, field
from datetime import UTC, datetime

from controller.assurance.causes import Cause

DEPTH = ("alarm", "congested", "degraded", "telemetry", "link", "circuit", "odu", "fibre", "duct", "node", "controller")

WORN = frozenset({"alarm", "congested", "degraded"})
BLIND = frozenset({"controller", "telemetry"})  # kinds that concern all who have something in a domain
MOST_BLIND = 1000  # of them, so many are named
MOST_NAMED = 3  # services, in one line of a timeline
LEFT_OUT = "… what happened in between is left out"


@dataclass(frozen=True, slots=True)
class IncidentSettings:
    """How patient incidents are, in seconds."""

    settle_s: float = 1.0  # before it is told: a deeper cause takes over until then
    calm_s: float = 5.0  # without its cause before it is closed
    afresh_s: float = 20.0  # after a restart, for which causes may be untold; less where all domains are heard
    most_entries: int = 200  # in one timeline: the first half and the last
    again_s: float = 60.0  # what is said once more within this is one line, that counts
    noticeable_s: float = 2.0  # between when a domain says that something was and when we learnt of it
    kept: int = 1000  # closed incidents remembered


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of a timeline. Timelines are in order of `at`: the clocks of domains may be off, ours is one."""

    at: float  # when we learnt of it, seconds since the epoch
    text: str
    said_at: float | None = None  # when it happened by its domain's clock, where that differs noticeably


@dataclass(slots=True)
class Incident:
    """What one cause did, from its beginning to its end."""

    id: str
    root: str
    kind: str
    title: str
    opened: float  # seconds since the epoch
    began: float  # monotonic seconds
    members: frozenset[str]
    services: set[str] = field(default_factory=set)  # all that it ever concerned
    dead: set[str] = field(default_factory=set)  # of them, those that nothing carried
    timeline: list[Entry] = field(default_factory=list)
    told: bool = False
    calm_since: float | None = None  # its cause is gone, monotonic
    closed: float | None = None  # seconds since the epoch
    flaps: int = 0
    said: dict[str, tuple[int, float, Entry]] = field(default_factory=dict)  # text → how often, since when, its line
    milder_since: float | None = None  # of its cause only something milder is left, monotonic
    version: int = 0  # grows with everything worth telling
    evidence: frozenset[str] = frozenset()  # what its root was inferred from, of which nobody tells; empty: one does

    @property
    def severity(self) -> str:
        """Return "critical" where something was down, "major" where a service was concerned, else "warning"."""
        return "critical" if self.dead else "major" if self.services else "warning"

    @property
    def tenants(self) -> tuple[str, ...]:
        return tuple(sorted({s.partition("/")[0] for s in self.services}))


class Incidents:
    """All incidents. `name` gives ids."""

    def __init__(self, name: Callable[[int], str], settings: IncidentSettings | None = None) -> None:
        self._name, self._settings = name, settings or IncidentSettings()
        self._count = 0
        self._last_told: dict[str, int] = {}  # incident → the version that was told of it
        self.open: list[Incident] = []
        self.closed: list[Incident] = []  # oldest first
        self._over: list[Incident] = []  # closed since the last update
        self._afresh_until = float("-inf")  # monotonic seconds
        self._unheard: set[str] = set()  # incidents of an earlier life of whose cause nobody told in this one

    def resume(self, known: Iterable[Incident], now: float) -> None:
        """Take up what was known before a restart: what is open stays open until its cause is seen to be gone."""
        for incident in known:
            if incident.closed is None:
                self.open.append(incident)
            else:
                self.closed.append(incident)
                self._last_told[incident.id] = incident.version
        self._unheard = {incident.id for incident in self.open}
        self._afresh_until = now + self._settings.afresh_s

    def heard(self, incidents: Set[str]) -> None:
        """Note of which incidents, by id, domains have told since the restart how their cause is."""
        self._unheard -= incidents

    def update(
        self,
        found: Iterable[Cause],
        concerned: Callable[[Set[str]], tuple[Set[str], Set[str]]],
        wall: float,
        now: float,
    ) -> tuple[Incident, ...]:
        """Take the causes of this moment; return the incidents of which there is something to tell.

        concerned: components → (services that they concern, those of them that nothing carries).
        """
        news: list[Incident] = []
        matched: set[int] = set()
        every = sorted(found, key=lambda c: (-DEPTH.index(c.kind), c.root))
        roots = {cause.root for cause in every}
        for cause in every:
            incident = self._matching(cause, matched, roots)
            if incident is None:
                incident = self._begin(cause, wall, now)
            matched.add(id(incident))
            self._unheard.discard(incident.id)
            self._follow(incident, cause, concerned, wall, now)
            self._absorb(incident, cause, wall)
        for incident in list(self.open):
            if id(incident) not in matched:
                self._calm(incident, wall, now)
            if not incident.told and incident.closed is None and now >= incident.began + self._settings.settle_s:
                incident.told = True
                incident.version += 1
        over, self._over = self._over, []
        for incident in [*self.open, *over]:
            if incident.told and incident.version > self._last_told.get(incident.id, 0):
                self._last_told[incident.id] = incident.version
                news.append(incident)
        return tuple(news)

    def note(self, members: Set[str], text: str, wall: float, said_at: float | None = None) -> None:
        """Write into the timeline of the incidents that explain any of these components.

        wall: when we learnt of it, which may be before what was written last. said_at: when by its domain's clock.
        """
        if said_at is not None and abs(said_at - wall) < self._settings.noticeable_s:
            said_at = None
        for incident in self.open:
            if not incident.members.isdisjoint(members):
                self._write(incident, text, wall, said_at)

    def story(self, services: Set[str], text: Callable[[Set[str]], str], wall: float) -> None:
        """Write into the timeline of every open incident that concerns any of these services, in words about them."""
        for incident in self.open:
            if mine := incident.services & services:
                self._write(incident, text(mine), wall)

    def next_due(self, now: float) -> float | None:
        """Return when the next incident is to be told or closed; None: nothing is waiting."""
        due = [i.began + self._settings.settle_s for i in self.open if not i.told]
        due += [i.calm_since + self._settings.calm_s for i in self.open if i.calm_since is not None]
        return min(due, default=None)

    def _matching(self, cause: Cause, taken: set[int], roots: Set[str]) -> Incident | None:
        """The same root, else the open incident that shares most with what the cause explains."""
        same = next((i for i in self.open if i.root == cause.root and id(i) not in taken), None)
        if same is not None:  # what wore out and then broke is one matter
            return same
        if cause.evidence:  # links are up a moment after the fibre under them, and are of others too until then
            over = [i for i in self.open if cause.evidence <= i.members and not _deeper(cause, i)]
            over = [i for i in over if not i.evidence and _alike(i.kind, cause.kind)]
            if over:
                return max(over, key=lambda i: (DEPTH.index(i.kind), i.id))
        above = [i for i in self.open if cause.root in i.members and _alike(i.kind, cause.kind)]
        deeper = [i for i in above if DEPTH.index(i.kind) > DEPTH.index(cause.kind)]
        if deeper:  # what it explained is told to be up a moment later than itself
            return max(deeper, key=lambda i: (DEPTH.index(i.kind), i.id))
        free = [i for i in self.open if id(i) not in taken and _alike(i.kind, cause.kind)]
        near = [i for i in free if i.root in cause.members or cause.root in i.members]
        # What was guessed from the silence around it, a moment before the deeper cause was told, was never there. What
        # explains nothing but itself was not guessed from anything.
        guessed = [(i, i.members - {i.root}) for i in free if not i.told and i not in near]
        near += [i for i, around in guessed if around and around <= cause.members]
        # Of what was inferred somebody tells now, and another part may be the one.
        said = cause.evidence or cause.members
        near += [i for i in free if i.root not in roots and not i.evidence.isdisjoint(said)]
        # Two fibres under the same links wear alike until one of them says that it is the one.
        near += [i for i in free if cause.kind == i.kind == "degraded" and i.root not in roots and _shared(i, cause)]
        return max(near, key=lambda i: (len(i.members & cause.members), i.id), default=None)

    def _begin(self, cause: Cause, wall: float, now: float) -> Incident:
        self._count += 1
        incident = Incident(self._name(self._count), cause.root, cause.kind, cause.title, wall, now, cause.members)
        self._write(incident, cause.title, wall)
        self.open.append(incident)
        return incident

    def _absorb(self, incident: Incident, cause: Cause, wall: float) -> None:
        """End the incidents that this one explains: they were opened before their cause was known."""
        for other in list(self.open):
            shallow = DEPTH.index(other.kind) < DEPTH.index(incident.kind) and _alike(other.kind, cause.kind)
            if other is incident or not shallow or other.root not in cause.members:
                continue
            self.open.remove(other)
            incident.services |= other.services
            incident.dead |= other.dead
            if other.told:
                other.closed = max(wall, other.opened)
                self._write(other, f"explained by {incident.id}", wall)
                self._close(other)

    def _follow(
        self,
        incident: Incident,
        cause: Cause,
        concerned: Callable[[Set[str]], tuple[Set[str], Set[str]]],
        wall: float,
        now: float,
    ) -> None:
        if incident.calm_since is not None:
            incident.calm_since = None
            incident.flaps += 1
            self._write(incident, f"again: {cause.title}", wall)
        members = self._rooted(incident, cause, wall)
        self._milder(incident, cause, wall, now)
        incident.members |= members
        services, dead = concerned(cause.evidence if cause.evidence and not incident.told else members)
        fresh = services - incident.services
        if fresh:
            more = " more" if incident.services else ""
            incident.services |= fresh
            all_named = cause.kind not in BLIND or len(services) < MOST_BLIND
            self._write(incident, f"{counted(len(fresh), more)} concerned{'' if all_named else ', and others'}", wall)
        if cause.kind not in WORN:  # what is worn carries on
            incident.dead |= dead

    def _rooted(self, incident: Incident, cause: Cause, wall: float) -> frozenset[str]:
        """Give an incident the root of its cause where that is known better; return what the cause says of members."""
        guessed = incident.evidence
        if (incident.root, incident.kind) == (cause.root, cause.kind):
            incident.evidence = cause.evidence if guessed or cause.title == incident.title else frozenset()
            if guessed and cause.title != incident.title:
                incident.title = cause.title
                self._write(incident, f"{'not as before' if cause.evidence else 'known now'}: {cause.title}", wall)
        elif cause.evidence and not guessed and not _deeper(cause, incident):
            return cause.evidence  # what somebody told of weighs more than what can be inferred
        elif DEPTH.index(cause.kind) >= DEPTH.index(incident.kind) or (guessed and cause.kind == "fibre"):
            incident.members = frozenset() if guessed else incident.members  # they were those of another part
            incident.root, incident.kind, incident.title = cause.root, cause.kind, cause.title
            incident.evidence = cause.evidence
            self._write(incident, f"{'known now' if guessed else 'the cause is deeper'}: {cause.title}", wall)
        return cause.members

    def _calm(self, incident: Incident, wall: float, now: float) -> None:
        if incident.id in self._unheard and now < self._afresh_until:
            return  # nobody told of it yet in this life
        if incident.calm_since is None:
            incident.calm_since = now
            self._write(incident, "its cause is gone", wall)
        elif now >= incident.calm_since + self._settings.calm_s:
            incident.closed = max(wall, incident.opened)  # the clock may have been set back
            incident.told = True
            self._write(incident, "closed", wall)
            self.open.remove(incident)
            self._close(incident)

    def _close(self, incident: Incident) -> None:
        self.closed.append(incident)
        self._over.append(incident)
        for old in self.closed[: -self._settings.kept]:
            self._last_told.pop(old.id, None)
        del self.closed[: -self._settings.kept]

    def _milder(self, incident: Incident, cause: Cause, wall: float, now: float) -> None:
        """Call an incident what it is now, where the cut was mended and the fibre is worn, or who was lost is silent.

        Not at once: what is measured comes late.
        """
        alike = cause.root == incident.root or (incident.kind, cause.kind) == ("controller", "telemetry")
        if not alike or DEPTH.index(cause.kind) >= DEPTH.index(incident.kind):
            incident.milder_since = None
        elif incident.milder_since is None:
            incident.milder_since = now
        elif now >= incident.milder_since + self._settings.calm_s:
            incident.root, incident.kind, incident.title = cause.root, cause.kind, cause.title
            incident.milder_since = None
            self._write(incident, f"not as before: {cause.title}", wall)

    def _write(self, incident: Incident, text: str, wall: float, said_at: float | None = None) -> None:
        timeline, half = incident.timeline, self._settings.most_entries // 2
        times, since, before = incident.said.get(text, (0, wall, None))
        entry = Entry(wall, text, said_at)
        if before is not None and wall - before.at < self._settings.again_s and before in timeline:
            timeline.remove(before)
            entry = Entry(wall, f"{text} ({times + 1} times since {_moment(since)})", said_at)
        else:
            times, since = 0, wall
        incident.said[text] = (times + 1, since, entry)
        insort(timeline, entry, key=lambda entry: entry.at)
        if len(timeline) > self._settings.most_entries:
            timeline[half] = Entry(timeline[half].at, LEFT_OUT)
            del timeline[half + 1]
        incident.version += 1


def _moment(at: float) -> str:
    return f"{datetime.fromtimestamp(at, UTC):%H:%M:%S}"


def counted(number: int, more: str = "") -> str:
    """Return "1 service", "3 services"; "3 more services" where `more` says so."""
    return f"{number:,}{more} service{'s' * (number != 1)}"


def named(services: Sequence[str]) -> str:
    """Return services by name, the first few of many."""
    more = f" and {len(services) - MOST_NAMED:,} more" if len(services) > MOST_NAMED else ""
    return ", ".join(services[:MOST_NAMED]) + more


def _deeper(cause: Cause, incident: Incident) -> bool:
    return DEPTH.index(cause.kind) > DEPTH.index(incident.kind)


def _shared(incident: Incident, cause: Cause) -> bool:
    return not (incident.members - {incident.root}).isdisjoint(cause.members - {cause.root})


def _alike(one: str, other: str) -> bool:
    """Whether two kinds can be one matter: what is worn and what is dead are told apart, controllers stand alone.

    An alarm that nothing explained can be told by anything.
    """
    if "alarm" in (one, other):
        return True
    groups = ({"degraded", "congested"}, {"controller", "telemetry"})
    return all((one in group) == (other in group) for group in groups)

"""The alarms that equipment has raised and not cleared: what it says of itself, kept until it says otherwise.

Streams tell standing alarms again with every heartbeat. One that is not told for longer than two and a half of them,
by a domain that is heard otherwise, was cleared while nobody listened. A domain out of reach keeps its alarms.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace

from controller.assurance.causes import Cause
from controller.assurance.components import shown
from controller.southbound.driver import Sample
from controller.southbound.gnmi import HEARTBEAT_NS

SILENT_S = 5.0
AGAIN_S = 1.5 * HEARTBEAT_NS / 1e9  # who says the same still tells it again within this
EXPIRES_S = 2.5 * HEARTBEAT_NS / 1e9
MOST = 10_000  # alarms kept
ALONE_S = 5.0  # for so long an alarm waits for what explains it; told once more after that, it is a cause of its own
OUTAGES = frozenset({"los", "ais", "eqpt", "link_down"})  # kinds that say that something carries nothing
MAJOR = 3
WORDS = ("cleared", "warning", "minor", "major", "critical")


@dataclass(frozen=True, slots=True)
class Alarm:
    """One alarm. `component`: what it is about, as telemetry names it; severity 1 warning to 4 critical."""

    domain: str
    component: str
    kind: str  # "los", "margin"
    severity: int
    since: float  # monotonic seconds
    heard: float  # monotonic seconds, last
    words: str = ""  # what was measured, where we judged it ourselves
    said_at: float | None = None  # seconds since the epoch by the domain's clock; None: we said it

    @property
    def text(self) -> str:
        """Say it as the domain did."""
        if not self.severity:
            return f"{self.domain}: alarm {self.kind.upper()} cleared on {shown(self.component)}"
        text = f"{self.domain}: alarm {self.kind.upper()} ({WORDS[self.severity]}) on {shown(self.component)}"
        return f"{text}: {self.words}" if self.words else text


class Alarms:
    """All alarms that stand. `silence_s`: for how long nothing came from a domain; None: never anything."""

    def __init__(self, clock: Callable[[], float], silence_s: Callable[[str], float | None]) -> None:
        self._clock, self._silence_s = clock, silence_s
        self._standing: dict[tuple[str, str], Alarm] = {}  # component, kind

    @property
    def standing(self) -> Mapping[tuple[str, str], Alarm]:
        return self._standing

    def outages(self, up: Callable[[str], float | None]) -> frozenset[str]:
        """Return the components that alarms alone call down: their state was never told, or agrees.

        up: component → the newest state told of it, None for none.
        """
        said = {a.component for a in self._standing.values() if a.kind in OUTAGES and a.severity >= MAJOR}
        return frozenset(c for c in said if (state := up(c)) is None or state < 0.5)

    def unexplained(self, known: AbstractSet[str]) -> tuple[Cause, ...]:
        """Return what alarms tell and nothing else does, one cause for each component that is not known.

        Only alarms that were told again and not long ago: a domain that was restarted forgets some without a word.
        """
        now, own = self._clock(), dict[str, Cause]()
        for alarm in sorted(self._standing.values(), key=lambda a: (a.severity, a.kind)):
            lasting = alarm.heard - alarm.since >= ALONE_S and now - alarm.heard < AGAIN_S
            if lasting and alarm.component not in known:
                title, members = f"{alarm.text}, and nothing else shows why", frozenset({alarm.component})
                own[alarm.component] = Cause(alarm.component, "alarm", title, members)
        return tuple(own[component] for component in sorted(own))

    def hear(self, samples: Sequence[Sample]) -> tuple[Alarm, ...]:
        """Take samples; return the alarms that are new, of another severity, or over (severity 0)."""
        return tuple(self._heard(s) for s in samples if s.subject.startswith("alarm:") and self._news(s))

    def _news(self, sample: Sample) -> bool:
        """Whether an alarm is not just told once more."""
        key = (sample.subject[6:], sample.metric)
        known = self._standing.get(key)
        if known is None:
            return sample.value > 0 and len(self._standing) < MOST
        if known.severity == int(sample.value):
            self._standing[key] = replace(known, heard=self._clock())
            return False
        return True

    def _heard(self, sample: Sample) -> Alarm:
        key, now = (sample.subject[6:], sample.metric), self._clock()
        known = self._standing.pop(key, None)
        since = known.since if known is not None else now
        alarm = Alarm(sample.domain, *key, int(sample.value), since, now, said_at=sample.at or None)
        if alarm.severity:
            self._standing[key] = alarm
        return alarm

    def judge(self, domain: str, component: str, kind: str, severity: int, words: str) -> Alarm:
        """Take an alarm that we raise, change or clear (severity 0) by measurements; return it."""
        key, now = (component, kind), self._clock()
        known = self._standing.pop(key, None)
        alarm = Alarm(domain, component, kind, severity, known.since if known is not None else now, now, words)
        if severity and len(self._standing) < MOST:
            self._standing[key] = alarm
        return alarm

    def hold(self, component: str, kinds: Iterable[str]) -> None:
        """Note that what we judged ourselves still stands: a gap in what is measured clears nothing."""
        for kind in kinds:
            known = self._standing.get((component, kind))
            if known is not None:
                self._standing[component, kind] = replace(known, heard=self._clock())

    def end(self, component: str, kind: str) -> tuple[Alarm, ...]:
        """Drop an alarm that we judged; return it as cleared, nothing where it did not stand."""
        known = self._standing.pop((component, kind), None)
        return (replace(known, severity=0, words="", said_at=None),) if known is not None else ()

    def expire(self) -> tuple[Alarm, ...]:
        """Drop what was cleared unheard; return it as cleared."""
        gone = list(self._unheard())
        for key in gone:
            self._standing.pop((key.component, key.kind))
        return tuple(replace(alarm, severity=0, said_at=None) for alarm in gone)

    def _unheard(self) -> Iterator[Alarm]:
        now = self._clock()
        for alarm in self._standing.values():
            silence = self._silence_s(alarm.domain)
            if now - alarm.heard > EXPIRES_S and silence is not None and silence < SILENT_S:
                yield alarm

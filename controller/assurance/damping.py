"""Which components count as down: at once when they say so; one that bounces, only when it has stayed up.

Whatever returns is held down for a moment, as a router's hold time does; whoever fails again soon after, longer each
time (RFC 2439 in spirit): a link that bounces every 300 ms costs one repair, not five, and leaves nothing stale,
because it is let go by itself. The first return is held as well: services that follow their routers would else be
moved away, back and away again by one bounce.
Time is an argument: monotonic seconds.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

MOST_DOUBLINGS = 64


@dataclass(frozen=True, slots=True)
class DampingSettings:
    """How long what comes back has to stay before it counts, in seconds."""

    first_hold_s: float = 1.0  # after a first failure; longer than a bounce
    hold_s: float = 2.0  # after a second failure
    most_hold_s: float = 30.0  # doubled with each further one, up to this
    forget_s: float = 10.0  # so long without a failure, and the next is a first one again


@dataclass(slots=True)
class _Record:
    up: bool  # what it said last
    said_at: float
    failed_at: float
    failures: int
    held_until: float


def doubled(first_s: float, times: int, most_s: float) -> float:
    """Return a pause doubled so many times, `most_s` at most, however often: what lasts for days is counted too."""
    return min(first_s * 2.0 ** min(times, MOST_DOUBLINGS), most_s)


class Damper:
    """The state of every component that failed lately; those never heard of are up."""

    def __init__(self, settings: DampingSettings | None = None) -> None:
        self._settings = settings or DampingSettings()
        self._records: dict[str, _Record] = {}

    def told(self, component: str, up: bool, now: float) -> bool:
        """Take what a component says of itself; return whether that makes it count as something else."""
        record = self._records.get(component)
        if record is None:
            if up:
                return False
            self._records[component] = _Record(False, now, now, 1, now)
            return True
        record.said_at = now
        if up and not record.up:
            hold = self._hold_s(record.failures)
            record.up, record.held_until = True, now + hold
            return not hold
        elif not up and record.up:
            counted_up = now >= record.held_until
            fresh = now - record.failed_at > self._settings.forget_s
            record.failures = 1 if fresh else record.failures + 1
            record.up, record.failed_at = False, now
            return counted_up
        return False

    def _hold_s(self, failures: int) -> float:
        if failures < 2:
            return self._settings.first_hold_s
        return doubled(self._settings.hold_s, failures - 2, self._settings.most_hold_s)

    def down(self, now: float) -> frozenset[str]:
        """Return the components that count as down."""
        return frozenset(c for c, r in self._records.items() if not r.up or now < r.held_until)

    def next_release(self, now: float) -> float | None:
        """Return when the next component that came back starts to count as up; None: none is held."""
        held = [r.held_until for r in self._records.values() if r.up and r.held_until > now]
        return min(held, default=None)

    def held(self, now: float) -> frozenset[str]:
        """Return the components that say they are up and do not count as it yet."""
        return frozenset(c for c, r in self._records.items() if r.up and now < r.held_until)

    def silent_since(self, component: str) -> float | None:
        """Return when a component that says it is down said so last; None where it does not."""
        record = self._records.get(component)
        return None if record is None or record.up else record.said_at

    def forget(self, now: float) -> None:
        """Drop components that have been up for long."""
        old = [
            c
            for c, r in self._records.items()
            if r.up and now >= r.held_until and now - r.failed_at > self._settings.forget_s
        ]
        for component in old:
            del self._records[component]

    def drop(self, components: Iterable[str]) -> None:
        """Know nothing more of components that are gone: whatever has their names later is new."""
        for component in components:
            self._records.pop(component, None)

    def flapping(self, components: Iterable[str] | None = None) -> tuple[str, ...]:
        """Return the components that failed more than once lately, sorted."""
        wanted = self._records if components is None else set(components)
        return tuple(sorted(c for c, r in self._records.items() if r.failures > 1 and c in wanted))

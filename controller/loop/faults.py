"""What the fast loop knows of a failure and of who waits for its repair, and how it works."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from controller.assurance.components import Component, shown
from controller.assurance.damping import DampingSettings
from controller.changes.state import Standing
from controller.changes.views import ChangeResult
from controller.intent.model import ServiceId
from controller.planning.placement import LitLink


@dataclass(frozen=True, slots=True)
class RepairSettings:
    """How the loop works."""

    gather_s: float = 0.004  # one cut is told by several domains: what comes within this is one failure
    return_gather_s: float = 0.1  # the same for what comes back: nobody is led over half of it
    wave_services: int = 500  # at most in one change; the next is planned while it is carried out
    back_services: int = 100  # at most in one change that leads back over what is up again
    first_retry_s: float = 1.0  # after a repair that failed; doubled each time
    most_retry_s: float = 60.0
    vips_alone_s: float = 1.0  # so long at most others wait for the assurances that are repaired before them
    stable_s: float = 2.0  # what came back has to stay for this, before anything is led back over it
    damping: DampingSettings = field(default_factory=DampingSettings)


@dataclass(slots=True)
class Fault:
    """One failure as the loop dealt with it. Times are monotonic seconds; None: not yet."""

    components: frozenset[Component]  # what said that it was down
    detected: float
    concerned: set[ServiceId] = field(default_factory=set)
    open: set[ServiceId] = field(default_factory=set)  # neither repaired nor given up for this map
    repaired: set[ServiceId] = field(default_factory=set)
    decided: float | None = None  # the first wave was chosen
    first_vip: float | None = None  # the first VIP stood again
    ended: float | None = None  # nothing is open any more


@dataclass(frozen=True, slots=True)
class Waiting:
    """A service that could not be repaired: why, and when it is tried again."""

    why: str
    map_version: int
    tries: int
    due: float

    def told(self, now: float) -> str:
        """Say it in one line."""
        why = "; ".join(" ".join(line.split()) for line in self.why.splitlines() if line.strip())
        return f"{why}; tried again when the map changes, or in {max(0.0, self.due - now):.0f} s"


def reason_of(fallen: frozenset[Component]) -> str:
    """Return why services are placed again, for the history: what fell, roots first."""
    if not fallen:
        return "what was down is up again"
    roots = sorted(c for c in fallen if c.startswith(("fibre:", "node:"))) or sorted(fallen)
    more = f" and {len(roots) - 3} more" if len(roots) > 3 else ""
    return f"{', '.join(map(shown, roots[:3]))}{more} down"


def parts_of(
    wave: tuple[ServiceId, ...], result: ChangeResult, services: Mapping[ServiceId, Standing]
) -> tuple[tuple[ServiceId, ...], ...]:
    """Part a wave that failed: by the domain that failed it where there is one, else into halves."""
    failed = {f.domain for f in result.failures}
    touching = tuple(s for s in wave if s in services and not failed.isdisjoint(services[s].fragments))
    if failed and 0 < len(touching) < len(wave):
        return tuple(s for s in wave if s not in touching), touching
    half = len(wave) // 2
    return wave[:half], wave[half:]


def gone_dark(before: tuple[LitLink, ...], after: tuple[LitLink, ...]) -> frozenset[Component]:
    """Return the links that stood for services and do no more, both directions."""
    return _directions(before) - _directions(after)


def _directions(lit: tuple[LitLink, ...]) -> frozenset[Component]:
    return frozenset(f"link:{name}" for one in lit for name in (one.id, one.reverse))

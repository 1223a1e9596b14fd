"""One direction of what joins two routers: a cable, a circuit of the city's own, or one that a client had lit."""

from __future__ import annotations

from dataclasses import dataclass

Port = tuple[str, str]  # router, port
USUAL_METRIC = 10
MAX_METRIC = 0xFFFFFF  # RFC 5305: interior routing does not use a link with it


@dataclass(frozen=True, slots=True)
class Link:
    """One direction of a cable between two routers. `domain` None: a border."""

    id: str
    source: Port
    destination: Port
    domain: str | None
    rate_bps: int
    circuit: str | None
    length_m: int
    igp_metric: int = USUAL_METRIC
    written: bool = False  # by a client

    @property
    def cost(self) -> float | None:
        """What interior routing counts for it: its length, times its metric over the usual one; None: not used."""
        if self.igp_metric >= MAX_METRIC:
            return None
        return max(1, self.length_m) * self.igp_metric / USUAL_METRIC

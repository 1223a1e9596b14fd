"""The labels and addresses of one service under construction.

Takes from a copy of the ledger that is thrown away; what was kept from the service's present placement is
asked for first, so that an additive change moves nothing that it need not move.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network

from controller.errors import OnecityError, Status
from controller.intent.model import ServiceId
from controller.network.ledger import Ledger
from controller.planning.paths import Path
from controller.planning.placement import LabelReservation, Placement

FIRST_ACCESS_VLAN = 100
FIRST_BORDER_VLAN = 2001
LAST_VLAN = 4094
FIRST_NUMBER = 1001
LAST_NUMBER = 400_000


class CannotPlaceError(OnecityError):
    """Why one attempt failed, in the words of a refusal's `binds` line. Never leaves the planner."""

    status = Status.RESOURCE_EXHAUSTED

    def __init__(self, message: str, full: Iterable[str] = ()) -> None:
        """full: the links, ports and resources of labels that are, for what was asked."""
        super().__init__(message)
        self.full = tuple(full)


class TooRareError(CannotPlaceError):
    """A way without standby misses the availability that was asked."""


@dataclass(frozen=True, slots=True)
class Pools:
    """Where addresses come from. The border pool is cut out of the access pool where they overlap."""

    access: IPv4Network = field(default_factory=lambda: IPv4Network("172.16.0.0/12"))
    border: IPv4Network = field(default_factory=lambda: IPv4Network("172.31.0.0/16"))

    def access_net(self, index: int) -> tuple[str, str]:
        """Return (provider edge, customer edge) of the /30 number `index`."""
        start, cut, size = _access_layout(self.access, self.border)
        first = start + 4 * index
        if first >= cut:
            first += size
        return str(IPv4Address(first + 1)), str(IPv4Address(first + 2))

    @property
    def access_nets(self) -> range:
        cut = self.border.num_addresses if self.border.subnet_of(self.access) else 0
        return range((self.access.num_addresses - cut) // 4)

    def border_net(self, index: int) -> tuple[str, str]:
        """Return both addresses of the /31 number `index`."""
        first = int(self.border.network_address) + 2 * index
        return str(IPv4Address(first)), str(IPv4Address(first + 1))

    @property
    def border_nets(self) -> range:
        return range(self.border.num_addresses // 2)


@lru_cache(maxsize=16)
def _access_layout(access: IPv4Network, border: IPv4Network) -> tuple[int, int, int]:
    """Return the first address of the access pool, where the border pool cuts it (its end if not), and its size."""
    start = int(access.network_address)
    if border.subnet_of(access):
        return start, int(border.network_address), border.num_addresses
    return start, start + access.num_addresses, 0


Proposal = Mapping[tuple[str, str, str], tuple[Path, Path | None]]  # by domain and two nodes: a way, and its standby


@dataclass(slots=True)
class Draft:
    """One service's labels so far. `ledger` is a copy of its own: nothing of the service's old placement is in it."""

    service: ServiceId
    ledger: Ledger
    pools: Pools
    old: Placement | None
    taken: list[LabelReservation] = field(default_factory=list)
    port_load: dict[str, int] = field(default_factory=dict)  # bit/s on optical client ports, this service's own
    moving: bool = False  # ways are chosen afresh, and circuits built beside the present ones
    ahead: Proposal = field(default_factory=dict)  # ways that the whole batch was given together

    def free(self, resource: str, label: int) -> bool:
        return self.ledger.holder(resource, label) is None

    def hold(
        self,
        resource: str,
        label: int,
        start: datetime | None = None,
        end: datetime | None = None,
        stands_by_for: tuple[str, ...] = (),
    ) -> int:
        reservation = LabelReservation(resource, label, start, end, stands_by_for)
        self.ledger.take(self.service, reservation)
        self.taken.append(reservation)
        return label

    def pick(self, resource: str, candidates: range, what: str, keep: int | None = None) -> int:
        """Hold `keep` where it is still free, else the lowest free candidate."""
        if keep is not None and self.free(resource, keep):
            return self.hold(resource, keep)
        label = self.ledger.free_label(resource, candidates)
        if label is None:
            raise CannotPlaceError(f"no {what} is left on {resource.partition(':')[2] or resource}")
        return self.hold(resource, label)

    def number(self) -> int:
        keep = self.old.number if self.old is not None else None
        return self.pick("number", range(FIRST_NUMBER, LAST_NUMBER + 1), "service number", keep)

    def common_vlan(self, ports: Iterable[str], first: int, what: str, keep: int | None = None) -> int:
        """Hold one VLAN on all the ports: the same number at both ends of a border or circuit."""
        resources = sorted({f"vlan:{p}" for p in ports})
        if keep is None or not all(self.free(r, keep) for r in resources):
            keep = self._lowest_common(resources, first)
        if keep is None:
            raise CannotPlaceError(f"no VLAN is free on {what}")
        for resource in resources:
            self.hold(resource, keep)
        return keep

    def _lowest_common(self, resources: list[str], first: int) -> int | None:
        vlan: int | None = first
        while vlan is not None:
            found = [self.ledger.free_label(r, range(vlan, LAST_VLAN + 1)) for r in resources]
            if any(f is None for f in found):
                return None
            highest = max(f for f in found if f is not None)
            if all(f == highest for f in found):
                return highest
            vlan = highest
        return None

    def labels(self) -> tuple[LabelReservation, ...]:
        return tuple(sorted(self.taken, key=lambda r: (r.resource, r.label)))


def rate_text(rate_bps: int) -> str:
    """Write a rate as people do: `10 Gbit/s`, `2.5 Mbit/s`."""
    for scale, unit in ((10**12, "Tbit/s"), (10**9, "Gbit/s"), (10**6, "Mbit/s"), (10**3, "kbit/s")):
        if rate_bps >= scale:
            return f"{rate_bps / scale:.4g} {unit}"
    return f"{rate_bps} bit/s"


def time_text(seconds: float) -> str:
    """Write a delay as people do: `0.21 ms`."""
    return f"{seconds * 1e3:.3g} ms"


def asked_rate_text(rate_bps: int) -> str:
    """Write a rate without rounding it: whoever asks for what is written asks for the same."""
    for scale, unit in ((10**12, "Tbit/s"), (10**9, "Gbit/s"), (10**6, "Mbit/s"), (10**3, "kbit/s")):
        if rate_bps >= scale:
            return f"{rate_bps / scale:.15g} {unit}"
    return f"{rate_bps} bit/s"


def asked_time_text(seconds: float) -> str:
    """Write a delay that was asked, to a nanosecond: `0.2345 ms`."""
    return f"{round(seconds * 1e3, 6):.12g} ms"


def asked_ratio_text(ratio: float) -> str:
    """Write an availability that was asked with all its nines: `99.99999 %`."""
    return f"{ratio * 100:.12g} %"


def rounded_up(value: float, digits: int = 3) -> float:
    """Return the value with so many significant digits, never less than it is: an offer has to hold as written."""
    if value <= 0:
        return value
    step = 10.0 ** (math.floor(math.log10(value)) - digits + 1)
    return float(f"{math.ceil(value / step * (1 - 1e-12)) * step:.{digits}g}")


def ratio_text(ratio: float) -> str:
    """Write an availability as people do, never rounded up: `99.99 %`."""
    return f"{math.floor(ratio * 10**6 + 1e-9) / 10**4:.6g} %"  # what was read from such a text stays what it was


def instant_words(moment: datetime) -> str:
    """Write an instant as people do: `2026-12-01 18:00 UTC`."""
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC" if moment.second else f"{moment:%Y-%m-%d %H:%M} UTC"

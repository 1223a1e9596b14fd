"""What was measured of services and links over time: hours for ten weeks, days for two years and more.

Rows are added to, never replaced, so that a part of an hour may be written at any time and after any crash. The hour
is that of UTC since the epoch; a folded day is kept under its first hour.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Final, TypeVar

Database = sqlite3.Connection
Row = TypeVar("Row")

HOURS_KEPT: Final = 70 * 24  # after which hours become days
DAYS_KEPT: Final = 800
FOLDED_AT_ONCE: Final = 100  # subjects in one write


@dataclass(slots=True)
class ServiceHour:
    """One service in one hour: seconds in each state, and what was measured. Times in seconds, loss 0..1."""

    service: str
    hour: int  # since the epoch
    ok_s: float = 0.0
    violated_s: float = 0.0
    down_s: float = 0.0
    unknown_s: float = 0.0
    delay_seen_s: float = 0.0  # how long it was measured
    delay_over_s: float = 0.0  # how long it was above its limit
    delay_sum: float = 0.0  # value × time: divided by `seen` it is the mean
    delay_max: float = 0.0
    jitter_seen_s: float = 0.0
    jitter_over_s: float = 0.0
    jitter_sum: float = 0.0
    jitter_max: float = 0.0
    loss_seen_s: float = 0.0
    loss_over_s: float = 0.0
    loss_sum: float = 0.0
    loss_max: float = 0.0
    rate_seen_s: float = 0.0
    rate_sum: float = 0.0  # bit/s × time
    rate_max: float = 0.0

    def spend(self, health: str, elapsed_s: float) -> None:
        """Add time in one state of health; at risk is still as promised."""
        name = {"ok": "ok_s", "at-risk": "ok_s", "violated": "violated_s", "down": "down_s"}.get(health, "unknown_s")
        setattr(self, name, getattr(self, name) + elapsed_s)

    def measured(self, metric: str, value: float, limit: float | None, elapsed_s: float) -> None:
        """Add a value that held for a time. metric: "delay", "jitter" or "loss"."""
        for suffix, more in (
            ("seen_s", elapsed_s),
            ("over_s", elapsed_s if limit is not None and value > limit else 0.0),
            ("sum", value * elapsed_s),
        ):
            name = f"{metric}_{suffix}"
            setattr(self, name, getattr(self, name) + more)
        setattr(self, f"{metric}_max", max(getattr(self, f"{metric}_max"), value))

    def carried(self, rate_bps: float, elapsed_s: float) -> None:
        """Add what it carried for a time."""
        self.rate_seen_s += elapsed_s
        self.rate_sum += rate_bps * elapsed_s
        self.rate_max = max(self.rate_max, rate_bps)

    def plus(self, other: ServiceHour | None) -> ServiceHour:
        """Return both together; of the same service."""
        return self if other is None else _together(self, other)


@dataclass(slots=True)
class LinkHour:
    """One direction of one link in one hour, bit/s."""

    link: str
    hour: int
    looks: float = 0.0  # how often it was measured
    rate_sum: float = 0.0  # over the looks
    rate_max: float = 0.0
    reserved_max: float = 0.0
    capacity_max: float = 0.0

    def take(self, rate_bps: float | None, reserved_bps: float, capacity_bps: float) -> None:
        """Add one look; rate None: not measured."""
        if rate_bps is not None:
            self.looks += 1
            self.rate_sum += rate_bps
            self.rate_max = max(self.rate_max, rate_bps)
        self.reserved_max = max(self.reserved_max, float(reserved_bps))
        self.capacity_max = max(self.capacity_max, float(capacity_bps))

    def plus(self, other: LinkHour | None) -> LinkHour:
        """Return both together; of the same link."""
        return self if other is None else _together(self, other)


@dataclass(frozen=True, slots=True)
class Outage:
    """From when to when a service was down or outside its SLO; seconds since the epoch. ended None: it still is."""

    service: str
    began: float
    ended: float | None
    state: str  # "down" | "violated": the worst it came to
    reason: str

    def closed(self, at: float) -> Outage:
        return replace(self, ended=max(at, self.began))

    def worse(self, state: str, reason: str) -> Outage:
        return replace(self, state=state, reason=reason)


@dataclass(frozen=True, slots=True)
class KeptIncident:
    """One incident; times in seconds since the epoch. closed None: it goes on, or the daemon ended before it."""

    id: str
    opened: float
    seen: float  # when it was last told of
    closed: float | None
    kind: str
    root: str
    title: str
    severity: str
    services: tuple[str, ...]
    dead: tuple[str, ...] = ()  # of them, those that nothing carried
    members: tuple[str, ...] = ()  # components that the cause explains
    flaps: int = 0
    timeline: tuple[
        tuple[float, str, float | None], ...
    ] = ()  # when, what, and when by its domain's clock if that is off


@dataclass(frozen=True, slots=True)
class AttainedSlice:
    """All of a tenant's services together, in a part of the time."""

    hour: int
    ok_s: float
    violated_s: float
    down_s: float
    unknown_s: float


def _names(kind: type[Any]) -> tuple[str, ...]:
    return tuple(f.name for f in fields(kind))


def _together(one: Row, other: Row) -> Row:
    values = {}
    for name in _names(type(one))[2:]:
        a, b = getattr(one, name), getattr(other, name)
        values[name] = max(a, b) if name.endswith("_max") else a + b
    return replace(one, **values)  # type: ignore[type-var]


def _adding(table: str, kind: type[Any]) -> str:
    names = _names(kind)
    sums = ", ".join(
        f"{n} = max({n}, excluded.{n})" if n.endswith("_max") else f"{n} = {n} + excluded.{n}" for n in names[2:]
    )
    marks = ", ".join("?" * len(names))
    return f"INSERT INTO {table} VALUES ({marks}) ON CONFLICT ({names[0]}, hour) DO UPDATE SET {sums}"


_ADD_SERVICE, _ADD_LINK = _adding("service_hours", ServiceHour), _adding("link_hours", LinkHour)
_ADD_PARTY = _adding("party_hours", ServiceHour)


def _values(row: Any) -> tuple[Any, ...]:
    return tuple(getattr(row, name) for name in _names(type(row)))


def add(db: Database, services: Sequence[ServiceHour], links: Sequence[LinkHour], outages: Sequence[Outage]) -> None:
    """Add what was measured to what is there."""
    db.executemany(_ADD_SERVICE, [_values(row) for row in services])
    db.executemany(_ADD_LINK, [_values(row) for row in links])
    db.executemany("INSERT OR REPLACE INTO outages VALUES (?, ?, ?, ?, ?)", [_values(row) for row in outages])


def add_parties(db: Database, parties: Sequence[ServiceHour]) -> None:
    """Add what was measured of parties; each is called "tenant/name#party"."""
    db.executemany(_ADD_PARTY, [_values(row) for row in parties])


def select_parties(db: Database, tenant: str, service: str, first: int, last: int) -> tuple[ServiceHour, ...]:
    """Return, party by party, all hours first ≤ hour < last together; of one service, or of a tenant's ("": all)."""
    low, high = (f"{service}#", f"{service}$") if service else _within(tenant)
    return _sums(db, "party_hours", low, high, first, last)


def select_service_hours(db: Database, tenant: str, first: int, last: int) -> tuple[ServiceHour, ...]:
    """Return, service by service, all hours first ≤ hour < last together; of one tenant, or of all ("")."""
    return _sums(db, "service_hours", *_within(tenant), first, last)


def _sums(db: Database, table: str, low: str, high: str, first: int, last: int) -> tuple[ServiceHour, ...]:
    sums = ", ".join(f"max({n})" if n.endswith("_max") else f"sum({n})" for n in _names(ServiceHour)[2:])
    rows = db.execute(
        f"""SELECT service, min(hour), {sums} FROM {table}
            WHERE hour >= ? AND hour < ? AND service >= ? AND service < ? GROUP BY service ORDER BY service""",
        (first, last, low, high),
    )
    return tuple(ServiceHour(*values) for values in rows)


def ever_measured(db: Database, tenant: str) -> bool:
    """Say whether anything was ever measured of a tenant's services."""
    low, high = _within(tenant)
    row = db.execute("SELECT 1 FROM service_hours WHERE service >= ? AND service < ? LIMIT 1", (low, high))
    return row.fetchone() is not None


def select_slices(db: Database, tenant: str, first: int, last: int, hours: int) -> tuple[AttainedSlice, ...]:
    """Return what a tenant's services had in every `hours` hours of [first, last), counted from `first`."""
    rows = db.execute(
        """SELECT (hour - ?1) / ?5 AS part, sum(ok_s), sum(violated_s), sum(down_s), sum(unknown_s) FROM service_hours
           WHERE hour >= ?1 AND hour < ?2 AND service >= ?3 AND service < ?4 GROUP BY part ORDER BY part""",
        (first, last, *_within(tenant), hours),
    )
    return tuple(AttainedSlice(first + part * hours, *values) for part, *values in rows)


def select_busiest(db: Database, first: int, last: int, most: int) -> tuple[str, ...]:
    """Return the links that carried the most of what they can, the busiest first."""
    rows = db.execute(
        """SELECT link FROM link_hours WHERE hour >= ? AND hour < ? AND looks > 0 GROUP BY link
           ORDER BY sum(rate_sum) / sum(looks) / max(capacity_max) DESC, link LIMIT ?""",
        (first, last, most),
    )
    return tuple(link for (link,) in rows)


def select_link(db: Database, link: str, first: int, last: int) -> tuple[LinkHour, ...]:
    """Return what one link carried, hour by hour."""
    rows = db.execute(
        "SELECT * FROM link_hours WHERE link = ? AND hour >= ? AND hour < ? ORDER BY hour", (link, first, last)
    )
    return tuple(LinkHour(*values) for values in rows)


def write_incident(db: Database, one: KeptIncident) -> None:
    """Keep an incident as it is now."""
    row = (one.id, one.opened, one.seen, one.closed, one.kind, one.root, one.title, one.severity)
    story = {"dead": one.dead, "members": one.members, "flaps": one.flaps, "timeline": one.timeline}
    marks = ", ".join("?" * (len(row) + 2))
    values = (*row, json.dumps(one.services), json.dumps(story))
    db.execute(f"INSERT OR REPLACE INTO incidents VALUES ({marks})", values)


def select_incidents(db: Database, since: float, until: float) -> tuple[KeptIncident, ...]:
    """Return incidents that touch [since, until), oldest first."""
    rows = db.execute(
        f"SELECT {_INCIDENT} FROM incidents WHERE opened < ? AND (closed IS NULL OR closed >= ?) ORDER BY opened, id",
        (until, since),
    )
    return tuple(_incident(row) for row in rows)


def select_recent_incidents(db: Database, most: int) -> tuple[KeptIncident, ...]:
    """Return every incident that is open, and the newest of those that are over; oldest first."""
    rows = db.execute(f"SELECT {_INCIDENT} FROM incidents WHERE closed IS NULL").fetchall()
    newest = f"SELECT {_INCIDENT} FROM incidents WHERE closed IS NOT NULL ORDER BY opened DESC LIMIT ?"
    rows += db.execute(newest, (most,)).fetchall()
    return tuple(sorted((_incident(row) for row in rows), key=lambda i: (i.opened, i.id)))


_INCIDENT = "id, opened, seen, closed, kind, root, title, severity, services, story"


def _incident(row: tuple[Any, ...]) -> KeptIncident:
    name, opened, seen, closed, kind, root, title, severity, services, text = row
    story = json.loads(text)
    return KeptIncident(
        name,
        opened,
        seen,
        closed,
        kind,
        root,
        title,
        severity,
        services=tuple(json.loads(services)),
        dead=tuple(story.get("dead", ())),
        members=tuple(story.get("members", ())),
        flaps=story.get("flaps", 0),
        timeline=tuple((at, words, said[0] if said else None) for at, words, *said in story.get("timeline", ())),
    )


def select_link_hours(db: Database, first: int, last: int) -> tuple[LinkHour, ...]:
    rows = db.execute("SELECT * FROM link_hours WHERE hour >= ? AND hour < ? ORDER BY link, hour", (first, last))
    return tuple(LinkHour(*values) for values in rows)


def select_outages(db: Database, tenant: str, since: float, until: float) -> tuple[Outage, ...]:
    """Return outages that touch [since, until), oldest first."""
    rows = db.execute(
        """SELECT * FROM outages WHERE began < ? AND (ended IS NULL OR ended > ?) AND service >= ? AND service < ?
           ORDER BY began, service""",
        (until, since, *_within(tenant)),
    )
    return tuple(Outage(*values) for values in rows)


def select_open_outages(db: Database) -> tuple[Outage, ...]:
    return tuple(Outage(*values) for values in db.execute("SELECT * FROM outages WHERE ended IS NULL"))


def _within(tenant: str) -> tuple[str, str]:
    """Return the range of service ids of a tenant: "tenant/" up to what comes after the slash."""
    return (f"{tenant}/", f"{tenant}0") if tenant else ("", "\U0010ffff")


def fold(db: Database, hour: int) -> int:
    """Make days of the oldest hours, and forget the oldest days; return how many subjects are left to fold."""
    left = 0
    for table, kind, adding in (
        ("service_hours", ServiceHour, _ADD_SERVICE),
        ("party_hours", ServiceHour, _ADD_PARTY),
        ("link_hours", LinkHour, _ADD_LINK),
    ):
        subject = _names(kind)[0]
        db.execute(f"DELETE FROM {table} WHERE hour < ?", (hour - DAYS_KEPT * 24,))
        old = f"hour < {(hour - HOURS_KEPT) // 24 * 24} AND hour % 24 <> 0"
        due = [s for (s,) in db.execute(f"SELECT DISTINCT {subject} FROM {table} WHERE {old}")]
        left += max(0, len(due) - FOLDED_AT_ONCE)
        for name in due[:FOLDED_AT_ONCE]:
            rows = db.execute(f"SELECT * FROM {table} WHERE {subject} = ? AND {old}", (name,)).fetchall()
            db.execute(f"DELETE FROM {table} WHERE {subject} = ? AND {old}", (name,))
            db.executemany(adding, _on_days(kind(*values) for values in rows))
    db.execute("DELETE FROM incidents WHERE closed < ?", ((hour - DAYS_KEPT * 24) * 3600.0,))
    db.execute("DELETE FROM outages WHERE ended < ?", ((hour - DAYS_KEPT * 24) * 3600.0,))
    return left


def _on_days(rows: Iterable[Any]) -> list[tuple[Any, ...]]:
    return [_values(replace(row, hour=row.hour // 24 * 24)) for row in rows]

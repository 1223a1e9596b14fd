"""Makes reports: reads the store aside, has links forecast in a process of their own, and composes."""

from __future__ import annotations

import asyncio
import json
import os
import sqlite3
import sys
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from typing import Any

from controller.changes.present import slo_view
from controller.changes.state import DesiredState, Standing
from controller.errors import ConfigurationError
from controller.intent import from_document
from controller.intent.model import RelativeWindow, Service, ServiceId, VipAssurance
from controller.reports.compose import Promised, Records, Span, compose, span
from controller.reports.model import LinkForecast, Report
from controller.store import attained, tables
from controller.store.attained import LinkHour
from controller.store.store import Store

MOST_LINKS = 50
MOST_GONE = 1000  # withdrawn services whose last promise is looked up in the history
HISTORY_HOURS = 70 * 24  # hours older than this are kept as days
FORECAST_S = 90.0
MOST_AT_ONCE = 2  # reports being made


class Reports:
    """Implements `northbound.reports.ReportSource`."""

    def __init__(
        self,
        store: Store,
        state: Callable[[], DesiredState],
        flush: Callable[[], Awaitable[None]],
        now: Callable[[], datetime],
    ) -> None:
        """flush: brings what was measured up to now to the store."""
        self._store, self._state, self._flush, self._now = store, state, flush, now
        self._turn = asyncio.Semaphore(MOST_AT_ONCE)

    async def report(self, tenant: str, period: str, until: datetime | None, links: int) -> Report:
        """Return a report; tenant "" for all, links: how many are forecast. Raises ConfigurationError."""
        now = self._now()
        over = span(period, until, now)
        if not 0 <= links <= MOST_LINKS:
            raise ConfigurationError(f"links: must be from 0 to {MOST_LINKS}")
        async with self._turn:
            await self._flush()
            state = self._state()
            mine = {s: v for s, v in state.services.items() if not tenant or s.startswith(f"{tenant}/")}
            wanted = _ridden(mine) if tenant else None
            records, loads = await self._store.aside(lambda db: _read(db, tenant, over, wanted, links))
            known = bool(records.hours or mine)
            if tenant and not known and not await self._store.aside(lambda db: attained.ever_measured(db, tenant)):
                tenants = ", ".join(sorted({s.partition("/")[0] for s in state.services}))
                there = f"there are {tenants}" if tenants else "no service stands"
                raise ConfigurationError(f"nothing is known of a tenant {tenant!r}; {there}")
            gone = frozenset(list(_gone(records, state))[:MOST_GONE])
            last = await self._store.aside(lambda db: _promised_last(db, gone))
            found = await _forecasts(loads)
        promised: dict[str, Promised] = {**last, **{s: _promised(v) for s, v in mine.items()}}
        return compose(tenant, over, replace(records, links=found), promised, now)


def _promised(standing: Standing) -> Promised:
    placement = standing.placement
    legs = [c.standby is not None for c in placement.circuits] + [t.standby is not None for t in placement.tunnels]
    service = standing.service
    return Promised(service.kind, slo_view(service), all(legs) if legs else None, window_s=_window_s(service))


def _window_s(service: Service) -> float | None:
    window = service.window
    if window is None:
        return None
    return window.duration_s if isinstance(window, RelativeWindow) else (window.end - window.start).total_seconds()


def _gone(records: Records, state: DesiredState) -> Iterator[ServiceId]:
    return (ServiceId(hour.service) for hour in records.hours if hour.service not in state.services)


def _promised_last(db: sqlite3.Connection, gone: AbstractSet[ServiceId]) -> dict[str, Promised]:
    """Return what was promised of services that are withdrawn: who takes a service away does not take its record."""
    found: dict[str, Promised] = {}
    for record in tables.select_last_changes(db, gone):
        for change in record.services:
            if change.service in gone and change.before and not change.after:
                service = from_document(json.loads(change.before))
                found[change.service] = Promised(
                    service.kind, slo_view(service), None, withdrawn=True, window_s=_window_s(service)
                )
    return found


def _ridden(mine: Mapping[Any, Standing]) -> frozenset[str]:
    """Return the links that these services ride: a tenant is told of no others."""
    found: set[str] = set()
    for standing in mine.values():
        if not isinstance(standing.service, VipAssurance) or standing.active:
            found.update(r.link for r in standing.placement.rates if not r.link.startswith("port:"))
    return frozenset(found)


def _read(
    db: sqlite3.Connection, tenant: str, over: Span, wanted: frozenset[str] | None, most: int
) -> tuple[Records, dict[str, tuple[LinkHour, ...]]]:
    since, until = over.first * 3600.0, over.last * 3600.0
    records = Records(
        attained.select_service_hours(db, tenant, over.first, over.last),
        attained.select_slices(db, tenant, over.first, over.last, over.part_hours),
        attained.select_outages(db, tenant, since, until),
        attained.select_incidents(db, since, until),
        parties=attained.select_parties(db, tenant, "", over.first, over.last),
    )
    first = over.last - HISTORY_HOURS
    every = attained.select_busiest(db, first, over.last, 1_000_000 if wanted is not None else most) if most else ()
    busiest = [k for k in every if wanted is None or k in wanted][:most]
    return records, {link: attained.select_link(db, link, first, over.last) for link in busiest}


async def _forecasts(loads: Mapping[str, tuple[LinkHour, ...]]) -> tuple[LinkForecast, ...]:
    """Have links forecast beside the daemon; one that takes too long is given up with what is there."""
    if not loads:
        return ()
    asked: list[dict[str, Any]] = [
        {"link": link, "capacity_bps": max(h.capacity_max for h in hours), "hourly": _hourly(hours)}
        for link, hours in loads.items()
    ]
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "controller.reports.forecast_process",
        str(os.getpid()),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        env={**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
    )
    output = b""
    try:
        async with asyncio.timeout(FORECAST_S):
            output, _ = await process.communicate(json.dumps(asked).encode())
    except TimeoutError:
        pass
    finally:
        if process.returncode is None:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()
    found = [_forecast(json.loads(line)) for line in output.splitlines()]
    done = {f.link for f in found}
    left = [a for a in asked if a["link"] not in done]
    gone = "the forecast took too long; ask for fewer links"
    return (*found, *(LinkForecast(a["link"], a["capacity_bps"], 0, problem=gone) for a in left))


def _forecast(values: dict[str, Any]) -> LinkForecast:
    for name in ("daily_bps", "ahead_bps"):
        values[name] = tuple(values[name])
    return LinkForecast(**values)


def _hourly(hours: Sequence[LinkHour]) -> list[float | None]:
    """Return the mean of every hour from the first to the last that was measured; None: a gap."""
    known = {h.hour: h.rate_sum / h.looks for h in hours if h.looks}
    return [known.get(hour) for hour in range(min(known), max(known) + 1)] if known else []

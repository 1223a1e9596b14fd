"""Assured conferences, party by party: what each gets now, and what it got from the opening of its window to its end.

Armed when the window opens and disarmed when it closes. Both directions of a party are measured between its host and
the MCU's; what counts is the worse one. Time is counted as for services: in which nobody could see a party counts for
neither side. What is counted goes to the store every minute, in additions, so that a crash loses a minute and never
makes one up.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator
from datetime import datetime

from controller.changes.party_views import AssuranceRecord, PartyRecord, PartyView
from controller.changes.state import DesiredState, Standing
from controller.changes.views import Condition
from controller.errors import OnecityError
from controller.intent.model import Party, ServiceId, VipAssurance
from controller.loop.health import LOST_RATIO
from controller.store.attained import ServiceHour
from controller.store.store import Store
from controller.telemetry.subjects import vpn_id
from controller.telemetry.telemetry import Telemetry

log = logging.getLogger(__name__)

ROUND_S = 1.0
LATE_ROUNDS = 3.0  # after so many nobody looked: that time is unknown
FLUSH_S = 60.0
AT_ONCE = 50  # parties looked at before the event loop gets its turn
MOST_NAMED = 3
_LIMITED = ("delay_s", "jitter_s", "loss_ratio")


class Parties:
    """Owns the task that watches. `clock` is monotonic seconds."""

    def __init__(
        self,
        state: Callable[[], DesiredState],
        telemetry: Telemetry,
        store: Store,
        now: Callable[[], datetime],
        clock: Callable[[], float],
    ) -> None:
        self._state, self._telemetry, self._store = state, telemetry, store
        self._now, self._clock = now, clock
        self._hours: dict[tuple[str, int], ServiceHour] = {}  # "tenant/name#party", hour → not yet in the store
        self._sent: dict[tuple[str, int], ServiceHour] = {}  # on its way to the store, and not yet read back from it
        self._flushing = asyncio.Lock()
        self._armed: set[ServiceId] = set()
        self._task: asyncio.Task[None] | None = None

    def now(self, standing: Standing) -> tuple[PartyView, ...]:
        """Return how every party of an assurance in its window is, in the order of the intent; none for others."""
        vip = standing.service
        if not isinstance(vip, VipAssurance) or vip.conference is None or not standing.active or standing.expired:
            return ()
        return tuple(self._party(vip, party) for party in vip.conference.parties)

    def open(self) -> Iterator[PartyView]:
        """Yield the parties of all windows that are open."""
        for standing in self._state().services.values():
            yield from self.now(standing)

    def condition(self, standing: Standing) -> Condition | None:
        """Say whether every party has what was promised; None where no party is watched, or can be."""
        seen = self.now(standing)
        known = [p for p in seen if p.health != "unknown"]
        if not known:
            return None
        bad = [p for p in known if p.health != "ok"]
        if bad:
            named = ", ".join(f"{p.name} ({p.health})" for p in bad[:MOST_NAMED])
            more = f" and {len(bad) - MOST_NAMED} more" if len(bad) > MOST_NAMED else ""
            return Condition("EveryParty", "False", "Violated", f"{len(bad)} of {len(seen)} parties: {named}{more}")
        if len(known) < len(seen):
            silent = f"no fresh measurement of {len(seen) - len(known)} of {len(seen)} parties"
            return Condition("EveryParty", "Unknown", "NoMeasurement", silent)
        return Condition("EveryParty", "True", "Measured", f"{len(seen)} parties, each as promised")

    def record(self, standing: Standing) -> AssuranceRecord | None:
        """Return what became of an assurance in its window; None before it opens, and for other services."""
        vip, start, end, at = standing.service, standing.placement.start, standing.placement.end, self._now()
        if not isinstance(vip, VipAssurance) or start is None or end is None or at < start:
            return None
        until = min(end, at)
        sid = vip.metadata.service
        first, last = int(start.timestamp() // 3600), int(until.timestamp() // 3600) + 1
        rows = {row.service: row for row in self._store.parties(sid, first, last)}
        for counted in (self._sent, self._hours):
            for (name, hour), row in counted.items():
                if name.startswith(f"{sid}#") and first <= hour < last:
                    rows[name] = row.plus(rows.get(name))
        since_s, until_s = start.timestamp(), until.timestamp()
        outages = [o for o in self._store.outages(sid.partition("/")[0], since_s, until_s) if o.service == sid]
        broken_s = sum(min(o.ended or until_s, until_s) - max(o.began, since_s) for o in outages)
        changes = self._store.history(200, service=sid)
        led = (c for c in changes if c.kind in ("repair", "improve") and c.outcome == "committed")
        repairs = sum(start <= c.at <= until for c in led)
        records = tuple(party_record(rows[name]) for name in sorted(rows))
        return AssuranceRecord(start, until, at >= end, len(outages), max(0.0, broken_s), repairs, records)

    async def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name="parties")

    async def stop(self) -> None:
        """Keep what was counted."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            try:
                await self.flush()
            except OnecityError as error:
                log.warning("what parties had could not be kept: %s", error)

    async def _run(self) -> None:
        last, flush_due = self._clock(), self._clock() + FLUSH_S
        while True:
            await asyncio.sleep(ROUND_S)
            began = self._clock()
            try:
                await self.round(began - last, unseen=began - last > LATE_ROUNDS * ROUND_S)
                if began >= flush_due:
                    flush_due = began + FLUSH_S
                    await self.flush()
            except OnecityError as error:
                log.warning("what parties had could not be kept: %s", error)
            except Exception:  # one defect must not end the watch
                log.exception("a round of watching parties failed")
            last = began

    async def round(self, elapsed_s: float, *, unseen: bool = False) -> None:
        """Give the time since the last round to the state that every party is in; unseen: nobody looked."""
        hour, count, armed = int(self._now().timestamp() // 3600), 0, set()
        for sid, standing in self._state().services.items():
            vip = standing.service
            if not isinstance(vip, VipAssurance) or vip.conference is None:
                continue
            if not standing.active or standing.expired:
                continue
            armed.add(sid)
            for party in vip.conference.parties:
                self._count(vip, self._party(vip, party), elapsed_s, hour, unseen)
                count += 1
                if count % AT_ONCE == 0:
                    await asyncio.sleep(0)
        for sid in armed - self._armed:
            log.info("%s is armed: every party is watched", sid)
        ended, self._armed = self._armed - armed, armed
        if ended:
            await self.flush()
        for sid in sorted(ended):
            self._disarmed(sid)

    def _disarmed(self, sid: ServiceId) -> None:
        standing = self._state().services.get(sid)
        record = self.record(standing) if standing is not None else None
        if record is not None:
            broken = sum(1 for p in record.parties if p.violated_s + p.down_s)
            log.info(
                "%s is disarmed: %d parties, %d of them not always as promised; down or violated %d times, %d repairs",
                sid, len(record.parties), broken, record.outages, record.repairs,
            )  # fmt: skip

    async def flush(self) -> None:
        """Bring what was counted to the store; what the disk refuses is tried again with the next."""
        async with self._flushing:
            self._sent, self._hours = self._hours, {}
            try:
                if self._sent:
                    await self._store.add_parties(tuple(self._sent.values()))
            except OnecityError:
                for key, row in self._sent.items():
                    self._hours[key] = row.plus(self._hours.get(key))
                raise
            finally:
                self._sent = {}

    def _party(self, vip: VipAssurance, party: Party) -> PartyView:
        """Return the worse of what a party sends and hears; one direction alone says nothing of the party."""
        host = f"host:{vpn_id(vip.protects)}/{party.address}"
        sent, heard = self._telemetry.fresh(f"{host}/sent"), self._telemetry.fresh(f"{host}/heard")
        found = {name: max(sent[name], heard[name]) if name in sent and name in heard else None for name in _LIMITED}
        health = _health(vip, found)
        dead = health in ("down", "unknown")
        return PartyView(
            vip.metadata.service,
            party.name,
            party.access,
            str(party.address),
            health,
            None if dead else found["delay_s"],
            None if dead else found["jitter_s"],
            found["loss_ratio"],
        )

    def _count(self, vip: VipAssurance, seen: PartyView, elapsed_s: float, hour: int, unseen: bool) -> None:
        key = (f"{seen.service}#{seen.name}", hour)
        row = self._hours.get(key)
        if row is None:
            row = self._hours[key] = ServiceHour(*key)
        row.spend("unknown" if unseen else seen.health, elapsed_s)
        if unseen:
            return
        slo = vip.slo
        for metric, limit, value in (
            ("delay", slo.latency_s, seen.delay_s),
            ("jitter", slo.jitter_s, seen.jitter_s),
            ("loss", slo.loss_ratio, seen.loss_ratio),
        ):
            if value is not None:
                row.measured(metric, value, limit, elapsed_s)


def _health(vip: VipAssurance, found: dict[str, float | None]) -> str:
    loss = found["loss_ratio"]
    if loss is None:
        return "unknown"
    if loss >= LOST_RATIO:
        return "down"
    limits = {"delay_s": vip.slo.latency_s, "jitter_s": vip.slo.jitter_s, "loss_ratio": vip.slo.loss_ratio}
    values = [(value, found[name]) for name, value in limits.items()]
    return "violated" if any(v is not None and limit is not None and v > limit for limit, v in values) else "ok"


def party_record(row: ServiceHour) -> PartyRecord:
    """Return what one party had; the row is called "tenant/name#party"."""

    def mean(total: float, seen_s: float) -> float | None:
        return total / seen_s if seen_s else None

    return PartyRecord(
        row.service.partition("#")[2],
        row.ok_s,
        row.violated_s,
        row.down_s,
        row.unknown_s,
        mean(row.delay_sum, row.delay_seen_s),
        row.delay_max if row.delay_seen_s else None,
        mean(row.jitter_sum, row.jitter_seen_s),
        row.jitter_max if row.jitter_seen_s else None,
        mean(row.loss_sum, row.loss_seen_s),
        row.loss_max if row.loss_seen_s else None,
    )

"""The changes room as northbound sees it: what only looks, over the desk, the domains and the store."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import aclosing
from datetime import datetime
from pathlib import Path

from controller.answers.blame import Origins, blame, resolved
from controller.answers.described import description, domain_diffs, record_view
from controller.answers.side_process import SideProcess
from controller.answers.status import Circumstances, describe, reading, status
from controller.changes.atlas import topology_view
from controller.changes.conduct import Conductor
from controller.changes.desk import Desk
from controller.changes.domains import Domains
from controller.changes.map_views import Topology
from controller.changes.orders import catalogue, understand
from controller.changes.party_views import PartyView
from controller.changes.ports import BlameRequest, SimulateRequest
from controller.changes.ports import Wanted as Asked
from controller.changes.views import (
    Blame,
    ChangeDescription,
    ChangeRecord,
    DomainDiff,
    ServiceDescription,
    ServiceReading,
    ServiceStatus,
)
from controller.drift.watch import Drift
from controller.errors import ConfigurationError, UnknownNameError
from controller.intent import json_schema
from controller.intent.model import ServiceId
from controller.loop.parties import Parties
from controller.loop.wellbeing import Wellbeing
from controller.planning.why import Explanation, explain
from controller.simulation.campaign import SimulationEvent, SimulationRequest
from controller.store.store import Store
from controller.telemetry.telemetry import Telemetry


class Looking:
    """The verbs of `ports.ChangeService` that change nothing, and `ports.Measurements`."""

    def __init__(
        self,
        desk: Desk,
        domains: Domains,
        conductor: Conductor,
        store: Store,
        telemetry: Telemetry,
        drift: Drift,
        now: Callable[[], datetime],
        clock: Callable[[], float],
        doubtful: Callable[[], Mapping[str, frozenset[str]]],
    ) -> None:
        self._desk, self._domains, self._conductor = desk, domains, conductor
        self._store, self._telemetry, self._drift = store, telemetry, drift
        self._now, self._doubtful = now, doubtful
        self.wellbeing = Wellbeing(telemetry, clock)
        self.parties = Parties(lambda: desk.state, telemetry, store, now, clock)
        self._leaving: dict[ServiceId, str] = {}  # services under removal → the change that removes them
        self._aside = SideProcess()

    async def services(self, tenant: str = "", label: str = "") -> tuple[ServiceStatus, ...]:
        key, sign, value = label.partition("=")
        around = self._around()
        found = []
        for sid, standing in sorted(self._desk.state.services.items()):
            labels = dict(standing.service.metadata.labels)
            if (tenant and standing.service.metadata.tenant != tenant) or (label and key not in labels):
                continue
            if not sign or labels.get(key) == value:
                found.append(status(standing, around, leaving=sid in self._leaving))
        return tuple(found)

    async def describe(self, service: str) -> ServiceDescription:
        sid = self._desk.state.find(service)
        if sid is None:
            raise UnknownNameError(f"no service {service!r}; `onecity get` lists them")
        return describe(
            self._desk.state.services[sid], self._around(), self._store.last_applied(sid), sid in self._leaving
        )

    async def explain(self, service: str) -> Explanation:
        state = self._desk.state
        sid = state.find(service)
        if sid is None:
            raise UnknownNameError(f"no service {service!r}; `onecity get` lists them")
        own, city = state.services[sid], self._domains.city
        return await asyncio.to_thread(explain, city, state.ledger, own.service, own.placement, state.pairs())

    async def diff(self, domain: str = "", change_id: str = "") -> tuple[DomainDiff, ...]:
        if change_id:
            record = await asyncio.to_thread(self._store.change, change_id)
            effects = await self._conductor.chronicle.effects(record.id)
            return tuple(d for d in domain_diffs(effects) if domain in ("", d.domain))
        if domain and domain not in self._domains.drivers:
            raise UnknownNameError(self._no_domain(domain))
        names = [domain] if domain else sorted(self._domains.drivers)
        return await self._drift.compared(names)

    async def history(self, service: str = "", limit: int = 50) -> tuple[ChangeRecord, ...]:
        sid = self._desk.state.find(service) or (ServiceId(service) if service else None)
        records = await asyncio.to_thread(self._store.history, limit, None, sid)
        return tuple(record_view(r) for r in records)

    async def change(self, name: str) -> ChangeDescription:
        record = await asyncio.to_thread(self._store.change, name)
        effects = await self._conductor.chronicle.effects(record.id)
        return await asyncio.to_thread(description, record, effects)

    async def blame(self, request: BlameRequest) -> Blame:
        driver = self._domains.drivers.get(request.domain)
        if driver is None:
            raise UnknownNameError(self._no_domain(request.domain))
        request = resolved(request, self._desk.state.services.keys())
        running = await driver.read(()) if request.running else None
        origins = Origins(request.domain, self._store, self._conductor.chronicle.told)
        return await asyncio.to_thread(blame, request, self._desk.state.desired, running, origins)

    async def backup(self, path: str) -> int:
        target = Path(path)
        if not target.is_absolute():
            raise ConfigurationError(f"{path}: is no absolute path; the file is written where the daemon runs")
        return await self._store.backup(target)

    async def topology(self) -> Topology:
        return topology_view(self._domains.city, self._domains.states(), self._desk.held_now)

    async def simulate(self, request: SimulateRequest) -> AsyncIterator[SimulationEvent]:
        state, city, now = self._desk.state, self._domains.city, self._now()
        wanted = await asyncio.to_thread(understand, Asked(request.add), state, catalogue(city), now)
        asked = SimulationRequest(request.fail, wanted.puts, request.seed, request.most_services)
        async with aclosing(self._aside.simulate(asked, state, city, now)) as events:
            async for event in events:
                yield event

    def schema(self) -> str:
        return json.dumps(json_schema(), ensure_ascii=False, indent=2)

    # What /metrics reads

    def domains_up(self) -> Mapping[str, bool]:
        return {name: state.up for name, state in self._domains.states().items()}

    def readings(self) -> Iterator[ServiceReading]:
        around = self._around()
        return (reading(standing, around) for standing in self._desk.state.services.values())

    def open_parties(self) -> Iterator[PartyView]:
        return self.parties.open()

    def telemetry_gaps(self) -> Mapping[str, int]:
        return self._telemetry.gaps()

    def _no_domain(self, name: str) -> str:
        return f"no domain {name!r}; there are {', '.join(sorted(self._domains.drivers))}"

    def _around(self) -> Circumstances:
        in_doubt = frozenset(d for domains in self._doubtful().values() for d in domains)
        return Circumstances(
            self._now(),
            self._domains.city,
            self._telemetry,
            self._desk.committing,
            in_doubt,
            self._drift,
            self._domains.down(),
            self.wellbeing,
            self.parties,
        )

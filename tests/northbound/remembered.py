"""A ChangeService that keeps its state in memory: small, but it behaves as the contract says.

Documents are YAML with `kind`, `metadata` and `spec`; what a service's spec says decides how it is treated:
`spec.refuse` is refused by planning, `spec.fail` fails on a domain, `spec.interrupt` interrupts traffic.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime

import yaml

from controller.changes import map_views, ports, views
from controller.errors import (
    ConfigurationError,
    ConflictError,
    IntentError,
    PreconditionError,
    UnknownNameError,
    Violation,
)
from controller.intent.model import ServiceId
from controller.planning.why import Choice, Explanation, Kind, Option
from controller.telemetry.indicator import Indicator, ServiceIndicators

Spec = dict[str, object]
NOW = datetime(2026, 11, 21, 1, 0, tzinfo=UTC)


@dataclass
class Running:
    """One change and its events so far."""

    services: tuple[views.ServiceAction, ...]
    record: views.ChangeRecord
    events: list[views.ChangeEvent] = field(default_factory=list)
    news: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def tell(self, event: views.ChangeEvent) -> None:
        async with self.news:
            self.events.append(event)
            self.news.notify_all()


class RememberedChanges:
    """State: services by id, changes by id. `gate` holds changes back until it is set."""

    def __init__(self) -> None:
        self.standing: dict[str, tuple[str, Spec, dict[str, str]]] = {}
        self.changes: dict[str, Running] = {}
        self.requests: dict[str, tuple[str, ports.ApplyRequest]] = {}
        self.gate = asyncio.Event()
        self.gate.set()
        self.loops = False  # whether the proof of loops fails
        self.moves = 0  # what else moved: enters the digest
        self.watchers = 0
        self._tasks: set[asyncio.Task[None]] = set()

    # -- planning ---------------------------------------------------------------------------------------------

    def _read(self, wanted: ports.Wanted) -> dict[str, tuple[str, Spec, dict[str, str]]]:
        found: dict[str, tuple[str, Spec, dict[str, str]]] = {}
        wrong = []
        for document in wanted.documents:
            bodies = (
                [document.content] if document.content is not None else list(yaml.safe_load_all(document.text or ""))
            )
            for body in bodies:
                if not isinstance(body, dict) or "metadata" not in body:
                    wrong.append(Violation(document.source, 1, "metadata", "is missing; write metadata: {name: …}"))
                    continue
                spec = dict(body.get("spec") or {})
                if "wrong" in spec:
                    wrong.append(Violation(document.source, 4, "spec.wrong", "is not known; did you mean “right”?"))
                    wrong.append(
                        Violation(document.source, 5, "spec.bandwidth", '"100Gbs" is not a rate; write 100Gbps')
                    )
                meta = body["metadata"]
                found[f"{meta.get('tenant', 'default')}/{meta['name']}"] = (body["kind"], spec, meta.get("labels", {}))
        if wrong:
            raise IntentError(tuple(wrong))
        return found

    def _actions(self, wanted: ports.Wanted) -> tuple[views.ServiceAction, ...]:
        if wanted.rollback is not None:
            wanted = self._taken_back(wanted.rollback)
        found, actions = self._read(wanted), []
        removed = set(wanted.remove)
        if wanted.prune_label:
            key, _, value = wanted.prune_label.partition("=")
            removed |= {s for s, (_, _, labels) in self.standing.items() if labels.get(key) == value and s not in found}
        for unknown in sorted(removed - set(self.standing)):
            raise UnknownNameError(f"there is no service {unknown}; `onecity get` lists those there are")
        for service, (kind, spec, _) in sorted(found.items()):
            actions.append(self._action(service, kind, spec))
        for service in sorted(removed):
            kind = self.standing[service][0]
            actions.append(views.ServiceAction(service, kind, views.Action.REMOVE, views.Impact.INTERRUPTING))
        return tuple(actions)

    def _taken_back(self, asked: ports.Rollback) -> ports.Wanted:
        """Undo means here: withdraw what the change named, if it stands."""
        record = self._named(asked.change).record
        standing = tuple(s for s in record.services if s in self.standing)
        if not standing:
            raise PreconditionError(f"revision {asked.change} cannot be undone alone, later changes build on it:\n  …")
        return ports.Wanted(remove=standing)

    def _named(self, name: str) -> Running:
        for number, running in enumerate(self.changes.values(), 1):
            if name in (f"{number}", running.record.change_id):
                return running
        raise UnknownNameError(f"no change {name!r}; `onecity history` lists them")

    def _action(self, service: str, kind: str, spec: Spec) -> views.ServiceAction:
        if "refuse" in spec:
            refusal = f"{kind} {service} cannot be placed\n  needs      10 Gbit/s\n  binds      duct D7"
            return views.ServiceAction(service, kind, views.Action.REFUSED, refusal=refusal)
        if service not in self.standing:
            action, impact = views.Action.CREATE, views.Impact.NONE
        elif self.standing[service][1] == spec:
            return views.ServiceAction(service, kind, views.Action.UNCHANGED)
        else:
            action = views.Action.CHANGE
            impact = views.Impact.INTERRUPTING if "interrupt" in spec else views.Impact.MAKE_BEFORE_BREAK
        return views.ServiceAction(
            service, kind, action, impact, summary="10 Gbit/s\town wavelength 193.10 THz", paths=PATHS,
            resources=(views.Resource("channel", "f-zhihui-nanwan", "channel 5"),), promises=PROMISES,
            notes=("rides the east ring",),
        )  # fmt: skip

    async def plan(self, request: ports.PlanRequest) -> views.Plan:
        actions = self._actions(request.wanted)
        moving = [a for a in actions if a.action not in (views.Action.UNCHANGED, views.Action.REFUSED)]
        native = (views.NativeText("city-ip", "build", "<edit-config>…</edit-config>"),) if request.native else ()
        return views.Plan(
            actions,
            domains=(views.DomainCount("city-otn", 1, 2, 0, 0), views.DomainCount("city-ip", 2, 118, 6, 3))
            if moving
            else (),
            proofs=(views.Proof("isolation", True), views.Proof("loops", not self.loops, "a → b → a"))
            if moving
            else (),
            proofs_s=0.014,
            native=native,
            digest=self._digest(actions),
            notes=("gov/council: its window stays passed",) if request.wanted.rollback else (),
        )

    def _digest(self, actions: tuple[views.ServiceAction, ...]) -> str:
        content = json.dumps([self.moves, sorted(self.standing), [(a.service, a.action) for a in actions]])
        return hashlib.sha256(content.encode()).hexdigest()

    # -- changing ---------------------------------------------------------------------------------------------

    async def apply(self, request: ports.ApplyRequest) -> str:
        if request.request_id in self.requests:
            change_id, first = self.requests[request.request_id]
            if first.wanted != request.wanted:
                raise ConflictError(f"request {request.request_id} was made before with other content; choose a new id")
            return change_id
        actions = self._actions(request.wanted)
        if request.expected_digest and request.expected_digest != self._digest(actions):
            raise ConflictError("the network moved since this plan was made; plan again")
        change_id = f"c{len(self.changes) + 1}"
        if request.request_id:
            self.requests[request.request_id] = (change_id, request)
        names = tuple(a.service for a in actions if a.action != views.Action.UNCHANGED)
        kind = "rollback" if request.wanted.rollback else "delete" if request.wanted.remove else "apply"
        record = views.ChangeRecord(
            change_id, kind, request.author, request.reason, NOW, None, None, names, "", len(self.changes) + 1
        )
        self.changes[change_id] = Running(actions, record)
        task = asyncio.create_task(self._run(change_id, request))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return change_id

    async def _run(self, change_id: str, request: ports.ApplyRequest) -> None:
        running, found = self.changes[change_id], self._read(request.wanted)
        await running.tell(views.ChangeEvent(1, views.ProgressEvent("queued"), services=running.record.services))
        await self.gate.wait()
        failing = any("fail" in spec for _, spec, _ in found.values())
        stages = ("prepared", "failed") if failing else ("prepared", "committed", "verified", "confirmed")
        for stage in stages:
            event = views.ProgressEvent(stage, "city-ip", 0, "build", 0.01)
            await running.tell(views.ChangeEvent(len(running.events) + 1, event))
        outcome, failures = views.Outcome.COMMITTED, ()
        if any(a.action == views.Action.REFUSED for a in running.services) and not request.partial:
            outcome = views.Outcome.REFUSED
        elif failing:
            outcome = views.Outcome.FAILED
            failures = (views.DomainFailureView("city-ip", "commit", "VLAN 1203 in use on ge-0/0/3"),)
        else:
            self._store(running, found)
        result = views.ChangeResult(outcome, "", running.services, failures, ("city-ip: clock is off",), 0.31)
        running.record = views.ChangeRecord(
            change_id, running.record.kind, running.record.author, running.record.reason, NOW, NOW, outcome,
            running.record.services, "", running.record.revision,
        )  # fmt: skip
        await running.tell(views.ChangeEvent(len(running.events) + 1, result=result))

    def _store(self, running: Running, found: dict[str, tuple[str, Spec, dict[str, str]]]) -> None:
        for action in running.services:
            if action.action in (views.Action.CREATE, views.Action.CHANGE):
                self.standing[action.service] = found[action.service]
            elif action.action == views.Action.REMOVE:
                del self.standing[action.service]

    async def watch(
        self, change_id: str, after: int = 0, result_only: bool = False
    ) -> AsyncIterator[views.ChangeEvent]:
        running = self.changes.get(change_id)
        if running is None:
            raise UnknownNameError(f"there is no change {change_id}")
        self.watchers += 1
        try:
            told: list[views.ChangeEvent] = []
            while True:
                async with running.news:
                    await running.news.wait_for(lambda: len(running.events) > len(told))
                for event in running.events[len(told) :]:
                    told.append(event)
                    if event.sequence > after and (event.result is not None or not result_only):
                        yield event
                    if event.result is not None:
                        return
        finally:
            self.watchers -= 1

    # -- reading ----------------------------------------------------------------------------------------------

    async def services(self, tenant: str = "", label: str = "") -> tuple[views.ServiceStatus, ...]:
        key, _, value = label.partition("=")
        return tuple(
            self._status(service)
            for service, (_, _, labels) in sorted(self.standing.items())
            if service.startswith(f"{tenant}/" if tenant else "") and (not label or labels.get(key) == value)
        )

    def _status(self, service: str) -> views.ServiceStatus:
        kind, _, labels = self.standing[service]
        delay = Indicator(f"tunnel:slice/{service}", "delay_s", 0.00021, 0.0002, 0.0003, 60, 0.4)
        return views.ServiceStatus(
            service, kind, "Active", 2, 2, 7, tuple(sorted(labels.items())),
            (views.Condition("Committed", "True", "Confirmed", "on every domain", NOW),),
            "10 Gbit/s, own wavelength",
            views.SloView(0.020, None, 1e-4, 0.9999, 10**10),
            ServiceIndicators(delay_s=delay, subjects=2, silent=("circuit:x",)),
        )  # fmt: skip

    async def explain(self, service: str) -> Explanation:
        if service not in self.standing:
            raise UnknownNameError(f"there is no service {service}; `onecity get` lists those there are")
        used = Option(True, ("otn-buji", "f-1", "otn-zhihui"), 0.00021, 1, 0.025, 11.0, "in use: the quickest")
        way = ("otn-buji", "f-2", "otn-jihua", "f-3", "otn-zhihui")
        other = Option(False, way, 0.0005, 2, 0.01, 12.0, "0.29 ms slower")
        return Explanation(
            ServiceId(service),
            "ExclusiveSlice",
            ("isolation auto: class video tries wavelength, then timeslot",),
            (Kind("wavelength", True, 0.00021, 11.0, "in use"), Kind("nrp", False, None, None, "no way is up")),
            (Choice("buji", "zhihui", "wavelength", (used, other)),),
            3,
        )

    async def describe(self, service: str) -> views.ServiceDescription:
        if service not in self.standing:
            raise UnknownNameError(f"there is no service {service}; `onecity get` lists those there are")
        status = self._status(service)
        part = views.EndMeasurement("circuit:x", ServiceIndicators(subjects=1, silent=("circuit:x",)))
        resources = (views.Resource("channel", "f-zhihui-nanwan", "channel 5"),)
        return views.ServiceDescription(
            status,
            "kind: ExclusiveSlice",
            "wavelength",
            PROMISES,
            PATHS,
            resources,
            ("rides the east ring",),
            (part,),
            "c1",
        )

    async def diff(self, domain: str = "", change_id: str = "") -> tuple[views.DomainDiff, ...]:
        if domain == "city-ip":
            found = views.Difference("/l3nm:vpn-id", "1", "2", "gov/video")
            return (views.DomainDiff("city-ip", differences=(found,)),)
        if domain == "gone":
            return (views.DomainDiff("gone", False, (), "no session"),)
        return (views.DomainDiff("city-otn"),)

    async def history(self, service: str = "", limit: int = 50) -> tuple[views.ChangeRecord, ...]:
        records = [running.record for running in reversed(self.changes.values())]
        return tuple(r for r in records if not service or service in r.services)[:limit]

    async def change(self, name: str) -> views.ChangeDescription:
        running = self._named(name)
        services = tuple(views.ServiceDifference(s.service, s.kind, s.action, FIELDS) for s in running.services)
        effect = views.DomainEffect("city-ip", "<config>…</config>", PLACES, 7)
        return views.ChangeDescription(running.record, services, (effect,))

    async def blame(self, request: ports.BlameRequest) -> views.Blame:
        if request.domain != "city-ip":
            raise UnknownNameError(f"no domain {request.domain!r}; there are city-ip")
        ours = views.BlamedPlace("/l3nm:l3vpn-ntw/l3nm:vpn[l3nm:id='a']/l3nm:name", "x", ("gov/video",), 1, "c1")
        theirs = views.BlamedPlace("/l3nm:l3vpn-ntw/l3nm:vpn[l3nm:id='b']", "", ())
        found = tuple(p for p in ((ours, theirs) if request.running else (ours,)) if p.path.startswith(request.path))
        return views.Blame("city-ip", found[: request.limit], len(found) > request.limit)

    async def backup(self, path: str) -> int:
        if not path.startswith("/"):
            raise ConfigurationError(f"{path}: is no absolute path; the file is written where the daemon runs")
        return 4096

    async def topology(self) -> map_views.Topology:
        link = map_views.LinkView(
            "link:a", "city-ip", "ip", "node:lg-buji", "node:lg-nanwan", 10**11, 10**10, 1e-4, 0, 0, ("D7",), True
        )
        fibre = map_views.LinkView(
            "f-zhihui-nanwan", "city-otn", "optical", "otn-zhihui", "otn-nanwan", 0, 0, 6e-5, 80, 1, ("D1",), True
        )
        return map_views.Topology(
            3,
            (map_views.SiteView("buji", "Buji (布吉)", "west", 22.6, 114.1, "node:lg-buji/tp:acc-1"),),
            (map_views.DomainView("city-ip", "ip", True, False, 1),),
            (map_views.NodeView("node:lg-buji", "city-ip", "ip", "buji", 3, True),),
            (link, fibre),
            ("plug abc has one end only",),
        )

    def schema(self) -> str:
        return '{"$schema": "https://json-schema.org/draft/2020-12/schema"}'


FIELDS = (
    views.FieldView("spec.sites[buji]", None, "buji", views.Impact.NONE),
    views.FieldView("spec.sites[zhihui].vlan", "100", "101", views.Impact.INTERRUPTING),
)
_ENTRY = "/l3nm:l3vpn-ntw/l3nm:vpn-service[l3nm:vpn-id='gov.video']"
PLACES = (
    views.Difference(f"{_ENTRY}/l3nm:vpn-name", "video", None, "gov/video"),
    views.Difference(f"{_ENTRY}/l3nm:status/l3nm:mtu", "1500", "1400", "gov/video"),
    views.Difference(f"{_ENTRY}/l3nm:old", None, "x", "gov/video"),
)
PATHS = (
    views.PathSegment("ip", "city-ip", "working", "slice/gov.video/a-z", ("node:lg-buji", "node:lg-nanwan"), 0.0001),
    views.PathSegment(
        "optical", "city-otn", "working", "gov.video/a-z", ("otn-buji", "f-1", "otn-zhihui"), 0.0001, "193.10 THz"
    ),
)
PROMISES = (views.PromiseView("buji", "zhihui", 10**10, 0.00021, 0.020, 0.00034, 0.99995, ("f-1",)),)

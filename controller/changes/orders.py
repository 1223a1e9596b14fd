"""What a client asked, understood: documents become services, names become ids, labels become removals."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

from controller.changes.pipeline import Wanted
from controller.changes.ports import Wanted as Asked
from controller.changes.state import DesiredState
from controller.errors import ConfigurationError, UnknownNameError
from controller.intent import Catalogue, check_references, check_windows, read
from controller.intent.model import Service, ServiceId, VipAssurance
from controller.network.model import CityMap
from controller.planning.draft import Pools
from controller.planning.objectives import Objective, movable
from controller.planning.orders import referred_to

FEW_DOCUMENTS, FEW_CHARACTERS = 2, 1000


def _never(_: DesiredState) -> str:
    return ""


@dataclass(frozen=True, slots=True)
class Order:
    """What was asked, by whom and why."""

    wanted: Wanted
    kind: str  # "apply" "delete" "rollback" "window" "repair" "drift" "objective"
    author: str = ""
    reason: str = ""
    request_id: str = ""
    # Says why this is no longer what was meant, on the very state that it is planned on; "" where it still is.
    moved: Callable[[DesiredState], str] = _never
    alone: bool = False  # services that cannot be placed are left out, and the others go on

    @property
    def urgent(self) -> bool:
        """Whether it goes before others where there is a queue: assurance and repairs, for somebody waits for them."""
        wanted = self.wanted
        vips = any(isinstance(service, VipAssurance) for service in wanted.puts)
        return self.kind == "repair" or vips or bool(wanted.opens | wanted.closes)

    @property
    def services(self) -> tuple[ServiceId, ...]:
        """Return the services that it names."""
        wanted = self.wanted
        puts = [s.metadata.service for s in wanted.puts]
        return (*puts, *sorted(wanted.drops | wanted.opens | wanted.closes | wanted.again | wanted.restores))


def catalogue(city: CityMap) -> Catalogue:
    """Return what documents may name in this city; no nodes while some of them may be out of sight."""
    regions = {site.region for site in city.sites.values()}.union(*(n.regions for n in city.nodes.values()))
    whole = not any(domain.stale for domain in city.domains.values())
    nodes = frozenset(city.nodes) if whole else frozenset[str]()
    pools = Pools()
    return Catalogue(frozenset(city.sites), frozenset(regions), nodes, (pools.access, pools.border))


def is_short(asked: Asked) -> bool:
    """Say whether to understand it takes less than to hand it to a thread: a document or two as people write them."""
    texts = [document.text for document in asked.documents]
    return len(texts) <= FEW_DOCUMENTS and all(text is not None and len(text) <= FEW_CHARACTERS for text in texts)


def understand(asked: Asked, state: DesiredState, there_is: Catalogue, now: datetime) -> Wanted:
    """Return what is wanted; raises IntentError with every mistake, or UnknownNameError."""
    if asked.objective:
        return _objective(asked, state)
    documents = [(d.source, d.content if d.text is None else d.text) for d in asked.documents]
    given = [(source, document) for source, document in documents if document is not None]
    services = read(given, now, there_is)
    check_windows(services, now, state.services.keys(), given)
    drops = frozenset(_named(state, name) for name in asked.remove)
    if any(isinstance(service, VipAssurance) or referred_to(service) for service in services):
        remaining = {sid: s.service for sid, s in state.services.items() if sid not in drops}
        check_references(services, remaining, given)
    drops |= _pruned(asked, services, state)
    return Wanted(services, drops)


def content_digest(asked: Asked) -> str:
    """Name what was asked, so that a request id used twice for different things is noticed."""
    parts = [repr((d.source, d.text, d.content)) for d in asked.documents]
    parts += [repr(asked.remove), asked.prune_label, asked.prune_tenant, repr(asked.rollback), asked.objective]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def _objective(asked: Asked, state: DesiredState) -> Wanted:
    if asked.objective not in tuple(Objective):
        raise ConfigurationError(f"objective: {asked.objective!r} is not taken here; write {' or '.join(Objective)}")
    if replace(asked, objective="") != Asked():
        raise ConfigurationError("objective: moves what stands, so it goes without intents, removals and prune")
    return Wanted(again=frozenset(movable(state.pairs())), objective=asked.objective)


def _named(state: DesiredState, name: str) -> ServiceId:
    found = state.find(name)
    if found is None:
        near = [s for s in state.services if name.split("/")[-1] in s][:3]
        hint = f"; there is {', '.join(near)}" if near else "; `onecity get` lists them"
        raise UnknownNameError(f"no service {name!r}{hint}")
    return found


def _pruned(asked: Asked, services: tuple[Service, ...], state: DesiredState) -> frozenset[ServiceId]:
    """Return the services of one tenant with the label that no document names."""
    if not asked.prune_label:
        return frozenset()
    key, sign, value = asked.prune_label.partition("=")
    tenants = {asked.prune_tenant} if asked.prune_tenant else {s.metadata.tenant for s in services}
    if not sign or len(tenants) != 1:
        raise ConfigurationError("prune needs a label key=value, and acts within one tenant; name it with --tenant")
    named = {s.metadata.service for s in services}
    return frozenset(
        sid
        for sid, s in state.services.items()
        if s.service.metadata.tenant in tenants and (key, value) in s.service.metadata.labels and sid not in named
    )

"""From wanted services to a planned change: planning → rendering → diff → verification, on a snapshot.

Everything here is a function of its arguments, so it runs in a worker thread, serves `plan` and `apply` alike,
and gives the same answer for both. Nothing is sent, stored or reserved.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from ipaddress import ip_network

from controller.changes.dating import dated, opened_again, starts_now
from controller.changes.digest import digest_of
from controller.changes.impact import as_placed, impact_of
from controller.changes.opening import with_openings
from controller.changes.rendered import standing_of
from controller.changes.state import DesiredState, Standing, follows, lit_after
from controller.errors import ConflictError
from controller.intent import FieldChange, Impact, changed_fields, check_hosts
from controller.intent.model import DedicatedPlane, Service, ServiceId, VipAssurance
from controller.network.fading import for_standbys
from controller.network.ledger import Ledger
from controller.network.lit import with_lit
from controller.network.model import CityMap
from controller.planning.at_any_rate import at_any_rate
from controller.planning.objectives import Objective, movable, tune
from controller.planning.orders import orders_for
from controller.planning.place import PlanOutcome, place
from controller.planning.placement import Placement, Refusal
from controller.planning.timed import released
from controller.rendering.desired import edits as edits_between
from controller.rendering.tree import Edit, Tree
from controller.verification.model import ConfigurationModel
from controller.verification.proof import Proofs
from controller.verification.prove import prove


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a change asks for. `opens` and `closes` are windows whose time has come.

    `restores` are services of which something is only sent again; planning has nothing to do with them (`resend`).
    """

    puts: tuple[Service, ...] = ()
    drops: frozenset[ServiceId] = frozenset()
    opens: frozenset[ServiceId] = frozenset()
    closes: frozenset[ServiceId] = frozenset()
    again: frozenset[ServiceId] = frozenset()  # as they are, on the map as it is now: repairs
    restores: frozenset[ServiceId] = frozenset()
    shun: frozenset[str] = frozenset()  # components that what is placed again must not work over
    dead: frozenset[ServiceId] = frozenset()  # of those, what nothing carries: sooner without a standby than not at all
    objective: str = ""  # of `again`, those that are better off elsewhere move; "" they are placed as ever


@dataclass(frozen=True, slots=True)
class ServicePlan:
    """What happens to one service."""

    service: ServiceId
    kind: str
    action: str  # "create" "change" "remove" "unchanged" "refused" "expired" "open" "close"
    impact: str  # "none" "make-before-break" "interrupting"
    fields: tuple[FieldChange, ...] = ()
    placement: Placement | None = None
    previous: Placement | None = None
    source: str = ""


@dataclass(frozen=True, slots=True)
class Planned:
    """A change, ready to be carried out on the state it was planned on."""

    base: DesiredState
    after: DesiredState
    model: ConfigurationModel  # the verification's picture of `after`
    plans: tuple[ServicePlan, ...]
    puts: Mapping[ServiceId, Standing]  # what becomes standing; drops are those absent from `after`
    drops: frozenset[ServiceId]
    edits: tuple[Edit, ...]
    proofs: Proofs
    proofs_s: float  # what proving took
    refusals: tuple[Refusal, ...]
    digest: str  # names exactly this change on exactly this state and map
    city: CityMap  # the map with the IP links that it lights, and without those that it leaves to nobody

    @property
    def changes_nothing(self) -> bool:
        return not self.puts and not self.drops


def plan(
    state: DesiredState,
    model: ConfigurationModel,
    city: CityMap,
    wanted: Wanted,
    now: datetime,
    iterations: int | None = None,
) -> Planned:
    """Return what `wanted` comes to; refusals and broken proofs are in the result, not raised.

    `iterations`: how often a batch of which something is refused is placed in another order; None: by its size.

    Raises ConflictError where two services claim one leaf, or where a removal would orphan a VIP, and IntentError where
    a conference has hosts that its plane gave no prefix to. A refusal leaves
    every other service's plan readable.
    """
    city = with_lit(city, state.lit)
    changed, quiet = sort_out(state, wanted, now)
    tuned = _tuned(state, city, wanted, now) if wanted.objective else None
    changed = tuned.services if tuned is not None else (*changed, *_once_more(state, wanted, now))
    _refuse_orphans(state, wanted)
    drops = wanted.drops
    followers = [
        vip
        for vip in state.protectors(s.metadata.service for s in changed)
        if vip not in drops and all(vip != s.metadata.service for s in changed)
    ]
    # A VIP whose window ended a moment ago is not placed again with what it protects: it ends with this change.
    lapsed = frozenset(vip for vip in followers if state.services[vip].over(now))
    wanted = replace(wanted, closes=wanted.closes | lapsed)
    dependants = tuple(state.services[vip].service for vip in followers if vip not in lapsed)
    gone = drops | wanted.closes
    ledger = state.ledger.on(city)
    for sid in gone:
        ledger.remove(sid)
    replaced = {s.metadata.service for s in (*changed, *dependants)}
    standing = _but(state.pairs(), gone)
    passed = {sid for sid in state.windowed() if state.services[sid].over(now)}
    resolved = tuple(
        released(dated(service, state.services.get(service.metadata.service), now), passed)
        for service in (*changed, *dependants)
    )
    if tuned is not None:
        outcome = tuned.outcome
    else:
        times = orders_for(len(resolved), hurry=bool(wanted.again)) if iterations is None else iterations
        there = for_standbys(city, wanted.shun)
        outcome = place(there, ledger, resolved, standing, now, times, explain=not wanted.again)
    if wanted.dead:
        outcome = at_any_rate(city, outcome, resolved, standing, now, wanted.dead)
    given, city = city, for_standbys(outcome.city or city, frozenset())
    refused = {r.service for r in outcome.refusals}
    _hosts_in_place((*changed, *dependants), {**standing, **_placed((*changed, *dependants), outcome.placements)})
    puts: dict[ServiceId, Standing] = {}
    pairs = _but(standing, replaced - refused)  # who is refused stays as it stands, for those over it too
    accepted = [s for s in (*changed, *dependants) if s.metadata.service not in refused]
    for service in accepted:
        pairs[service.metadata.service] = (service, outcome.placements[service.metadata.service])
    for service in accepted:
        put = standing_of(state, service, outcome.placements[service.metadata.service], city, pairs, now)
        if put is not None and service.metadata.service in wanted.again:
            put = replace(put, generation=put.generation - 1)  # nobody changed the intent
        if put is not None:
            puts[service.metadata.service] = put
    unasked = {sid: p for sid, p in outcome.unguarded.items() if sid in state.services and sid not in replaced}
    for sid, placement in unasked.items():
        service = state.services[sid].service
        pairs[sid] = (service, placement)
        put = standing_of(state, service, placement, city, pairs, now)
        if put is not None:
            puts[sid] = replace(put, generation=put.generation - 1)
    puts.update(_window_moves(state, wanted))
    after = state_after(state, puts, drops, outcome.ledger)
    city = with_lit(city, after.lit)
    edits = edits_between(state.desired, after.desired)
    next_model = model.updated({e.domain: after.desired.tree(e.domain) for e in edits}, edits)
    started = time.perf_counter()
    proofs = prove(next_model, city, active_intents(after), frozenset(puts) | drops)
    if wanted.puts:
        proofs = with_openings(proofs, after, next_model, city, puts)
    proofs_s = time.perf_counter() - started
    asked = [
        plan_of(state, s, outcome.placements.get(s.metadata.service), now, refused=s.metadata.service in refused)
        for s in changed
    ]
    followed = [
        plan_of(state, s, puts[s.metadata.service].placement, now) for s in dependants if s.metadata.service in puts
    ]
    followed += [plan_of(state, state.services[s].service, p, now) for s, p in sorted(unasked.items()) if s in puts]
    if tuned is not None:
        asked = [replace(p, impact=str(Impact.MAKE_BEFORE_BREAK), fields=tuned.fields[p.service]) for p in asked]
    plans = (*asked, *followed, *removals_and_windows(state, wanted, drops), *quiet)
    return Planned(
        state,
        after,
        next_model,
        plans,
        puts,
        frozenset(drops),
        edits,
        proofs,
        proofs_s,
        outcome.refusals,
        # Nobody approves a repair beforehand.
        "" if wanted.again and tuned is None else digest_of(state, given, puts, drops),
        city,
    )


@dataclass(frozen=True, slots=True)
class _Tuned:
    """The services that an objective moves, and what becomes of each: before → after."""

    services: tuple[Service, ...]
    outcome: PlanOutcome
    fields: Mapping[ServiceId, tuple[FieldChange, ...]]


def _tuned(state: DesiredState, city: CityMap, wanted: Wanted, now: datetime) -> _Tuned:
    services = {s.metadata.service: s for s in _once_more(state, wanted, now)}
    standing = state.pairs()
    candidates = [sid for sid in movable(standing) if sid in services]
    found = tune(city, state.ledger, candidates, standing, Objective(wanted.objective))
    moves = {m.service.metadata.service: m for m in found.moves}
    outcome = PlanOutcome({sid: m.new for sid, m in sorted(moves.items())}, (), found.ledger)
    fields = {
        sid: (FieldChange(f"placement.{wanted.objective}", m.before, m.after, Impact.MAKE_BEFORE_BREAK),)
        for sid, m in moves.items()
    }
    return _Tuned(tuple(moves[sid].service for sid in sorted(moves)), outcome, fields)


def sort_out(state: DesiredState, wanted: Wanted, now: datetime) -> tuple[tuple[Service, ...], tuple[ServicePlan, ...]]:
    """Split what is asked for into services that need planning and those that are as they should be.

    A window that is over stays over where it is absolute; one that starts now is a new one, as `now` is another.
    """
    changed: list[Service] = []
    quiet: list[ServicePlan] = []
    for service in wanted.puts:
        sid = service.metadata.service
        old = state.services.get(sid)
        over = old is not None and old.over(now)
        if old is not None and old.service == service and not (over and starts_now(service)):
            action = "expired" if over else "unchanged"
            quiet.append(
                ServicePlan(
                    sid, service.kind, action, "none", (), old.placement, old.placement, service.metadata.source
                )
            )
        else:
            changed.append(service)
    return tuple(changed), tuple(quiet)


def _once_more(state: DesiredState, wanted: Wanted, now: datetime) -> tuple[Service, ...]:
    """Return the intents that are to be placed again as they stand; what is gone or over by now is not."""
    named = {s.metadata.service for s in wanted.puts} | wanted.drops | wanted.closes
    standing = (state.services.get(sid) for sid in sorted(wanted.again - named))
    return tuple(s.service for s in standing if s is not None and not s.over(now))


def _but(
    pairs: Mapping[ServiceId, tuple[Service, Placement]], gone: Iterable[ServiceId]
) -> dict[ServiceId, tuple[Service, Placement]]:
    """Return a copy without some: of ten thousand, in a tenth of the time that it takes to ask each of them."""
    left = dict(pairs)
    for sid in gone:
        left.pop(sid, None)
    return left


def _placed(
    services: Sequence[Service], placements: Mapping[ServiceId, Placement]
) -> dict[ServiceId, tuple[Service, Placement]]:
    named = {s.metadata.service: s for s in services}
    return {sid: (named[sid], placement) for sid, placement in placements.items()}


def _hosts_in_place(services: Sequence[Service], placed: Mapping[ServiceId, tuple[Service, Placement]]) -> None:
    """Hold conferences against the prefixes that their planes were given; those written were checked as intents.

    Raises IntentError.
    """
    vips = []
    for vip in services:
        if not isinstance(vip, VipAssurance) or vip.protects not in placed:
            continue
        plane, placement = placed[vip.protects]
        if isinstance(plane, DedicatedPlane) and plane.lan_pool is not None:
            lans = {a.access: tuple(ip_network(lan) for lan in a.lans) for a in placement.attachments}
            vips.append((vip, plane, lans))
    check_hosts(vips)


def _refuse_orphans(state: DesiredState, wanted: Wanted) -> None:
    """Refuse to remove a service that a standing VIP protects, unless the VIP goes too."""
    if not wanted.drops:
        return
    for vip in state.protectors(wanted.drops):
        if vip not in wanted.drops:
            protected = state.services[vip].service
            name = protected.protects if isinstance(protected, VipAssurance) else ""
            raise ConflictError(
                f"{name} cannot be removed: VipAssurance {vip} protects it; remove {vip} first, or both together"
            )


_WINDOW = ("spec.window.start", "spec.window.end", "spec.window.duration")


def _window_moves(state: DesiredState, wanted: Wanted) -> dict[ServiceId, Standing]:
    moves = {sid: replace(state.services[sid], active=True) for sid in wanted.opens}
    moves.update({sid: replace(state.services[sid], active=False, expired=True) for sid in wanted.closes})
    return moves


def state_after(
    state: DesiredState, puts: Mapping[ServiceId, Standing], drops: frozenset[ServiceId], ledger: Ledger
) -> DesiredState:
    services = dict(state.services)
    for sid in drops:
        services.pop(sid, None)
    services.update(puts)
    follows(state.services, services, puts, drops)
    fragments: dict[ServiceId, Mapping[str, Tree]] = {sid: s.fragments for sid, s in puts.items() if s.active}
    gone = drops | {sid for sid, s in puts.items() if not s.active}
    desired = state.desired.with_changes(fragments, gone)
    before = (state.services[sid] for sid in (*puts, *drops) if sid in state.services)
    lit = lit_after(state.lit, services, (*puts.values(), *before))
    return replace(state, services=services, desired=desired, ledger=ledger, number=state.number + 1, lit=lit)


def active_intents(state: DesiredState) -> Mapping[ServiceId, Service]:
    return state.intents()


def removals_and_windows(state: DesiredState, wanted: Wanted, drops: frozenset[ServiceId]) -> list[ServicePlan]:
    """Say what happens to services that no document asked about: windows that turn, and removals."""
    moves = [(sid, "open", "none") for sid in sorted(wanted.opens)] + [
        (sid, "close", "none") for sid in sorted(wanted.closes)
    ]
    moves += [(sid, "remove", "interrupting") for sid in sorted(drops)]
    return [
        ServicePlan(sid, state.services[sid].service.kind, action, impact, (), None, state.services[sid].placement)
        for sid, action, impact in moves
    ]


def plan_of(
    state: DesiredState, service: Service, placement: Placement | None, now: datetime, *, refused: bool = False
) -> ServicePlan:
    sid = service.metadata.service
    old = state.services.get(sid)
    if refused:
        return ServicePlan(
            sid, service.kind, "refused", "none", (), None, old.placement if old else None, service.metadata.source
        )
    if old is None:
        return ServicePlan(sid, service.kind, "create", "none", (), placement, None, service.metadata.source)
    fields = changed_fields(old.service, service) if old.service is not service else ()
    fields = as_placed(fields, old.placement, placement)
    if old.active and placement is not None and not placement.open_at(now) and not isinstance(service, VipAssurance):
        fields = tuple(replace(f, impact=Impact.INTERRUPTING) if f.path in _WINDOW else f for f in fields)
    start, ended = placement.start if placement else None, old.placement.end
    if start is not None and ended is not None and ended <= start and not fields:
        fields = (opened_again(ended, start),)
    return ServicePlan(
        sid,
        service.kind,
        "change",
        impact_of(fields, old.placement, placement),
        fields,
        placement,
        old.placement,
        service.metadata.source,
    )

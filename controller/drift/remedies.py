"""What is done where a domain runs something else than desired: told, brought back, or accepted.

By hand, or by the domain's policy (`drift:` in onecity.yaml): `alert` only tells, `revert` sends what is ours again,
`accept` lets it be. What others put beside ours is never touched, nor, by the policy, what they put into ours. Before
anything is brought back by itself, a second reading of just these places must agree with the first; a domain that
seems to have lost most of what is ours is left to a person, and so is one on which somebody keeps changing it back.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from controller.changes.live import LiveChange
from controller.changes.orders import Order
from controller.changes.pipeline import Wanted
from controller.changes.state import DesiredState
from controller.changes.views import ChangeResult, Outcome, Whose
from controller.drift.acceptance import Acceptances
from controller.drift.compare import Compared, Deviation
from controller.drift.port import DriftPolicy, DriftView
from controller.drift.resend import Resender, Resending, choice, unchanged_record
from controller.drift.watch import DomainDrift, Drift
from controller.errors import OnecityError, PreconditionError, UnknownNameError
from controller.intent.model import ServiceId
from controller.rendering.paths import units

log = logging.getLogger(__name__)

AUTHOR = "onecity"
MOST_REVERTS = 3  # of one domain within REVERTS_WITHIN; then somebody is at work there who does not give way
REVERTS_WITHIN = timedelta(minutes=10)
FEW_UNITS = 4  # of so few, all may be lost and yet be brought back by itself
MOST_TOLD = 50  # accepted places told in the history
MOST_LOST = 0.5  # of the units on a domain, missing whole: it was replaced, reset, or does not tell all

Work = Callable[[LiveChange], Awaitable[ChangeResult]]
Begin = Callable[[Order, str, Work], "asyncio.Task[ChangeResult]"]


class Remedies:
    """Implements `drift_port.DriftService`; enforces the domains' policies."""

    def __init__(
        self,
        drift: Drift,
        resender: Resender,
        state: Callable[[], DesiredState],
        policies: Mapping[str, DriftPolicy],
        begin: Begin,
        now: Callable[[], datetime],
    ) -> None:
        self._drift, self._resender, self._state = drift, resender, state
        self._policies, self._begin, self._now = policies, begin, now
        self._reverted: dict[str, deque[datetime]] = {}
        self._held_back: dict[str, str] = {}  # domain → why nothing is brought back by itself
        drift.on_found = self._found

    @property
    def _acceptances(self) -> Acceptances:
        return self._drift.acceptances

    # By hand

    async def drift(self, domain: str = "", *, afresh: bool = False) -> tuple[DriftView, ...]:
        """Tell of one domain or all how they differ: as last compared, or read and compared now."""
        names = self._names(domain)
        unread: dict[str, str] = {}
        if afresh:
            unread = {one.domain: one.unread for one in await self._drift.deviations(names) if one.unread}
        known = self._drift.known()
        return tuple(self._view(name, known.get(name), unread.get(name, "")) for name in names)

    def standing(self) -> tuple[DriftView, ...]:
        """Tell of all domains, from memory."""
        known = self._drift.known()
        return tuple(self._view(name, known.get(name), "") for name in self._names(""))

    async def revert(
        self, domain: str, service: str, author: str, reason: str, *, added: bool = False, accepted: bool = False
    ) -> str:
        """Send again what is ours and deviates; return the change's id."""
        sid = self._service(service)
        chosen = choice(services=(sid,) if sid else (), added=added, accepted=accepted)
        found = await self._compared(domain)
        asked = Resending(domain, found.deviations, chosen)
        if not asked.wanted:
            raise PreconditionError(self._nothing(found, "bring back"))
        change_id, _ = self._resend(asked, author, reason or _reason(asked.wanted))
        return change_id

    async def accept(self, domain: str, service: str, author: str, reason: str) -> tuple[str, int]:
        """Let what deviates now be as it is; return the id in the history, and how many places that is."""
        sid = self._service(service)
        found = await self._compared(domain)
        chosen = choice(services=(sid,) if sid else (), added=True)
        places = [one for one in found.deviations if chosen(one)]
        if not places:
            raise PreconditionError(self._nothing(found, "accept"))
        return await self._accept(domain, places, author, reason), len(places)

    async def _compared(self, domain: str) -> Compared:
        (name,) = self._names(domain)
        (found,) = await self._drift.deviations((name,))
        if found.unread:
            raise PreconditionError(f"{name} cannot be read, so nothing is known of it: {found.unread}")
        return found

    def _nothing(self, found: Compared, verb: str) -> str:
        others = [one for one in found.deviations if one.whose is not Whose.OURS]
        said = {Whose.ADDED: "added by others to ours (--added)", Whose.ACCEPTED: "accepted (--accepted)",
                Whose.FOREIGN: "not ours"}  # fmt: skip
        counts = [f"{n} {words}" for w, words in said.items() if (n := sum(1 for one in others if one.whose is w))]
        rest = f"; there is {', '.join(counts)}" if counts else ""
        return f"{found.domain} runs what is desired: nothing to {verb}{rest}"

    def _service(self, name: str) -> ServiceId | None:
        if not name:
            return None
        found = self._state().find(name)
        if found is None:
            raise UnknownNameError(f"no service {name!r}; `onecity get` lists them")
        return found

    def _names(self, domain: str) -> list[str]:
        if domain and domain not in self._policies:
            raise UnknownNameError(f"no domain {domain!r}; there are {', '.join(sorted(self._policies))}")
        return [domain] if domain else sorted(self._policies)

    def _view(self, domain: str, known: DomainDrift | None, unread: str) -> DriftView:
        policy, note = self._policies[domain], self._held_back.get(domain, "")
        if known is None:
            return DriftView(domain, policy, None, {}, (), unread or note)
        return DriftView(domain, policy, known.at, dict(known.counts), known.places, unread or note)

    # By policy

    async def _found(self, domain: str, found: Sequence[Deviation]) -> None:
        """Do what the domain's policy says about places of ours that run something else."""
        policy = self._policies.get(domain, DriftPolicy.ALERT)
        try:
            if policy is DriftPolicy.ACCEPT:
                await self._accept(domain, found, AUTHOR, "the domain's policy is to accept")
            elif policy is DriftPolicy.REVERT:
                await self._bring_back(domain, [one for one in found if one.whose is Whose.OURS])
        except OnecityError as error:
            log.warning("%s: %s", domain, error)

    async def _bring_back(self, domain: str, found: Sequence[Deviation]) -> None:
        why = self._better_not(domain, found) if found else ""
        if why and self._held_back.get(domain) != why:
            log.warning("%s is not brought back by itself: %s", domain, why)
        self._held_back[domain] = why
        if not found or why:
            return
        self._reverted.setdefault(domain, deque(maxlen=MOST_REVERTS)).append(self._now())
        asked = Resending(domain, tuple(found), choice())
        _, task = self._resend(asked, AUTHOR, _reason(found))
        result = await asyncio.shield(task)
        if result.outcome not in (Outcome.COMMITTED, Outcome.UNCHANGED):
            log.warning("%s could not be brought back: %s", domain, result.message)

    def _better_not(self, domain: str, found: Sequence[Deviation]) -> str:
        """Say why a person should look first; "" where nothing speaks against it."""
        whole = dict.fromkeys(unit for unit, _ in units(self._state().desired.tree(domain)))
        lost = sum(1 for one in found if one.running is None and one.operation.path in whole)
        if len(whole) > FEW_UNITS and lost > MOST_LOST * len(whole):
            return (
                f"{lost} of our {len(whole)} entries are gone at once: was it replaced or reset, or does it not tell "
                f"all? `onecity drift revert {domain}` sends them again"
            )
        times = self._reverted.get(domain, deque())
        if len(times) == MOST_REVERTS and self._now() - times[0] < REVERTS_WITHIN:
            minutes = int(REVERTS_WITHIN.total_seconds() // 60)
            return (
                f"it was brought back {MOST_REVERTS} times within {minutes} minutes and somebody changed it again; "
                f"find out who, then `onecity drift revert {domain}`"
            )
        return ""

    def _resend(self, asked: Resending, author: str, reason: str) -> tuple[str, asyncio.Task[ChangeResult]]:
        order = Order(Wanted(restores=asked.services), "drift", author, reason)
        change_id = secrets.token_hex(4)

        async def work(live: LiveChange) -> ChangeResult:
            result = await self._resender.carry_out(asked, order, live)
            self._drift.suspect(asked.domain)
            return result

        return change_id, self._begin(order, change_id, work)

    async def _accept(self, domain: str, places: Sequence[Deviation], author: str, reason: str) -> str:
        owners = frozenset(owner for one in places for owner in one.owners)
        order = Order(Wanted(restores=owners), "drift", author, reason)
        now = self._now()
        text = f"{len(places)} place{'s' if len(places) != 1 else ''} of {domain} accepted as they run"
        record = unchanged_record(secrets.token_hex(4), order, self._state(), text, now)
        shown = [f"{d.path}: {d.running if d.running is not None else 'nothing'}" for d in (p.view() for p in places)]
        more = [f"and {len(shown) - MOST_TOLD} more"] if len(shown) > MOST_TOLD else []
        detail = "\n".join([f"{text}; nothing was sent", *shown[:MOST_TOLD], *more])
        ended = replace(record, outcome=Outcome.COMMITTED.value, detail=detail, ended=record.at)
        await self._acceptances.accept(domain, places, ended, now)
        await self._drift.deviations((domain,))
        return record.id


def _reason(found: Sequence[Deviation]) -> str:
    """Return in one line what is brought back; the history has every place of it."""
    first = found[0]
    leaf = " ".join(part.rpartition(":")[2] for part in _parts(first.operation.path[-1]))
    more = f" and {len(found) - 1} more" if len(found) > 1 else ""
    return f"brings back what ran something else: {leaf} of {', '.join(first.owners) or 'nobody'}{more}"


def _parts(step: str | tuple[str, ...]) -> tuple[str, ...]:
    return (step,) if isinstance(step, str) else step[:2]

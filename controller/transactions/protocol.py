"""The point of no return of a step, and the way to it.

Before `decided` is on disk every domain can still roll back by its own timer, so whatever fails, all go back.
After it there is only forward, even for a domain that rolled back meanwhile. Nothing here knows what the
configuration means.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Mapping
from typing import Any, TypeVar

from controller.errors import DomainError, DomainUnreachableError, OnecityError, StoreError
from controller.rendering.tree import Edit
from controller.transactions.calls import Calls
from controller.transactions.images import beside, disagreement, inverse
from controller.transactions.journal import Journal, OpenTransaction
from controller.transactions.step import DomainFailure, Step

T = TypeVar("T")

Report = Callable[[str, str, str], None]  # domain, stage, detail

_SPARE_DEADLINES = 3  # that every confirm timer must have left at the decision
# Refusals that are about the domain or the session, not about what was asked (tags of RFC 6241 appendix A, gRPC's
# codes, and those that drivers give themselves).
_NOT_ABOUT_THE_EDIT = frozenset(
    {"lock-denied", "access-denied", "host-key", "capability", "UNAUTHENTICATED", "PERMISSION_DENIED"}
)
_OF_THE_DOMAIN_WITHOUT_A_PATH = frozenset(
    {"in-use", "resource-denied"}
)  # with one, somebody else has what was asked for
MANY_PLACES = 200  # to compare more of them would hold up the event loop
_HUNG_S = 0.5  # who fails later than this has hung; a lost connection is noticed at once


class StepAbortedError(Exception):
    """The step cannot be decided; everything sent so far must be undone."""

    def __init__(self, failures: tuple[DomainFailure, ...]) -> None:
        super().__init__("; ".join(f"{one.domain}: {one.message}" for one in failures))
        self.failures = failures


class _DisagreementError(DomainError):
    """What runs is not what was sent."""

    def __init__(self, domain: str, difference: str, *, beside: bool = False) -> None:
        said = f"runs something else than it was sent: {difference}"
        if beside:
            said = (
                f"somebody else changed what this change touches and does not write: {difference}; "
                f"`onecity drift --now {domain}` shows all of it, `onecity drift revert {domain}` or "
                f"`onecity drift accept {domain}` ends it; then try again"
            )
        super().__init__(domain, said)
        self.path = difference.partition(": ")[0]  # the first place of those that it names


class Approach:
    """One step on its way from the intention to the decision."""

    def __init__(
        self,
        transaction: OpenTransaction,
        calls: Calls,
        journal: Journal,
        clock: Callable[[], float],
        report: Report,
        abandoned: Callable[[], bool],
    ) -> None:
        """abandoned: says that who asked gave up, so that this stops at the next safe place."""
        self._transaction = transaction
        self._step = transaction.step
        self._calls = calls
        self._journal = journal
        self._clock = clock
        self._report = report
        self._late_at = clock() + max(calls.timers(edit.domain).commit_s for edit in self._step.edits)
        self._edits: Mapping[str, Edit] = {edit.domain: edit for edit in self._step.edits}
        self._timeouts_s = confirm_timeouts_s(self._step, calls)
        self._expires_at: dict[str, float] = {}
        self.warnings: list[str] = []
        self.journaled = False  # the intention is (or may be) on disk
        self.hung: set[str] = set()  # domains that let a deadline pass
        self.sent = False  # something may have reached a domain: it must be cancelled
        self._abandoned = abandoned

    async def decide(self) -> None:
        """Bring every domain to its after-image, unconfirmed, and journal the decision. Raises StepAbortedError."""
        await self._intend_and_connect()
        self._go_on()
        self.sent = True
        await self._all("prepare", self._edits, self._prepare)
        for wave in self._step.waves:
            self._go_on()
            await self._all("commit", [domain for domain in wave if domain in self._edits], self._commit)
        self._go_on()
        await self._all("verify", self._edits, self._verify)
        self._go_on()
        self._time_left()
        try:
            await self._journal.append(self._transaction.txn, "decided")
        except StoreError as err:
            # The disk may hold the record or not. Going back stays right only once `end` is durable behind it.
            self._transaction.maybe_decided = True
            raise StepAbortedError((DomainFailure("store", "journal", str(err), whole=True),)) from err
        self._transaction.apply("decided", "")

    async def _intend_and_connect(self) -> None:
        """Journal and look for the domains at the same time: neither reaches into a domain."""
        begin = asyncio.ensure_future(self._journal.begin(self._step))
        self.journaled = True
        try:
            await self._all("connect", self._edits, self._connect)
        finally:
            await asyncio.wait([begin])
            if isinstance(err := begin.exception(), OnecityError):
                self.journaled = False
                raise StepAbortedError((DomainFailure("store", "journal", str(err), whole=True),)) from err
        await begin

    async def _connect(self, domain: str) -> None:
        await self._calls.connect(domain)
        self._report(domain, "connected", "")

    async def _prepare(self, domain: str) -> None:
        if self._step.guarded:
            await self._still_before(self._edits[domain])
        warnings = await self._calls.prepare(self._step.txn, self._edits[domain], within_s=self._left(domain))
        self.warnings.extend(f"{domain}: {warning}" for warning in warnings)
        self._report(domain, "prepared", "")

    async def _still_before(self, edit: Edit) -> None:
        running = await self._calls.read(edit.domain, edit.touched, within_s=self._left(edit.domain))
        if difference := disagreement(inverse(edit), running):
            raise DomainError(edit.domain, f"runs something else than a moment ago: {difference}; look at it again")

    async def _commit(self, domain: str) -> None:
        timeout_s, left_s = self._timeouts_s[domain], self._left(domain)
        self._expires_at[domain] = self._clock() + timeout_s  # from sending: the domain's own timer starts later
        await self._calls.commit(self._step.txn, domain, timeout_s, within_s=left_s)
        self._report(domain, "committed", "")

    async def _verify(self, domain: str) -> None:
        edit = self._edits[domain]
        running = await self._calls.read(domain, edit.touched, within_s=self._left(domain))
        many = len(edit.touched) > MANY_PLACES
        difference = await asyncio.to_thread(disagreement, edit, running) if many else disagreement(edit, running)
        if difference:
            raise _DisagreementError(domain, difference, beside=bool(beside(edit, running)))
        self._report(domain, "verified", "")

    def _left(self, domain: str) -> float:
        """Return what is left of the time in which others wait for this step's domains: one commit deadline."""
        left_s = self._late_at - self._clock()
        if left_s <= 0:
            raise DomainUnreachableError(domain, "too late: the change has held its domains for a commit deadline")
        return left_s

    def _time_left(self) -> None:
        now = self._clock()
        late = []
        for domain, expires_at in self._expires_at.items():
            needed_s = _SPARE_DEADLINES * self._calls.confirm_deadline_s(domain)
            if expires_at - now < needed_s:
                text = (
                    f"too late to decide: {expires_at - now:.1f} s left on its confirm timer, {needed_s:.1f} s needed"
                )
                late.append(DomainFailure(domain, "verify", text, whole=True))
        if late:
            raise StepAbortedError(tuple(late))

    def _go_on(self) -> None:
        if self._abandoned():
            raise StepAbortedError((DomainFailure("onecity", "internal", "the change was abandoned by its caller"),))

    async def _all(self, stage: str, domains: Iterable[str], act: Callable[[str], Coroutine[Any, Any, None]]) -> None:
        """Act on all domains in parallel; wait for every one, then fail with the words of each that failed."""
        _, failures = await in_parallel(stage, domains, noting(self.hung, self._clock, act))
        for failure in failures:
            self._report(failure.domain, "failed", failure.message)
        if failures:
            raise StepAbortedError(failures)


async def out_of_reach(step: Step, calls: Calls, report: Report) -> tuple[DomainFailure, ...]:
    """Say which domains do not answer, before any is taken: to wait for one must not hold up the others."""
    _, failures = await in_parallel("connect", [edit.domain for edit in step.edits], calls.connect)
    for failure in failures:
        report(failure.domain, "failed", failure.message)
    return failures


async def in_parallel(
    stage: str, domains: Iterable[str], act: Callable[[str], Coroutine[Any, Any, None]]
) -> tuple[tuple[str, ...], tuple[DomainFailure, ...]]:
    """Act on all domains at once; return those that succeeded and how each other one failed."""
    names = tuple(domains)
    answers = await asyncio.gather(*(act(name) for name in names), return_exceptions=True)
    done, failures = [], []
    for name, answer in zip(names, answers, strict=True):
        if answer is None:
            done.append(name)
        elif isinstance(answer, OnecityError):
            failures.append(failure_of(name, stage, answer))
        else:
            raise answer
    return tuple(done), tuple(failures)


def noting(
    hung: set[str], clock: Callable[[], float], act: Callable[[str], Coroutine[Any, Any, None]]
) -> Callable[[str], Coroutine[Any, Any, None]]:
    """Return `act` that also notes which domains let a deadline pass: they get no second one at others' expense."""

    async def noted(domain: str) -> None:
        started = clock()
        try:
            await act(domain)
        except DomainUnreachableError:
            if clock() - started >= _HUNG_S:
                hung.add(domain)
            raise

    return noted


def failure_of(domain: str, stage: str, err: OnecityError) -> DomainFailure:
    """Return what failed in the domain's own words."""
    if not isinstance(err, DomainError):
        return DomainFailure(domain, stage, str(err))
    whole = isinstance(err, DomainUnreachableError) or err.tag in _NOT_ABOUT_THE_EDIT
    whole = whole or (not err.path and err.tag in _OF_THE_DOMAIN_WITHOUT_A_PATH)
    return DomainFailure(domain, stage, str(err), err.path, whole)


def confirm_timeouts_s(step: Step, calls: Calls) -> dict[str, float]:
    """Return how long each domain waits for its confirm before it rolls back by itself.

    What comes up first goes down last: a wave's timers outlast those of the waves after it, also when the
    coordinator is gone, so that IP never loses the light under it.
    """
    timeouts: dict[str, float] = {}
    later_s = 0.0
    for wave in reversed(step.waves):
        for domain in wave:
            timeouts[domain] = max(calls.timers(domain).confirm_s, later_s)
        slowest_commit_s = max((calls.timers(domain).commit_s for domain in wave), default=0.0)
        later_s = max((timeouts[domain] for domain in wave), default=0.0) + slowest_commit_s
    return timeouts

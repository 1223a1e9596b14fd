"""What each change did to each domain, kept with it: the exact text that was sent, and what became different where.

Written down after the change has ended, and while nothing else is under way if that can be had: nobody waits for it,
and no later change is slowed by it. A daemon killed before that finds the steps in the journal when it comes back.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace

from controller.changes.leaves import changed_places, first_leaves
from controller.errors import OnecityError
from controller.network.discovered import DomainKind
from controller.rendering.desired import Desired
from controller.rendering.tree import Edit
from controller.southbound.driver import Driver
from controller.store.codec import loads
from controller.store.records import DomainChange, PlaceChange
from controller.store.store import Store
from controller.transactions.step import Step

log = logging.getLogger(__name__)

MOST_BYTES = 256 * 1024  # kept of one domain's text, and of its places
MOST_LEAVES = 4096  # of one edit whose text is worked out: they fill MOST_BYTES
QUIET_S = 0.1  # nothing under way for so long: there is time to write
LATEST_S = 30.0  # but nothing waits longer than this
MOST_WAITING = 500  # changes; more are written down although others are under way
BATCH = 8
FEW_OPERATIONS = 16  # of a change that is told in one go


@dataclass(frozen=True, slots=True)
class Ended:
    """A change that took effect, as far as its effect on domains goes."""

    change_id: str
    steps: tuple[Step, ...]
    base: Desired = field(default_factory=Desired)  # whose leaves they were
    after: Desired = field(default_factory=Desired)  # whose they are
    sent: Mapping[tuple[int, str], str] = field(default_factory=dict)  # texts that only the moment of sending knows
    at_s: float = field(default_factory=time.monotonic)


class Chronicle:
    """Owns a task while anything waits to be written down."""

    def __init__(self, store: Store, drivers: Mapping[str, Driver], busy: Callable[[], bool]) -> None:
        self._store, self._drivers, self._busy = store, drivers, busy
        self._waiting: dict[str, Ended] = {}
        self._task: asyncio.Task[None] | None = None
        self._closing = False

    def sent(self, steps: Iterable[Step]) -> dict[tuple[int, str], str]:
        """Return, by step and domain, the texts that cannot be told later: they name the version they replace."""
        texts = {}
        for step in steps:
            for edit in step.edits:
                driver = self._drivers.get(edit.domain)
                if driver is not None and edit.before and driver.kind is DomainKind.OPTICAL:
                    with suppress(OnecityError):  # the domain will say so itself
                        texts[step.index, edit.domain] = driver.native(edit)
        return texts

    def add(self, ended: Ended) -> None:
        """Write this down when there is time."""
        self._waiting[ended.change_id] = ended
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._work(), name="chronicle")

    async def effects(self, change_id: str) -> tuple[DomainChange, ...]:
        """Return what a change did to each domain, also where it has just ended."""
        return await asyncio.to_thread(self.told, change_id)

    def told(self, change_id: str) -> tuple[DomainChange, ...]:
        """As `effects`, for those who are in a worker thread already."""
        waiting = self._waiting.get(change_id)
        return self._described(waiting) if waiting is not None else self._store.change_domains(change_id)

    async def catch_up(self) -> None:
        """Take from the journal what a killed daemon had no time to write down."""
        for ended in await asyncio.to_thread(self._from_journal):
            if ended.change_id not in self._waiting:
                self.add(ended)

    def _from_journal(self) -> list[Ended]:
        found = self._store.undescribed().items()
        return [Ended(change_id, tuple(loads(Step, body) for body in bodies)) for change_id, bodies in found]

    async def close(self) -> None:
        """Write down what waits."""
        self._closing = True
        if self._task is not None:
            await asyncio.gather(self._task, return_exceptions=True)

    async def _work(self) -> None:
        while self._waiting:
            await self._time()
            batch = list(self._waiting.values())[:BATCH]
            try:
                await self._store.keep_domains({ended.change_id: await self._in_pieces(ended) for ended in batch})
            except OnecityError as error:
                log.warning("what changes did to domains could not be kept: %s", error)
            except Exception:
                log.exception("what changes did to domains could not be told, by a defect of ours")
            for ended in batch:
                self._waiting.pop(ended.change_id, None)

    async def _in_pieces(self, ended: Ended) -> tuple[DomainChange, ...]:
        """As `_described`; where that is much, domain by domain: a change that comes waits for one of them at most."""
        if sum(len(edit.operations) for step in ended.steps for edit in step.edits) <= FEW_OPERATIONS:
            return await asyncio.to_thread(self._described, ended)
        told = []
        for domain in _domains(ended):
            if self._busy():
                await self._time()
            told.append(await asyncio.to_thread(self._domain, ended, domain))
        return tuple(told)

    async def _time(self) -> None:
        """Wait until nothing is under way, or something has waited long enough, or too much waits."""
        quiet_s = 0.0
        while not self._closing and quiet_s < QUIET_S and len(self._waiting) < MOST_WAITING:
            oldest = next(iter(self._waiting.values()))
            if time.monotonic() - oldest.at_s > LATEST_S:
                return
            await asyncio.sleep(QUIET_S / 4)
            quiet_s = 0.0 if self._busy() else quiet_s + QUIET_S / 4

    def _described(self, ended: Ended) -> tuple[DomainChange, ...]:
        """Return the effects on every domain of a change."""
        return tuple(self._domain(ended, domain) for domain in _domains(ended))

    def _domain(self, ended: Ended, domain: str) -> DomainChange:
        pairs = [(step, edit) for step in ended.steps for edit in step.edits if edit.domain == domain]
        begun = [_beginning(edit) for _, edit in pairs]
        more = any(short is not edit for short, (_, edit) in zip(begun, pairs, strict=True))
        texts = [self._text(ended, step, short) for (step, _), short in zip(pairs, begun, strict=True)]
        if len(pairs) > 1:
            texts = [f"── {step.name} ──\n{text}" for (step, _), text in zip(pairs, texts, strict=True)]
        places, left_out = _places(ended, [edit for _, edit in pairs])
        return DomainChange(domain, _cut("\n".join(texts), more=more), places, left_out)

    def _text(self, ended: Ended, step: Step, edit: Edit) -> str:
        kept = ended.sent.get((step.index, edit.domain))
        if kept is not None:
            return kept
        driver = self._drivers.get(edit.domain)
        return driver.native(edit) if driver is not None else "(this domain is not in onecity.yaml any more)"


def _domains(ended: Ended) -> list[str]:
    return sorted({edit.domain for step in ended.steps for edit in step.edits})


def _beginning(edit: Edit) -> Edit:
    """Return an edit of at most about MOST_LEAVES leaves: the text of more would only be thrown away."""
    operations, left = [], MOST_LEAVES
    for operation in edit.operations:
        if left <= 0:
            break
        value = operation.value
        if isinstance(value, dict):
            value, taken = first_leaves(value, left)
            left -= taken
        left -= 1
        operations.append(replace(operation, value=value))
    return replace(edit, operations=tuple(operations)) if left <= 0 else edit


def _cut(text: str, *, more: bool) -> str:
    """Return the text, or its beginning up to a line's end and a note."""
    raw = text.encode()
    if len(raw) <= MOST_BYTES and not more:
        return text
    kept = raw[:MOST_BYTES].decode(errors="ignore").rpartition("\n")[0] if len(raw) > MOST_BYTES else text
    return f"{kept}\n… cut here: more was sent; {MOST_BYTES >> 10} kB are kept of one domain"


def _places(ended: Ended, edits: Iterable[Edit]) -> tuple[tuple[PlaceChange, ...], int]:
    """Return what became different, each with its owners, and how many places are beyond what is kept."""
    kept: list[PlaceChange] = []
    left_out = 0
    for edit in edits:
        found, rest = changed_places(edit, MOST_BYTES)
        left_out += rest
        before, after = ended.base.owners(edit.domain), ended.after.owners(edit.domain)
        for path, place in found:
            owners = ", ".join((before if place.after is None else after)(path))
            kept.append(PlaceChange(place.path, place.before, place.after, owners))
    return tuple(kept), left_out

"""Failpoints: die at an exact point of a transaction, so that tests can prove that nothing is lost there.

    ONECITY_DIE_AT=decided:3 onecity serve …      # kill -9 of itself, the third time that a decision is on disk

The points, in the order in which a step passes them (those of a domain are passed once for each domain):

    intended    the intention is durable          deciding    before `decided` is written
    connected   a domain answered                 decided     `decided` is durable
    prepared    a domain holds the edit           confirmed   a domain made it final
    committed   a domain runs it                  ending      before `end` is written
    verified    a domain was read back            ended       `end` is written, the change is not closed yet
    cancelled   a domain went back                resending   before an image is sent again
    compensated a domain was put back
    gathered    several changes are about to travel in one transaction
    parted      that was taken back, and they are about to be tried in parts

ONECITY_STOP_AT takes the same words and stops the process there (SIGSTOP), for whoever wants to do something to the
network at exactly that point, and lets it go on with SIGCONT.

Read in one place (`failpoint`), wired in the daemon. Unset, nothing of this exists at run time.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping

from controller.errors import ConfigurationError
from controller.transactions.journal import Journal, OpenTransaction
from controller.transactions.step import Progress, Step, StepOutcome

SIGNALS = {"ONECITY_DIE_AT": signal.SIGKILL, "ONECITY_STOP_AT": signal.SIGSTOP}
JOURNAL_POINTS = ("intended", "deciding", "decided", "resending", "ending", "ended")
DOMAIN_POINTS = ("connected", "prepared", "committed", "verified", "confirmed", "cancelled", "compensated")
GROUP_POINTS = ("gathered", "parted")
_POINTS = (*JOURNAL_POINTS, *DOMAIN_POINTS, *GROUP_POINTS)


def failpoint(environment: Mapping[str, str]) -> Failpoint | None:
    """Return where this process is to die or stop; None, as always outside of tests, where nowhere."""
    variable = next((name for name in SIGNALS if environment.get(name)), "")
    if not variable:
        return None
    text = environment[variable]
    point, _, count = text.partition(":")
    if point not in _POINTS or not count.isdecimal() or not int(count):
        raise ConfigurationError(f"{variable}={text}: write POINT:COUNT with one of the points {', '.join(_POINTS)}")
    return Failpoint(point, int(count), SIGNALS[variable])


class Failpoint:
    """Counts how often one point is passed, and dies there in time. Listens to progress, stands before a journal."""

    def __init__(self, point: str, count: int, number: signal.Signals = signal.SIGKILL) -> None:
        self._point, self._left, self._number = point, count, number

    def hear(self, progress: Progress) -> None:
        """Take a domain's progress as a point passed."""
        self.passed(progress.stage)

    def passed(self, point: str) -> None:
        if point != self._point:
            return
        self._left -= 1
        if self._left == 0:
            os.kill(os.getpid(), self._number)

    def before(self, journal: Journal) -> Journal:
        return _Watched(journal, self)


class _Watched:
    """A journal whose records are points passed."""

    def __init__(self, journal: Journal, failpoint: Failpoint) -> None:
        self._journal, self._passed = journal, failpoint.passed

    async def begin(self, step: Step) -> None:
        await self._journal.begin(step)
        self._passed("intended")

    async def append(self, txn: str, kind: str, body: str = "") -> None:
        self._passed("deciding" if kind == "decided" else "resending" if kind in ("attempt", "restore") else "")
        await self._journal.append(txn, kind, body)
        self._passed("decided" if kind == "decided" else "")

    def append_soon(self, txn: str, kind: str, body: str = "") -> None:
        self._journal.append_soon(txn, kind, body)

    async def end(self, txn: str, outcome: StepOutcome) -> None:
        self._passed("ending")
        await self._journal.end(txn, outcome)
        self._passed("ended")

    def end_soon(self, txn: str, outcome: StepOutcome) -> None:
        self._passed("ending")
        self._journal.end_soon(txn, outcome)
        self._passed("ended")

    def open_transactions(self) -> tuple[OpenTransaction, ...]:
        return self._journal.open_transactions()

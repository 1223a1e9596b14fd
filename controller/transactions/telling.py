"""Progress on its way to those who watch: each change its own, and one who watches everything."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

from controller.transactions.member import Member
from controller.transactions.protocol import Report
from controller.transactions.step import Progress, ProgressSink, Step

log = logging.getLogger(__name__)


class Telling:
    """Makes the reports of steps. Whoever watches must not be able to stop a transaction."""

    def __init__(self, clock: Callable[[], float], watch: ProgressSink | None) -> None:
        self._clock = clock
        self._watch = watch

    def of(self, step: Step, progress: ProgressSink | None) -> Report:
        """Return a step's own report, with the time since now."""
        started = self._clock()

        def report(domain: str, stage: str, detail: str) -> None:
            if progress is not None:
                try:
                    progress(Progress(step.change_id, step.index, domain, stage, self._clock() - started, detail))
                except Exception:
                    log.exception("a progress listener failed")

        return report

    def watched(self, step: Step) -> Report:
        """Return a report to whoever watches everything."""
        return self.of(step, self._watch)

    def to_all(self, step: Step, batch: Sequence[Member]) -> Report:
        """Return the report of a transaction to its members, and to whoever watches everything.

        That a group failed is not told here: some of its members may yet do better without the others.
        """
        watched = self.watched(step)

        def report(domain: str, stage: str, detail: str) -> None:
            watched(domain, stage, detail)
            if stage != "failed" or len(batch) == 1:
                for member in batch:
                    member.report(domain, stage, detail)

        return report

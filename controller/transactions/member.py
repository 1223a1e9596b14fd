"""One step on its way through the transaction room, alone or in a group, and the answer that its caller waits for."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from controller.transactions.gate import Waiting
from controller.transactions.protocol import Report
from controller.transactions.step import DomainFailure, Step, StepOutcome, StepResult

_GIVEN_UP = StepResult(
    StepOutcome.ROLLED_BACK, (DomainFailure("onecity", "internal", "the change was abandoned by its caller"),)
)


class Member:
    """Belongs to the event loop in which it was made."""

    def __init__(self, step: Step, report: Report, *, urgent: bool) -> None:
        self.step, self.report = step, report
        self.abandoned = False  # its caller was cancelled
        self._urgent = urgent
        self._answer: asyncio.Future[StepResult | None] = asyncio.get_running_loop().create_future()

    def waiting(self, begin: Callable[[tuple[Waiting, ...]], None]) -> Waiting:
        """Return this as one who waits at the gate; a group's members touch the same domains in the same order."""
        if self._answer.done():
            self._answer = asyncio.get_running_loop().create_future()
        edits = self.step.edits
        places = frozenset((edit.domain, path) for edit in edits for path in edit.touched)
        domains = frozenset(edit.domain for edit in edits)
        lane = None if self.step.guarded else self.step.waves  # what starts from what runs goes alone
        return Waiting(domains, begin, lane, places, self._urgent, self)

    def settle(self, result: StepResult | None) -> None:
        """Give the answer; None: it did not set out, and has to queue again."""
        if not self._answer.done():
            self._answer.set_result(result)

    def fail(self, err: BaseException) -> None:
        if not self._answer.done():
            if isinstance(err, asyncio.CancelledError):
                self._answer.cancel()
            else:
                self._answer.set_exception(err)

    def given_up(self) -> bool:
        """Answer and say so where the caller has gone."""
        if self.abandoned:
            self.settle(_GIVEN_UP)
        return self.abandoned

    async def answered(self, withdraw: Callable[[], bool]) -> StepResult | None:
        """Wait for the answer also while the caller is being cancelled; the step goes back where it still can.

        withdraw: leaves the queue; False where it is already under way.
        """
        cancelled: asyncio.CancelledError | None = None
        answer = self._answer
        while not answer.done():
            try:
                await asyncio.wait([answer])
            except asyncio.CancelledError as err:
                if withdraw():
                    raise
                cancelled, self.abandoned = err, True
        if cancelled is not None:
            if not answer.cancelled():
                answer.exception()  # nobody is left to hear of it; the engine has logged what it was
            raise cancelled
        return answer.result()

"""Three modelled domains under one coordinator, and what a test asks of them."""

from __future__ import annotations

import asyncio

from controller.transactions.engine import Transactions
from controller.transactions.step import Progress, Step, StepOutcome, StepResult
from tests.transactions.memory_journal import MemoryJournal
from tests.transactions.model_domain import TIMERS, Clock, Fault, ModelDomain, entries, put

NAMES = ("city-otn", "city-ip", "district-ip")
WAVES = (("city-otn",), ("city-ip", "district-ip"))


class City:
    def __init__(self) -> None:
        self.clock = Clock()
        self.log: list[str] = []
        self.domains = {name: ModelDomain(name, self.clock, journal=self.log) for name in NAMES}
        self.journal = MemoryJournal()
        self.progress: list[Progress] = []
        self.told: list[tuple[str, StepOutcome]] = []
        self.ends: dict[str, tuple[Step, StepResult]] = {}  # change → its last step that ended in the background
        self.engine = self.start()

    def start(self) -> Transactions:
        """Start a coordinator over the same journal and domains."""
        self.engine = Transactions(
            self.journal,
            self.domains,
            dict.fromkeys(NAMES, TIMERS),
            self.clock,
            on_state=self._hear,
            sleep=lambda _: asyncio.sleep(0.002),
        )
        return self.engine

    def _hear(self, step: Step, result: StepResult) -> None:
        self.told.append((step.change_id, result.outcome))
        self.ends[step.change_id] = step, result

    def fault(self, domain: str, verb: str, how: str, **more: int) -> None:
        self.domains[domain].faults.append(Fault(verb, how, **more))

    async def apply(
        self, change: str = "c1", value: str = "1", names: tuple[str, ...] = NAMES, entry: str = "x"
    ) -> StepResult:
        edits = []
        for name in names:
            old = entries(self.domains[name]).get(entry)
            edits.append(put(name, entry, value, old))
        waves = tuple(wave for one in WAVES if (wave := tuple(name for name in one if name in names)))
        return await self.engine.run(Step(change, 0, "build", tuple(edits), waves), progress=self.progress.append)

    def values(self, entry: str = "x") -> list[str | None]:
        for domain in self.domains.values():
            domain.tick()
        return [entries(domain).get(entry) for domain in self.domains.values()]

    async def ended(self) -> None:
        """Wait until the background has nothing left to do."""
        async with asyncio.timeout(5):
            while self.engine.unsettled() or self.journal.open_transactions():  # noqa: ASYNC110
                await asyncio.sleep(0.005)

    def settled(self) -> bool:
        return not self.journal.open_transactions() and all(domain.open is None for domain in self.domains.values())

"""The protocol as a whole: a coordinator that dies anywhere, domains that lose anything, and yet all or none.

Hypothesis drives changes, lost, late, doubled and refused messages, partitions, restarts, timers and crashes in any
order. When everything has been healed and has settled, each domain runs exactly the committed changes, no answer was a
lie, and the journal holds nothing open.
"""

from __future__ import annotations

import asyncio

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from controller.rendering.tree import Edit
from controller.southbound.driver import DomainTimers
from controller.transactions.engine import Transactions
from controller.transactions.step import Step, StepOutcome
from tests.transactions.memory_journal import MemoryJournal
from tests.transactions.model_domain import Clock, Crash, Fault, ModelDomain, drop, entries, put

NAMES = ("optical", "city", "district")
ENTRIES = ("x", "y", "z")
FINAL = (StepOutcome.COMMITTED, StepOutcome.ROLLED_BACK, StepOutcome.COMPENSATED)
TIMERS = DomainTimers(connect_s=0.003, edit_s=1.0, commit_s=1.0, confirm_s=60.0, read_s=1.0)

subsets = st.sets(st.sampled_from(NAMES), min_size=1).map(lambda names: tuple(sorted(names)))
domain_names = st.sampled_from(NAMES)


class Protocol(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.clock = Clock()
        self.domains = {name: ModelDomain(name, self.clock) for name in NAMES}
        self.journal = MemoryJournal()
        self.steps: list[Step] = []  # in the order in which they were sent
        self.answers: dict[str, StepOutcome] = {}
        self.lies: list[str] = []
        self.count = 0
        self.engine = self.new_engine()

    def new_engine(self) -> Transactions:
        def told(step: Step, result) -> None:
            self.answer(step, result.outcome)

        return Transactions(
            self.journal,
            self.domains,
            dict.fromkeys(NAMES, TIMERS),
            self.clock,
            on_state=told,
            sleep=lambda _: asyncio.sleep(0),
        )

    def answer(self, step: Step, outcome: StepOutcome) -> None:
        earlier = self.answers.get(step.txn)
        if earlier not in FINAL:
            self.answers[step.txn] = outcome
        elif outcome in FINAL and earlier is not outcome:  # in doubt again after a crash is the truth, not a lie
            self.lies.append(f"{step.txn}: first {earlier}, then {outcome}")

    # What the network should hold, by the ends in the journal

    def desired(self) -> dict[str, dict[str, str]]:
        ends, state = self.journal.ends(), {name: {} for name in NAMES}
        for step in self.steps:
            if ends.get(step.txn) is StepOutcome.COMMITTED:
                for edit in step.edits:
                    ((_, name),) = edit.touched[0]
                    if edit.after:
                        state[edit.domain][name] = edit.after[("t:entry", name)]["t:value"]
                    else:
                        state[edit.domain].pop(name, None)
        return state

    def open_entries(self) -> set[str]:
        opened = self.journal.open_transactions()
        return {path[0][1] for one in opened for edit in one.step.edits for path in edit.touched}

    def step(self, names: tuple[str, ...], entry: str, delete: bool) -> Step:
        self.count += 1
        desired = self.desired()
        edits: list[Edit] = []
        for name in names:
            before = desired[name].get(entry)
            if delete and before is not None:
                edits.append(drop(name, entry, before))
            else:
                edits.append(put(name, entry, str(self.count), before))
        waves = tuple(
            wave for one in (("optical",), ("city", "district")) if (wave := tuple(n for n in one if n in names))
        )
        step = Step(f"c{self.count}", 0, "build", tuple(edits), waves)
        self.steps.append(step)
        return step

    # Running and dying

    def attempt(self, *steps: Step) -> None:
        async def run(step: Step) -> None:
            result = await self.engine.run(step)
            self.answer(step, result.outcome)

        async def all_of_them() -> list[BaseException | None]:
            return await asyncio.gather(*(run(step) for step in steps), return_exceptions=True)

        answers = self.loop.run_until_complete(all_of_them())
        for answer in answers:
            if isinstance(answer, BaseException) and not isinstance(answer, Crash):
                raise answer
        if any(isinstance(answer, Crash) for answer in answers):
            self.die_and_return()

    def die_and_return(self) -> None:
        """Kill the coordinator; start a new one over what is on disk, until one lives through its recovery."""
        while True:
            self.loop.run_until_complete(self.engine.close())
            self.journal.crash()
            for task in asyncio.all_tasks(self.loop):
                task.cancel()
            self.loop.run_until_complete(asyncio.sleep(0))
            self.engine = self.new_engine()
            try:
                recovered = self.loop.run_until_complete(self.engine.recover())
            except (asyncio.CancelledError, Crash):
                continue  # died again, in the middle of its recovery
            for step, result in recovered:
                self.answer(step, result.outcome)
            return

    @rule(names=subsets, entry=st.sampled_from(ENTRIES), delete=st.booleans())
    def change(self, names, entry, delete):
        if entry not in self.open_entries():
            self.attempt(self.step(names, entry, delete))

    @rule(first=subsets, second=subsets)
    def two_changes_at_once(self, first, second):
        if not self.open_entries():
            self.attempt(self.step(first, "x", False), self.step(second, "y", False))

    @rule(names=subsets, entries=st.sets(st.sampled_from(ENTRIES), min_size=2), alone=subsets)
    def changes_that_wait_for_the_same_domains(self, names, entries, alone):
        """The first to come goes alone; the others wait for the same domains and travel together."""
        if not self.open_entries():
            self.attempt(self.step(alone, "first", False), *(self.step(names, e, False) for e in sorted(entries)))

    @rule(domain=domain_names, entry=st.sampled_from(ENTRIES), named=st.sampled_from(["", "x", "y", "z"]))
    def refuses_one_of_several(self, domain, entry, named):
        """With or without saying which; or it names another one."""
        self.domains[domain].refused = {entry: f"/t:entry[t:name='{named}']" if named else ""}

    @rule(domain=domain_names)
    def refuses_none_of_them(self, domain):
        self.domains[domain].refused = {}

    @rule(
        domain=domain_names,
        verb=st.sampled_from(["connect", "prepare", "commit", "read", "confirm", "cancel", "outcome"]),
        how=st.sampled_from(["lost", "late", "delayed", "twice", "refuse", "defect", "crash-before", "crash-after"]),
        skip=st.integers(0, 2),
    )
    def message_goes_wrong(self, domain, verb, how, skip):
        if len(self.domains[domain].faults) < 3:
            self.domains[domain].faults.append(Fault(verb, how, skip))

    @rule(domain=domain_names)
    def domain_forgets_its_outcomes_once(self, domain):
        self.domains[domain].faults.append(Fault("outcome", "forget"))

    @rule(domain=domain_names)
    def lost_between_decision_and_confirm(self, domain):
        def lose(kind: str) -> None:
            if kind == "decided":
                self.domains[domain].reachable = False
                self.journal.before_durable = lambda kind: None

        self.journal.before_durable = lose

    @rule(names=subsets, entry=st.sampled_from(ENTRIES), domain=domain_names, broken=st.booleans(), away=st.booleans())
    def rolls_back_after_the_decision(self, names, entry, domain, broken, away):
        """The window that no timer closes: decided, then gone until its own timer has ended."""
        self.lost_between_decision_and_confirm(domain)
        self.change(names, entry, False)
        self.time_passes(200)
        if not away:
            self.domains[domain].reachable = True
        self.domains[domain].broken = broken

    @rule(at=st.integers(1, 8))
    def coordinator_will_die_at_a_journal_record(self, at):
        self.journal.crash_at = at

    @rule()
    def coordinator_dies_now(self):
        self.die_and_return()

    @rule()
    def disk_fills_before_the_decision(self):
        def fill(kind: str) -> None:
            if kind == "decided":
                self.journal.full = True
                self.journal.before_durable = lambda kind: None

        self.journal.before_durable = fill

    @rule(full=st.booleans())
    def disk(self, full):
        self.journal.full = full

    @rule(seconds=st.sampled_from([1, 30, 59, 61, 200]))
    def time_passes(self, seconds):
        self.clock.now += seconds
        for domain in self.domains.values():
            domain.tick()

    @rule(domain=domain_names, reachable=st.booleans())
    def partition(self, domain, reachable):
        self.domains[domain].reachable = reachable

    @rule(domain=domain_names, broken=st.booleans())
    def refuses_on_the_merits(self, domain, broken):
        self.domains[domain].broken = broken

    @rule(domain=domain_names)
    def domain_restarts(self, domain):
        self.domains[domain].restart()

    @rule(domain=domain_names)
    def late_messages_arrive(self, domain):
        """What was given up, or sent twice, comes after all: perhaps long after its transaction has ended."""
        self.loop.run_until_complete(self.domains[domain].late_messages_arrive())

    @rule(turns=st.integers(1, 60))
    def background_works(self, turns):
        async def turn() -> None:
            for _ in range(turns):
                await asyncio.sleep(0)

        self.loop.run_until_complete(turn())

    @invariant()
    def an_answer_is_never_taken_back(self):
        assert not self.lies
        for txn, outcome in self.journal.ends().items():
            if self.answers.get(txn) in FINAL:
                assert self.answers[txn] is outcome, txn

    def teardown(self) -> None:
        try:
            self.heal_and_check()
        finally:
            self.loop.run_until_complete(self.engine.close())
            self.loop.close()

    def heal_and_check(self) -> None:
        self.journal.full, self.journal.crash_at = False, None
        self.journal.before_durable = lambda kind: None
        for domain in self.domains.values():
            domain.faults.clear()
            domain.reachable, domain.broken, domain.refused = True, False, {}
        self.die_and_return()

        async def settle() -> None:
            async with asyncio.timeout(5):
                while self.engine.unsettled():  # noqa: ASYNC110
                    await asyncio.sleep(0)

        self.loop.run_until_complete(settle())
        for domain in self.domains.values():
            self.loop.run_until_complete(domain.late_messages_arrive())
        assert not self.journal.open_transactions(), "stuck"
        self.an_answer_is_never_taken_back()
        desired = self.desired()
        for name, domain in self.domains.items():
            assert domain.open is None, f"{name} still holds {domain.open}"
            assert entries(domain) == desired[name], "torn"


Protocol.TestCase.settings = settings(
    max_examples=150, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
)
TestProtocol = Protocol.TestCase

"""`python -m tests.properties [SEED [TIMES [MINUTES]]]`: try every property with many more examples than `make test`.

`make test` tries the same examples each time, so that it says what a change did and not what luck did. Looking for
examples that nobody has thought of is the work of this campaign: other ones each time, from a seed that it prints,
TIMES as many as a property asks for, within the share that it has of MINUTES. The same seed tries the same again.
"""

from __future__ import annotations

import functools
import inspect
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.errors import StopTest, UnsatisfiedAssumption
from hypothesis.stateful import RuleBasedStateMachine

TIMES, MINUTES, WORKERS = 15, 20.0, 2
_TIMES, _MINUTES = "ONECITY_PROPERTIES_TIMES", "ONECITY_PROPERTIES_MINUTES"  # how the campaign tells its workers
_PATIENCE_S = 240.0  # beyond its share: one example may be under way, or a failing one be made smaller


@dataclass(slots=True)
class _Turn:
    """Whose turn it is: until when the running property gets further examples."""

    ends_at: float = 0.0
    failed: bool = False

    def over(self) -> bool:
        """Return whether its share is used up; one that failed goes on until its example is small."""
        return not self.failed and time.monotonic() > self.ends_at


class _EnoughError(BaseException):
    """Ends a property whose turn is over; nothing that Hypothesis would take for a failing example."""


_turn = _Turn()


def under_way() -> bool:
    """Return whether this is the campaign."""
    return _TIMES in os.environ


def load_profile() -> None:
    """Choose fixed examples, or other ones each time in the campaign. To be called before a test is imported."""
    # How long one example takes says how busy the machine is, and nothing of the code.
    patient: dict[str, Any] = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}
    settings.register_profile("onecity", derandomize=True, **patient)
    settings.register_profile("campaign", print_blob=True, **patient)
    settings.load_profile("campaign" if under_way() else "onecity")


def keep_properties(items: list[pytest.Item]) -> list[pytest.Item]:
    """Return the items that are properties, with as many examples as the campaign tries of each."""
    kept = [item for item in items if _is_property(item)]
    share_s = WORKERS * 60.0 * float(os.environ[_MINUTES]) / max(1, len(kept))
    done: set[int] = set()
    for item in kept:
        item.user_properties.append(("share_s", share_s))
        test = item.obj  # type: ignore[attr-defined]
        if id(test) not in done:  # the cases of a parametrised one are the same function
            done.add(id(test))
            _multiply(item, int(os.environ[_TIMES]))
    return kept


@contextmanager
def its_share(item: pytest.Item) -> Iterator[None]:
    """Give a property its share of the time; it passed when that is over."""
    _turn.ends_at, _turn.failed = time.monotonic() + float(dict(item.user_properties)["share_s"]), False
    with suppress(_EnoughError):
        yield


def _is_property(item: pytest.Item) -> bool:
    return hasattr(getattr(item, "obj", None), "hypothesis") or _machine(item) is not None


def _machine(item: pytest.Item) -> Any:
    """Return the test case of a state machine, if the item runs one."""
    case = getattr(item, "cls", None)
    made_of = getattr(case, "__qualname__", "").partition(".")[0]
    found = getattr(inspect.getmodule(case), made_of, None) if case else None
    return case if inspect.isclass(found) and issubclass(found, RuleBasedStateMachine) else None


def _multiply(item: pytest.Item, times: int) -> None:
    if machine := _machine(item):
        machine.settings = settings(machine.settings, max_examples=times * machine.settings.max_examples)
        return
    test = item.obj  # type: ignore[attr-defined]
    asked: settings = test._hypothesis_internal_use_settings
    test._hypothesis_internal_use_settings = settings(asked, max_examples=times * asked.max_examples)
    if not inspect.iscoroutinefunction(test.hypothesis.inner_test):
        test.hypothesis.inner_test = _bounded(test.hypothesis.inner_test)


def _bounded(test: Callable[..., Any]) -> Callable[..., None]:
    """Return a test that, after an example that passed, ends its property when its turn is over."""

    @functools.wraps(test)
    def bounded(*values: Any, **named: Any) -> None:
        try:
            test(*values, **named)
        except (StopTest, UnsatisfiedAssumption):
            raise
        except BaseException:
            _turn.failed = True
            raise
        if _turn.over():
            raise _EnoughError

    return bounded


def main() -> int:
    given = sys.argv[1:]
    seed = int(given[0]) if given else random.SystemRandom().randrange(2**32)
    times = int(given[1]) if len(given) > 1 else TIMES
    minutes = float(given[2]) if len(given) > 2 else MINUTES
    print(f"seed {seed}, {times} times as many examples, {minutes:g} minutes at the most", flush=True)
    line = [sys.executable, "-m", "pytest", "-n", str(WORKERS), "--dist", "worksteal", f"--hypothesis-seed={seed}"]
    line += ["--timeout", f"{60 * minutes + _PATIENCE_S:.0f}", "-o", f"faulthandler_timeout={60 * minutes + 300:.0f}"]
    environment = {**os.environ, _TIMES: str(times), _MINUTES: str(minutes)}
    return subprocess.run([*line, "--durations=10", "-m", "not alone"], env=environment).returncode


if __name__ == "__main__":
    sys.exit(main())

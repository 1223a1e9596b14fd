"""What concerns all tests: which run beside each other, and which need the machine for themselves.

`make test` runs files beside each other. Real packets whose loss or outage counts would then measure the neighbours:
files of MEASURED run one after the other, with nothing beside them but tests of the pure rooms, at the lowest priority
there is. What is measured in milliseconds has the machine for itself (`-m alone`).
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import nullcontext, suppress
from pathlib import Path

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadFileScheduling

from controller.network.model import CityMap
from tests import properties
from tests.support import warm
from tests.support.cities import city_map

# Some five hundred processes start in a run. That none of them compiles all of its modules again, and that none has
# threads for matrices of a size that we do not have, saves an eighth of it.
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
properties.load_profile()
if "PYTEST_XDIST_WORKER" in os.environ:
    warm.install()
# Whoever starts the tests in the background of a script has them ignore Ctrl-C, and so would all that they start.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
# Where tests give way to packets that are counted: the file that is there as long. Without them there is no reason to.
_WHILE = os.environ.get("ONECITY_GIVE_WAY_WHILE", "")
ALONE = ("test_speed.py", "test_ip_speed.py")
MEASURED = (
    "lab/test_moving.py", "lab/test_priority.py", "lab/test_conference.py", "lab/test_ryu.py",
    "lab/test_optical_links.py", "lab/test_room.py",
)  # fmt: skip
ARRIVING = ("lab/test_isolation.py", "lab/test_reachability.py")
# These files take a quarter of a minute or more, most of it waiting. Begun first, none is left to run by itself at the
# end (`--no-loadscope-reorder` keeps this order where several files run beside each other).
LONGEST = (
    *ARRIVING, "end_to_end/test_demo.py", "end_to_end/test_over_time.py", "chaos/test_two_steps.py",
    "chaos/test_short_campaign.py", "end_to_end/test_report.py", "end_to_end/test_serve.py",
    "end_to_end/test_together.py", "monitoring/test_live.py", "end_to_end/test_incidents.py",
    "planning/test_optimality.py", "campaign/test_short_campaign.py", "answers/test_side_process.py",
    "end_to_end/test_simulate.py", "end_to_end/test_repair.py", "simulation/test_simulation.py",
    "end_to_end/test_worn_border.py",
)  # fmt: skip


class ByCity(LoadFileScheduling):
    """Gives a worker one file after the other; files that share a city go to the same one."""

    def _split_scope(self, nodeid: str) -> str:
        file: str = super()._split_scope(nodeid)
        return "arriving packets" if file.endswith(ARRIVING) else file


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadFileScheduling:
    return ByCity(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if properties.under_way():
        items[:] = properties.keep_properties(items)
    for item in items:
        if any(part in item.nodeid for part in ALONE):
            item.add_marker(pytest.mark.alone)
        if any(part in item.nodeid for part in MEASURED):
            item.add_marker(pytest.mark.packets)
    items.sort(key=_turn)


def pytest_runtest_setup(item: pytest.Item) -> None:
    if _WHILE and not Path(_WHILE).exists() and os.sched_getscheduler(0) == os.SCHED_IDLE:
        with suppress(PermissionError):
            os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    with properties.its_share(item) if properties.under_way() else nullcontext():
        return (yield)


def _turn(item: pytest.Item) -> int:
    """Return when the item's file should begin: the longest first, all others in the order in which they were found."""
    return next((turn for turn, name in enumerate(LONGEST) if name in item.nodeid), len(LONGEST))


@pytest.fixture(scope="session")
def city() -> CityMap:
    """The map of Longgang as it is discovered from its domains; modules that run a city have a fixture of their own."""
    return city_map("longgang")

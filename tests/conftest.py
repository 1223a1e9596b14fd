"""What concerns all tests: which of them need the machine for themselves.

`make test` runs files beside each other, three at a time. What is measured in milliseconds, or in packets lost, would
then measure the neighbours: these run afterwards, one after the other (`-m alone`).
"""

from __future__ import annotations

import signal

import pytest
from hypothesis import HealthCheck, settings

from controller.network.model import CityMap
from tests.support.cities import city_map

# How long one example takes says how busy the machine is, and nothing of the code.
settings.register_profile("onecity", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("onecity")
# Whoever starts the tests in the background of a script has them ignore Ctrl-C, and so would all that they start.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
ALONE = ("tests/lab/", "test_speed.py", "test_ip_speed.py")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if any(part in item.nodeid for part in ALONE):
            item.add_marker(pytest.mark.alone)


@pytest.fixture(scope="session")
def city() -> CityMap:
    """The map of Longgang as it is discovered from its domains; modules that run a city have a fixture of their own."""
    return city_map("longgang")

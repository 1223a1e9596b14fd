from __future__ import annotations

import pytest

from controller.network.model import CityMap
from tests.support.cities import city_map


@pytest.fixture(scope="session")
def city() -> CityMap:
    return city_map("longgang")

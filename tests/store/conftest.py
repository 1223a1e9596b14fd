from __future__ import annotations

import pytest

from controller.store.store import Store


@pytest.fixture
def store(tmp_path):
    store = Store.open(tmp_path / "onecity.db")
    yield store
    store.close()

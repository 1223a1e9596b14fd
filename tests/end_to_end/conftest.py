from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.stage import Stage, eventually, stage


@pytest.fixture(scope="module")
def longgang(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """One city and one daemon for the tests of a file; each test leaves it empty."""
    with stage("longgang", tmp_path_factory.mktemp("city")) as standing:
        yield standing


@pytest.fixture(autouse=True)
def _empty(longgang: Stage) -> Iterator[None]:
    yield
    left = list(longgang.client.services())
    if left:
        longgang.client.delete(*left)
    assert not longgang.client.services()
    assert not any(longgang.client.differences().values())
    eventually(lambda: not longgang.down())  # what was mended counts as up after a moment: the next plans over it

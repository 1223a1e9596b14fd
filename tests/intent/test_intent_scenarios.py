"""The papers' scenarios: each file reads without error on Longgang, alone and all together, on any day."""

from __future__ import annotations

import time
from datetime import timedelta
from pathlib import Path

import pytest
import yaml
from intent_samples import NOW

from controller.intent import Catalogue, check_references, check_windows, from_document, read, to_document
from controller.intent.reading import Memory

ROOT = Path(__file__).resolve().parents[2]
FILES = sorted((ROOT / "intents").glob("*.yaml"))
CITY = Catalogue(frozenset(yaml.safe_load((ROOT / "lab/cities/longgang.yaml").read_text())["sites"]))


def read_files(*files: Path, memory: Memory | None = None):
    return read([(file.name, file.read_bytes()) for file in files], NOW, CITY, memory=memory or Memory())


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_each_scenario_reads_and_says_what_it_shows(file):
    for service in read_files(file):
        assert from_document(to_document(service)) == service
    comment = file.read_text().partition("apiVersion")[0]
    assert "Shows:" in comment or file.stem == "minimal"


def test_all_scenarios_together_agree_and_never_expire():
    services = read_files(*FILES)
    check_references(services, {})
    check_windows(services, NOW + timedelta(days=3650), frozenset())
    lans = [lan for s in services for a in getattr(s, "accesses", getattr(s, "endpoints", ())) for lan in a.lans]
    assert len(lans) == len(set(lans))


def test_the_finance_plane_has_1300_offices_and_fits_its_hub():
    (plane,) = read_files(ROOT / "intents/finance.yaml")
    hubs = [access for access in plane.accesses if access.hub]
    assert (len(plane.accesses) - len(hubs), len(hubs)) == (1300, 1)
    assert sum(access.rate_bps for access in plane.accesses if not access.hub) <= hubs[0].rate_bps < 50 * 10**9


def test_the_conference_has_300_parties_and_900_flows():
    (vip,) = read_files(ROOT / "intents/conference.yaml")
    assert len(vip.conference.parties) * len(vip.conference.flows) == 900


@pytest.mark.alone
def test_reading_everything_is_fast_and_again_is_faster():
    one = "apiVersion: onecity/v1\nkind: ExclusiveSlice\nmetadata: {{name: s-{}}}\nspec:\n  bandwidth: 1Gbps\n"
    one += "  endpoints: [{{site: buji, lan: 10.1.2.0/24}}, {{site: longgang, lan: 10.2.2.0/24}}]\n"
    documents = [(file.name, file.read_bytes()) for file in FILES]
    documents.append(("many.yaml", "---\n".join(one.format(i) for i in range(1000)).encode()))
    memory, spent = Memory(), []
    for _ in range(2):
        started = time.perf_counter()
        services = read(documents, NOW, CITY, memory=memory)
        spent.append(time.perf_counter() - started)
    assert len(services) > 1000
    assert spent[0] < 1.5  # measured: 0.12 s
    assert spent[1] < 0.1  # measured: 0.005 s


def test_the_memory_is_bounded_and_forgetting_changes_no_answer():
    small = Memory(most_bytes=1000)
    assert read_files(*FILES, memory=small) == read_files(*FILES, memory=small) == read_files(*FILES)

"""Both drivers while the plant runs: a cut fibre is heard of in both layers, and what is measured arrives."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest
import yaml

from controller.southbound.driver import DomainEvent, DomainSettings, Driver, EventKind, Sample
from controller.southbound.registry import make_driver
from lab.supervision import RunningCity, start_city

LINK = "link:lg-nanwan.ge-2..lg-buji.ge-1"
FIBRE = "f-nanwan-buji"


@pytest.fixture(scope="module")
def city(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningCity]:
    with start_city("longgang", tmp_path_factory.mktemp("live"), domains=["city-ip", "city-otn"]) as running:
        yield running


def driver_of(city: RunningCity, name: str) -> Driver:
    """Return a driver as `onecity.yaml` describes its domain."""
    document = yaml.safe_load(city.config_path.read_text())
    entry = next(domain for domain in document["domains"] if domain["name"] == name)

    def file(key: str) -> str:
        return str(city.directory / entry[key]) if entry.get(key) else ""

    return make_driver(
        DomainSettings(
            name=name,
            driver=entry["driver"],
            address=entry["address"],
            network_id=entry.get("network", ""),
            username=entry.get("username", ""),
            password_file=file("passwordFile"),
            known_hosts=file("knownHosts"),
            ca_file=file("ca"),
            token_file=file("tokenFile"),
            telemetry_address=entry["telemetry"],
        )
    )


async def heard(events: AsyncIterator[DomainEvent], kind: EventKind) -> DomainEvent:
    async with asyncio.timeout(5):
        while (event := await anext(events)).kind is not kind:
            pass
        return event


async def measured(samples: AsyncIterator[tuple[Sample, ...]], subject: str, metric: str, value: float) -> Sample:
    async with asyncio.timeout(6):
        async for batch in samples:
            for sample in batch:
                if (sample.subject, sample.metric) == (subject, metric) and sample.value == pytest.approx(
                    value, rel=0.5
                ):
                    return sample
    raise AssertionError("the samples ended")


async def test_a_cut_fibre_is_heard_of_in_both_layers_and_again_when_it_is_mended(city: RunningCity) -> None:
    ip, optical = driver_of(city, "city-ip"), driver_of(city, "city-otn")
    ip_events, optical_events = ip.events(), optical.events()
    await heard(ip_events, EventKind.CONNECTED)
    await heard(optical_events, EventKind.CONNECTED)
    for command, up in (({"type": "cut", "fibre": FIBRE}, False), ({"type": "restore", "what": FIBRE}, True)):
        answer = await asyncio.to_thread(city.plant, command)
        assert answer["ok"]
        # Each direction is told by itself: the last of them finds both as they now are.
        while {link.id: link.up for link in (await ip.discover()).links}[LINK] is not up:
            await heard(ip_events, EventKind.TOPOLOGY_CHANGED)
        event = await heard(optical_events, EventKind.TOPOLOGY_CHANGED)
        assert FIBRE in event.detail
        assert {f.id: f.up for f in (await optical.discover()).fibres}[FIBRE] is up
    await ip.close()
    await optical.close()


async def test_a_links_delay_and_a_circuits_state_arrive(city: RunningCity) -> None:
    ip, optical = driver_of(city, "city-ip"), driver_of(city, "city-otn")
    link = next(link for link in (await ip.discover()).links if link.id == LINK)
    delays, states = ip.samples(0.5), optical.samples(0.5)
    await measured(delays, f"link:{LINK}", "delay_s", link.delay_s)
    await measured(states, f"circuit:infra/{FIBRE}/odu4-1", "up", 1.0)
    await delays.aclose()  # type: ignore[attr-defined]
    await states.aclose()  # type: ignore[attr-defined]
    await ip.close()
    await optical.close()

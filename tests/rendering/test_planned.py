"""From the planner's placements to real domain controllers: what is rendered is accepted, kept, and nothing more."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from controller.intent.model import ServiceId
from controller.rendering.desired import Desired, edits
from controller.rendering.diff import diff
from controller.rendering.normalise import normalise
from controller.rendering.render import configured_alike, render
from controller.rendering.tree import Edit, OperationKind
from controller.rendering.xml import to_xml
from controller.southbound.driver import DomainSettings, Driver
from controller.southbound.netconf.driver import netconf_driver
from controller.southbound.optical.driver import optical_driver
from lab.credentials import make_credentials, write_known_hosts
from lab.supervision import DomainProcess
from tests.rendering.planned import OFFICE, POLICE, STANDING, VIPS, placed, planned, rerouted, with_a_site_more
from tests.rendering.wanted import city
from tests.rendering.yang import complaints, needs_yanglint, with_surroundings

OPTICAL = "city-otn"
IP_DOMAINS = ("city-ip", "district-ip", "compute-ip")


@pytest.fixture(scope="module")
def domains(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, DomainSettings]]:
    """The domain controllers of Longgang, a process each."""
    folder = tmp_path_factory.mktemp("city")
    make_credentials(folder, list(IP_DOMAINS))
    started = [_process(name, folder) for name in (*IP_DOMAINS, OPTICAL)]
    try:
        for process in started:
            process.wait_ready()
        write_known_hosts(folder, {p.name: p.ports["netconf"] for p in started if p.name != OPTICAL})
        yield {process.name: _settings(process, folder) for process in started}
    finally:
        for process in started:
            process.stop()


def _process(name: str, folder: Path) -> DomainProcess:
    def command(ports: dict[str, int]) -> list[str]:
        where = ["--city", "longgang", "--dir", str(folder), "--watch-stdin"]
        if name == OPTICAL:
            return ["lab.optical.main", *where, "--port", "0", "--gnmi-port", "0"]
        return ["lab.ip.main", *where, "--domain", name, "--netconf-port", "0", "--gnmi-port", "0"]

    process = DomainProcess(name, command, folder / f"{name}.log")
    process.start()
    return process


def _settings(process: DomainProcess, folder: Path) -> DomainSettings:
    if process.name == OPTICAL:
        return DomainSettings(
            name=OPTICAL,
            driver="optical",
            address=f"127.0.0.1:{process.ports['grpc']}",
            ca_file=str(folder / "ca.pem"),
            token_file=str(folder / "secrets" / "token"),
        )
    return DomainSettings(
        name=process.name,
        driver="netconf",
        address=f"127.0.0.1:{process.ports['netconf']}",
        network_id=f"net:{process.name}",
        username="onecity",
        password_file=str(folder / "secrets" / f"{process.name}.password"),
        known_hosts=str(folder / "known_hosts"),
    )


def test_what_the_planner_places_is_rendered_in_normal_form() -> None:
    for fragments in planned().values():
        for tree in fragments.values():
            assert normalise(tree) == tree


def test_a_pinned_plane_steers_everything_into_tunnels_of_no_partition() -> None:
    text = to_xml(planned()[POLICE.metadata.service]["city-ip"]).decode()
    assert "class-id>*<" in text
    assert "plane/gov.police/lg-zhihui-lg-jihua" in text
    assert "nrp-id" not in text


@pytest.mark.parametrize("service", [s.metadata.service for s in STANDING])
def test_what_is_held_and_promised_for_a_service_is_not_configured(service: ServiceId) -> None:
    wanted, placement = placed()[service]
    bare = replace(placement, rates=(), promises=(), trees=(), labels=(), notes=(), isolation="")
    assert configured_alike(placement, bare)
    assert render(wanted, bare, city(), placed()) == planned()[service]
    assert not configured_alike(placement, replace(placement, number=placement.number + 1))
    assert not configured_alike(placement, replace(placement, attachments=placement.attachments[1:]))


@needs_yanglint
@pytest.mark.parametrize("domain", IP_DOMAINS)
def test_all_services_together_validate(domain: str, tmp_path: Path) -> None:
    tree = Desired().with_changes(planned()).tree(domain)
    assert complaints(with_surroundings(tree, city(), domain), tmp_path) == ""


async def test_domain_controllers_keep_exactly_what_is_desired_through_the_life_of_services(
    domains: dict[str, DomainSettings],
) -> None:
    names = [service.metadata.service for service in STANDING]
    vips = {service.metadata.service: planned()[service.metadata.service] for service in VIPS}
    plain = Desired().with_changes({name: planned()[name] for name in names})
    during = plain.with_changes(vips)
    wider = during.with_changes({OFFICE.metadata.service: with_a_site_more()})
    moved = wider.with_changes({ServiceId("res/survey"): rerouted()})
    after = moved.with_changes({}, set(vips))
    states = [Desired(), plain, during, wider, moved, after, plain, Desired()]
    kinds = {operation.kind for edit in edits(wider, moved) for operation in edit.operations}
    assert kinds == {OperationKind.REPLACE}, "routes and steering change as a whole"
    make: dict[str, Callable[[DomainSettings], Driver]] = {"netconf": netconf_driver, "optical": optical_driver}
    drivers: dict[str, Driver] = {name: make[settings.driver](settings) for name, settings in domains.items()}
    try:
        for i, (old, new) in enumerate(pairwise(states)):
            for edit in edits(old, new):
                await _carry_out(drivers[edit.domain], f"onecity-life-{i}", edit)
            for name, driver in drivers.items():
                assert diff(await driver.read(()), new.tree(name)) == ()
    finally:
        for driver in drivers.values():
            await driver.close()


async def _carry_out(driver: Driver, txn: str, edit: Edit) -> None:
    assert await driver.prepare(txn, edit) == ()
    await driver.commit(txn, 30)
    assert diff(await driver.read(edit.touched), edit.after) == ()
    await driver.confirm(txn)


def test_a_site_more_is_one_entry_where_it_stands() -> None:
    standing = Desired().with_changes(planned())
    wider = standing.with_changes({OFFICE.metadata.service: with_a_site_more()})
    created = [o.path[-1] for edit in edits(standing, wider) for o in edit.operations if o.kind == "create"]
    assert created == [("l3nm:vpn-node", "node:lg-jihua")]

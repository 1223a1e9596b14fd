"""An IP link that is lit on a running city: two domain controllers, the plant, and nobody who coordinates them."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from city_ip import documents as doc
from ncclient import manager
from onecity.optical.v1 import optical_pb2 as pb
from optical_client import Client, wavelength

from lab.supervision import RunningCity, exchange, operator_socket, start_city

LIGHT, VPN = "link/lg-buji.otn-1..lg-zhihui.otn-1", "gov.a"
THERE, BACK = doc.link_name(doc.A, doc.Z), doc.link_name(doc.Z, doc.A)
WITHIN_S = 30.0


@pytest.fixture(scope="module")
def city(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningCity]:
    """A service between buji and zhihui, pinned to a link that is lit between them."""
    with start_city("longgang", tmp_path_factory.mktemp("city"), domains=["city-ip", "city-otn"]) as running:
        light(running)
        with session(running) as router:
            router.edit_config(doc.config(doc.link_both_ways(), *pinned_service()), target="candidate")
            router.commit()
        yield running


def pinned_service() -> tuple[str, str]:
    ends = {
        "node:lg-buji": ("node:lg-zhihui", "x", "10.1.0.0/24"),
        "node:lg-zhihui": ("node:lg-buji", "y", "10.2.0.0/24"),
    }
    nodes = [
        doc.node(here, [doc.access(f"{VPN}.{here[8:]}", "tp:acc-1", 100, lan=lan)], extra=doc.steering(here, far, name))
        for here, (far, name, lan) in ends.items()
    ]
    there, back = doc.tunnel("x", [doc.A], (doc.A[0], doc.Z[0])), doc.tunnel("y", [doc.Z], (doc.Z[0], doc.A[0]))
    return doc.services(doc.service(VPN, nodes)), doc.tunnels(there, back)


def light(running: RunningCity) -> None:
    client = Client(running.directory, running.domain_process("city-otn").ports["grpc"])
    ends = {"a": pb.ClientEnd(port="otn-buji/c3"), "z": pb.ClientEnd(port="otn-zhihui/c6")}
    spec = wavelength(LIGHT, 40, owner=LIGHT, **ends)
    spec.working.CopyFrom(pb.Leg(route=["f-nanwan-buji", "f-zhihui-nanwan"], channel=40))
    client.prepare("light", spec)
    client.commit("light")
    client.confirm("light")
    client.close()


@contextmanager
def session(running: RunningCity) -> Iterator[Any]:
    password = (running.directory / "secrets" / "city-ip.password").read_text()
    port = running.domain_process("city-ip").ports["netconf"]
    login = {"username": "onecity", "password": password, "allow_agent": False, "look_for_keys": False}
    with manager.connect(host="127.0.0.1", port=port, hostkey_verify=False, timeout=20, **login) as connection:
        yield connection


def ask(running: RunningCity, **message: Any) -> dict[str, Any]:
    with operator_socket(running.directory) as connection, connection.makefile("rb") as lines:
        return exchange(connection, lines, message)


def eventually(holds: Callable[[], Any]) -> None:
    deadline = time.monotonic() + WITHIN_S
    while not (answer := holds()):
        assert time.monotonic() < deadline, answer
        time.sleep(0.02)


def delivered(running: RunningCity) -> str | None:
    way = ask(running, type="trace", vpn=VPN, access="buji", dst="10.2.0.1", domain="city-ip")
    return way.get("delivered")


def status(router: Any) -> dict[str, str]:
    """The state of each written link as `get` tells it."""
    data = router.get(filter=("subtree", doc.own_network())).data
    named = {link.findtext("{*}link-id"): link.findtext("{*}te/{*}oper-status") for link in data.iter("{*}link")}
    return {name: state for name, state in named.items() if ".otn-" in name}


UP, DOWN = {THERE: "up", BACK: "up"}, {THERE: "down", BACK: "down"}


def test_traffic_rides_on_the_light_and_a_cut_under_it_is_told_and_ended(city: RunningCity) -> None:
    eventually(lambda: delivered(city) == f"{VPN}/{VPN}.zhihui")
    with session(city) as router:
        eventually(lambda: status(router) == UP)
        router.create_subscription()
        ask(city, type="cut", fibre="f-zhihui-nanwan")
        eventually(lambda: status(router) == DOWN)
        assert delivered(city) is None  # the steering forbids any other way
        ask(city, type="restore", what="all")
        eventually(lambda: status(router) == UP)
        told = []
        while (news := router.take_notification(timeout=0.5)) is not None:
            if match := re.search(r"link-id>([^<]+)<.*oper-status>(\w+)<", news.notification_xml):
                told.append(f"{match[1]} {match[2]}")
    for link in (THERE, BACK):
        assert [line for line in told if line.startswith(link)] == [f"{link} down", f"{link} up"]


def test_status_names_the_link(city: RunningCity) -> None:
    answer = ask(city, type="status")
    assert answer["lit"] == [{"link": THERE, "rate_bps": 100 * 10**9, "circuit": LIGHT, "up": True}]


def test_each_process_may_die_and_the_link_is_up_again_without_a_false_alarm(city: RunningCity) -> None:
    with session(city) as router:
        router.create_subscription()
        for name in ("plant", "city-otn"):
            process = city.domain_process(name)
            process.kill()
            process.restart()
            eventually(lambda: delivered(city) == f"{VPN}/{VPN}.zhihui")
        while (news := router.take_notification(timeout=0.5)) is not None:
            assert f"<link-id>{THERE}</link-id><oper-status>down" not in news.notification_xml
        assert status(router) == UP
    city.domain_process("city-ip").kill()
    assert delivered(city) == f"{VPN}/{VPN}.zhihui"  # routers go on without whoever configured them
    city.domain_process("city-ip").restart()
    with session(city) as router:
        assert status(router) == UP
        eventually(lambda: delivered(city) == f"{VPN}/{VPN}.zhihui")


def test_what_is_taken_away_is_dark(city: RunningCity) -> None:
    with session(city) as router:
        tunnels = doc.tunnels(*(f'<tunnel nc:operation="delete"><name>{n}</name></tunnel>' for n in ("x", "y")))
        router.edit_config(
            doc.config(doc.services(doc.removed(VPN)), tunnels, doc.link_removed(THERE, BACK)), target="candidate"
        )
        router.commit(confirmed=True, timeout="60", persist="t")
        eventually(lambda: ask(city, type="status")["lit"] == [])
        router.cancel_commit("t")
        eventually(lambda: delivered(city) == f"{VPN}/{VPN}.zhihui")
        eventually(lambda: status(router) == UP)

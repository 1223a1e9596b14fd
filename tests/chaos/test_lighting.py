"""Changes that light an IP link, or put one out, while something dies, refuses or is cut in the middle of it."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator

import pytest
from onecity.optical.v1 import optical_pb2

from lab.supervision import exchange, operator_socket
from tests.chaos.clients import Customer, Order
from tests.chaos.lit import LIGHT
from tests.chaos.verdict import judge
from tests.chaos.world import OPTICAL, World, world
from tests.city.city_ip import documents as doc
from tests.city.optical_client import Client as OpticalClient
from tests.support.stage import COMMITTED, FAILED, eventually

FIRST, SECOND, THIRD = "t0/wide-6", "t0/wide-7", "t1/wide-6"
LANS = {FIRST: 16, SECOND: 17, THIRD: 36}


@pytest.fixture(scope="module")
def torn_city(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world(tmp_path_factory.mktemp("chaos")) as made:
        yield made


@pytest.fixture
def customer(torn_city: World) -> Iterator[Customer]:
    """A customer whose first slice fills buji–nanwan so far that the second needs light; all is put out afterwards."""
    torn_city.heal()
    if torn_city.armed or torn_city.daemon_died():
        torn_city.kill_daemon()
        torn_city.start_daemon(wait=True)
    client, asking = torn_city.stage.client, Customer(torn_city.stage.address, 0, "lighting")
    document = wide(FIRST, "jihua", "nanwan")
    assert client.apply(document)[1].outcome == COMMITTED
    asking.record.standing = {FIRST: document}
    yield asking
    tell(torn_city, type="restore", what="all")
    if left := list(client.services()):
        assert client.delete(*left)[1].outcome == COMMITTED
    assert not lit(torn_city)
    assert torn_city.loose_ends() == []


def wide(service: str, a: str, z: str, gbps: int = 60) -> str:
    tenant, name = service.split("/")
    return (
        f"apiVersion: onecity/v1\nkind: ExclusiveSlice\nmetadata: {{name: {name}, tenant: {tenant}}}\nspec:\n"
        f"  bandwidth: {gbps}Gbps\n  isolation: nrp\n  protection: none\n"
        f"  slo: {{latency: 15ms, availability: 99%}}\n  endpoints:\n"
        f"    - {{site: {a}, lan: 10.{LANS[service]}.1.0/24}}\n    - {{site: {z}, lan: 10.{LANS[service]}.2.0/24}}\n"
    )


LIGHTING = wide(SECOND, "buji", "zhihui")


def lit(torn_city: World) -> list[str]:
    return sorted(c for c in torn_city.circuits() if c.startswith(LIGHT))


def tell(torn_city: World, **message: object) -> dict[str, object]:
    with operator_socket(torn_city.city.directory) as connection, connection.makefile("rb") as lines:
        return exchange(connection, lines, dict(message))


def delivered(torn_city: World, service: str, source: str) -> bool:
    dst = f"10.{LANS[service]}.2.1"
    way = tell(torn_city, type="trace", vpn=service.replace("/", "."), access=source, dst=dst)
    return bool(way.get("delivered"))


def whole(torn_city: World, customer: Customer, *, restart: bool = False) -> None:
    verdict = judge(torn_city, [customer], restart=restart)
    assert verdict, "\n".join(verdict.lines())


EVERY = (
    "intended:1", "connected:2", "prepared:1", "prepared:2", "committed:1", "committed:2", "verified:1", "verified:2",
    "deciding:1", "decided:1", "confirmed:1", "confirmed:2", "ending:1", "ended:1",
)  # fmt: skip
MANY = bool(os.environ.get("ONECITY_EVERY_POINT"))  # set by `make chaos`


@pytest.mark.parametrize("point", EVERY if MANY else ("decided:1",))
def test_light_is_whole_where_the_daemon_dies_while_it_comes_and_while_it_goes(
    torn_city: World, customer: Customer, point: str
) -> None:
    for order in (Order({SECOND: LIGHTING}), *([Order(drops=(SECOND,))] if MANY else ())):
        if order.drops and SECOND not in customer.record.standing:
            assert torn_city.stage.client.apply(LIGHTING)[1].outcome == COMMITTED
            customer.record.standing[SECOND] = LIGHTING
        torn_city.kill_daemon()
        torn_city.start_daemon(point, wait=True)
        client = torn_city.stage.client
        order.change_id = client.begin(LIGHTING) if order.puts else customer._begin(client, order)
        torn_city.stage.daemon.wait(90)
        torn_city.start_daemon(wait=True)
        customer.record.unknown.append(order)
        client.ended(order.change_id)
        whole(torn_city, customer)
        assert bool(lit(torn_city)) is (SECOND in customer.record.standing)


@pytest.mark.parametrize("domain", ["city-ip", OPTICAL] if MANY else [OPTICAL])
@pytest.mark.parametrize("point", EVERY if MANY else ("committed:1",))
def test_light_is_whole_where_a_domain_dies_while_it_comes(
    torn_city: World, customer: Customer, domain: str, point: str
) -> None:
    torn_city.kill_daemon()
    torn_city.start_daemon(wait=True, stop_at=point)
    order = Order({SECOND: LIGHTING}, change_id=torn_city.stage.client.begin(LIGHTING))
    eventually(torn_city.daemon_stopped, 90.0)
    torn_city.kill_domain(domain)
    torn_city.restart_domain(domain)
    torn_city.let_go_on()
    torn_city.stage.client.ended(order.change_id)
    customer.record.unknown.append(order)
    whole(torn_city, customer)
    assert bool(lit(torn_city)) is (SECOND in customer.record.standing)


def test_a_port_that_somebody_else_takes_in_between_fails_the_change_and_the_next_takes_another(
    torn_city: World, customer: Customer
) -> None:
    torn_city.kill_daemon()
    torn_city.start_daemon(wait=True, stop_at="intended:1")
    change = torn_city.stage.client.begin(LIGHTING)
    eventually(torn_city.daemon_stopped, 90.0)
    optical = OpticalClient(torn_city.city.directory, torn_city.city.domain_process(OPTICAL).ports["grpc"])
    foreign = optical_pb2.CircuitSpec(
        id="somebody", owner="somebody", a=optical_pb2.ClientEnd(port="otn-buji/c3"),
        z=optical_pb2.ClientEnd(port="otn-nanwan/c13"), layer=optical_pb2.LAYER_WAVELENGTH, rate_bps=100 * 10**9,
        odu="ODU4", mode="100G QPSK oFEC", working=optical_pb2.Leg(route=["f-nanwan-buji"], channel=70),
    )  # fmt: skip
    optical.prepare("somebody", foreign)
    optical.commit("somebody")
    optical.confirm("somebody")
    torn_city.let_go_on()
    _, result = torn_city.stage.client.ended(change)
    assert (result.outcome, "otn-buji/c3" in result.message) == (FAILED, True), result.message
    assert not [c for c in lit(torn_city) if "somebody" not in c]
    assert torn_city.loose_ends() == []

    def another() -> bool:
        return torn_city.stage.client.apply(LIGHTING)[1].outcome == COMMITTED

    eventually(another, 60.0)  # as soon as the map shows the port as taken
    assert lit(torn_city)
    assert all("lg-buji.otn-1." not in c for c in lit(torn_city))
    optical.prepare("gone", delete=("somebody", 1))
    optical.commit("gone")
    optical.confirm("gone")
    optical.close()


def test_an_access_of_somebody_elses_on_a_port_fails_the_change_and_leaves_nothing_lit(
    torn_city: World, customer: Customer
) -> None:
    torn_city.kill_daemon()
    torn_city.start_daemon(wait=True, stop_at="intended:1")
    change = torn_city.stage.client.begin(LIGHTING)
    eventually(torn_city.daemon_stopped, 90.0)
    with torn_city.stage.session("city-ip") as session:
        theirs = doc.service("somebody", [doc.node("node:lg-buji", [doc.access("x", "tp:otn-1", 99)])])
        session.edit_config(doc.config(doc.services(theirs)), target="candidate")
        session.commit()
        torn_city.let_go_on()
        _, result = torn_city.stage.client.ended(change)
        assert result.outcome == FAILED
        assert "tp:otn-1 of node:lg-buji is in use by x" in result.message
        assert not lit(torn_city)
        session.edit_config(doc.config(doc.services(doc.removed("somebody"))), target="candidate")
        session.commit()
    assert torn_city.loose_ends() == []
    assert torn_city.stage.client.apply(LIGHTING)[1].outcome == COMMITTED


def test_a_fibre_that_is_cut_as_soon_as_light_is_there_has_what_rode_on_it_moved(
    torn_city: World, customer: Customer
) -> None:
    client = torn_city.stage.client
    assert client.apply(LIGHTING)[1].outcome == COMMITTED
    customer.record.standing[SECOND] = LIGHTING
    before = lit(torn_city)
    assert before
    tell(torn_city, type="cut", fibre="f-nanwan-buji")
    eventually(lambda: delivered(torn_city, FIRST, "jihua") and delivered(torn_city, SECOND, "buji"), 60.0)
    eventually(lambda: not set(before) & set(lit(torn_city)), 60.0)
    whole(torn_city, customer)


def test_the_last_two_leave_while_a_third_comes(torn_city: World, customer: Customer) -> None:
    client = torn_city.stage.client
    third = wide(THIRD, "buji", "longcheng", 30)
    for _ in range(8 if MANY else 2):
        assert client.apply(LIGHTING)[1].outcome == COMMITTED
        outcomes: dict[str, int] = {}

        def run(name: str, order: Order, outcomes: dict[str, int] = outcomes) -> None:
            outcomes[name] = client.ended(customer._begin(client, order))[1].outcome

        orders = {
            "leave": Order(drops=(SECOND,), request_id=os.urandom(6).hex()),
            "come": Order({THIRD: third}, request_id=os.urandom(6).hex()),
        }
        threads = [threading.Thread(target=run, args=item) for item in orders.items()]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert outcomes == {"leave": COMMITTED, "come": COMMITTED}
        customer.record.standing[THIRD] = third
        whole(torn_city, customer)
        assert delivered(torn_city, THIRD, "buji")
        assert client.delete(THIRD)[1].outcome == COMMITTED
        del customer.record.standing[THIRD]
        assert not lit(torn_city)

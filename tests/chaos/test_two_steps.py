"""A change that builds first and removes in a second step, on a real city, killed between the two."""

from __future__ import annotations

import random

import pytest
from onecity.v1 import plan_pb2

from tests.chaos.clients import Customer, Order
from tests.chaos.verdict import judge
from tests.chaos.world import World, world
from tests.support.stage import COMMITTED

FAILED = plan_pb2.CHANGE_OUTCOME_FAILED


@pytest.fixture(scope="module")
def torn_city(tmp_path_factory: pytest.TempPathFactory):
    with world(tmp_path_factory.mktemp("chaos")) as made:
        yield made


@pytest.mark.parametrize(
    ("point", "ends"),
    [("ended:1", COMMITTED), ("intended:2", FAILED), ("decided:2", COMMITTED)],
)
def test_it_is_whole_after_a_kill(torn_city: World, point: str, ends: int) -> None:
    customer = Customer(torn_city.stage.address, 0, "two-steps")
    document = customer.family.document("timeslot-1", "timeslot", random.Random(2))
    document = document.replace("site: nanwan", "site: buji").replace("site: pingdi", "site: nanwan")
    document = document.replace("protection: standby", "protection: none")
    moved = document.replace("site: nanwan", "site: longgang").replace("site: buji", "site: longcheng")  # other ring
    torn_city.stage.client.apply(document)
    customer.record.standing = {"t0/timeslot-1": document}
    torn_city.kill_daemon()
    torn_city.start_daemon(point, wait=True)
    order = Order({"t0/timeslot-1": moved})
    order.change_id = torn_city.stage.client.begin(moved)
    torn_city.stage.daemon.wait(20)
    torn_city.start_daemon(wait=True)
    customer.record.unknown.append(order)
    _, result = torn_city.stage.client.ended(order.change_id)
    assert result.outcome == ends, result.message
    verdict = judge(torn_city, [customer], restart=True)
    assert verdict, "\n".join(verdict.lines())
    assert customer.record.standing == {"t0/timeslot-1": moved if ends == COMMITTED else document}

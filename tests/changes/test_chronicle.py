"""What a change did is told leaf by leaf and in the domain's own words, and a large one costs no more than is kept."""

from __future__ import annotations

import asyncio
import time
from types import SimpleNamespace
from typing import cast

import pytest

from controller.changes.chronicle import MOST_BYTES, Chronicle, Ended
from controller.changes.leaves import changed_places, leaf_count, leaves
from controller.network.discovered import DomainKind
from controller.rendering.diff import edit
from controller.rendering.tree import Edit, Tree
from controller.rendering.xml import edit_xml
from controller.southbound.driver import Driver
from controller.store.records import PlaceChange
from controller.store.store import Store
from controller.transactions.step import Step

VPN = "/l3nm:l3vpn-ntw/l3nm:vpn-services/l3nm:vpn-service[l3nm:vpn-id='{}']"


class Router:
    """As much of a driver as history needs."""

    kind = DomainKind.IP

    def native(self, change: Edit) -> str:
        return edit_xml(change.operations).decode()


def tree(names: range | tuple[int, ...], nodes: int = 1, customer: str = "gov") -> Tree:
    services: Tree = {}
    for name in names:
        inside: Tree = {
            ("l3nm:vpn-node", f"n{n}"): {"l3nm:vpn-node-id": f"n{n}", "l3nm:ne-id": "x"} for n in range(nodes)
        }
        services["l3nm:vpn-service", f"v{name}"] = {
            "l3nm:vpn-id": f"v{name}",
            "l3nm:customer-name": customer,
            "l3nm:vpn-nodes": inside,
        }
    return {"l3nm:l3vpn-ntw": {"l3nm:vpn-services": services}}


async def effect(tmp_path, change: Edit):
    store = Store.open(tmp_path / "onecity.db")
    drivers = {"city-ip": cast(Driver, Router())}
    chronicle = Chronicle(store, drivers, lambda: False)
    chronicle.add(Ended("c1", (Step("c1", 0, "build", (change,), (("city-ip",),)),)))
    (at_once,) = await chronicle.effects("c1")
    await chronicle.close()
    (kept,) = store.change_domains("c1")
    assert kept == at_once
    store.close()
    return kept


def test_every_leaf_that_differs_is_told_once_with_both_values():
    found, left_out = changed_places(edit("d", tree((1, 2)), tree((2, 3), customer="lands")), MOST_BYTES)
    assert left_out == 0
    assert [place for _, place in found] == [
        PlaceChange(VPN.format("v1") + "/l3nm:customer-name", "gov", None),
        PlaceChange(VPN.format("v1") + "/l3nm:vpn-nodes/l3nm:vpn-node[l3nm:vpn-node-id='n0']/l3nm:ne-id", "x", None),
        PlaceChange(VPN.format("v2") + "/l3nm:customer-name", "gov", "lands"),
        PlaceChange(VPN.format("v3") + "/l3nm:customer-name", None, "lands"),
        PlaceChange(VPN.format("v3") + "/l3nm:vpn-nodes/l3nm:vpn-node[l3nm:vpn-node-id='n0']/l3nm:ne-id", None, "x"),
    ]


def test_leaves_are_counted_as_they_are_told_keys_left_out():
    whole = tree(range(3), nodes=4)
    assert len(list(leaves(whole))) == leaf_count(whole, "") == 3 * 5
    bare: Tree = {("l3nm:vpn-node", "n"): {"l3nm:vpn-node-id": "n"}}
    assert leaf_count(bare["l3nm:vpn-node", "n"], ("l3nm:vpn-node", "n")) == 1
    only = VPN.format("v1")
    assert next(p.text for p in leaves(whole, lambda t: only.startswith(t) or t.startswith(only))).startswith(only)


async def test_a_change_is_kept_in_the_domains_words_and_place_by_place(tmp_path):
    kept = await effect(tmp_path, edit("city-ip", {}, tree((1,))))
    assert "<customer-name>gov</customer-name>" in kept.native
    assert "cut here" not in kept.native
    assert (len(kept.places), kept.left_out) == (2, 0)


@pytest.mark.alone
async def test_a_large_change_is_cut_says_so_and_costs_no_more_than_what_is_kept(tmp_path):
    change = edit("city-ip", {}, tree(range(2000), nodes=20))
    started = time.perf_counter()
    kept = await effect(tmp_path, change)
    assert time.perf_counter() - started < 1.0
    assert len(kept.native.encode()) <= MOST_BYTES + 100
    assert kept.native.endswith("… cut here: more was sent; 256 kB are kept of one domain")
    assert len(kept.places) + kept.left_out == 2000 * 21
    assert len(kept.places) > 1000


async def test_one_huge_entry_is_cut_too(tmp_path):
    kept = await effect(tmp_path, edit("city-ip", {}, tree((1,), nodes=30_000)))
    assert "cut here" in kept.native
    assert len(kept.places) + kept.left_out == 30_001


async def test_changes_are_written_down_when_nothing_else_is_under_way(tmp_path):
    store = Store.open(tmp_path / "onecity.db")
    busy = SimpleNamespace(now=True)
    chronicle = Chronicle(store, {"city-ip": cast(Driver, Router())}, lambda: busy.now)
    change = edit("city-ip", {}, tree((1,)))
    chronicle.add(Ended("c1", (Step("c1", 0, "build", (change,), (("city-ip",),)),)))
    await asyncio.sleep(0.3)
    assert store.change_domains("c1") == ()
    busy.now = False
    await asyncio.sleep(0.3)
    assert store.change_domains("c1")
    await chronicle.close()
    store.close()

"""Configuration is read as a domain would take it, whatever form its leaves have."""

from __future__ import annotations

from copy import deepcopy
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.intent.model import Metadata, ServiceId, VipAssurance
from controller.rendering.packed import Packed, packed, packed_fragment
from controller.rendering.tree import Tree
from controller.verification.classes import Classifier, from_server, misclassified, to_server
from controller.verification.facts import Rule
from controller.verification.model import ConfigurationModel
from controller.verification.reading import Leaves, rate_bps, span
from tests.support.intents import FLOWS, WINDOW
from tests.verification.mistakes import Plant
from tests.verification.plants import PLANTS
from tests.verification.scene import standing


@given(st.ip_addresses(v=4), st.integers(0, 32))
def test_ipv4_prefixes_are_read_as_the_library_reads_them(address: object, length: int) -> None:
    network = ip_network(f"{address}/{length}", strict=False)
    assert isinstance(network, IPv4Network)
    assert span(f"{address}/{length}") == (4, int(network.network_address), int(network.broadcast_address))


@given(st.ip_addresses(v=6), st.integers(0, 128))
def test_ipv6_prefixes_too(address: object, length: int) -> None:
    network = ip_network(f"{address}/{length}", strict=False)
    assert isinstance(network, IPv6Network)
    assert span(f"{address}/{length}") == (6, int(network.network_address), int(network.broadcast_address))


@pytest.mark.parametrize("text", ["", "/", "10.0.0.256/8", "10.0.0/8", "10.0.0.0/33", "10.0.0.0/x", "nonsense"])
def test_what_is_no_prefix_is_none(text: str) -> None:
    assert span(text) is None


@pytest.mark.parametrize(
    ("text", "bps"), [("0x1.2a05f2p+30", 10**10), ("0x1p+0", 8), ("nonsense", 0), ("", 0), ("inf", 0)]
)
def test_bandwidths_are_float32_bytes(text: str, bps: int) -> None:
    assert rate_bps(text) == bps


def _rule(name: str, target: str, source: str | None = None) -> Rule:
    where = span(source) if source is not None else None
    return Rule(name, "17", where, None, (0, 65535), (20_000, 20_999), target)


def test_the_first_rule_that_matches_takes_the_packet() -> None:
    access = next(iter(standing().model.vpns["city-ip", "government.office"].accesses.values()))
    flow, source = FLOWS[2], int(ip_network("10.1.1.1/32").network_address)
    packet = next(iter(to_server(flow, source, source + 1)))
    host, wide = _rule("host", "a", "10.1.1.1/32"), _rule("wide", "b")
    assert Classifier(access._replace(rules=(host, wide))).first(packet) is host
    assert Classifier(access._replace(rules=(wide, host))).first(packet) is wide
    assert Classifier(access._replace(rules=(_rule("other", "c", "10.1.1.2/32"),))).first(packet) is None
    back = next(iter(from_server(flow, source, source + 1)))
    assert Classifier(access._replace(rules=(host, wide))).first(back) is None


def test_only_a_vip_of_higher_priority_may_take_anothers_packets() -> None:
    low = VipAssurance(Metadata("low", "gov"), ServiceId("gov/p"), WINDOW, priority=5)
    high = VipAssurance(Metadata("high", "gov"), ServiceId("gov/p"), WINDOW, priority=1)
    theirs = _rule("vip.1.gov.high.all.vid", "vip.high.video")
    assert misclassified(low, theirs, "vip.low.video", (low, high)) == ""
    assert "comes first" in misclassified(low, theirs, "vip.low.video", (low,))
    mine = _rule("vip.5.gov.low.all.vid", "vip.low.video")
    assert "comes first" in misclassified(high, mine, "vip.high.video", (low, high))


def _without(tree: Tree, known: Tree) -> Tree:
    """Return a domain's tree without the units that are the same in another."""
    out: Tree = {}
    for step, value in tree.items():
        before = known.get(step)
        if value is before:
            continue
        inner = isinstance(step, str) and isinstance(value, dict) and isinstance(before, dict)
        out[step] = _without(cast(Tree, value), cast(Tree, before)) if inner else value
    return out


@pytest.mark.parametrize("plant", PLANTS, ids=[p.name for p in PLANTS])
def test_packed_configuration_says_the_same_as_the_trees_that_were_packed(plant: Plant) -> None:
    planted = plant.plant(standing().trees)
    touched = {d: _without(tree, standing().trees[d]) for d, tree in planted.items()}
    plain = ConfigurationModel.build(deepcopy(touched))
    assert ConfigurationModel.build(touched) == plain
    assert ConfigurationModel.build({d: packed_fragment(tree) for d, tree in touched.items()}) == plain


def test_what_leaves_say_cannot_be_asked_of_a_shape() -> None:
    tree = packed({"name": "a", "list": ("b",), ("entry", "c"): {"name": "c"}})
    assert isinstance(tree, Packed)
    assert Leaves(lambda t: [t["name"], t["list"], *t, len(t)]).of(tree) == (
        "a",
        ("b",),
        "name",
        "list",
        *list(tree)[2:],
        3,
    )
    for leaf in ("name", "list"):
        with pytest.raises(TypeError):
            Leaves(lambda t, leaf=leaf: [t[leaf] or "none"]).of(tree)  # type: ignore[misc]

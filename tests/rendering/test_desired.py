"""Desired state: who asks for what, what remains when one goes, and edits that cost what the change costs."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.errors import ConflictError, UnknownNameError
from controller.intent.model import Service, ServiceId
from controller.planning.placement import Placement
from controller.rendering.desired import Desired, Fragments, edits
from controller.rendering.diff import apply, diff
from controller.rendering.paths import at
from controller.rendering.render import render
from controller.rendering.tree import OperationKind, Path
from tests.rendering import wanted

Pair = tuple[Service, Placement]


def rendered(*pairs: Pair) -> dict[ServiceId, Fragments]:
    standing = {service.metadata.service: (service, placement) for service, placement in pairs}
    return {name: render(*pair, wanted.city(), standing) for name, pair in standing.items()}


def _pool() -> dict[ServiceId, Fragments]:
    carrier = wanted.plane(12)
    other = wanted.plane(5, number=1002, name="other")
    vips = [wanted.conference(carrier[0], 20, name=f"vip{i}", priority=i) for i in range(3)]
    return rendered(carrier, other, wanted.nrp_slice(), wanted.circuit_slice(), *vips)


POOL = _pool()
RULES: Path = ("l3nm:service", "l3nm:qos", "l3nm:qos-classification-policy")


def access(domain: str, node: str, name: str) -> Path:
    return (
        "l3nm:l3vpn-ntw",
        "l3nm:vpn-services",
        ("l3nm:vpn-service", "gov.office"),
        "l3nm:vpn-nodes",
        ("l3nm:vpn-node", node),
        "l3nm:vpn-network-accesses",
        ("l3nm:vpn-network-access", f"gov.office.{name}"),
    )


MCU = access("city-ip", "node:lg-zhihui", "s0000")


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(sorted(POOL)), st.booleans()), max_size=8))
def test_edits_lead_exactly_from_one_state_to_the_next_whatever_the_history(
    moves: list[tuple[ServiceId, bool]],
) -> None:
    desired = Desired()
    for service, put in moves:
        after = desired.with_changes({service: POOL[service]} if put else {}, frozenset() if put else {service})
        for one in edits(desired, after):
            result = apply(desired.tree(one.domain), one.operations)
            assert result == after.tree(one.domain)
            assert diff(result, after.tree(one.domain)) == ()
        desired = after
    rebuilt = Desired().with_changes({name: POOL[name] for name in desired.services})
    assert edits(desired, rebuilt) == (), "the incremental state is that of a rebuild"
    for domain in desired.domains:
        assert desired.tree(domain) == rebuilt.tree(domain)


def test_a_vip_leaves_the_plane_exactly_as_it_was() -> None:
    office, vip = ServiceId("gov/office"), ServiceId("office/vip0")
    plane = Desired().with_changes({office: POOL[office]})
    during = plane.with_changes({vip: POOL[vip]})
    after = during.with_changes({}, {vip})
    assert at(during.tree("city-ip"), (*MCU, *RULES)) is not None
    assert after.domains == plane.domains
    assert all(after.tree(domain) == plane.tree(domain) for domain in plane.domains)
    assert edits(plane, after) == ()
    kinds = {o.kind for one in edits(plane, during) for o in one.operations}
    assert kinds == {OperationKind.CREATE}, "opening the window only adds"
    assert {o.kind for one in edits(during, after) for o in one.operations} == {OperationKind.DELETE}


def test_a_site_added_to_a_plane_touches_only_its_own_access() -> None:
    before, after = rendered(wanted.plane(20)), rendered(wanted.plane(21))
    one = Desired().with_changes(before)
    (edit,) = edits(one, one.with_changes(after))
    (operation,) = edit.operations
    assert operation.kind is OperationKind.CREATE
    assert operation.path[-1] == ("l3nm:vpn-network-access", "gov.office.s0020")
    assert edit.touched == (operation.path,)
    assert edit.before == {}
    assert at(edit.after, operation.path) == operation.value


def test_rules_stand_in_the_order_of_priority_whatever_came_first() -> None:
    names = [ServiceId(f"office/vip{i}") for i in (2, 0, 1)]
    desired = Desired().with_changes({ServiceId("gov/office"): POOL[ServiceId("gov/office")]})
    for name in names:
        desired = desired.with_changes({name: POOL[name]})
    found = at(desired.tree("city-ip"), (*MCU, *RULES))
    assert isinstance(found, dict)
    assert [step[1].split(".")[1] for step in found] == ["0"] * 3 + ["1"] * 3 + ["2"] * 3


def test_different_values_for_one_leaf_name_both_services_and_the_leaf() -> None:
    first, second = wanted.nrp_slice(), wanted.nrp_slice()
    thief = replace(second[0], metadata=replace(second[0].metadata, name="thief"))
    path = replace(second[1].tunnels[0], rate_bps=7)
    placement = replace(second[1], service=thief.metadata.service, number=4002, tunnels=(path,), partitions=())
    puts = rendered(first, (thief, placement))
    with pytest.raises(ConflictError, match=r"resources/thief and resources/survey .*te:tunnel\[te:name='slice/res"):
        Desired().with_changes(puts)
    with pytest.raises(ConflictError, match=r"resources/(survey|thief) and resources/(survey|thief)"):
        Desired().with_changes({k: v for k, v in puts.items() if "thief" in k}).with_changes(puts)


def test_every_leaf_knows_who_asked_for_it() -> None:
    desired = Desired().with_changes(POOL)
    assert desired.blame("city-ip", MCU) == ("gov/office", "office/vip0", "office/vip1", "office/vip2")
    assert desired.blame("city-ip", (*MCU, "l3nm:interface-id")) == ("gov/office",)
    rule = ("l3nm:rule", "vip.1.office.vip1.from-mcu.sig")
    assert desired.blame("city-ip", (*MCU, *RULES, rule)) == ("office/vip1",)
    assert desired.blame("city-otn", (("opt:circuit", "health.records/buji-pingdi"),)) == ("health/records",)
    assert desired.blame("city-ip", ("te:te",)) == (
        "office/vip0",
        "office/vip1",
        "office/vip2",
        "resources/survey",
    )
    assert desired.blame("nowhere", MCU) == ()


def test_equal_leaves_stay_until_the_last_service_goes() -> None:
    network: Path = ("nw:networks", ("nw:network", "vpn:gov.office"))
    vips = [ServiceId("office/vip0"), ServiceId("office/vip1")]
    desired = Desired().with_changes({name: POOL[name] for name in [ServiceId("gov/office"), *vips]})
    desired = desired.with_changes({}, {vips[0]})
    assert desired.blame("city-ip", network) == ("office/vip1",)
    assert at(desired.with_changes({}, {vips[1]}).tree("city-ip"), network) is None


def test_a_vip_without_its_carrier_is_refused() -> None:
    vip = wanted.conference(wanted.plane(3)[0], 2)
    with pytest.raises(UnknownNameError, match="office/flood protects gov/office"):
        render(*vip, wanted.city(), {})

"""Operations between trees: applying them gives the new tree exactly, order of rules included."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from controller.errors import ConflictError
from controller.rendering.diff import apply, diff, edit
from controller.rendering.paths import at, extract
from controller.rendering.tree import Operation, OperationKind, Path, Tree
from controller.rendering.xml import edit_xml, filter_xml, from_xml, to_xml

VPN: Path = ("l3nm:l3vpn-ntw", "l3nm:vpn-services", ("l3nm:vpn-service", "v"))
NODE: Path = (*VPN, "l3nm:vpn-nodes", ("l3nm:vpn-node", "n"))
ACCESS: Path = (*NODE, "l3nm:vpn-network-accesses", ("l3nm:vpn-network-access", "a"))
RULES: Path = (*ACCESS, "l3nm:service", "l3nm:qos", "l3nm:qos-classification-policy")


def rules(names: Sequence[str], target: str = "x") -> Tree:
    return {("l3nm:rule", n): {"l3nm:id": n, "l3nm:target-class-id": target} for n in names}


def domain_tree(
    names: Sequence[str], tunnels: Sequence[str], route: Sequence[str], rate: str | None, target: str = "x"
) -> Tree:
    """Return a small domain: one access with rules and a rate, steering into tunnels, one tunnel with a route."""
    service: Tree = {}
    if rate is not None:
        service["l3nm:pe-to-ce-bandwidth"] = rate
    if names:
        service["l3nm:qos"] = {"l3nm:qos-classification-policy": rules(names, target)}
    access: Tree = {"l3nm:id": "a"}
    if service:
        access["l3nm:service"] = service
    node: Tree = {"l3nm:vpn-node-id": "n"}
    if tunnels:
        node["oc:steering", "m", "*"] = {"oc:remote-ne-id": "m", "oc:class-id": "*", "oc:tunnel": tuple(tunnels)}
    node["l3nm:vpn-network-accesses"] = {("l3nm:vpn-network-access", "a"): access}
    vpn: Tree = {"l3nm:vpn-id": "v", "l3nm:vpn-nodes": {("l3nm:vpn-node", "n"): node}}
    tree: Tree = {"l3nm:l3vpn-ntw": {"l3nm:vpn-services": {("l3nm:vpn-service", "v"): vpn}}}
    if route:
        hops: Tree = {
            ("te:route-object-include-exclude", str(i)): {
                "te:index": str(i),
                "te:unnumbered-link-hop": {"te:link-tp-id-uri": "tp:1", "te:node-id-uri": hop},
            }
            for i, hop in enumerate(route)
        }
        path: Tree = {"te:name": "working", "te:explicit-route-objects": hops}
        tunnel: Tree = {"te:name": "t", "te:primary-paths": {("te:primary-path", "working"): path}}
        tree["te:te"] = {"te:tunnels": {("te:tunnel", "t"): tunnel}}
    return tree


names = st.lists(st.sampled_from("abcdefgh"), unique=True)
trees = st.builds(
    domain_tree,
    names,
    st.lists(st.sampled_from(["t1", "t2", "t3"]), unique=True),
    st.lists(st.sampled_from(["node:a", "node:b"]), max_size=3),
    st.none() | st.sampled_from(["1", "2"]),
    st.sampled_from("xy"),
)


def order(tree: Tree) -> list[object]:
    found = at(tree, RULES)
    return list(found) if isinstance(found, dict) else []


@settings(max_examples=150, deadline=None)
@given(trees, trees)
def test_applying_the_difference_gives_the_new_tree_with_its_order(old: Tree, new: Tree) -> None:
    before = to_xml(old)
    result = apply(old, diff(old, new))
    assert result == new
    assert order(result) == order(new)
    assert diff(result, new) == ()
    assert to_xml(old) == before, "the old tree is never changed"


@settings(max_examples=100, deadline=None)
@given(trees, trees)
def test_images_hold_exactly_what_is_touched(old: Tree, new: Tree) -> None:
    one = edit("d", old, new)
    assert extract(apply(old, one.operations), one.touched) == one.after
    assert extract(old, one.touched) == one.before
    assert all(any(operation.path[: len(path)] == path for path in one.touched) for operation in one.operations), (
        "every operation lies in a touched entry"
    )
    assert diff(new, old) == () or apply(new, diff(new, old)) == old


@given(names, names)
def test_rules_that_keep_their_order_are_not_moved(first: list[str], second: list[str]) -> None:
    old, new = domain_tree(first, (), (), "1"), domain_tree(second, (), (), "1")
    common = [n for n in second if n in first]
    moves = [o for o in diff(old, new) if o.kind is OperationKind.MERGE and o.ordered]
    if common == [n for n in first if n in second]:
        assert moves == []
    else:
        assert len(moves) < len(common)


def test_the_same_object_is_not_looked_at() -> None:
    class Poisoned(dict):  # type: ignore[type-arg]
        def items(self):  # type: ignore[no-untyped-def]
            raise AssertionError("looked at what is shared")

    shared: Tree = Poisoned({"l3nm:vpn-id": "w"})
    old, new = domain_tree("a", (), (), "1"), domain_tree("b", (), (), "1")
    for tree in (old, new):
        services = at(tree, VPN[:2])
        assert isinstance(services, dict)
        services["l3nm:vpn-service", "w"] = shared
    assert [o.kind for o in diff(old, new)] == [OperationKind.DELETE, OperationKind.CREATE]


def test_a_surprise_is_refused() -> None:
    tree = domain_tree("a", (), (), "1")
    with pytest.raises(ConflictError, match="data-exists"):
        apply(tree, [Operation(OperationKind.CREATE, VPN, {})])
    with pytest.raises(ConflictError, match=r"data-missing: .*l3nm:vpn-service\[l3nm:vpn-id='x'\]"):
        apply(tree, [Operation(OperationKind.DELETE, (*VPN[:2], ("l3nm:vpn-service", "x")))])


def test_rules_are_created_one_after_the_other_and_never_the_list_replaced() -> None:
    text = edit_xml(diff(domain_tree("z", (), (), "1"), domain_tree("abz", (), (), "2"))).decode()
    assert '<rule nc:operation="create" yang:insert="first"><id>a</id>' in text
    assert """<rule nc:operation="create" yang:insert="after" yang:key="[l3nm:id='a']"><id>b</id>""" in text
    assert '<pe-to-ce-bandwidth nc:operation="replace">2</pe-to-ce-bandwidth>' in text
    assert text.count("nc:operation") == 3
    etree.fromstring(text)


def test_a_changed_route_is_replaced_as_a_whole() -> None:
    text = edit_xml(diff(domain_tree("", (), ["node:a", "node:b"], "1"), domain_tree("", (), ["node:b"], "1"))).decode()
    assert '<explicit-route-objects nc:operation="replace"><route-object-include-exclude><index>0</index>' in text
    assert text.count("nc:operation") == 1


def test_a_replay_can_be_repeated() -> None:
    operations = diff(domain_tree("a", (), ["node:a"], "1"), domain_tree("b", (), (), "1"))
    text = edit_xml(operations, replay=True).decode()
    assert '<tunnel nc:operation="remove"><name>t</name></tunnel>' in text
    assert '<rule nc:operation="remove"><id>a</id></rule>' in text
    assert '<rule nc:operation="replace" yang:insert="first"><id>b</id>' in text
    assert "create" not in text
    assert "delete" not in text


def test_keys_with_quotes_and_markup_survive() -> None:
    odd = """it's <b> & co"""
    tree: Tree = {"te:te": {"te:tunnels": {("te:tunnel", odd): {"te:name": odd}}}}
    assert from_xml(to_xml(tree)) == tree
    names = ("a'b", 'c"d')
    text = edit_xml(diff(domain_tree("z", (), (), "1"), domain_tree([*names, "z"], (), (), "1")))
    key = etree.fromstring(text).xpath("//@*[local-name()='key']")
    assert key == ["""[l3nm:id="a'b"]"""]


def test_a_filter_selects_entries_by_key_and_the_outer_path_covers_the_inner() -> None:
    text = filter_xml([ACCESS, (*ACCESS, "l3nm:service"), ("te:te", "te:tunnels")]).decode()
    assert "<vpn-network-access><id>a</id></vpn-network-access>" in text
    assert "<tunnels></tunnels>" in text
    assert text.startswith('<filter xmlns="urn:ietf:params:xml:ns:netconf:base:1.0" type="subtree">')

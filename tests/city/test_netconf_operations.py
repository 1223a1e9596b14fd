"""The IP domain's NETCONF server, driven by stock ncclient over real SSH."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import paramiko
import pytest
from city_ip import documents as doc
from city_ip.process import IpProcess, read
from ncclient.operations import RPCError
from ncclient.xml_ import to_ele


@pytest.fixture(scope="module")
def domain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[IpProcess]:
    process = IpProcess(tmp_path_factory.mktemp("city"))
    process.start()
    yield process
    process.kill()


@pytest.fixture
def session(domain: IpProcess) -> Iterator[Any]:
    """A session on an empty configuration with the candidate locked."""
    with domain.session() as connection:
        connection.discard_changes()
        connection.lock("candidate")
        yield connection
        connection.discard_changes()
        for vpn in read(connection, "vpn-service/vpn-id"):
            connection.edit_config(doc.config(doc.services(doc.removed(vpn))), target="candidate")
        for name in read(connection, "tunnel/name"):
            connection.edit_config(
                doc.config(doc.tunnels(f'<tunnel nc:operation="delete"><name>{name}</name></tunnel>')),
                target="candidate",
            )
        connection.edit_config(
            doc.config(
                doc.networks('<nrp-policies xmlns="urn:ietf:params:xml:ns:yang:ietf-nrp" nc:operation="remove"/>')
            ),
            target="candidate",
        )
        connection.commit()
        connection.unlock("candidate")


def edit(session: Any, *parts: str, **options: str) -> None:
    session.edit_config(doc.config(*parts), target="candidate", **options)


def refusal(session: Any, *parts: str, validate: bool = False, **options: str) -> RPCError:
    """The first error that an edit, or the validate after it, is answered with."""
    if validate:
        edit(session, *parts, **options)
    with pytest.raises(RPCError) as refused:
        session.validate("candidate") if validate else edit(session, *parts, **options)
    several = refused.value.errlist
    return several[0] if several else refused.value


def test_hello_lists_modules_and_no_url(session: Any) -> None:
    capabilities = list(session.server_capabilities)
    assert any("module=onecity-binding&revision=" in c for c in capabilities)
    assert any("module=ietf-l3vpn-ntw&revision=2022-02-14" in c for c in capabilities)
    assert ":confirmed-commit" in session.server_capabilities
    assert ":url" not in session.server_capabilities


@pytest.mark.parametrize("base_10_only", [True, False])
def test_both_framings_carry_an_edit(domain: IpProcess, session: Any, base_10_only: bool) -> None:
    session.unlock("candidate")
    with domain.session(base_10_only) as other:
        assert other._session._base is not None
        edit(other, doc.services(doc.small_service("gov.a", 100)))
        other.commit()
    assert read(session, "vpn-service/vpn-id") == ["gov.a"]
    session.lock("candidate")


def test_a_wrong_password_does_not_get_in(domain: IpProcess) -> None:
    with paramiko.Transport(("127.0.0.1", domain.netconf)) as transport:
        transport.connect()
        with pytest.raises(paramiko.AuthenticationException):
            transport.auth_password("onecity", "guess")


def test_pipelined_requests_are_answered_in_order(domain: IpProcess) -> None:
    hello = (
        f'<hello xmlns="{doc.BASE}"><capabilities><capability>urn:ietf:params:netconf:base:1.1</capability>'
        "</capabilities></hello>]]>]]>"
    )
    messages = [
        f'<rpc xmlns="{doc.BASE}" message-id="{n}"><validate><source><running/></source></validate></rpc>'
        for n in range(20)
    ]
    with paramiko.Transport(("127.0.0.1", domain.netconf)) as transport:
        transport.connect(username="onecity", password=domain.password)
        channel = transport.open_session()
        channel.invoke_subsystem("netconf")
        channel.settimeout(5)
        channel.sendall((hello + "".join(f"\n#{len(m)}\n{m}\n##\n" for m in messages)).encode())
        received = b""
        while received.count(b"</rpc-reply>") < 20:
            received += channel.recv(65536)
    order = [received.index(f'message-id="{n}"'.encode()) for n in range(20)]
    assert order == sorted(order)


def test_create_of_what_is_there_and_delete_of_what_is_not_are_refused(session: Any) -> None:
    edit(session, doc.services(doc.small_service("gov.a", 100)))
    exists = refusal(session, doc.services(doc.small_service("gov.a", 100)))
    assert (exists.tag, exists.type) == ("data-exists", "application")
    assert "l3nm:vpn-service[l3nm:vpn-id='gov.a']" in exists.path
    missing = refusal(session, doc.services(doc.removed("gov.b")))
    assert missing.tag == "data-missing"
    edit(session, doc.services(doc.removed("gov.b", "remove")))
    assert read(session, "vpn-service/vpn-id", "candidate") == ["gov.a"]


def test_an_edit_that_fails_half_way_leaves_nothing(session: Any) -> None:
    refusal(
        session,
        doc.services(doc.small_service("gov.a", 100), doc.removed("gov.b")),
        error_option="rollback-on-error",
    )
    assert read(session, "vpn-service/vpn-id", "candidate") == []


def test_replace_drops_what_is_not_said_and_merge_keeps_it(session: Any) -> None:
    edit(session, doc.services(doc.small_service("gov.a", 100)))
    merged = doc.service("gov.a", [doc.node("node:lg-nanwan")], "merge")
    edit(session, doc.services(merged))
    assert len(read(session, "vpn-node/vpn-node-id", "candidate")) == 3
    edit(session, doc.services(doc.service("gov.a", [doc.node("node:lg-nanwan")], "replace")))
    assert read(session, "vpn-node/vpn-node-id", "candidate") == ["node:lg-nanwan"]


def test_default_operation_none_only_navigates(session: Any) -> None:
    edit(session, doc.services(doc.small_service("gov.a", 100)))
    leaf = '<vpn-service><vpn-id>gov.a</vpn-id><vpn-name nc:operation="replace">new</vpn-name></vpn-service>'
    edit(session, doc.services(leaf), default_operation="none")
    assert read(session, "vpn-service/vpn-name", "candidate") == ["new"]
    absent = leaf.replace("gov.a", "gov.b")
    assert refusal(session, doc.services(absent), default_operation="none").tag == "data-missing"


def test_user_ordered_rules_stand_where_they_were_put(session: Any) -> None:
    edit(session, doc.services(doc.small_service("gov.a", 100)))

    def put(*rules: str) -> str:
        policy = f"<qos-classification-policy>{''.join(rules)}</qos-classification-policy>"
        return doc.services(doc.into_access("gov.a", "node:lg-buji", "gov.a.buji", policy))

    edit(session, put(doc.rule("plane"), doc.rule("a", "first"), doc.rule("b", "after", "a")))
    edit(session, put(doc.rule("c", "before", "plane"), doc.rule("a", "last", operation="merge")))
    assert read(session, "qos-classification-policy/rule/id", "candidate") == ["b", "c", "plane", "a"]
    session.commit()
    assert read(session, "qos-classification-policy/rule/id") == ["b", "c", "plane", "a"]
    refused = refusal(session, put(doc.rule("d", "after", "nowhere")))
    assert (refused.tag, refused.app_tag) == ("bad-attribute", "missing-instance")


@pytest.mark.parametrize(
    ("leaf", "tag", "where"),
    [
        ("<vpn-nome>x</vpn-nome>", "unknown-element", "vpn-service[l3nm:vpn-id='gov.a']"),
        ('<vpn-name xmlns="urn:nobody">x</vpn-name>', "unknown-namespace", "vpn-service"),
        ("<vpn-type>vpn-common:no-such</vpn-type>", "invalid-value", "l3nm:vpn-type"),
        ("<vpn-type>nowhere:l3vpn</vpn-type>", "invalid-value", "l3nm:vpn-type"),
    ],
)
def test_schema_violations_name_the_place(session: Any, leaf: str, tag: str, where: str) -> None:
    refused = refusal(session, doc.services(f"<vpn-service><vpn-id>gov.a</vpn-id>{leaf}</vpn-service>"))
    assert refused.tag == tag
    assert where in refused.path


def test_values_out_of_range_are_refused_with_their_path(session: Any) -> None:
    bad_vlan = doc.service("gov.a", [doc.node("node:lg-buji", [doc.access("x", "tp:acc-1", 5000)])])
    refused = refusal(session, doc.services(bad_vlan))
    assert refused.tag == "invalid-value"
    assert refused.path.endswith("l3nm:cvlan-id")


def test_a_reference_to_nothing_is_refused_at_validate(session: Any) -> None:
    bad = doc.small_service("gov.a", 100).replace("plane-default", "no-such-profile")
    refused = refusal(session, doc.services(bad), validate=True)
    assert (refused.tag, refused.app_tag) == ("data-missing", "instance-required")
    assert refused.path.endswith("l3nm:profile")
    with pytest.raises(RPCError):
        session.commit()


def test_a_profile_of_another_node_is_no_target(session: Any) -> None:
    access = doc.access("x", "tp:acc-1", 100).replace(
        "<status>", "<vpn-instance-profile>other</vpn-instance-profile><status>", 1
    )
    refused = refusal(session, doc.services(doc.service("gov.a", [doc.node("node:lg-buji", [access])])), validate=True)
    assert refused.app_tag == "instance-required"


def test_a_tunnel_in_use_cannot_be_deleted_but_both_together_can(session: Any) -> None:
    name = "slice/gov.a/zhihui-buji"
    route = [("node:lg-zhihui", "tp:ge-1"), ("node:lg-nanwan", "tp:ge-2")]
    steer = doc.steering("node:lg-zhihui", "node:lg-buji", name)
    service = doc.service("gov.a", [doc.node("node:lg-zhihui", extra=steer)])
    edit(session, doc.services(service), doc.tunnels(doc.tunnel(name, route)))  # in any order: checked at validate
    session.commit()
    gone = doc.tunnels(f'<tunnel nc:operation="delete"><name>{name}</name></tunnel>')
    refused = refusal(session, gone, validate=True)
    assert refused.app_tag == "instance-required"
    assert refused.path.endswith("oc:tunnel")
    edit(session, doc.services(doc.removed("gov.a")))
    session.commit()
    assert read(session, "tunnel/name") == []


@pytest.mark.parametrize(
    ("hops", "says"),
    [
        ([("node:lg-zhihui", "tp:ge-77")], "leads to no node"),
        ([("node:lg-nanwan", "tp:ge-2")], "the route is at node:lg-zhihui"),
        ([("node:lg-zhihui", "tp:ge-1")], "ends at node:lg-nanwan"),
        ([("node:lg-zhihui", "tp:ge-1"), ("node:lg-nowhere", "tp:ge-1")], "no node of this domain"),
    ],
)
def test_a_route_that_no_cable_follows_is_refused(session: Any, hops: list[tuple[str, str]], says: str) -> None:
    refused = refusal(session, doc.tunnels(doc.tunnel("t", hops)), validate=True)
    assert refused.tag == "invalid-value"
    assert says in refused.message


def test_a_vlan_is_given_once_a_port(session: Any) -> None:
    edit(session, doc.services(doc.small_service("gov.a", 100)))
    session.commit()
    refused = refusal(session, doc.services(doc.small_service("gov.b", 100)), validate=True)
    assert refused.tag == "in-use"
    assert "VLAN 100 is in use on node:lg-buji tp:acc-1 by gov.a.buji" in refused.message
    edit(session, doc.services(doc.removed("gov.a")))  # freed and taken in one change
    session.commit()
    assert read(session, "vpn-service/vpn-id") == ["gov.b"]


@pytest.mark.parametrize(("node", "port"), [("node:lg-buji", "tp:acc-99"), ("node:lg-pingdi", "tp:acc-1")])
def test_unknown_nodes_and_ports_are_refused(session: Any, node: str, port: str) -> None:
    service = doc.service("gov.a", [doc.node(node, [doc.access("x", port, 100)])])
    assert refusal(session, doc.services(service), validate=True).tag == "invalid-value"


def test_a_partition_names_links_of_the_topology(session: Any) -> None:
    link = "link:lg-zhihui.ge-1..lg-nanwan.ge-1"
    edit(session, doc.networks(doc.partition("slice/gov.a", 4001, link)))
    session.commit()
    twice = refusal(session, doc.networks(doc.partition("slice/gov.b", 4001, link)), validate=True)
    assert twice.app_tag == "data-not-unique"
    session.discard_changes()
    unknown = refusal(session, doc.networks(doc.partition("slice/gov.b", 4002, "link:no..where")), validate=True)
    assert unknown.app_tag == "instance-required"


@pytest.mark.parametrize(
    "part",
    [
        doc.networks("<network><network-id>net:city-ip</network-id><node><node-id>node:x</node-id></node></network>"),
        doc.networks("").replace("<networks", '<networks nc:operation="remove"', 1),
        doc.services("").replace("vpn-services>", "vpn-profiles>"),
    ],
)
def test_what_belongs_to_the_device_cannot_be_edited(session: Any, part: str) -> None:
    assert refusal(session, part).tag == "access-denied"


def test_test_only_changes_nothing_and_test_then_set_checks_references(session: Any) -> None:
    good = doc.config(doc.services(doc.small_service("gov.a", 100)))
    session.edit_config(good, target="candidate", test_option="test-only")
    assert read(session, "vpn-service/vpn-id", "candidate") == []
    bad = doc.config(doc.services(doc.small_service("gov.a", 100).replace("plane-default", "none")))
    with pytest.raises(RPCError):
        session.edit_config(bad, target="candidate", test_option="test-then-set")
    assert read(session, "vpn-service/vpn-id", "candidate") == []
    session.edit_config(good, target="candidate", test_option="test-then-set")


def test_alternatives_of_a_choice_replace_each_other(session: Any) -> None:
    edit(session, doc.services(doc.small_service("gov.a", 100)))
    policy = f"<qos-classification-policy>{doc.rule('r')}</qos-classification-policy>"
    edit(session, doc.services(doc.into_access("gov.a", "node:lg-buji", "gov.a.buji", policy)))
    dual = (
        "<qos-classification-policy><rule><id>r</id><ipv6><protocol>6</protocol></ipv6></rule>"
        "</qos-classification-policy>"
    )
    edit(session, doc.services(doc.into_access("gov.a", "node:lg-buji", "gov.a.buji", dual)))
    assert read(session, "rule/ipv6/protocol", "candidate") == ["6"]
    assert read(session, "rule/ipv4/protocol", "candidate") == []


def test_a_subtree_filter_picks_entries_by_content_and_by_key(session: Any) -> None:
    edit(session, doc.services(doc.small_service("gov.a", 100), doc.small_service("gov.b", 101)))
    session.commit()
    wanted = doc.services("<vpn-service><vpn-id>gov.b</vpn-id><vpn-name/></vpn-service>")
    data = session.get_config("running", filter=("subtree", wanted)).data
    assert [e.text for e in data.iter("{*}vpn-id")] == ["gov.b"]
    assert [e.text for e in data.iter("{*}vpn-name")] == ["gov.b"]
    assert not list(data.iter("{*}vpn-nodes"))
    by_content = doc.services("<vpn-service><vpn-name>gov.a</vpn-name><vpn-id/></vpn-service>")
    data = session.get_config("running", filter=("subtree", by_content)).data
    assert [e.text for e in data.iter("{*}vpn-id")] == ["gov.a"]
    nothing = doc.services("<vpn-service><vpn-id>gov.c</vpn-id></vpn-service>")
    assert len(session.get_config("running", filter=("subtree", nothing)).data) == 0


def test_get_adds_state_to_the_topology(session: Any) -> None:
    wanted = doc.networks("<network><network-id>net:city-ip</network-id></network>")
    state = session.get(filter=("subtree", wanted)).data
    assert len(list(state.iter("{*}latitude"))) == 6
    assert {e.text for e in state.iter("{*}oper-status")} == {"up"}
    configured = session.get_config("running", filter=("subtree", wanted)).data
    assert not list(configured.iter("{*}oper-status"))
    assert len(list(configured.iter("{*}link-id"))) == 18  # 7 links both ways, 4 half links
    assert len(list(configured.iter("{*}inter-domain-plug-id"))) == 4


def test_an_unknown_operation_is_not_supported(session: Any) -> None:
    with pytest.raises(RPCError) as refused:
        session.dispatch(to_ele('<reboot xmlns="urn:nobody"/>'))
    assert refused.value.tag == "operation-not-supported"

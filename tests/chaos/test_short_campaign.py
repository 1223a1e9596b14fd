"""A few seeded rounds of the campaign, and proof that its verdict sees what it is there to see."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest

from tests.chaos.campaign import Campaign
from tests.chaos.faults import schedule
from tests.chaos.lit import loose_ends
from tests.chaos.verdict import judge
from tests.chaos.world import World, world
from tests.support.stage import COMMITTED, FAILED, eventually


@pytest.fixture(scope="module")
def torn_city(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world(tmp_path_factory.mktemp("chaos")) as made:
        yield made


def test_a_few_rounds_end_as_reported(torn_city: World) -> None:
    campaign = Campaign(torn_city, "pytest")
    for number in (3, 9):
        verdict = campaign.round(number, length_s=2.0)
        assert verdict, "\n".join(verdict.lines())
    assert campaign.tally.kills >= 4
    assert campaign.tally.clean


def test_what_a_domain_does_wrong_fails_a_change_or_does_not_matter(torn_city: World) -> None:
    client, family = torn_city.stage.client, Campaign(torn_city, "wrong").customers[0].family
    if left := list(client.services()):
        client.delete(*left)

    def ends(name: str) -> int:
        return client.apply(family.document(name, "plane", random.Random(7)))[1].outcome

    for domain in torn_city.city.domains:
        assert torn_city.stutter(domain, True)
    assert ends("plane-0") == COMMITTED  # replies that come twice are heard once
    for domain in torn_city.city.domains:
        torn_city.stutter(domain, False)
    torn_city.fail_commits("district-ip", True)
    assert ends("plane-3") == FAILED
    torn_city.fail_commits("district-ip", False)
    assert torn_city.squat("city-ip")
    _, result = client.apply(family.document("plane-3", "plane", random.Random(7)))
    assert (result.outcome, "in use" in result.message) == (FAILED, True), result.message
    torn_city.evict("city-ip", 10.0)
    assert ends("plane-3") == COMMITTED
    assert not any(client.differences().values())


def test_the_daemon_stands_still_right_after_a_decision(torn_city: World) -> None:
    torn_city.kill_daemon()
    torn_city.start_daemon(wait=True, stop_at="decided:1")
    document = Campaign(torn_city, "still").customers[1].family.document("plane-0", "plane", random.Random(7))
    change = torn_city.stage.client.begin(document)
    eventually(torn_city.daemon_stopped)
    torn_city.proxies.cut("city-ip")
    torn_city.let_go_on()
    assert torn_city.stage.client.ended(change)[1].outcome == COMMITTED
    assert not any(torn_city.stage.client.differences().values())


def test_the_verdict_sees_what_is_torn_and_what_is_lost(torn_city: World) -> None:
    campaign = Campaign(torn_city, "verdict")
    left = list(torn_city.stage.client.services())
    if left:
        torn_city.stage.client.delete(*left)
    record, family = campaign.customers[0].record, campaign.customers[0].family
    document = family.document("timeslot-1", "timeslot", random.Random(1))
    torn_city.stage.client.apply(document)
    verdict = judge(torn_city, campaign.customers, restart=False)
    assert "torn: t0/timeslot-1 is there and was not reported committed" in verdict.lines()
    assert "torn: circuits of t0.timeslot-1 stand without it" in verdict.lines()
    record.standing = {"t0/timeslot-1": document, "t0/plane-0": family.document("plane-0", "plane", random.Random(1))}
    verdict = judge(torn_city, campaign.customers, restart=False)
    assert verdict.lines() == [
        "lost: t0/plane-0 was reported committed and is not there",
        "lost: t0.plane-0 runs on no IP domain",
    ]
    record.standing = {"t0/timeslot-1": document.replace("10.11.", "10.99.")}
    verdict = judge(torn_city, campaign.customers, restart=False)
    assert verdict.lines() == ["lost: t0/timeslot-1 is not as it was reported committed"]


def test_a_seed_says_what_happens() -> None:
    domains = ("city-ip", "city-otn")
    assert schedule("a/1", domains) == schedule("a/1", domains)
    assert schedule("a/1", domains) != schedule("a/2", domains)


_THERE, _BACK = "link:lg-buji.otn-1..lg-zhihui.otn-1", "link:lg-zhihui.otn-1..lg-buji.otn-1"
_OWN = "link:lg-buji.ge-1..lg-nanwan.ge-2"
_LIGHT = "link/lg-buji.otn-1..lg-zhihui.otn-1"


def _running(links: tuple[str, ...], hops: tuple[str, ...]) -> str:
    """The links and a tunnel over ports, as `tp:otn-1` of lg-buji."""
    topology, te = "urn:ietf:params:xml:ns:yang:ietf-network-topology", "urn:ietf:params:xml:ns:yang:ietf-te"

    def source(link: str) -> str:
        node, port = link.removeprefix("link:").partition("..")[0].split(".")
        return f"<source><source-node>node:{node}</source-node><source-tp>tp:{port}</source-tp></source>"

    entries = "".join(f"<link><link-id>{link}</link-id>{source(link)}</link>" for link in links)
    route = "".join(
        f"<unnumbered-link-hop><link-tp-id-uri>tp:{h}</link-tp-id-uri><node-id-uri>node:lg-buji</node-id-uri>"
        "</unnumbered-link-hop>"
        for h in hops
    )
    return f'<data><network xmlns="{topology}">{entries}</network><te xmlns="{te}">{route}</te></data>'


@pytest.mark.parametrize(
    ("links", "hops", "circuits", "says"),
    [
        ((_THERE, _BACK, _OWN), ("otn-1",), (_LIGHT, "t0.timeslot-1/a-b"), []),
        ((_OWN,), ("ge-1",), (), []),
        ((_OWN,), (), (_LIGHT,), [f"circuit {_LIGHT} lights no link"]),
        ((_THERE,), ("otn-1",), (_LIGHT,), [f"d: {_THERE} has no other direction"]),
        (
            (_THERE, _BACK), ("otn-1",), (),
            [f"d: {_THERE} has no light under it", f"d: {_BACK} has no light under it"],
        ),
        (
            (_THERE, _BACK), (), (_LIGHT,),
            [f"d: {_THERE} stands and nobody rides on it", f"d: {_BACK} stands and nobody rides on it"],
        ),
        ((_OWN,), ("otn-1",), (), ["d: a tunnel leaves node:lg-buji by tp:otn-1, where no link is"]),
    ],
    ids=["whole", "none", "light alone", "one direction", "dark", "leaked", "into nothing"],
)  # fmt: skip
def test_the_verdict_sees_each_part_of_a_lit_link_that_stands_alone(
    links: tuple[str, ...], hops: tuple[str, ...], circuits: tuple[str, ...], says: list[str]
) -> None:
    assert loose_ends({"d": _running(links, hops)}, circuits) == says

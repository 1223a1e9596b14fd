"""A fibre that is cut while its domain says nothing of it is found from the links over it, as one cause."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.assurance.causes import Cause, causes
from controller.assurance.components import closure
from controller.assurance.incidents import Incidents
from controller.loop.kept_incidents import kept, remembered
from controller.network.model import CityMap
from tests.support.cities import city_map, topologies

CITY = city_map("longgang")
ROUTES = {
    c.id: c.route for t in topologies("longgang") for c in t.circuits if c.layer == "wavelength" and not c.protect_route
}
LINKS = {k.id: k for k in CITY.links}
OVER = {
    fibre: {k.id for k in CITY.links if fibre in ROUTES.get(k.circuit or "", ())}  # both directions
    for fibre in sorted(CITY.fibres)
}
SHARED = [f for f, links in OVER.items() if len(links) >= 4]
ALONE = [f for f, links in OVER.items() if len(links) == 2]
RINGS = ("f-pinghu-zhihui", "f-henggang-zhihui")  # no other fibre is under the same links
FIBRE = RINGS[0]


def _silently(*fibres: str) -> frozenset[str]:
    """What is said to be down when these are cut and only routers tell."""
    return frozenset(c for c in closure(CITY, {f"fibre:{f}" for f in fibres}, ROUTES) if c.startswith("link:"))


def _truth(fibre: str) -> Cause:
    (cause,) = causes(CITY, ROUTES, closure(CITY, {f"fibre:{fibre}"}, ROUTES))
    return cause


def _guess(fibre: str) -> Cause:
    (cause,) = causes(CITY, ROUTES, _silently(fibre))
    return cause


@pytest.mark.parametrize("fibre", SHARED)
def test_a_cut_that_nobody_tells_is_one_cause_that_is_under_all_the_links(fibre: str) -> None:
    found = _guess(fibre)
    assert found.kind == "fibre"
    assert OVER[found.root[6:]] == OVER[fibre]
    assert found.root == f"fibre:{fibre}" or f" or {fibre} must be cut" in found.title
    assert "must be cut, though city-otn tells that all is well" in found.title
    assert found.evidence == {f"link:{i}" for i in OVER[fibre]} <= found.members


def test_some_fibres_are_under_several_links_and_some_under_one() -> None:
    assert len(SHARED) >= 4
    assert set(RINGS) <= set(SHARED)
    assert ALONE


@pytest.mark.parametrize("fibre", ALONE)
def test_a_fibre_under_one_link_is_named_with_the_cards_of_that_link(fibre: str) -> None:
    (found,) = causes(CITY, ROUTES, _silently(fibre))
    assert (found.kind, found.evidence) == ("link", frozenset())
    assert found.title.endswith(f": its own cards, or fibre {fibre}")


def test_why_the_domain_does_not_say_so_is_told_and_what_ails_it_is_a_cause_of_its_own() -> None:
    silent = causes(CITY, ROUTES, _silently(FIBRE), silent={"city-otn": ""})
    lost = causes(CITY, ROUTES, _silently(FIBRE), lost={"city-otn": "connection refused"})
    assert [c.root for c in silent] == [f"fibre:{FIBRE}", "telemetry:city-otn"]
    assert [c.root for c in lost] == [f"fibre:{FIBRE}", "controller:city-otn"]
    assert "though city-otn is silent" in silent[0].title
    assert "though city-otn, which cannot be reached, does not say so" in lost[0].title


def test_one_link_that_is_up_acquits_a_fibre_unless_nobody_would_tell_that_it_is_down() -> None:
    inside = next(k for k in CITY.links if k.domain == "compute-ip")
    there = replace(inside, id="x", reverse="y", circuit="wl-x")
    back = replace(inside, id="y", reverse="x", circuit="wl-x")
    city, routes, down = replace(CITY, links=(*CITY.links, there, back)), {**ROUTES, "wl-x": (FIBRE,)}, _silently(FIBRE)
    assert {c.kind for c in causes(city, routes, down)} == {"link"}
    assert {c.kind for c in causes(city, routes, down, silent={"city-ip": ""})} == {"link", "telemetry"}
    assert {c.kind for c in causes(city, routes, down, silent={"compute-ip": ""})} == {"fibre", "telemetry"}
    assert {c.kind for c in causes(city, routes, down, lost={"compute-ip": ""})} == {"fibre", "controller"}


def test_circuits_that_are_told_dark_explain_their_links_by_themselves() -> None:
    dark = {f"circuit:{LINKS[i].circuit}" for i in OVER[FIBRE]}
    assert {c.kind for c in causes(CITY, ROUTES, _silently(FIBRE) | dark)} == {"circuit"}


def _with_duct(city: CityMap, *fibres: str) -> CityMap:
    shared = {f: replace(city.fibres[f], srlgs=city.fibres[f].srlgs | {77}) for f in fibres}
    return replace(city, fibres={**city.fibres, **shared}, srlg_names={**city.srlg_names, 77: "D77"})


def test_fibres_of_one_duct_that_go_together_are_the_duct() -> None:
    city = _with_duct(CITY, *RINGS)
    (found,) = causes(city, ROUTES, _silently(*RINGS))
    assert (found.root, found.kind) == ("srlg:77", "duct")
    assert found.title.startswith(f"duct D77 ({', '.join(sorted(RINGS))}) must be cut, though city-otn tells")
    assert {c.root for c in causes(CITY, ROUTES, _silently(*RINGS))} == {f"fibre:{f}" for f in RINGS}
    assert [c.root for c in causes(city, ROUTES, _silently(FIBRE))] == [f"fibre:{FIBRE}"], "the other one is lit"


@settings(max_examples=100, deadline=None)
@given(st.sets(st.sampled_from(sorted(LINKS))), st.booleans())
def test_no_inferred_fibre_carries_a_link_that_is_up_and_every_link_is_explained_once(
    dark: set[str], shared: bool
) -> None:
    city = _with_duct(CITY, *SHARED[:2]) if shared else CITY
    down = frozenset(f"link:{way}" for i in dark for way in (i, LINKS[i].reverse))
    found = causes(city, ROUTES, down)
    assert found == causes(city, ROUTES, frozenset(sorted(down, reverse=True)))
    evidence: Set[str] = set()
    for cause in found:
        if cause.evidence:
            assert len(cause.evidence) >= 4, "two links at least, both ways"
            assert cause.evidence <= down
            assert evidence.isdisjoint(cause.evidence)
            evidence |= cause.evidence
            for fibre in (m[6:] for m in cause.members if m.startswith("fibre:")):
                assert {f"link:{i}" for i in OVER[fibre]} <= down
    assert down <= frozenset().union(*(c.members for c in found))
    assert len({c.root for c in found}) == len(found)


class _Story:
    """Incidents over seconds of a made-up clock; services are called after what they ride."""

    def __init__(self) -> None:
        self.incidents, self.now = Incidents(lambda n: f"i{n}"), 0.0

    def after(self, seconds: float, *found: Cause) -> None:
        self.now += seconds
        self.incidents.update(found, lambda parts: (set(parts), set()), 1e9 + self.now, self.now)

    @property
    def open(self) -> list[tuple[str, str]]:
        return [(i.id, i.root) for i in self.incidents.open]


def test_when_the_domain_tells_the_truth_again_the_incident_goes_on_and_says_what_is_known_now() -> None:
    story, guess, truth = _Story(), _guess(FIBRE), _truth(FIBRE)
    story.after(0.0, guess)
    story.after(5.0, guess)
    assert story.open == [("i1", f"fibre:{FIBRE}")]
    story.after(1.0, truth)
    story.after(60.0, truth)
    (one,) = story.incidents.open
    assert (one.id, one.title) == ("i1", truth.title)
    assert f"known now: {truth.title}" in [e.text for e in one.timeline]
    story.after(0.1, guess)  # it is spliced, and told to be up a moment before its links
    (one,) = story.incidents.open
    assert (one.title, one.evidence) == (truth.title, frozenset())
    story.after(1.0)
    story.after(6.0)
    assert [i.id for i in story.incidents.closed] == ["i1"]


def test_where_another_fibre_under_the_same_links_was_the_one_the_incident_goes_on_with_that_root() -> None:
    story, fibre = _Story(), "f-zhihui-longcheng"
    guess, truth = _guess(fibre), _truth(fibre)
    assert guess.root == "fibre:f-longcheng-longgang"
    story.after(0.0, guess)
    story.after(5.0, guess)
    story.after(1.0, truth)
    assert story.open == [("i1", f"fibre:{fibre}")]
    (one,) = story.incidents.open
    assert guess.root not in one.members
    story.after(1.0)
    story.after(6.0)
    assert [i.id for i in story.incidents.closed] == ["i1"]


def test_whom_a_fibre_would_concern_that_is_only_guessed_is_not_told_in_the_first_moment() -> None:
    story, fibre = _Story(), "f-zhihui-longcheng"
    guess, truth = _guess(fibre), _truth(fibre)
    story.after(0.0, guess)
    story.after(0.1, truth)
    story.after(1.5, truth)
    (one,) = story.incidents.open
    assert one.root == truth.root
    assert guess.root not in one.services


@pytest.mark.parametrize("fibre", SHARED)
def test_links_that_come_back_one_by_one_end_the_one_incident(fibre: str) -> None:
    story, down = _Story(), set(_silently(fibre))
    for link in sorted(down):
        story.after(0.02, *causes(CITY, ROUTES, {c for c in down if c <= link}))
    story.after(3.0, *causes(CITY, ROUTES, down))
    (root,) = {i.root for i in story.incidents.open}
    for link in sorted(down):
        down.discard(link)
        story.after(0.3, *causes(CITY, ROUTES, down))
        assert [i.root for i in story.incidents.open] == [root]
    story.after(6.0)
    assert [i.root for i in story.incidents.closed] == [root]
    assert len(story.incidents.closed) == 1


def test_a_guess_outlives_the_daemon_and_is_still_one() -> None:
    story, guess, truth = _Story(), _guess(FIBRE), _truth(FIBRE)
    story.after(0.0, guess)
    story.after(2.0, guess)
    again = _Story()
    again.incidents.resume(remembered([kept(i, 1e9) for i in story.incidents.open], again.now), again.now)
    again.after(1.0, guess)
    assert again.incidents.open[0].evidence == guess.evidence
    again.after(1.0, truth)
    assert [(i.id, i.title) for i in again.incidents.open] == [("i1", truth.title)]

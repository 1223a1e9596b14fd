"""One cause, one incident, with its true root, opened and closed by itself."""

from __future__ import annotations

from collections.abc import Iterable, Set

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.assurance.causes import Cause, Quality, causes, impaired
from controller.assurance.components import closure
from controller.assurance.incidents import Incidents
from controller.loop.kept_incidents import kept, remembered
from tests.support.cities import city_map, topologies

CITY = city_map("longgang")
ROUTES = {c.id: c.route for t in topologies("longgang") for c in t.circuits}


def _nobody(_: Set[str]) -> tuple[Set[str], Set[str]]:
    return set(), set()


def _seen(root: str) -> frozenset[str]:
    """What streams say after one thing failed: all that it takes along, circuits too."""
    members = closure(CITY, {root}, ROUTES)
    dark = {c[6:] for c in members if c.startswith("fibre:")}
    return members | {f"circuit:{c}" for c, fibres in ROUTES.items() if dark & set(fibres)}


FIBRES = [f"fibre:{f}" for f in CITY.fibres]
NODES = [f"node:{n}" for n in CITY.nodes]


@pytest.mark.parametrize("root", FIBRES + NODES)
def test_a_single_failure_has_one_cause_and_it_is_the_true_one(root: str) -> None:
    assert [c.root for c in causes(CITY, ROUTES, _seen(root))] == [root]


@pytest.mark.parametrize("node", [n for n in NODES if n.startswith("node:node:")])
def test_a_router_that_dies_without_a_word_is_found_by_the_silence_around_it(node: str) -> None:
    links = {c for c in closure(CITY, {node}, ROUTES) if c.startswith("link:")}
    if len(links) >= 4:
        assert node in [c.root for c in causes(CITY, ROUTES, links)]


def test_a_link_that_fails_alone_is_its_own_cause() -> None:
    link = min(k.id for k in CITY.links)
    (found,) = causes(CITY, ROUTES, {f"link:{link}"})
    assert found.kind == "link"


def test_a_controller_out_of_reach_explains_its_silence() -> None:
    (found,) = causes(CITY, ROUTES, frozenset(), {"city-ip": "no answer"}, {"city-ip": ""})
    assert found.root == "controller:city-ip"


@settings(max_examples=60, deadline=None)
@given(st.sets(st.sampled_from(FIBRES), min_size=1, max_size=3))
def test_several_cuts_are_as_many_causes_whatever_they_share(cut: set[str]) -> None:
    seen = frozenset().union(*(_seen(f) for f in cut))
    assert {c.root for c in causes(CITY, ROUTES, seen)} == cut


def _quality(fibre: str, loss: float = 0.01) -> dict[str, Quality]:
    worn = {k.id for k in CITY.links if fibre in ROUTES.get(k.circuit or "", ())}
    return {k.id: Quality(k.delay_s, loss if k.id in worn else 0.0, 0.1) for k in CITY.links}


@pytest.mark.parametrize("fibre", [f for f in CITY.fibres if any(f in r for c, r in ROUTES.items())])
def test_a_worn_fibre_is_found_from_the_links_over_it(fibre: str) -> None:
    quality = _quality(fibre)
    found = impaired(CITY, ROUTES, quality)
    if not any(q.loss_ratio for q in quality.values()):
        assert found == ()
        return
    over = {k.id for k in CITY.links if quality[k.id].loss_ratio}
    assert len(found) == 1
    blamed = found[0].root.removeprefix("fibre:")
    assert {k.id for k in CITY.links if blamed in ROUTES.get(k.circuit or "", ())} == over  # or one just like it


def test_a_full_link_is_crowded_not_broken() -> None:
    link = CITY.links[0]
    (found,) = impaired(CITY, ROUTES, {link.id: Quality(link.delay_s, 0.02, 0.99)})
    assert found.kind == "congested"


_STEADY = {k.id: Quality(k.delay_s, 0.0, 0.1, k.jitter_s) for k in CITY.links}  # as planned
_WORN = "f-nanwan-buji"
_OVER = [k for k in CITY.links if _WORN in ROUTES.get(k.circuit or "", ())]


@pytest.mark.parametrize(
    ("loss", "more_delay_s", "more_jitter_s", "said"),
    [
        (0.0, 0.0, 0.0, None),
        (0.0, 0.0, 99e-6, None),
        (0.0, 0.0, 101e-6, "varies in delay"),
        (0.0, 400e-6, 499e-6, None),  # a queue: 400 µs late, and 400 µs of the variation are that
        (0.0, 400e-6, 501e-6, "varies in delay"),
        (0.0, 20e-3, 599e-6, "delays"),  # of what is later than any bound 500 µs explain variation
        (0.0, 20e-3, 601e-6, "delays and varies in delay"),
        (0.01, 0.0, 0.0, "loses"),
        (0.01, 0.0, 2e-3, "loses and varies in delay"),
        (0.01, 5e-3, 2e-3, "loses, delays and varies in delay"),
    ],
)
def test_a_worn_fibre_is_said_to_do_what_its_links_do(
    loss: float, more_delay_s: float, more_jitter_s: float, said: str | None
) -> None:
    worn = {k.id: Quality(k.delay_s + more_delay_s, loss, 0.1, k.jitter_s + more_jitter_s) for k in _OVER}
    found = impaired(CITY, ROUTES, {**_STEADY, **worn})
    assert [c.title for c in found] == ([] if said is None else [f"fibre {_WORN} {said} more than it should"])
    assert all(c.kind == "degraded" and c.felt and c.members == {f"fibre:{_WORN}", *_links(worn)} for c in found)


def _links(names: Iterable[str]) -> set[str]:
    return {f"link:{name}" for name in names}


def test_jitter_is_judged_where_it_alone_is_measured_and_nowhere_else() -> None:
    (found,) = impaired(CITY, ROUTES, {k.id: Quality(None, None, None, 1e-3) for k in _OVER})
    assert found.title == f"fibre {_WORN} varies in delay more than it should"
    assert impaired(CITY, ROUTES, {k.id: Quality(k.delay_s, 0.0, 0.1, None) for k in _OVER}) == ()


def test_one_steady_link_over_a_fibre_acquits_it_of_what_another_varies_by() -> None:
    link = _OVER[0]
    other = next(k for k in CITY.links if k.circuit and k not in _OVER)
    several = {**ROUTES, other.circuit or "": (*ROUTES[other.circuit or ""], _WORN)}
    unsteady = {i: Quality(_STEADY[i].delay_s, 0.0, 0.1, 1e-3) for i in (link.id, link.reverse)}
    (found,) = impaired(CITY, several, {**_STEADY, **unsteady})
    assert found.title.startswith("link ")
    assert found.title.endswith(" varies in delay more than it should")
    assert found.members == _links((link.id, link.reverse))


def test_a_full_link_that_varies_is_crowded_not_broken() -> None:
    link = CITY.links[0]
    (found,) = impaired(CITY, ROUTES, {link.id: Quality(link.delay_s + 20e-3, 0.0, 0.96, 20e-3)})
    assert found.kind == "congested"
    assert found.title.endswith(" is full")


class _Story:
    """Incidents over seconds of a made-up clock."""

    def __init__(self) -> None:
        self.incidents, self.now = Incidents(lambda n: f"i{n}"), 0.0

    def after(self, seconds: float, *found: Cause) -> list[str]:
        self.now += seconds
        return [i.id for i in self.incidents.update(found, _nobody, 1e9 + self.now, self.now)]


def _cause(root: str) -> Cause:
    return causes(CITY, ROUTES, _seen(root))[0]


def test_the_root_moves_down_before_anybody_is_told() -> None:
    story, fibre = _Story(), _cause("fibre:f-nanwan-buji")
    link = next(c for c in fibre.members if c.startswith("link:"))
    early = causes(CITY, ROUTES, {link})
    assert story.after(0.0, *early) == []
    assert story.after(0.01, fibre) == []
    assert story.after(1.0, fibre) == ["i1"]
    assert [(i.root, i.kind) for i in story.incidents.open] == [("fibre:f-nanwan-buji", "fibre")]


def test_a_router_guessed_dead_gives_way_to_the_optical_node_that_is() -> None:
    story, true = _Story(), _cause("node:otn-baolong")
    links = {c for c in true.members if c.startswith("link:") and "lg-baolong" in c}
    story.after(0.0, *causes(CITY, ROUTES, links))
    assert [i.root for i in story.incidents.open] == ["node:node:lg-baolong"]
    story.after(0.05, true)
    assert [i.root for i in story.incidents.open] == ["node:otn-baolong"]


def test_an_alarm_that_nothing_explains_is_not_taken_for_what_another_fault_was_guessed_from() -> None:
    """It explains itself alone: of what it has beside its root, which is nothing, everything could be the cause."""
    story, node, circuit = _Story(), "node:node:lg-baolong", f"circuit:{min(ROUTES)}"
    fan = Cause(node, "alarm", "its fan complains", frozenset({node}))
    astray = Cause(circuit, "degraded", "it runs another way", frozenset({circuit}))
    story.after(0.0, fan)
    story.after(0.5, fan, astray)  # before anybody was told of the first, and told at once of the other
    story.after(0.5, astray)
    story.after(1.0, fan, astray)
    assert sorted(i.root for i in story.incidents.open if i.told) == sorted((node, circuit))
    assert all(i.members == {i.root} for i in story.incidents.open)


@pytest.mark.parametrize("fibre", FIBRES)
def test_links_that_are_told_before_and_after_their_fibre_are_no_incidents_of_their_own(fibre: str) -> None:
    story, true = _Story(), _cause(fibre)
    alone = causes(CITY, ROUTES, {c for c in true.members if c.startswith("link:")})
    told = story.after(0.0, *alone) + story.after(0.01, true) + story.after(1.5, true)
    told += story.after(0.5, *alone) + story.after(0.01) + story.after(3.0) + story.after(3.0)
    assert len(set(told)) == 1
    assert [i.root for i in story.incidents.closed] == [fibre]


def test_a_timeline_that_is_full_keeps_its_begin_and_its_end() -> None:
    story, cause = _Story(), _cause("fibre:f-nanwan-buji")
    story.after(0.0, cause)
    story.after(1.5, cause)
    for n in range(300):
        story.after(1.0, cause)
        story.incidents.note(cause.members, f"alarm {n}", 1e9 + story.now)
    assert len(story.incidents.open[0].timeline) <= 200
    story.after(1.0)
    story.after(6.0)
    (over,) = story.incidents.closed
    texts = [e.text for e in over.timeline]
    assert (texts[0], texts[-2:]) == (cause.title, ["its cause is gone", "closed"])
    assert sum("left out" in text for text in texts) == 1
    assert [e.at for e in over.timeline] == sorted(e.at for e in over.timeline)


def test_what_bounces_is_told_in_two_lines_that_count_and_are_in_order() -> None:
    story, cause = _Story(), _cause("fibre:f-nanwan-buji")
    story.after(0.0, cause)
    for _ in range(6):
        story.incidents.note(cause.members, "alarm raised", 1e9 + story.now)
        story.after(0.3, cause)
        story.incidents.note(cause.members, "alarm cleared", 1e9 + story.now)
        story.after(0.3, cause)
    texts = [e.text for e in story.incidents.open[0].timeline]
    assert texts == [
        cause.title,
        "alarm raised (6 times since 01:46:40)",
        "alarm cleared (6 times since 01:46:40)",
    ]
    story.after(100.0, cause)
    story.incidents.note(cause.members, "alarm raised", 1e9 + story.now)
    assert story.incidents.open[0].timeline[-1].text == "alarm raised", "that is another time"


def test_no_incident_ends_before_it_began_though_our_own_clock_is_set_back() -> None:
    story, cause = _Story(), _cause("fibre:f-nanwan-buji")
    story.after(0.0, cause)
    story.after(1.5, cause)
    nothing: tuple[Cause, ...] = ()
    for pause in (1.0, 6.0):
        story.now += pause
        story.incidents.update(nothing, _nobody, 1e9 + story.now - 3600.0, story.now)
    (over,) = story.incidents.closed
    assert over.closed == over.opened


def test_however_many_end_together_each_is_told() -> None:
    story = _Story()
    many = tuple(Cause(f"circuit:c{n}", "circuit", "dark", frozenset({f"circuit:c{n}"})) for n in range(70))
    story.after(0.0, *many)
    assert len(story.after(1.5, *many)) == 70
    story.after(1.0)
    assert len(story.after(6.0)) == 70
    assert len(story.incidents.closed) == 70


def test_a_fibre_that_was_cut_and_is_now_only_worn_is_no_longer_called_cut() -> None:
    story, cut = _Story(), _cause("fibre:f-nanwan-buji")
    worn = Cause(cut.root, "degraded", "fibre f-nanwan-buji loses or delays more than it should", cut.members)
    story.after(0.0, cut)
    story.after(1.5, cut)
    story.after(1.0, worn)
    (one,) = story.incidents.open
    assert one.kind == "fibre"  # measured while it was cut, perhaps
    for _ in range(6):
        story.after(1.0, worn)
    assert [(i.id, i.kind, i.title) for i in story.incidents.open] == [(one.id, "degraded", worn.title)]
    assert one.timeline[-1].text == f"not as before: {worn.title}"
    story.after(1.0, cut)
    assert one.kind == "fibre"


def test_a_controller_that_answers_again_and_measures_nothing_is_no_longer_called_out_of_reach() -> None:
    story = _Story()
    (lost,) = causes(CITY, ROUTES, frozenset(), {"city-ip": "no answer"})
    (silent,) = causes(CITY, ROUTES, frozenset(), {}, {"city-ip": ""})
    story.after(0.0, lost)
    story.after(2.0, lost)
    for _ in range(8):
        story.after(1.0, silent)
    assert [(i.root, i.title) for i in story.incidents.open] == [(silent.root, silent.title)]


def test_an_incident_closes_by_itself_and_a_bounce_is_the_same_one() -> None:
    story, cause = _Story(), _cause("fibre:f-nanwan-buji")
    story.after(0.0, cause)
    story.after(1.5, cause)
    story.after(0.3)
    story.after(0.3, cause)
    story.after(1.0)
    assert len(story.incidents.open) == 1
    assert story.incidents.open[0].flaps == 1
    assert story.after(6.0) == ["i1"]
    assert not story.incidents.open
    assert [i.closed is not None for i in story.incidents.closed] == [True]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.floats(0.0, 3.0), st.sets(st.sampled_from(FIBRES), max_size=3)), max_size=12))
def test_never_two_open_incidents_with_one_root_and_all_close_when_all_is_well(
    steps: list[tuple[float, set[str]]],
) -> None:
    story = _Story()
    for pause, cut in steps:
        seen = frozenset().union(*(_seen(f) for f in cut))
        story.after(pause, *causes(CITY, ROUTES, seen))
        roots = [i.root for i in story.incidents.open]
        assert len(roots) == len(set(roots))
        assert cut <= set(roots)
    story.after(1.0)
    story.after(6.0)
    assert not story.incidents.open


def _resumed(story: _Story) -> _Story:
    """The same incidents in a daemon that has just been started; its clock begins anew."""
    again = _Story()
    again.now = 5000.0
    every = [kept(i, 1e9) for i in (*story.incidents.closed, *story.incidents.open) if i.told]
    again.incidents.resume(remembered(every, again.now), again.now)
    return again


def test_an_incident_outlives_the_daemon_with_its_story_and_goes_on_while_domains_are_not_heard_yet() -> None:
    story, cause, other = _Story(), _cause("fibre:f-nanwan-buji"), _cause("fibre:f-buji-jihua")
    story.after(0.0, cause, other)
    story.after(1.5, cause, other)
    story.after(1.0, cause)
    story.after(6.0, cause)
    again = _resumed(story)
    assert [kept(i, 0.0) for i in again.incidents.closed] == [kept(i, 0.0) for i in story.incidents.closed]
    assert again.incidents.open[0].timeline == story.incidents.open[0].timeline
    assert again.after(1.0) == ["i2"]  # told again to whoever listens
    again.after(5.0)
    again.after(5.0)
    assert [(i.id, i.flaps) for i in again.incidents.open] == [("i2", 0)]  # nobody was heard yet: it is not gone
    again.after(1.0, cause)
    assert [(i.id, i.flaps) for i in again.incidents.open] == [("i2", 0)]  # the same, not a second one
    again.after(20.0)
    assert again.after(6.0) == ["i2"]
    assert [i.id for i in again.incidents.closed] == ["i1", "i2"]


def _piecewise(story: _Story, pieces: list[str], pauses: list[float]) -> None:
    """Tell of what failed piece by piece, with a look after each, and in the same order that it is well again."""
    down: set[str] = set()
    for piece, pause in zip(pieces, pauses, strict=True):
        down.add(piece)
        story.after(pause, *causes(CITY, ROUTES, down))
    for piece, pause in zip(pieces, pauses, strict=True):
        story.after(pause, *causes(CITY, ROUTES, down))
        down.discard(piece)
    story.after(20.0)
    story.after(6.0)


@settings(max_examples=80, deadline=None)
@given(st.data())
def test_a_cut_told_anew_piece_by_piece_to_a_restarted_daemon_stays_one_incident(data: st.DataObject) -> None:
    fibre = data.draw(st.sampled_from(FIBRES))
    pieces = data.draw(st.permutations(sorted(_seen(fibre))))
    pauses = data.draw(st.lists(st.floats(0.0, 4.0), min_size=len(pieces), max_size=len(pieces)))
    story = _Story()
    story.after(0.0, _cause(fibre))
    story.after(1.5, _cause(fibre))
    again = _resumed(story)
    _piecewise(again, pieces, pauses)
    assert not again.incidents.open
    assert [i.root for i in again.incidents.closed] == [fibre]


@pytest.mark.parametrize("fibre", FIBRES)
def test_circuits_told_dark_before_their_fibre_are_no_incident_of_their_own(fibre: str) -> None:
    story, seen = _Story(), _seen(fibre)
    dark = {c for c in seen if not c.startswith("fibre:")}
    story.after(0.0, *causes(CITY, ROUTES, dark))
    story.after(0.05, _cause(fibre))
    story.after(1.5, _cause(fibre))
    assert [(i.root, i.told) for i in story.incidents.open] == [(fibre, True)]
    story.after(1.0)
    story.after(6.0)
    assert [i.root for i in story.incidents.closed] == [fibre]


def test_a_restored_incident_ends_only_once_its_root_was_told_of_though_others_were() -> None:
    story, cause, other = _Story(), _cause("fibre:f-nanwan-buji"), _cause("fibre:f-buji-jihua")
    story.after(0.0, cause, other)
    story.after(1.5, cause, other)
    again = _resumed(story)
    again.incidents.heard({i.id for i in again.incidents.open if i.root == cause.root})
    again.after(1.0)
    again.after(6.0)
    assert [i.root for i in again.incidents.open] == [other.root]
    again.after(1.0, other)
    assert [(i.root, i.flaps) for i in again.incidents.open] == [(other.root, 0)]
    again.after(1.0)
    again.after(6.0)
    assert not again.incidents.open  # told of in this life: what is gone now is gone


def test_an_incident_whose_cause_went_while_no_daemon_ran_closes_by_itself() -> None:
    story, cause = _Story(), _cause("fibre:f-nanwan-buji")
    story.after(0.0, cause)
    story.after(1.5, cause)
    again = _resumed(story)
    again.incidents.heard({i.id for i in again.incidents.open})
    again.after(1.0)
    again.after(6.0)
    assert not again.incidents.open

"""What the planner gives is what proves: limits, planes A and B and company, over both layers and the borders."""

from __future__ import annotations

from functools import cache

from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from controller.changes.pipeline import Wanted
from controller.intent.model import ExclusiveSlice, Isolation, Protection, ServiceId, Slo
from tests.support.intents import plane, slice_between
from tests.verification.scene import Scene, empty

SITES = ("buji", "zhihui", "jihua", "nanwan", "pinghu", "pingdi", "henggang")
STANDING = (
    plane("office", "buji", "zhihui", "pingdi", "henggang", rate_bps=10**8),
    plane("desk", "nanwan", "pinghu", "jihua", rate_bps=10**8, hub_and_spoke=True),
    slice_between("ring", "buji", "pingdi", 10**8, isolation=Isolation.NRP, protection=Protection.STANDBY),
    slice_between("lit", "bantian", "zhihui", 10**8, isolation=Isolation.TIMESLOT),
)


@cache
def _stage() -> Scene:
    scene, done = empty().after(Wanted(STANDING))
    assert done.proofs.broken == ()
    return scene


@st.composite
def slices(draw: st.DrawFn) -> ExclusiveSlice:
    """Slices with limits around what the city's ways come to: half of them can be placed."""
    a, z = draw(st.lists(st.sampled_from(SITES), min_size=2, max_size=2, unique=True))
    slo = Slo(
        latency_s=draw(st.sampled_from((None, 3e-4, 1e-3, 2e-2))),
        jitter_s=draw(st.sampled_from((None, 3e-7, 2.5e-6, 4e-6, 1e-5))),
        loss_ratio=draw(st.sampled_from((None, 2e-7, 3.5e-7, 1e-6))),
        most_hops=draw(st.sampled_from((None, 2, 3, 5, 8))),
        availability=draw(st.sampled_from((0.99, 0.9995))),
    )
    named = st.sampled_from([(), *((s.metadata.service,) for s in STANDING)])
    return slice_between(
        "drawn", a, z, 10**8, slo=slo, isolation=draw(st.sampled_from((Isolation.NRP, Isolation.TIMESLOT))),
        protection=draw(st.sampled_from(list(Protection))), plane=draw(st.sampled_from((None, None, "A", "B"))),
        diverse_from=draw(named), together_with=draw(named),
    )  # fmt: skip


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(slices())
def test_what_the_planner_gives_within_limits_and_company_proves(wanted: ExclusiveSlice) -> None:
    done = _stage().planned(Wanted((wanted,)))
    event("refused" if done.refusals else "placed")
    if not done.refusals:
        assert done.proofs.broken == (), [str(b) for b in done.proofs.broken]


def test_hops_are_refused_with_words_where_a_part_of_the_way_does_not_exist() -> None:
    """Plane B has no way from buji to the border: what is left of two hops after that is not a number."""
    wanted = slice_between("far", "buji", "pingdi", 10**8, isolation=Isolation.NRP, plane="B", slo=Slo(most_hops=2))
    (refusal,) = _stage().planned(Wanted((wanted,))).refusals
    assert refusal.binds


def test_company_with_a_plane_is_kept_to_its_routed_ways() -> None:
    wanted = slice_between(
        "beside", "buji", "zhihui", 10**8, isolation=Isolation.NRP, protection=Protection.NONE,
        slo=Slo(availability=0.99), together_with=(ServiceId("gov/office"),),
    )  # fmt: skip
    scene, done = _stage().after(Wanted((wanted,)))
    assert done.proofs.broken == ()
    ways = {link for t in scene.model.tunnels_of("gov/beside") for link in t.working}
    assert {hop.node for hop in ways} <= {"node:lg-buji", "node:lg-nanwan", "node:lg-zhihui"}

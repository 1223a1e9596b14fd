"""A city with every kind of service on it, planned and rendered, as verification gets to see it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from controller.changes.pipeline import Planned, Wanted, plan
from controller.changes.state import DesiredState, rebuilt
from controller.intent import Catalogue, read
from controller.intent.model import Boundaries, ExclusiveSlice, Isolation, Protection, Service, ServiceId, Slo
from controller.network.model import CityMap
from controller.rendering.diff import edit
from controller.rendering.tree import Leaf, Tree
from controller.rendering.tree import Path as TreePath
from controller.verification.model import ConfigurationModel
from controller.verification.proof import Proofs
from controller.verification.prove import prove
from tests.support.cities import city_map
from tests.support.intents import plane, slice_between

NOW = datetime(2026, 11, 21, tzinfo=UTC)
INTENTS = Path(__file__).parents[2] / "intents"
PROFILES = frozenset({"plane-default", "slice-committed", "vip"})  # what the lab's routers own
LATE = ("command-dispatch.yaml", "conference.yaml")  # what protects comes after what is protected
Trees = Mapping[str, Tree]

RING = slice_between("ring", "buji", "pingdi", isolation=Isolation.NRP, protection=Protection.STANDBY)
WEST = replace(
    slice_between("west", "buji", "zhihui", isolation=Isolation.NRP),
    boundaries=Boundaries(exclude_regions=frozenset({"east"})),
)
BUDGET = plane(
    "budget", "zhihui", "jihua", "bantian", "pingdi", "baolong", "nanwan", rate_bps=10**8, hub_and_spoke=True
)


def _limited(name: str, *, isolation: Isolation = Isolation.NRP, slo: Slo, **more: Any) -> ExclusiveSlice:
    """A slice from buji to zhihui that keeps just what the short way over nanwan keeps."""
    more.setdefault("protection", Protection.NONE)
    return slice_between(name, "buji", "zhihui", 10**8, isolation=isolation, slo=slo, **more)


_OFTEN = Slo(availability=0.99)
LIMITED = (
    _limited("steady", slo=replace(_OFTEN, jitter_s=3e-6)),
    _limited("clean", slo=replace(_OFTEN, loss_ratio=2.5e-7)),
    _limited("brisk", slo=replace(_OFTEN, most_hops=2)),
    _limited("beside", slo=_OFTEN, together_with=(WEST.metadata.service,)),
    _limited("planar", slo=_OFTEN, plane="A"),
    _limited("guarded", slo=replace(_OFTEN, most_hops=3), protection=Protection.STANDBY),
    _limited("switched", slo=replace(_OFTEN, most_hops=2), isolation=Isolation.TIMESLOT),
    _limited("unshaken", slo=replace(_OFTEN, jitter_s=2.5e-7), isolation=Isolation.TIMESLOT),
    _limited("along", slo=_OFTEN, isolation=Isolation.TIMESLOT, together_with=(ServiceId("gov/switched"),)),
)


@cache
def longgang() -> CityMap:
    """Longgang with the profiles that its routers own in the lab."""
    city = city_map("longgang")
    domains = {n: replace(d, qos_profiles=PROFILES if d.asn else frozenset()) for n, d in city.domains.items()}
    return replace(city, domains=domains)


def scenario(*names: str) -> tuple[Service, ...]:
    """Return the services of intent files, what is protected first."""
    files = sorted(names, key=lambda n: (n in LATE, n))
    texts = [(n, (INTENTS / n).read_text()) for n in files]
    return tuple(read(texts, NOW, Catalogue(frozenset(longgang().sites))))


def scenarios(*, without: Iterable[str] = ()) -> tuple[Service, ...]:
    return scenario(*(p.name for p in INTENTS.glob("*.yaml") if p.name not in without))


@dataclass(frozen=True)
class Scene:
    """What stands, how it is configured, and what it was meant to be."""

    city: CityMap
    state: DesiredState
    model: ConfigurationModel

    @property
    def trees(self) -> dict[str, Tree]:
        return {d: self.state.desired.tree(d) for d in self.state.desired.domains}

    @property
    def intents(self) -> dict[ServiceId, Service]:
        return {sid: s.service for sid, s in self.state.services.items() if s.active}

    def planned(self, wanted: Wanted) -> Planned:
        return plan(self.state, self.model, self.city, wanted, NOW)

    def after(self, wanted: Wanted) -> tuple[Scene, Planned]:
        done = self.planned(wanted)
        assert not done.refusals, done.refusals
        return Scene(self.city, done.after, done.model), done

    def in_full(self) -> Proofs:
        """Prove everything that stands, from the whole trees."""
        return prove(ConfigurationModel.build(self.trees), self.city, self.intents, self.intents)

    def with_trees(self, trees: Trees) -> Proofs:
        """Prove the change from what stands to other trees, as a change of these trees would be proven."""
        edits = [e for d in trees if (e := edit(d, self.trees.get(d, {}), trees[d])).operations]
        return prove(self.model.updated(trees, edits), self.city, self.intents, ())


def empty() -> Scene:
    return Scene(longgang(), rebuilt({}, longgang()), ConfigurationModel())


@cache
def standing() -> Scene:
    """All scenarios but the plane of 1,301 sites, which a small one of its kind stands for; and partitions."""
    scene = empty()
    everything = (*scenarios(without=("finance.yaml",)), RING, WEST, BUDGET, *LIMITED)
    vips_last = sorted(everything, key=lambda s: s.kind == "VipAssurance")
    scene, done = scene.after(Wanted(tuple(vips_last)))
    assert not done.proofs.broken, [str(b) for b in done.proofs.broken]
    return scene


def changed(trees: Trees, domain: str, path: TreePath, value: Tree | Leaf | None) -> dict[str, Tree]:
    """Return trees with another value at one place of one domain; None takes it away."""
    return {**trees, domain: _with(trees[domain], path, value)}


def _with(tree: Tree, path: TreePath, value: Tree | Leaf | None) -> Tree:
    out = dict(tree)
    if len(path) > 1:
        below = out.get(path[0], {})
        assert isinstance(below, dict)
        out[path[0]] = _with(below, path[1:], value)
    elif value is None:
        assert path[0] in out, path
        del out[path[0]]
    else:
        out[path[0]] = value
    return out

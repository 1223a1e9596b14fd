"""A map read while a transaction of ours was open tells what it held, and not whose it is: ours is ours anyway."""

from __future__ import annotations

from dataclasses import replace

import pytest

from controller.changes.pipeline import Wanted, plan
from controller.changes.views import Action
from controller.intent.model import ExclusiveSlice
from controller.network.model import CityMap
from controller.planning.placement import CircuitPlacement
from controller.verification.prove import prove
from tests.verification.scene import NOW, Scene, empty, scenario


def _standing() -> Scene:
    return empty().after(Wanted(scenario("natural-resources.yaml")))[0]


def _circuit(scene: Scene) -> CircuitPlacement:
    ((circuit,),) = (s.placement.circuits for s in scene.state.services.values())
    return circuit


def _in_flight(city: CityMap, circuit: CircuitPlacement) -> CityMap:
    """Return the map as it is read between prepare and commit: all is taken, and by no circuit that is there."""
    legs = [leg for leg in (circuit.working, circuit.protect) if leg is not None]
    held: dict[str, set[int]] = {}
    for leg in legs:
        for hop, slots in zip(leg.route, leg.slots, strict=True):
            held.setdefault(hop, set()).update(slots)
    odu_links = {
        name: replace(odu, occupied=odu.occupied | held.get(name, set())) for name, odu in city.odu_links.items()
    }
    ends = (circuit.a, circuit.z)
    ports = {ref: replace(p, used_by=circuit.id) if ref in ends else p for ref, p in city.ports.items()}
    return replace(city, odu_links=odu_links, ports=ports)


@pytest.mark.parametrize("rate_bps", [5 * 10**9, 6 * 10**9])
def test_what_stands_is_changed_though_its_labels_and_ports_seem_to_be_somebody_else_s(rate_bps: int) -> None:
    scene = _standing()
    city = _in_flight(scene.city, _circuit(scene))
    (service,) = scenario("natural-resources.yaml")
    assert isinstance(service, ExclusiveSlice)
    asked = replace(service, demands=tuple(replace(d, rate_bps=rate_bps) for d in service.demands))
    done = plan(scene.state, scene.model, city, Wanted((asked,)), NOW)
    assert not done.refusals, done.refusals
    assert not done.proofs.broken, [str(b) for b in done.proofs.broken]
    (now,) = (s.placement.circuits[0] for s in done.after.services.values())
    assert (now.a, now.z) == (_circuit(scene).a, _circuit(scene).z)
    if asked == service:
        assert {p.action for p in done.plans} == {Action.UNCHANGED}


def test_what_is_new_takes_nothing_that_somebody_has() -> None:
    scene = _standing()
    city = _in_flight(scene.city, _circuit(scene))
    done = plan(empty().state, empty().model, scene.city, Wanted(scenario("natural-resources.yaml")), NOW)
    proofs = prove(done.model, city, {s: p.service for s, p in done.after.services.items()}, done.puts)
    assert any("unknown to us" in str(b) for b in proofs.broken)

"""What a domain's own network holds beside the links that we wrote into it is none of our business."""

from __future__ import annotations

from controller.changes.views import Whose
from controller.drift.compare import deviations
from controller.intent.model import ServiceId
from controller.network.model import PortRef
from controller.planning.placement import CircuitPlacement, Leg, LitLink
from controller.rendering.desired import Desired
from controller.rendering.lit import link_fragment
from controller.rendering.merge import merge
from tests.support.cities import city_map

DOMAIN = city_map("longgang").domains["city-ip"]
FIRST = ServiceId("gov/first")


def _lit(number: int) -> LitLink:
    a, z = PortRef("node:lg-buji", f"tp:otn-{number}"), PortRef("node:lg-nanwan", f"tp:otn-{number}")
    clients = PortRef("otn-buji", f"otn-buji/c{number}"), PortRef("otn-nanwan", f"otn-nanwan/c{number}")
    light = CircuitPlacement(
        f"link/{number}", "city-otn", *clients, 0, 0, "wavelength", 10**11, "ODU4", "100G QPSK SC-FEC",
        Leg(("f-nanwan-buji",), number, (), 5e-5), None,
    )  # fmt: skip
    names = (f"link:lg-buji.otn-{number}..lg-nanwan.otn-{number}", f"link:lg-nanwan.otn-{number}..lg-buji.otn-{number}")
    return LitLink(*names, "city-ip", a, z, 10**11, 5e-5, (1002,), light, 31.0)


def test_a_link_that_is_lost_is_ours_and_one_of_somebody_else_is_beside_it() -> None:
    ours, foreign = link_fragment(_lit(1), DOMAIN), link_fragment(_lit(2), DOMAIN)
    desired = Desired().with_changes({FIRST: {"city-ip": ours}})
    lost = deviations("city-ip", {}, desired.tree("city-ip"), desired)
    assert [(d.whose, d.owners) for d in lost] == [(Whose.OURS, (FIRST,))] * 2
    beside = deviations("city-ip", merge(ours, foreign), desired.tree("city-ip"), desired)
    assert [(d.whose, d.owners) for d in beside] == [(Whose.FOREIGN, ())] * 2
    left = deviations("city-ip", foreign, {}, Desired())
    assert [d.whose for d in left] == [Whose.FOREIGN] * 2
    assert all("nt:link" in str(d.operation.path[-1]) for d in (*lost, *beside, *left))

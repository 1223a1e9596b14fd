"""The sizes that a city has: a plane of 1,300 sites and a conference of 300, in bounds that a busy machine keeps."""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter

from controller.intent.model import Service, ServiceId
from controller.planning.placement import Placement
from controller.rendering.desired import Desired, edits
from controller.rendering.render import render
from controller.rendering.schema import Schema
from controller.rendering.tree import Tree
from controller.rendering.xml import edit_xml, from_xml, to_xml
from tests.rendering import wanted

Standing = dict[ServiceId, tuple[Service, Placement]]


def least(action: Callable[[], object], times: int = 3) -> float:
    """Return the least of a few durations, in seconds: what the work costs, not what else the machine did."""
    durations = []
    for _ in range(times):
        begin = perf_counter()
        action()
        durations.append(perf_counter() - begin)
    return min(durations)


def measured() -> dict[str, float]:
    """Return seconds per stage, for the plane and the conference."""
    city, plane = wanted.city(), wanted.plane(1300)
    vip = wanted.conference(plane[0], 300)
    Schema.load()
    standing: Standing = {plane[0].metadata.service: plane}
    parts = render(*plane, city, {})
    overlay = render(*vip, city, standing)
    carrier = Desired().with_changes({plane[0].metadata.service: parts})
    during = carrier.with_changes({vip[0].metadata.service: overlay})
    building = edits(Desired(), carrier)
    opening = edits(carrier, during)
    document = to_xml(parts["city-ip"])
    out = {
        "plane1300 render": least(lambda: render(*plane, city, {})),
        "plane1300 merge+diff": least(
            lambda: edits(Desired(), Desired().with_changes({plane[0].metadata.service: parts}))
        ),
        "plane1300 xml": least(lambda: [edit_xml(one.operations) for one in building]),
        "plane1300 parse (city)": least(lambda: from_xml(document)),
        "conference300 render": least(lambda: render(*vip, city, standing)),
        "conference300 merge": least(lambda: carrier.with_changes({vip[0].metadata.service: overlay})),
        "conference300 diff": least(lambda: edits(carrier, during)),
        "conference300 xml": least(lambda: [edit_xml(one.operations) for one in opening]),
    }
    sizes = {
        "plane1300 bytes": sum(len(edit_xml(one.operations)) for one in building),
        "conference300 bytes": sum(len(edit_xml(one.operations)) for one in opening),
    }
    return out | {name: float(size) for name, size in sizes.items()}


def test_a_plane_and_a_conference_of_real_size_are_built_while_one_waits() -> None:
    found = measured()
    assert found["conference300 bytes"] > 300_000
    assert found["conference300 xml"] < 0.6, found
    assert found["conference300 diff"] < 0.3, found
    assert found["plane1300 xml"] < 1.6, found
    assert found["plane1300 render"] < 1.0, found


def test_a_rule_more_costs_a_rule_not_a_plane() -> None:
    plane = wanted.plane(1300)
    service = plane[0].metadata.service
    city = wanted.city()
    carrier = Desired().with_changes({service: render(*plane, city, {})})
    small = wanted.conference(plane[0], 1)
    overlay: dict[str, Tree] = render(*small, city, {service: plane})
    during = carrier.with_changes({small[0].metadata.service: overlay})
    assert least(lambda: edits(carrier, during)) < 0.05


if __name__ == "__main__":
    for name, value in measured().items():
        print(f"{name:26} {value * 1000:8.1f} ms" if "bytes" not in name else f"{name:26} {value:8.0f}")

"""What a change of each field does to traffic, and what is no change at all."""

from __future__ import annotations

import pytest
from intent_samples import PLANE, SLICE, VIP, accepted

from controller.intent import Impact, changed_fields
from controller.intent.changed import IMPACTS
from controller.intent.shapes import KINDS


def differences(old: str, new: str) -> list[tuple[str, Impact]]:
    return [(change.path, change.impact) for change in changed_fields(accepted(old)[0], accepted(new)[0])]


def test_another_order_or_spelling_or_place_is_no_change():
    rows = PLANE.splitlines(keepends=True)
    assert differences(PLANE, "# moved\n" + "".join([*rows[:6], rows[8], rows[6], rows[7]])) == []
    assert differences(SLICE, SLICE.replace("10Gbps", "10000 Mbit/s")) == []
    spelled = SLICE.replace("spec:", "spec:\n  demands: [{from: longgang, to: buji}]")
    assert differences(SLICE, spelled) == []
    assert accepted(PLANE) == accepted("\n\n" + PLANE)


@pytest.mark.parametrize(
    ("old", "was", "will", "path", "impact"),
    [
        (PLANE, "1Gbps", "2Gbps", "spec.sites[buji].bandwidth", Impact.NONE),
        (PLANE, "    - {site: buji, lan: 10.10.1.0/24}\n", "", "spec.sites[buji]", Impact.INTERRUPTING),
        (PLANE, "10.10.1.0/24", "[10.10.1.0/24, 10.9.0.0/24]", "spec.sites[buji].lan[10.9.0.0/24]", Impact.NONE),
        (PLANE, "10.10.1.0/24", "10.9.0.0/24", "spec.sites[buji].lan[10.10.1.0/24]", Impact.INTERRUPTING),
        (PLANE, "{site: buji", "{vlan: 9, site: buji", "spec.sites[buji].vlan", Impact.INTERRUPTING),
        (PLANE, "spec:", "spec:\n  plane: A", "spec.plane", Impact.MAKE_BEFORE_BREAK),
        (PLANE, "tenant: gov", "tenant: gov, labels: {a: b}", "metadata.labels[a]", Impact.NONE),
        (SLICE, "10Gbps", "20Gbps", "spec.demands[buji--longgang].bandwidth", Impact.MAKE_BEFORE_BREAK),
        (SLICE, "spec:", "spec:\n  slo: {latency: 1ms}", "spec.slo.latency", Impact.MAKE_BEFORE_BREAK),
        (SLICE, "spec:", "spec:\n  window: {start: now, duration: 2h}", "spec.window.duration", Impact.NONE),
        (PLANE, "spec:", "spec:\n  window: {start: now, duration: 2h}", "spec.window.start", Impact.NONE),
        (VIP, "2h", "3h", "spec.window.duration", Impact.NONE),
        (VIP, "      - {name: p1, site: buji, address: 10.10.1.20}\n", "", "spec.conference.parties[p1]", Impact.NONE),
    ],
)
def test_each_field_says_what_its_change_does(old, was, will, path, impact):
    assert (path, impact) in differences(old, old.replace(was, will, 1))


def test_an_added_site_is_one_change_and_interrupts_nothing():
    (change,) = changed_fields(
        accepted(PLANE)[0], accepted(PLANE + "    - {site: pingdi, lan: 10.10.3.0/24, vlan: 7}\n")[0]
    )
    assert (change.path, change.old, change.impact) == ("spec.sites[pingdi]", None, Impact.NONE)


def test_every_field_of_every_kind_declares_its_impact():
    declared = {pattern.lstrip("+-") for pattern in IMPACTS}
    for model in KINDS.values():
        spec = model.model_fields["spec"].annotation
        for name, field in spec.model_fields.items():
            path = f"spec.{field.alias or name}"
            derived = {"spec.connectivity", "spec.hub"}  # compared as the demands that they stand for
            assert path in derived or any(pattern.startswith(path) for pattern in declared), path

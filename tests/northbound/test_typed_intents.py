"""Typed intents become the documents that a person would have written: the intent room reads them alike."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp
from onecity.v1 import intent_pb2 as pb

from controller.errors import IntentError
from controller.intent.model import (
    Assurance,
    AttachLayer,
    DedicatedPlane,
    Disjointness,
    ExclusiveSlice,
    Isolation,
    RelativeWindow,
    VipAssurance,
    Window,
)
from controller.intent.reading import from_document
from controller.northbound.typed_intents import documents

META = pb.Metadata(name="video", tenant="gov", labels={"app": "video"})
START = datetime(2027, 1, 5, 6, 0, tzinfo=UTC)


def service(message: pb.Document) -> object:
    (document,) = documents([message])
    assert document.content is not None
    return from_document(document.content, document.source)


def test_a_slice_keeps_every_field() -> None:
    wanted = pb.ExclusiveSlice(
        metadata=META,
        endpoints=[
            pb.Endpoint(site="buji", lans=["10.1.0.0/24"], vlan=101),
            pb.Endpoint(name="core", site="zhihui", lans=["10.2.0.0/24"]),
        ],
        bandwidth_bps=10**10,
        isolation=pb.ISOLATION_WAVELENGTH,
        traffic_class=pb.TRAFFIC_CLASS_NATURAL_RESOURCES,
        protection=pb.PROTECTION_STANDBY,
        diverse_from=["gov/other"],
        disjoint=[pb.DISJOINTNESS_NODE, pb.DISJOINTNESS_UNSPECIFIED],
        together_with=["beside"],
        plane="B",
        assurance=pb.ASSURANCE_PROPOSE,
        objectives=pb.Objectives(latency=Duration(nanos=1_500_000), loss_ratio=1e-6, availability=0.9999, most_hops=4),
        boundaries=pb.Boundaries(
            exclude_regions=["east"], exclude_nodes=["otn-pinghu"], include_nodes=["otn-buji"], least_trust=3
        ),
        window=pb.Window(start=stamp(START), duration=Duration(seconds=7200)),
    )
    found = service(pb.Document(exclusive_slice=wanted))
    assert isinstance(found, ExclusiveSlice)
    assert found.metadata.service == "gov/video"
    assert [(e.name, e.vlan, e.attach) for e in found.endpoints] == [
        ("buji", 101, AttachLayer.IP),
        ("core", None, AttachLayer.IP),
    ]
    assert [(d.a, d.z, d.rate_bps) for d in found.demands] == [("buji", "core", 10**10)]
    assert (found.isolation, found.traffic_class) == (Isolation.WAVELENGTH, "natural-resources")
    assert (found.slo.latency_s, found.slo.loss_ratio, found.slo.availability) == (0.0015, 1e-6, 0.9999)
    assert found.assurance is Assurance.PROPOSE
    assert found.boundaries.least_trust == 3
    assert found.boundaries.exclude_nodes == frozenset({"otn-pinghu"})
    assert found.boundaries.include_nodes == frozenset({"otn-buji"})
    assert found.disjoint == (Disjointness.NODE, Disjointness.SRLG)
    assert (found.together_with, found.plane, found.slo.most_hops) == (("gov/beside",), "B", 4)
    assert found.window == Window(START, START + timedelta(hours=2))


def test_an_unset_field_takes_the_catalogues_default() -> None:
    wanted = pb.ExclusiveSlice(
        metadata=META, endpoints=[pb.Endpoint(site="buji"), pb.Endpoint(site="zhihui")], bandwidth_bps=10**9
    )
    found = service(pb.Document(exclusive_slice=wanted))
    assert isinstance(found, ExclusiveSlice)
    assert found.slo.latency_s == 0.020
    assert found.isolation == Isolation.AUTO


def test_a_plane_keeps_hubs_and_its_address_pool() -> None:
    wanted = pb.DedicatedPlane(
        metadata=META,
        sites=[pb.Access(site="buji", hub=True), pb.Access(site="nanwan", bandwidth_bps=2 * 10**9)],
        bandwidth_bps=10**9,
        topology=pb.PLANE_TOPOLOGY_HUB_AND_SPOKE,
        lan_pool="10.64.0.0/12",
        lan_prefix_length=26,
        plane="A",
        floor_ratio=0.25,
        window=pb.Window(duration=Duration(seconds=60)),
    )
    found = service(pb.Document(dedicated_plane=wanted))
    assert isinstance(found, DedicatedPlane)
    assert [(a.hub, a.rate_bps) for a in found.accesses] == [(True, 10**9), (False, 2 * 10**9)]
    assert (found.hub_and_spoke, found.plane, found.lan_prefix_len, found.floor_ratio) == (True, "A", 26, 0.25)
    assert found.window == RelativeWindow(60.0)


def test_a_conference_keeps_parties_media_and_window() -> None:
    wanted = pb.VipAssurance(
        metadata=META,
        protects="gov/office",
        window=pb.Window(start=stamp(START), duration=Duration(seconds=7200)),
        conference=pb.Conference(
            mcu=pb.Party(name="mcu", access="zhihui", address="10.1.0.2"),
            parties=[pb.Party(name="p1", access="buji", address="10.2.0.2")],
            video=pb.Medium(bandwidth_bps=4_000_000, port_low=5004, port_high=5008),
        ),
        priority=1,
        assurance=pb.ASSURANCE_OFF,
    )
    found = service(pb.Document(vip_assurance=wanted))
    assert isinstance(found, VipAssurance)
    assert found.conference is not None
    assert [p.access for p in found.conference.parties] == ["buji"]
    video = next(f for f in found.conference.flows if f.target_class == "video")
    assert (video.rate_bps, video.port_low, video.port_high) == (4_000_000, 5004, 5008)
    assert isinstance(found.window, Window)
    assert (found.window.start, (found.window.end - found.window.start).total_seconds()) == (START, 7200.0)
    assert (found.priority, found.assurance) == (1, Assurance.OFF)


def test_flows_of_an_ordinary_assurance_are_kept() -> None:
    flow = pb.AssuredFlow(
        name="cmd",
        protocol=pb.TRANSPORT_PROTOCOL_TCP,
        port_low=443,
        bandwidth_bps=10**7,
        flow_class=pb.FLOW_CLASS_AUDIO,
    )
    wanted = pb.VipAssurance(
        metadata=META, protects="gov/office", window=pb.Window(duration=Duration(seconds=60)), flows=[flow]
    )
    found = service(pb.Document(vip_assurance=wanted))
    assert isinstance(found, VipAssurance)
    assert [(f.name, f.protocol, f.port_low, f.port_high, f.target_class) for f in found.flows] == [
        ("cmd", 6, 443, 443, "audio")
    ]


def test_yaml_is_passed_on_as_it_is() -> None:
    (document,) = documents([pb.Document(yaml="kind: x")])
    assert (document.source, document.text, document.content) == ("documents[0]", "kind: x", None)


def stamp(moment: datetime) -> Timestamp:
    found = Timestamp()
    found.FromDatetime(moment)
    return found


def test_an_instant_that_no_calendar_has_is_refused_in_the_words_of_the_intent_room() -> None:
    slice_ = pb.ExclusiveSlice(
        metadata=META,
        endpoints=[pb.Endpoint(site=site, lans=[f"10.{n}.0.0/24"]) for n, site in enumerate(("buji", "zhihui"))],
        bandwidth_bps=10**9,
        window=pb.Window(start=Timestamp(seconds=10**12), duration=Duration(seconds=60)),
    )
    with pytest.raises(IntentError, match="1000000000000 seconds after 1970"):
        service(pb.Document(exclusive_slice=slice_))

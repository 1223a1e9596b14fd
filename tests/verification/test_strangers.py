"""A rule that takes more than what is assured is shown by a packet that it takes and nobody assured."""

from __future__ import annotations

from typing import cast

from hypothesis import given
from hypothesis import strategies as st

from controller.intent.model import MediaFlow, ServiceId, VipAssurance
from controller.verification.classes import Classifier, Packet
from controller.verification.facts import Access, Rule, Span
from controller.verification.strangers import Guests, stranger
from tests.verification.scene import standing

COUNCIL = ServiceId("government/council")
CONFERENCE = cast(VipAssurance, standing().intents[COUNCIL]).conference
assert CONFERENCE is not None
FLOWS = CONFERENCE.flows
SERVER, PARTIES = 0x0A0A000A, frozenset({0x0A0A0214, 0x0A0A0215})
ACCESS = standing().model.vpns["city-ip", "government.office"].accesses["government.office.buji"]


def _host(address: int) -> Span:
    return (4, address, address)


HOSTS = st.sampled_from([None, *map(_host, (SERVER, *PARTIES, 0x0A0A0263)), (4, 0x0A0A0200, 0x0A0A02FF)])
PORTS = st.sampled_from([(0, 65535), *((f.port_low, f.port_high) for f in FLOWS), (1, 2), (FLOWS[0].port_low,) * 2])
RULES = st.builds(Rule, st.just("r"), st.sampled_from(["", "6", "17"]), HOSTS, HOSTS, PORTS, PORTS, st.just("c"))


def _assured(packet: Packet, guests: Guests) -> bool:
    def heads(port: int) -> bool:
        return any(str(f.protocol) == packet.protocol and f.port_low <= port <= f.port_high for f in FLOWS)

    known = guests.hosts is None or packet.source in guests.hosts
    there = known and packet.destination == guests.server and heads(packet.destination_port)
    return there or (guests.answers and packet.source == guests.server and heads(packet.source_port))


@given(RULES, st.sampled_from([Guests(SERVER, PARTIES, False), Guests(SERVER, PARTIES), Guests(SERVER)]))
def test_the_packet_that_shows_it_is_taken_and_not_assured(rule: Rule, guests: Guests) -> None:
    packet = stranger(rule, FLOWS, guests, ACCESS)
    if packet is not None:
        assert Classifier(_with(rule)).first(packet) is rule
        assert not _assured(packet, guests)


def _with(rule: Rule) -> Access:
    return ACCESS._replace(rules=(rule,))


@given(st.sampled_from(FLOWS), st.sampled_from(sorted(PARTIES)))
def test_a_rule_for_one_party_is_no_wider_than_it(flow: MediaFlow, party: int) -> None:
    ports = (flow.port_low, flow.port_high)
    rule = Rule("r", str(flow.protocol), _host(party), _host(SERVER), (0, 65535), ports, "c")
    assert stranger(rule, FLOWS, Guests(SERVER, PARTIES, False), ACCESS) is None
    back = Rule("r", str(flow.protocol), _host(SERVER), None, ports, (0, 65535), "c")
    assert stranger(back, FLOWS, Guests(SERVER, PARTIES), ACCESS) is None
    assert stranger(back, FLOWS, Guests(SERVER, PARTIES, False), ACCESS) is not None

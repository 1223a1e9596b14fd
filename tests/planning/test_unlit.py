"""A slice that may have no IP link lit for it is told which one would carry it, at which price.

Planning may be forbidden to light links; and it lights none where room is not all that is lacking.
"""

from __future__ import annotations

from dataclasses import replace

from controller.intent.model import AttachLayer, Boundaries, ExclusiveSlice, Isolation, Protection, Slo
from controller.network.ledger import Ledger
from controller.network.model import CityMap
from controller.planning.place import place
from controller.planning.placement import Refusal
from tests.support.cities import city_map
from tests.support.intents import GBPS, NOW, slice_between

TIGHT = Slo(latency_s=0.00025, availability=0.9)  # the other way round the ring takes longer


def _nrp(name: str, a: str, z: str, **more: object) -> ExclusiveSlice:
    given = {"isolation": Isolation.NRP, "protection": Protection.NONE, "slo": TIGHT, **more}
    return slice_between(name, a, z, 80 * GBPS, **given)


def _refused(city: CityMap, ledger: Ledger, wanted: ExclusiveSlice) -> Refusal:
    outcome = place(city, ledger, [wanted], {}, NOW)
    assert outcome.refusals
    return outcome.refusals[0]


def _lit(refusal: Refusal) -> list[str]:
    return [offer for offer in refusal.would_fit if "is lit" in offer]


def _full() -> tuple[CityMap, Ledger]:
    """Longgang with a fifth left of the link nanwan–buji."""
    city = replace(city_map("longgang"), lights=False)
    return city, place(city, Ledger(city), [_nrp("first", "nanwan", "jihua")], {}, NOW).ledger


def test_the_link_is_named_with_its_fibres_and_its_price() -> None:
    city, ledger = _full()
    found = _lit(_refused(city, ledger, _nrp("second", "zhihui", "buji")))
    said = "as asked, once an IP link lg-buji–lg-nanwan is lit: 100 Gbit/s over f-nanwan-buji (price 31)"
    assert found == [said]


def test_what_is_offered_carries_it_once_it_is_there() -> None:
    """The same link, as the domain would tell of it, and the same slice."""
    city, ledger = _full()
    old = next(k for k in city.links if (k.src.node, k.dst.node) == ("node:lg-buji", "node:lg-nanwan"))
    twin = (f"{old.id}#2", f"{old.reverse}#2")
    new = replace(old, id=twin[0], reverse=twin[1])
    back = replace(city.link_by_id[old.reverse], id=twin[1], reverse=twin[0])
    lit = replace(city, links=tuple(sorted((*city.links, new, back), key=lambda k: k.id)))
    assert not place(lit, ledger.on(lit), [_nrp("second", "zhihui", "buji")], {}, NOW).refusals


def test_none_is_offered_where_no_client_port_is_left() -> None:
    city, ledger = _full()
    ports = {r: replace(p, used_by="somebody") if r.node == "otn-buji" else p for r, p in city.ports.items()}
    bare = replace(city, ports=ports)
    assert not _lit(_refused(bare, ledger.on(bare), _nrp("second", "zhihui", "buji")))


def test_none_is_offered_where_no_channel_is_left() -> None:
    city, ledger = _full()
    dark = {n: replace(f, occupied=frozenset(range(1, f.channels + 1))) for n, f in city.fibres.items()}
    bare = replace(city, fibres=dark)
    assert not _lit(_refused(bare, ledger.on(bare), _nrp("second", "zhihui", "buji")))


def test_none_is_offered_where_it_would_not_help() -> None:
    city, ledger = _full()
    late = Slo(latency_s=1e-6, availability=0.9)
    assert not _lit(_refused(city, ledger, _nrp("late", "zhihui", "buji", slo=late)))
    outside = Boundaries(exclude_nodes=frozenset({"lg-nanwan", "otn-nanwan"}))
    assert not _lit(_refused(city, ledger, _nrp("outside", "zhihui", "buji", boundaries=outside)))
    optical = _nrp("optical", "zhihui", "buji", isolation=Isolation.TIMESLOT, attach=AttachLayer.OPTICAL)
    assert not _lit(_refused(city, ledger, replace(optical, slo=late)))


def test_a_router_to_stay_out_of_is_passed_in_light() -> None:
    city, ledger = _full()
    around = Boundaries(exclude_nodes=frozenset({"lg-nanwan"}))
    found = _lit(_refused(city, ledger, _nrp("around", "zhihui", "buji", boundaries=around)))
    assert found == [
        "as asked, once an IP link lg-buji–lg-zhihui is lit: 100 Gbit/s over f-nanwan-buji, f-zhihui-nanwan (price 32)"
    ]


def test_of_many_refusals_only_the_first_few_look_for_links() -> None:
    city, ledger = _full()
    wanted = [_nrp(f"s{n}", "zhihui", "buji") for n in range(8)]
    outcome = place(city, ledger, wanted, {}, NOW)
    assert len(outcome.refusals) == 8
    assert len([r for r in outcome.refusals if _lit(r)]) == 4

"""Whatever the city and the intents: nothing is over-booked, promises hold, and the same question has one answer."""

from __future__ import annotations

import tempfile
from datetime import timedelta
from pathlib import Path
from typing import Any

import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from controller.intent.model import AttachLayer, Isolation, Protection, Service, ServiceId, Slo, Window
from controller.network.ledger import Ledger
from controller.network.lit import with_lit
from controller.network.model import CityMap
from controller.planning.place import place
from controller.planning.placement import Placement
from lab.city import load_city
from tests.support.cities import map_of
from tests.support.intents import GBPS, NOW, conference, plane, slice_between
from tests.support.invariants import check_all

MOMENTS = (0, 1, 2, 4)


@st.composite
def cities(
    draw: st.DrawFn, channels: int = 8, spare_ports: int = 2, access: str = "10Gbps"
) -> tuple[CityMap, tuple[str, ...]]:
    """A ring of 4 to 6 sites with chords, ducts that may be shared, one or two IP domains with two borders."""
    sites = [f"s{i}" for i in range(draw(st.integers(4, 6)))]
    pairs = [(a, sites[(i + 1) % len(sites)]) for i, a in enumerate(sites)]
    chords = [(a, z) for i, a in enumerate(sites) for z in sites[i + 2 :] if (z, a) not in pairs]
    pairs += draw(st.lists(st.sampled_from(chords), max_size=3, unique=True))
    ducts = {f"D{n}": 1000 + n for n in range(1, len(pairs) + 1)}
    half = draw(st.sampled_from((len(sites), len(sites) // 2)))
    domain = {s: "one-ip" if i < half else "two-ip" for i, s in enumerate(sites)}
    rates = [f"{draw(st.sampled_from((1, 2, 10)))}Gbps" for _ in pairs]
    ends = [(f"r-{a}", f"r-{z}", [f"otn-{a}", f"otn-{z}"]) for a, z in pairs]
    inner: dict[str, list[Any]] = {"one-ip": [], "two-ip": []}
    borders: list[dict[str, Any]] = []
    for (a, z), rate, (ra, rz, via) in zip(pairs, rates, ends, strict=True):
        link = {"a": ra, "z": rz, "rate": rate, "via": via, "plane": draw(st.sampled_from(("A", "B")))}
        if domain[a] == domain[z]:
            inner[domain[a]].append(link)
        else:
            borders.append({k: v for k, v in link.items() if k != "plane"} | {"rank": len(borders) + 1})
    ip: dict[str, Any] = {
        name: {
            "asn": 65001 + n,
            "network": f"net:{name}",
            "nodes": {
                f"r-{s}": {"site": s, "routerId": f"10.0.{n}.{i + 1}", "trust": draw(st.integers(2, 4))}
                for i, s in enumerate(sites)
                if domain[s] == name
            },
            "links": inner[name],
        }
        for n, name in enumerate(sorted(set(domain.values())))
    }
    document = {
        "name": "made-up",
        "title": "Made up",
        "sites": {s: {"title": s, "region": "west", "lat": 0, "lon": 0} for s in sites},
        "ducts": ducts,
        "optical": {
            "domain": "otn",
            "channels": channels,
            "nodes": {s: f"otn-{s}" for s in sites},
            "fibres": [
                {
                    "a": f"otn-{a}",
                    "z": f"otn-{z}",
                    "km": draw(st.integers(1, 40)),
                    "ducts": [draw(st.sampled_from(sorted(ducts)))],
                }
                for a, z in pairs
            ],
            "sitePorts": {"count": 2, "rates": ["10Gbps"]},
            "sparePorts": {"count": spare_ports, "rates": ["10Gbps", "100Gbps"]},
        },
        "ip": ip | {"borders": borders, "access": {"rate": access}},
    }
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, "made-up.yaml")
        path.write_text(yaml.safe_dump(document), encoding="utf-8")
        return map_of(load_city(str(path))), tuple(sites)


@st.composite
def windows(draw: st.DrawFn) -> Window:
    start = NOW + timedelta(hours=1 + draw(st.sampled_from(MOMENTS)))
    return Window(start, start + timedelta(hours=draw(st.integers(1, 3))))


@st.composite
def services(draw: st.DrawFn, sites: tuple[str, ...], name: str) -> Service:
    a, z, *more = draw(st.permutations(sites))
    rate = draw(st.sampled_from((10**7, GBPS // 2, GBPS, 4 * GBPS)))
    kind = draw(st.integers(0, 5))
    window = draw(st.one_of(st.none(), windows()))
    if kind < 2:
        return plane(
            name, a, z, *more[: draw(st.integers(0, 3))], rate_bps=rate,
            hub_and_spoke=draw(st.booleans()), plane=draw(st.sampled_from((None, None, "A"))), window=window,
        )  # fmt: skip
    if kind == 5:
        window = draw(windows())
        carrier = f"p{draw(st.integers(0, 1))}"
        return conference(name, carrier, sites[0], *sites[1:3], window=window, slo=Slo(0.05, availability=0.9))
    isolation = draw(st.sampled_from(tuple(Isolation)))
    optical = isolation is not Isolation.NRP and draw(st.booleans())
    return slice_between(
        name, a, z, rate, isolation=isolation, protection=draw(st.sampled_from(tuple(Protection))),
        slo=Slo(draw(st.sampled_from((None, 0.02, 0.0003))), availability=draw(st.sampled_from((0.9, 0.999, 0.9999)))),
        window=window,
        **({"attach": AttachLayer.OPTICAL} if optical else {}),
    )  # fmt: skip


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(st.data())
def test_every_plan_keeps_its_promises_and_over_books_nothing(data: st.DataObject) -> None:
    city, sites = data.draw(cities())
    carriers: list[Service] = [plane(f"p{i}", *sites[: 3 + i], rate_bps=GBPS // 5) for i in range(2)]
    wanted = [data.draw(services(sites, f"x{i}")) for i in range(data.draw(st.integers(1, 8)))]
    known: dict[ServiceId, Service] = {}
    placed: dict[ServiceId, Placement] = {}
    ledger = Ledger(city)
    empty = ledger.dump()
    cut = data.draw(st.integers(0, len(wanted)))
    for batch in ([*carriers, *wanted[:cut]], wanted[cut:], [*carriers, *wanted]):  # the last places all again
        standing = {k: (known[k], p) for k, p in placed.items()}
        shown = with_lit(city, (k for p in placed.values() for k in p.lit_links))
        outcome = place(shown, ledger, batch, standing, NOW)
        again = place(shown, ledger, list(reversed(batch)), standing, NOW)
        assert repr(outcome.placements) == repr(again.placements)
        assert repr(outcome.refusals) == repr(again.refusals)
        known |= {s.metadata.service: s for s in batch if s.metadata.service in outcome.placements}
        placed |= outcome.placements
        ledger = outcome.ledger
        check_all(city, known, placed)
        shown = with_lit(city, (k for p in placed.values() for k in p.lit_links))
        rebuilt = Ledger(shown)
        for placement in placed.values():
            rebuilt.add(placement)
        assert rebuilt.dump() == ledger.on(shown).dump()
    for name in sorted(placed):
        ledger.remove(name)
    assert ledger.on(city).dump() == empty

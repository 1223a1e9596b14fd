"""ExclusiveSlice (B2 独享切片): from its shape to a value, with the rules that span fields, and back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations

from controller.intent.clauses import (
    Found,
    Plain,
    access_plain,
    accesses,
    assurance,
    assurance_mode_plain,
    boundaries,
    boundaries_plain,
    reference,
    reference_text,
    slo,
    slo_plain,
)
from controller.intent.model import (
    AccessSite,
    Demand,
    Disjointness,
    ExclusiveSlice,
    Isolation,
    Metadata,
    Protection,
    Slo,
)
from controller.intent.quantities import nearest, rate_text
from controller.intent.shapes import MOST_SITES, SliceSpec
from controller.intent.windows import optional_plain, optional_window

CATALOGUE = Slo(latency_s=0.020, loss_ratio=1e-4, availability=0.9999)
COMPUTE_LATENCY_S = 0.001  # compute traffic takes one optical hop to the compute core: a city circle of 1 ms


def read_slice(spec: SliceSpec, place: Metadata, found: Found) -> ExclusiveSlice:
    """Return the slice; mistakes go to `found`, and the value then means nothing."""
    names = [shape.name or shape.site for shape in spec.endpoints]
    demands = _demands(spec, names, found)
    total = dict.fromkeys(names, 0)
    for demand in demands:
        for end in (demand.a, demand.z):
            total[end] = total.get(end, 0) + demand.rate_bps
    hubs = frozenset([spec.hub]) if spec.hub and not spec.demands else frozenset[str]()
    endpoints = accesses(spec.endpoints, "endpoints", [total[name] for name in names], hubs, found)
    _check_attachment(spec, found)
    diverse_from = tuple(dict.fromkeys(reference(name, place.tenant) for name in spec.diverse_from))
    together_with = tuple(dict.fromkeys(reference(name, place.tenant) for name in spec.together_with))
    if place.service in diverse_from:
        found.append((("spec", "diverseFrom"), "a slice cannot be diverse from itself; name other services"))
    if place.service in together_with:
        found.append((("spec", "togetherWith"), "a slice goes its own way anyway; name other services"))
    for both in sorted(set(diverse_from) & set(together_with)):
        name = reference_text(both, place.tenant)
        found.append((("spec", "togetherWith"), f'"{name}" is also in diverseFrom; keep it in one of them'))
    _check_protection(spec, found)
    catalogue = replace(CATALOGUE, latency_s=COMPUTE_LATENCY_S) if spec.class_ == "compute" else CATALOGUE
    return ExclusiveSlice(
        metadata=place,
        endpoints=endpoints,
        demands=demands,
        isolation=Isolation(spec.isolation),
        traffic_class=spec.class_,
        protection=Protection(spec.protection),
        disjoint=tuple(sorted({Disjointness(word) for word in spec.disjoint})),
        diverse_from=diverse_from,
        together_with=together_with,
        plane=spec.plane,
        assurance=assurance(spec, place, found),
        slo=slo(spec.slo, catalogue),
        boundaries=boundaries(spec, found),
        window=optional_window(spec.window, found),
    )


def _check_protection(spec: SliceSpec, found: Found) -> None:
    if spec.protection == "none" and "disjoint" in spec.model_fields_set:
        problem = "says how working and standby differ, but protection: none has no standby; remove one of the two"
        found.append((("spec", "disjoint"), problem))
    if spec.protection == "restoration" and spec.isolation == "nrp":
        problem = "a partition of the IP networks is not lit anew; use protection: standby, or isolation: timeslot"
        found.append((("spec", "protection"), problem))


def _demands(spec: SliceSpec, names: Sequence[str], found: Found) -> tuple[Demand, ...]:
    if spec.demands:
        return _written_demands(spec, names, found)
    if spec.bandwidth is None:
        found.append((("spec", "bandwidth"), "is missing; write the committed rate, as 10Gbps"))
    rate = spec.bandwidth or 0
    if spec.connectivity == "hub-and-spoke":
        return _to_hub(spec, names, rate, found)
    if spec.hub is not None:
        found.append((("spec", "hub"), "means nothing here; write connectivity: hub-and-spoke, or no hub"))
    if len(names) * (len(names) - 1) // 2 > MOST_SITES:
        problem = f"all-pairs of {len(names)} endpoints is more than {MOST_SITES:,} demands; use hub-and-spoke"
        found.append((("spec", "endpoints"), problem))
        return ()
    return _all_pairs(names, rate)


def _to_hub(spec: SliceSpec, names: Sequence[str], rate: int, found: Found) -> tuple[Demand, ...]:
    if spec.hub is None:
        found.append((("spec", "hub"), f"hub-and-spoke needs a hub; write for example hub: {names[0]}"))
        return ()
    if spec.hub not in names:
        hint = nearest(spec.hub, set(names))
        found.append((("spec", "hub"), f'"{spec.hub}" is not the name of an endpoint of this slice; {hint}'))
        return ()
    return _spokes(names, spec.hub, rate)


def _all_pairs(names: Sequence[str], rate: int) -> tuple[Demand, ...]:
    return tuple(Demand(a, z, rate) for a, z in combinations(names, 2))


def _spokes(names: Sequence[str], hub: str, rate: int) -> tuple[Demand, ...]:
    return tuple(Demand(name, hub, rate) for name in names if name != hub)


def _written_demands(spec: SliceSpec, names: Sequence[str], found: Found) -> tuple[Demand, ...]:
    if spec.connectivity is not None or spec.hub is not None:
        field = "connectivity" if spec.connectivity is not None else "hub"
        found.append((("spec", field), "demands already say who is joined to whom; keep one of the two"))
    seen: dict[frozenset[str], int] = {}
    made = []
    for index, shape in enumerate(spec.demands):
        where = ("spec", "demands", index)
        for field, end in (("from", shape.from_), ("to", shape.to)):
            if end not in names:
                hint = nearest(end, set(names))
                found.append(((*where, field), f'"{end}" is not the name of an endpoint of this slice; {hint}'))
        if shape.from_ == shape.to:
            found.append(((*where, "to"), "a demand joins two different endpoints; name another one"))
        before = seen.setdefault(frozenset((shape.from_, shape.to)), index)
        if before != index:
            found.append((where, f"joins the same endpoints as demands[{before}]; a demand holds in both directions"))
        rate = shape.bandwidth or spec.bandwidth
        if rate is None:
            found.append(((*where, "bandwidth"), "is missing; write it here, or spec.bandwidth for all demands"))
        made.append(Demand(shape.from_, shape.to, rate or 0))
    joined = {end for demand in made for end in (demand.a, demand.z)}
    for index, name in enumerate(names):
        if name not in joined:
            found.append((("spec", "endpoints", index), f'no demand names "{name}"; add one, or remove the endpoint'))
    return tuple(made)


def _check_attachment(spec: SliceSpec, found: Found) -> None:
    optical = [index for index, end in enumerate(spec.endpoints) if end.attach == "optical"]
    if not optical:
        return
    if len(optical) < len(spec.endpoints):
        index = next(i for i, end in enumerate(spec.endpoints) if end.attach != "optical")
        problem = "attaches at the IP layer and others at the optical; attach all endpoints of a slice at one layer"
        found.append((("spec", "endpoints", index, "attach"), problem))
    if spec.isolation == "nrp":
        problem = "nrp is a partition of IP links; with attach: optical write wavelength, timeslot or auto"
        found.append((("spec", "isolation"), problem))
    for index in optical:
        if spec.endpoints[index].lan:
            problem = "an optical attachment carries no IP, so it has no lan; remove it, or write attach: ip"
            found.append((("spec", "endpoints", index, "lan"), problem))


def slice_plain(slice_: ExclusiveSlice, *, explicit: bool = False) -> Plain:
    """Return the spec as people write it; `explicit` states every demand."""
    spec: Plain = {
        "endpoints": [access_plain(end, with_rate=False) for end in slice_.endpoints],
        **_connectivity_plain(slice_.endpoints, slice_.demands, explicit),
        "isolation": slice_.isolation.value,
        "class": slice_.traffic_class,
        "protection": slice_.protection.value,
    }
    if slice_.disjoint != (Disjointness.SRLG,):
        spec["disjoint"] = [kind.value for kind in slice_.disjoint]
    for field, others in (("diverseFrom", slice_.diverse_from), ("togetherWith", slice_.together_with)):
        if others:
            spec[field] = [reference_text(other, slice_.metadata.tenant) for other in others]
    if slice_.plane is not None:
        spec["plane"] = slice_.plane
    spec |= assurance_mode_plain(slice_.assurance) | optional_plain(slice_.window)
    return {**spec, "slo": slo_plain(slice_.slo), **boundaries_plain(slice_.boundaries)}


def _connectivity_plain(endpoints: Sequence[AccessSite], demands: Sequence[Demand], explicit: bool) -> Plain:
    names = [end.name for end in endpoints]
    hub = next((end.name for end in endpoints if end.hub), None)
    rate = demands[0].rate_bps
    if not explicit and hub is not None and tuple(demands) == _spokes(names, hub, rate):
        return {"connectivity": "hub-and-spoke", "hub": hub, "bandwidth": rate_text(rate)}
    if not explicit and hub is None and tuple(demands) == _all_pairs(names, rate):
        return {"bandwidth": rate_text(rate)}
    return {"demands": [{"from": d.a, "to": d.z, "bandwidth": rate_text(d.rate_bps)} for d in demands]}

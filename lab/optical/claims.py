"""Who holds which channel, slot and port: the one place where a resource can be refused as taken.

A claim stays until the last holder of a circuit's resources lets go: between Prepare and Confirm a changed circuit
holds the union of old and new, so that a rollback always finds its resources.
"""

from __future__ import annotations

from collections.abc import Iterator, Set

from onecity.optical.v1 import optical_pb2 as pb

from lab.optical.refusal import RefusedError, exhausted

Key = tuple[str, str, int]  # ("channel", fibre, n) · ("slot", ODU link, n) · ("port", port, VLAN or 0 = whole)


def claims_of(spec: pb.CircuitSpec) -> frozenset[Key]:
    """Return every resource that a circuit takes, on both legs."""
    return frozenset(_claims(spec))


def _claims(spec: pb.CircuitSpec) -> Iterator[Key]:
    for end in (spec.a, spec.z):
        if end.port:
            yield ("port", end.port, end.vlan)
    for leg in (spec.working, spec.protect) if spec.HasField("protect") else (spec.working,):
        for n, hop in enumerate(leg.route):
            if spec.layer == pb.LAYER_WAVELENGTH:
                yield ("channel", hop, leg.channel)
            else:
                for slot in leg.slots[n].slots:
                    yield ("slot", hop, slot)


class Claims:
    """Resources by place. A holder is a circuit id; one circuit may hold a resource through several specs."""

    def __init__(self) -> None:
        self._places: dict[tuple[str, str], dict[int, dict[str, int]]] = {}

    def hold(self, circuit: str, claims: Set[Key]) -> None:
        for kind, where, label in claims:
            holders = self._places.setdefault((kind, where), {}).setdefault(label, {})
            holders[circuit] = holders.get(circuit, 0) + 1

    def release(self, circuit: str, claims: Set[Key]) -> None:
        for kind, where, label in claims:
            labels = self._places[kind, where]
            holders = labels[label]
            holders[circuit] -= 1
            if not holders[circuit]:
                del holders[circuit]
            if not holders:
                del labels[label]

    def labels(self, kind: str, where: str) -> frozenset[int]:
        """Return the labels in use or held at one place."""
        return frozenset(self._places.get((kind, where), ()))

    def whole_port_holder(self, port: str) -> str:
        return next(iter(self._places.get(("port", port), {}).get(0, {})), "")

    def refusal(
        self, circuit: str, wanted: Set[Key], yielding: Set[str], sizes: dict[tuple[str, str], int]
    ) -> RefusedError | None:
        """Say what stands in the way. `yielding`: circuits that the same transaction deletes."""
        allowed = {circuit, *yielding}
        for kind, where, label in sorted(wanted):
            labels = self._places.get((kind, where), {})
            rivals = self._rivals(kind, labels, label, allowed)
            if not rivals:
                continue
            if kind == "port":
                which = f"VLAN {label} of port {where}" if label else f"port {where}"
                return exhausted("NO_ADD_DROP", where, 1, 0, f"{which} is in use by {min(rivals)}")
            asked = sum(1 for k, w, _ in wanted if (k, w) == (kind, where))
            free = sizes.get((kind, where), 0) - len(labels)
            reason = "NO_SPECTRUM" if kind == "channel" else "NO_SLOT"
            return exhausted(reason, where, asked, free, f"{kind} {label} of {where} is in use by {min(rivals)}")
        return None

    @staticmethod
    def _rivals(kind: str, labels: dict[int, dict[str, int]], label: int, allowed: Set[str]) -> set[str]:
        """A whole port and a VLAN of it exclude each other; anything else conflicts on its own label only."""
        if kind == "port" and label == 0:
            holders = {h for held in labels.values() for h in held}
        elif kind == "port":
            holders = {*labels.get(label, ()), *labels.get(0, ())}
        else:
            holders = set(labels.get(label, ()))
        return holders - allowed

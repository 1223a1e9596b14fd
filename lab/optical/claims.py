"""Who holds which channel, slot and port: the one place where a resource can be refused as taken.

A claim stays until the last holder of a circuit's resources lets go: between Prepare and Confirm a changed circuit
holds the union of old and new, so that a rollback always finds its resources.
"""

from __future__ import annotations

from collections.abc import Iterator, Set

from onecity.optical.v1 import optical_pb2 as pb

from lab.optical.refusal import RefusedError, exhausted

# ("channel", fibre, n) · ("slot", ODU link, n) · ("port", port, VLAN or 0 = whole) · ("spare channel", …) and
# ("spare slot", …): held for shared restoration, and dark
Key = tuple[str, str, int]
SPARE = "spare "
Risks = frozenset[str]  # what takes a working leg down


def claims_of(spec: pb.CircuitSpec) -> frozenset[Key]:
    """Return every resource that a circuit takes, on both legs."""
    return frozenset(_claims(spec))


def _claims(spec: pb.CircuitSpec) -> Iterator[Key]:
    for end in (spec.a, spec.z):
        if end.port:
            yield ("port", end.port, end.vlan)
    legs = [("", spec.working)]
    if spec.HasField("protect"):
        legs.append((SPARE if spec.protect_shared else "", spec.protect))
    for dark, leg in legs:
        for n, hop in enumerate(leg.route):
            if spec.layer == pb.LAYER_WAVELENGTH:
                yield (f"{dark}channel", hop, leg.channel)
            else:
                for slot in leg.slots[n].slots:
                    yield (f"{dark}slot", hop, slot)


class Claims:
    """Resources by place. A holder is a circuit id; one circuit may hold a resource through several specs."""

    def __init__(self) -> None:
        self._places: dict[tuple[str, str], dict[int, dict[str, int]]] = {}
        self._risks: dict[str, list[Risks]] = {}  # of the working legs of circuits that hold anything as spare

    def hold(self, circuit: str, claims: Set[Key], risks: Risks = frozenset()) -> None:
        if risks:
            self._risks.setdefault(circuit, []).append(risks)
        for kind, where, label in claims:
            holders = self._places.setdefault((kind, where), {}).setdefault(label, {})
            holders[circuit] = holders.get(circuit, 0) + 1

    def release(self, circuit: str, claims: Set[Key], risks: Risks = frozenset()) -> None:
        if risks:
            self._risks[circuit].remove(risks)
            if not self._risks[circuit]:
                del self._risks[circuit]
        for kind, where, label in claims:
            labels = self._places[kind, where]
            holders = labels[label]
            holders[circuit] -= 1
            if not holders[circuit]:
                del holders[circuit]
            if not holders:
                del labels[label]

    def labels(self, kind: str, where: str) -> frozenset[int]:
        """Return the labels in use or held at one place, those held as spare too."""
        return frozenset((*self._places.get((kind, where), ()), *self._places.get((SPARE + kind, where), ())))

    def whole_port_holder(self, port: str) -> str:
        return next(iter(self._places.get(("port", port), {}).get(0, {})), "")

    def refusal(
        self,
        circuit: str,
        wanted: Set[Key],
        yielding: Set[str],
        sizes: dict[tuple[str, str], int],
        risks: Risks = frozenset(),
    ) -> RefusedError | None:
        """Say what stands in the way. `yielding`: circuits that the same transaction deletes.

        risks: of the wanted working leg, where anything is wanted as spare.
        """
        allowed = {circuit, *yielding}
        for key in sorted(wanted):
            kind, where, label = key[0].removeprefix(SPARE), key[1], key[2]
            labels = self._places.get((kind, where), {})
            rivals = self._rivals(kind, labels, label, allowed) | self._spare_rivals(circuit, key, risks, allowed)
            if not rivals:
                continue
            if kind == "port":
                which = f"VLAN {label} of port {where}" if label else f"port {where}"
                return exhausted("NO_ADD_DROP", where, 1, 0, f"{which} is in use by {min(rivals)}")
            asked = sum(1 for k, w, _ in wanted if (k, w) == key[:2])
            free = sizes.get((kind, where), 0) - len(self.labels(kind, where))
            reason = "NO_SPECTRUM" if kind == "channel" else "NO_SLOT"
            return exhausted(reason, where, asked, free, f"{kind} {label} of {where} is in use by {min(rivals)}")
        return None

    def _spare_rivals(self, circuit: str, key: Key, risks: Risks, allowed: Set[str]) -> set[str]:
        """Who holds a label as spare and may need it at the same moment as this circuit.

        Whoever holds it so himself may light it: the first to need it has it.
        """
        kind, where, label = key
        if kind.startswith(SPARE):
            holders = set(self._places.get((kind, where), {}).get(label, ())) - allowed
            return {h for h in holders if any(not risks.isdisjoint(r) for r in self._risks.get(h, ()))}
        holders = set(self._places.get((SPARE + kind, where), {}).get(label, ()))
        return set() if circuit in holders else holders - allowed

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

"""Circuits as trees and as protobuf, and the domain's topology as values without a protocol."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Final

from onecity.optical.v1 import optical_pb2 as pb

from controller.errors import DomainError
from controller.network.discovered import (
    DiscoveredCircuit,
    DiscoveredFibre,
    DiscoveredNode,
    DiscoveredOduLink,
    DiscoveredPort,
    DomainKind,
    DomainTopology,
)
from controller.rendering.tree import Edit, Leaf, OperationKind, Path, Tree

CIRCUIT: Final = "opt:circuit"
INFRASTRUCTURE: Final = "infrastructure"  # owner of what stood before any service; never ours to touch
LIGHT_OF_LINKS: Final = "link/"  # how circuits are called that were lit for an IP link and not for one service
_LAYERS: Final[Mapping[str, pb.Layer]] = {"wavelength": pb.LAYER_WAVELENGTH, "odu": pb.LAYER_ODU}
_LAYER_NAMES: Final = {number: name for name, number in _LAYERS.items()}


def tree_of(circuits: Iterable[pb.Circuit], paths: Iterable[Path] = ()) -> Tree:
    """Return the services' circuits in canonical form; with paths, only what lies at them."""
    tree: Tree = {
        (CIRCUIT, circuit.spec.id): _tree_of_spec(circuit.spec)
        for circuit in circuits
        if circuit.spec.owner != INFRASTRUCTURE
    }
    wanted = {path[0] for path in paths}
    return {step: value for step, value in tree.items() if step in wanted} if wanted else tree


def _tree_of_spec(spec: pb.CircuitSpec) -> Tree:
    tree: Tree = {
        "opt:id": spec.id,
        "opt:owner": spec.owner,
        "opt:a-port": spec.a.port,
        "opt:a-vlan": str(spec.a.vlan),
        "opt:z-port": spec.z.port,
        "opt:z-vlan": str(spec.z.vlan),
        "opt:layer": _LAYER_NAMES.get(spec.layer, ""),
        "opt:rate-bps": str(spec.rate_bps),
        "opt:odu": spec.odu,
        "opt:mode": spec.mode,
        "opt:working": _tree_of_leg(spec.working),
    }
    if spec.HasField("protect"):
        tree["opt:protect"] = _tree_of_leg(spec.protect)
    if spec.protect_shared:
        tree["opt:protect-shared"] = "true"
    return {step: value for step, value in tree.items() if value != ""}


def _tree_of_leg(leg: pb.Leg) -> Tree:
    tree: Tree = {"opt:route": tuple(leg.route)}
    if leg.channel:
        tree["opt:channel"] = str(leg.channel)
    if leg.slots:
        tree["opt:slots"] = tuple(",".join(str(slot) for slot in hop.slots) for hop in leg.slots)
    return tree


def spec_of(tree: Tree) -> pb.CircuitSpec:
    """Return the protobuf form of a circuit's tree; raises ValueError or KeyError where it is no circuit."""
    spec = pb.CircuitSpec(
        id=_leaf(tree, "id"),
        owner=_leaf(tree, "owner"),
        a=pb.ClientEnd(port=_leaf(tree, "a-port"), vlan=int(_leaf(tree, "a-vlan") or 0)),
        z=pb.ClientEnd(port=_leaf(tree, "z-port"), vlan=int(_leaf(tree, "z-vlan") or 0)),
        layer=_LAYERS[_leaf(tree, "layer")],
        rate_bps=int(_leaf(tree, "rate-bps")),
        odu=_leaf(tree, "odu"),
        mode=_leaf(tree, "mode"),
        working=_leg(tree["opt:working"]),
    )
    if "opt:protect" in tree:
        spec.protect.CopyFrom(_leg(tree["opt:protect"]))
    spec.protect_shared = _leaf(tree, "protect-shared") == "true"
    return spec


def _leg(tree: Tree | Leaf) -> pb.Leg:
    if not isinstance(tree, dict):
        raise ValueError("a leg is a container")
    hops = (pb.SlotList(slots=[int(slot) for slot in hop.split(",")]) for hop in _several(tree, "slots"))
    return pb.Leg(route=_several(tree, "route"), channel=int(_leaf(tree, "channel") or 0), slots=list(hops))


def _leaf(tree: Tree, name: str) -> str:
    value = tree.get(f"opt:{name}", "")
    if not isinstance(value, str):
        raise ValueError(f"{name} is one value")
    return value


def _several(tree: Tree, name: str) -> tuple[str, ...]:
    value = tree.get(f"opt:{name}", ())
    return value if isinstance(value, tuple) else ()


def circuit_ids(edit: Edit) -> tuple[str, ...]:
    """Return the circuits that an edit changes, in its order; raises DomainError for anything that is no circuit."""
    ids: dict[str, None] = {}
    for operation in edit.operations:
        step = operation.path[0]
        if not isinstance(step, tuple) or step[0] != CIRCUIT:
            raise DomainError(edit.domain, "an optical domain holds circuits only", path=str(step), tag="INVALID")
        ids[step[1]] = None
    return tuple(ids)


def request_of(txn: str, edit: Edit, versions: Mapping[str, int], *, replay: bool) -> pb.PrepareRequest:
    """Return what to prepare: whole circuits put, or deleted, each against the version that was read.

    A circuit that the edit creates must not exist, one that it deletes must, except in a replay, where what is there
    already is put again and what is gone stays gone. Coordinator, term and lease are left to the caller.
    """
    created = {op.path[0][1] for op in edit.operations if op.kind is OperationKind.CREATE and len(op.path) == 1}
    request = pb.PrepareRequest(txn_id=txn)
    for circuit in circuit_ids(edit):
        after = edit.after.get((CIRCUIT, circuit))
        version = versions.get(circuit, 0)
        if isinstance(after, dict):
            expected = 0 if circuit in created and not replay else version
            request.puts.append(pb.PutCircuit(spec=spec_of(after), expected_version=expected))
        elif version or not replay:
            request.deletes.append(pb.DeleteCircuit(id=circuit, expected_version=version))
    return request


def what_remains(edit: Edit, now: Tree) -> tuple[Edit, tuple[str, ...]]:
    """Return the edit without what is done already, and what to tell of it.

    Raises DomainError where an edit would create a circuit whose name stands for something else by now: to overwrite
    that would destroy somebody's work. One that was changed by others and is to be changed or deleted goes on.
    """
    left, told = [], []
    for operation in edit.operations:
        step = operation.path[0]
        before, wanted, stands = edit.before.get(step), edit.after.get(step), now.get(step)
        if stands == wanted and before != wanted:
            told.append(f"circuit {step[1]} was already {'gone' if wanted is None else 'there'}")
            continue
        if before is None and stands is not None:
            problem = "somebody else set up something else under this name; see `onecity diff`"
            raise DomainError(edit.domain, problem, path=f"circuit {step[1]}", tag="ALREADY_EXISTS")
        if before is not None and stands is None:
            told.append(f"circuit {step[1]} was gone and is set up anew")
        left.append(operation)
    return replace(edit, operations=tuple(left)), tuple(dict.fromkeys(told))


def topology_of(domain: str, network_id: str, answer: pb.GetTopologyResponse) -> DomainTopology:
    """Return the domain's topology; what is not reported down counts as up."""
    return DomainTopology(
        domain=domain,
        kind=DomainKind.OPTICAL,
        network_id=network_id,
        nodes=tuple(DiscoveredNode(id=n.id, name=n.id, up=_up(n.state), site=n.site or None) for n in answer.nodes),
        ports=tuple(
            DiscoveredPort(
                node=port.node,
                id=port.id,
                up=_up(port.state),
                rates_bps=tuple(sorted(port.rates_bps)),
                lock_id=port.lock_id or None,
                used_by=port.used_by or None,
                site=port.site or None,
            )
            for port in answer.client_ports
        ),
        fibres=tuple(_fibre(link) for link in answer.photonic_links),
        odu_links=tuple(
            DiscoveredOduLink(
                id=link.id, a=link.a_node, z=link.z_node, server_circuit=link.server_circuit, slots=link.slots,
                free=frozenset(link.free_slots), up=_up(link.state),
            )
            for link in answer.odu_links
        ),
        circuits=tuple(_circuit(circuit) for circuit in answer.circuits),
        srlg_names=tuple((name.value, name.name) for name in answer.srlg_names),
    )  # fmt: skip


def _fibre(link: pb.PhotonicLink) -> DiscoveredFibre:
    return DiscoveredFibre(
        id=link.id,
        a=link.a_node,
        z=link.z_node,
        length_m=link.length_m,
        loss_db=link.loss_db,
        srlgs=frozenset(link.srlgs),
        channels=link.channels,
        occupied=frozenset(link.occupied),
        up=_up(link.state),
    )


def _circuit(circuit: pb.Circuit) -> DiscoveredCircuit:
    spec = circuit.spec
    return DiscoveredCircuit(
        id=spec.id,
        owner=spec.owner,
        a_port=spec.a.port,
        z_port=spec.z.port,
        layer=_LAYER_NAMES.get(spec.layer, ""),
        rate_bps=spec.rate_bps,
        route=tuple(spec.working.route),
        protect_route=tuple(spec.protect.route),
        latency_s=circuit.latency_ns * 1e-9,
        up=_up(circuit.state),
        version=circuit.version,
        channel=spec.working.channel or None,
        slots=_slots(spec.working),
        protect_channel=spec.protect.channel or None,
        protect_slots=_slots(spec.protect),
        mode=spec.mode,
    )


def _slots(leg: pb.Leg) -> tuple[tuple[int, ...], ...]:
    return tuple(tuple(hop.slots) for hop in leg.slots)


def _up(state: int) -> bool:
    return state != pb.OPER_STATE_DOWN

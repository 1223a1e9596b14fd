"""A client of a real optical domain process, and circuits to ask it for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import grpc
from google.protobuf.duration_pb2 import Duration
from google.rpc import error_details_pb2, status_pb2
from onecity.optical.v1 import optical_pb2 as pb
from onecity.optical.v1 import optical_pb2_grpc


class Client:
    """Every verb with its deadline and token."""

    def __init__(self, directory: Path, port: int, token: str | None = None) -> None:
        trust = grpc.ssl_channel_credentials((directory / "ca.pem").read_bytes())
        self._channel = grpc.secure_channel(f"127.0.0.1:{port}", trust)
        self._stub = optical_pb2_grpc.OpticalDomainServiceStub(self._channel)
        token = token if token is not None else (directory / "secrets" / "token").read_text()
        self._metadata = (("authorization", f"Bearer {token}"),)

    def __call__(self, verb: str, request: Any) -> Any:
        return getattr(self._stub, verb)(request, timeout=5, metadata=self._metadata, wait_for_ready=True)

    def prepare(self, txn: str, *puts: pb.CircuitSpec, delete: tuple[str, int] | None = None, **more: Any) -> Any:
        lease = more.pop("lease_s", 30)
        version = more.pop("version", 0)
        more.setdefault("term", 7)
        deletes = [pb.DeleteCircuit(id=delete[0], expected_version=delete[1])] if delete else []
        wanted = [pb.PutCircuit(spec=p, expected_version=version) for p in puts]
        request = pb.PrepareRequest(
            txn_id=txn, coordinator="test", puts=wanted, deletes=deletes, lease=seconds(lease), **more
        )
        return self("Prepare", request).transaction

    def commit(self, txn: str, confirm_s: float = 30) -> Any:
        return self("Commit", pb.CommitRequest(txn_id=txn, confirm_timeout=seconds(confirm_s))).transaction

    def confirm(self, txn: str) -> Any:
        return self("Confirm", pb.ConfirmRequest(txn_id=txn)).transaction

    def cancel(self, txn: str) -> Any:
        return self("Cancel", pb.CancelRequest(txn_id=txn)).transaction

    def state(self, txn: str) -> str:
        found = self("GetTransaction", pb.GetTransactionRequest(txn_id=txn)).transaction.state
        return pb.TransactionState.Name(found).removeprefix("TRANSACTION_STATE_")

    def circuit(self, name: str) -> pb.Circuit | None:
        found = self("ListCircuits", pb.ListCircuitsRequest(ids=[name])).circuits
        return found[0] if found else None

    def close(self) -> None:
        self._channel.close()


def seconds(value: float) -> Duration:
    return Duration(seconds=int(value), nanos=int(value % 1 * 1e9))


def reason(error: grpc.RpcError) -> tuple[grpc.StatusCode, str, pb.Shortage | None]:
    """Return code, ErrorInfo reason and Shortage of a refusal."""
    details = dict(error.trailing_metadata())["grpc-status-details-bin"]
    info, shortage, found = error_details_pb2.ErrorInfo(), pb.Shortage(), None
    for detail in status_pb2.Status.FromString(details).details:
        if detail.Is(info.DESCRIPTOR):
            detail.Unpack(info)
        elif detail.Is(shortage.DESCRIPTOR):
            detail.Unpack(shortage)
            found = shortage
    return error.code(), info.reason, found


def timeslot(name: str, slot: int = 1, port: int = 3, vlan: int = 300) -> pb.CircuitSpec:
    """1 Gbit/s buji → nanwan in one slot."""
    return pb.CircuitSpec(
        id=name,
        owner="t/s",
        a=pb.ClientEnd(port=f"otn-buji/c{port}", vlan=vlan),
        z=pb.ClientEnd(port=f"otn-nanwan/c{port + 3}", vlan=vlan),
        layer=pb.LAYER_ODU,
        rate_bps=10**9,
        odu="ODU0",
        working=pb.Leg(route=["odu-f-nanwan-buji-1"], slots=[pb.SlotList(slots=[slot])]),
    )


def restorable(name: str, slot: int = 1, vlan: int = 300, *, west: bool = True, lit: bool = False) -> pb.CircuitSpec:
    """1 Gbit/s, buji → nanwan or jihua → bantian, with the way round the west ring held for restoration, or lit."""
    a, z, direct = ("buji", "nanwan", "nanwan-buji") if west else ("jihua", "bantian", "jihua-bantian")
    around = ["bantian-pinghu", "pinghu-zhihui", "zhihui-nanwan"]
    around = ["buji-jihua", "jihua-bantian", *around] if west else ["buji-jihua", "nanwan-buji", *reversed(around)]
    spare = pb.Leg(route=[f"odu-f-{f}-1" for f in around], slots=[pb.SlotList(slots=[slot]) for _ in around])
    spec = pb.CircuitSpec(
        id=name,
        owner="t/r",
        a=pb.ClientEnd(port=f"otn-{a}/c5", vlan=vlan),
        z=pb.ClientEnd(port=f"otn-{z}/c5", vlan=vlan),
        layer=pb.LAYER_ODU,
        rate_bps=10**9,
        odu="ODU0",
    )
    if lit:
        spec.working.CopyFrom(spare)
        return spec
    spec.working.CopyFrom(pb.Leg(route=[f"odu-f-{direct}-1"], slots=[pb.SlotList(slots=[slot + 40])]))
    spec.protect.CopyFrom(spare)
    spec.protect_shared = True
    return spec


def wavelength(name: str, channel: int = 40, **more: Any) -> pb.CircuitSpec:
    """100 Gbit/s buji → nanwan between the sites' own ports."""
    spec = pb.CircuitSpec(
        id=name,
        owner="t/w",
        a=pb.ClientEnd(port="otn-buji/c11"),
        z=pb.ClientEnd(port="otn-nanwan/c14"),
        layer=pb.LAYER_WAVELENGTH,
        rate_bps=100 * 10**9,
        odu="ODU4",
        mode="100G QPSK SC-FEC",
        working=pb.Leg(route=["f-nanwan-buji"], channel=channel),
    )
    spec.MergeFrom(pb.CircuitSpec(**more))
    return spec

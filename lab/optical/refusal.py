"""A request that the optical domain refuses, with everything that the wire error says about it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import grpc
from google.protobuf import any_pb2, duration_pb2
from google.rpc import error_details_pb2, status_pb2
from onecity.optical.v1 import optical_pb2 as pb

ERROR_DOMAIN = "optical.onecity"


@dataclass(slots=True)
class RefusedError(Exception):
    """`reason` is the ErrorInfo reason; `shortage` is (where, asked, free); `field` names a bad request field."""

    code: grpc.StatusCode
    reason: str
    message: str
    shortage: tuple[str, int, int] | None = None
    field: str = ""

    def __str__(self) -> str:
        return self.message

    def details(self) -> bytes:
        """Return the serialised google.rpc.Status that travels as grpc-status-details-bin."""
        parts: list[any_pb2.Any] = []
        _pack(parts, error_details_pb2.ErrorInfo(reason=self.reason, domain=ERROR_DOMAIN))
        if self.shortage is not None:
            where, asked, free = self.shortage
            _pack(parts, pb.Shortage(where=where, asked=asked, free=free))
        if self.field:
            violation = error_details_pb2.BadRequest.FieldViolation(field=self.field, description=self.message)
            _pack(parts, error_details_pb2.BadRequest(field_violations=[violation]))
        if self.code is grpc.StatusCode.ABORTED:
            _pack(parts, error_details_pb2.RetryInfo(retry_delay=duration_pb2.Duration(nanos=200_000_000)))
        status = status_pb2.Status(code=self.code.value[0], message=self.message, details=parts)
        return bytes(status.SerializeToString())


def _pack(parts: list[any_pb2.Any], message: object) -> None:
    packed = any_pb2.Any()
    packed.Pack(message)  # type: ignore[arg-type]
    parts.append(packed)


def invalid(field: str, message: str) -> RefusedError:
    return RefusedError(grpc.StatusCode.INVALID_ARGUMENT, "INVALID", message, field=field)


def unknown(what: str, name: str) -> RefusedError:
    return RefusedError(grpc.StatusCode.NOT_FOUND, "NOT_FOUND", f"no {what} {name!r} in this domain")


def exhausted(reason: str, where: str, asked: int, free: int, message: str) -> RefusedError:
    return RefusedError(grpc.StatusCode.RESOURCE_EXHAUSTED, reason, message, shortage=(where, asked, free))


def precondition(reason: str, message: str) -> RefusedError:
    return RefusedError(grpc.StatusCode.FAILED_PRECONDITION, reason, message)


def conflict(reason: str, message: str) -> RefusedError:
    return RefusedError(grpc.StatusCode.ABORTED, reason, message)


def near(names: Sequence[str], limit: int = 4) -> str:
    """List a few names for a message."""
    return ", ".join(names[:limit]) + (f" and {len(names) - limit} more" if len(names) > limit else "")

"""What an optical domain's gRPC status means: a refusal in its own words, or that nobody knows what happened."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, cast

import grpc
import grpc.aio
from google.protobuf.message import DecodeError
from google.rpc import error_details_pb2, status_pb2
from onecity.optical.v1 import optical_pb2 as pb

from controller.errors import DomainError, DomainUnreachableError

_Code = grpc.StatusCode
# The request may have had its effect; only GetTransaction knows.
UNKNOWN: Final = frozenset({_Code.UNAVAILABLE, _Code.DEADLINE_EXCEEDED, _Code.CANCELLED, _Code.UNKNOWN, _Code.INTERNAL})
_DETAILS: Final = "grpc-status-details-bin"


def error_of(domain: str, what: str, error: grpc.aio.AioRpcError, deadline_s: float) -> DomainError:
    """Return the error that a person sees; DomainUnreachableError where the outcome is unknown."""
    code, text = error.code(), error.details() or ""
    status = _status(error)
    # gRPC itself raises RESOURCE_EXHAUSTED for messages that are too large; without details it is no refusal.
    if code in UNKNOWN or (code is _Code.RESOURCE_EXHAUSTED and status is None):
        if code is _Code.DEADLINE_EXCEEDED:
            return DomainUnreachableError(domain, f"no answer to {what} within {deadline_s:g} s")
        return DomainUnreachableError(domain, f"{what}: {text or code.name.lower()}")
    if code in (_Code.UNAUTHENTICATED, _Code.PERMISSION_DENIED):
        return DomainError(domain, f"{what}: {text}; see tokenFile of this domain", tag=code.name)
    reason, where, more = _explained(status)
    message = f"{text}{more}" if text else f"{what} refused{more}"
    return DomainError(domain, message, path=where, tag=reason or code.name)


def _status(error: grpc.aio.AioRpcError) -> status_pb2.Status | None:
    trailing = cast("Iterable[tuple[str, str | bytes]]", error.trailing_metadata() or ())
    raw = next((value for key, value in trailing if key == _DETAILS), None)
    try:
        return status_pb2.Status.FromString(raw) if isinstance(raw, bytes) else None
    except DecodeError:
        return None


def _explained(status: status_pb2.Status | None) -> tuple[str, str, str]:
    """Return the reason, the place it names, and what the details add to the message."""
    reason = where = more = ""
    for detail in status.details if status is not None else ():
        info, shortage, request = error_details_pb2.ErrorInfo(), pb.Shortage(), error_details_pb2.BadRequest()
        if detail.Unpack(info):
            reason = info.reason
        elif detail.Unpack(shortage):
            where, more = shortage.where, f" (asked {shortage.asked}, free {shortage.free})"
        elif detail.Unpack(request) and request.field_violations:
            where = where or request.field_violations[0].field
    return reason, where, more

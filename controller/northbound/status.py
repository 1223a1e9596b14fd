"""The one place where an error becomes a gRPC status.

IntentError carries google.rpc.BadRequest with a field violation for every mistake; every other error carries
google.rpc.ErrorInfo, its reason the kind of error. What travels is bounded: HTTP/2 trailers are small, and a file
with ten thousand mistakes must still get its answer.
"""

from __future__ import annotations

import re
from urllib.parse import quote

import grpc
from google.protobuf.any_pb2 import Any as AnyMessage
from google.rpc import error_details_pb2, status_pb2

from controller.errors import DomainError, IntentError, OnecityError, Status, Violation

# Clients take 8 kB of trailers unless told otherwise; percent and base64 encoding count.
MOST_MESSAGE_BYTES = 2_000
MOST_DETAIL_BYTES = 4_000
MOST_REASON_LENGTH = 63  # google.rpc.ErrorInfo
DETAILS_KEY = "grpc-status-details-bin"

CODES = {
    Status.INVALID_ARGUMENT: grpc.StatusCode.INVALID_ARGUMENT,
    Status.NOT_FOUND: grpc.StatusCode.NOT_FOUND,
    Status.ALREADY_EXISTS: grpc.StatusCode.ALREADY_EXISTS,
    Status.FAILED_PRECONDITION: grpc.StatusCode.FAILED_PRECONDITION,
    Status.RESOURCE_EXHAUSTED: grpc.StatusCode.RESOURCE_EXHAUSTED,
    Status.ABORTED: grpc.StatusCode.ABORTED,
    Status.UNAVAILABLE: grpc.StatusCode.UNAVAILABLE,
    Status.DEADLINE_EXCEEDED: grpc.StatusCode.DEADLINE_EXCEEDED,
    Status.INTERNAL: grpc.StatusCode.INTERNAL,
}


def rich_status(error: OnecityError) -> tuple[grpc.StatusCode, str, tuple[tuple[str, bytes], ...]]:
    """Return code, message and trailing metadata for `context.abort`."""
    code = CODES[error.status]
    message = bounded(str(error) or type(error).__name__)
    status = status_pb2.Status(code=code.value[0], message=message)
    status.details.append(_details(error))
    return code, message, ((DETAILS_KEY, status.SerializeToString()),)


def _details(error: OnecityError) -> AnyMessage:
    packed = AnyMessage()
    if isinstance(error, IntentError):
        packed.Pack(bad_request(error.violations, error.untold))
    else:
        packed.Pack(error_info(error))
    return packed


def bad_request(violations: tuple[Violation, ...], untold: int = 0) -> error_details_pb2.BadRequest:
    """Name every mistake, as many as fit, and say how many did not."""
    request, used = error_details_pb2.BadRequest(), 0
    for index, violation in enumerate(violations):
        place = f"{violation.source}:{violation.line}" if violation.line else violation.source
        field = f"{place}: {violation.field}" if violation.field else place
        entry = error_details_pb2.BadRequest.FieldViolation(field=field, description=violation.problem)
        used += entry.ByteSize() + 4
        if used > MOST_DETAIL_BYTES and index:
            left = len(violations) - index + max(0, untold - 1)  # the last of them only says how many are untold
            request.field_violations.add(field="", description=f"and {left:,} more mistakes; correct these first")
            break
        if used > MOST_DETAIL_BYTES:
            entry.field, entry.description = field[:300], violation.problem[:1000]
        request.field_violations.append(entry)
    return request


def error_info(error: OnecityError) -> error_details_pb2.ErrorInfo:
    """Say which kind of error it is, for programs."""
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", type(error).__name__.removesuffix("Error")).upper()
    info = error_details_pb2.ErrorInfo(reason=words[:MOST_REASON_LENGTH], domain="onecity")
    if isinstance(error, DomainError):
        for key, value in (("domain", error.domain), ("path", error.path), ("tag", error.tag)):
            if value:
                info.metadata[key] = value[:500]
    return info


def bounded(message: str) -> str:
    """Cut a message to what fits in the trailers, at a line's end if there is one."""
    if len(quote(message, safe=" \n")) <= MOST_MESSAGE_BYTES:
        return message
    kept, used = [], 0
    for line in message.split("\n"):
        used += len(quote(line, safe=" ")) + 3
        if used > MOST_MESSAGE_BYTES - 60:
            break
        kept.append(line)
    left = message.count("\n") + 1 - len(kept)
    if not kept:  # one long line: 9 bytes is the most that a character costs, once encoded
        return message[: MOST_MESSAGE_BYTES // 12] + " …"
    return "\n".join([*kept, f"… and {left:,} more lines"])

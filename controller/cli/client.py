"""The connection to the daemon, and what its errors mean to a person."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import grpc
from google.rpc import error_details_pb2, status_pb2
from onecity.v1 import controller_pb2 as pb
from onecity.v1 import controller_pb2_grpc, drift_pb2_grpc, incident_pb2_grpc, intent_pb2, report_pb2_grpc

from controller.cli.errors import CommandError
from controller.cli.sources import Source

DETAILS_KEY = "grpc-status-details-bin"
OPTIONS = (
    ("grpc.max_receive_message_length", 64 * 1024 * 1024),
    ("grpc.max_send_message_length", 16 * 1024 * 1024),
    ("grpc.max_metadata_size", 64 * 1024),  # errors with many violations
    ("grpc.enable_http_proxy", 0),  # the daemon is on this machine; a company proxy is not
)


class MovedError(CommandError):
    """The world moved since the plan was made, or something else of that name runs already."""


class LostError(CommandError):
    """The daemon does not answer."""


class Client:
    """One connection; every call raises CommandError and nothing else."""

    def __init__(self, server: str, timeout_s: float) -> None:
        self.server, self._timeout_s = server, timeout_s
        self._channel = grpc.insecure_channel(server, options=OPTIONS)
        self.stub = controller_pb2_grpc.ControllerServiceStub(self._channel)  # type: ignore[no-untyped-call]
        self.reports = report_pb2_grpc.ReportServiceStub(self._channel)  # type: ignore[no-untyped-call]
        self.drift = drift_pb2_grpc.DriftServiceStub(self._channel)  # type: ignore[no-untyped-call]
        self.incidents = incident_pb2_grpc.IncidentServiceStub(self._channel)  # type: ignore[no-untyped-call]

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self._channel.close()

    def call(self, method: Callable[..., Any], request: Any) -> Any:
        """Call one unary RPC."""
        try:
            return method(request, timeout=self._timeout_s)
        except grpc.RpcError as error:
            raise self._meaning(error) from None

    def watch(self, change_id: str) -> Iterator[pb.WatchChangeResponse]:
        """Yield the events of a change from its beginning, up to its result; LostError where the stream breaks."""
        yield from self.follow(self.stub.WatchChange, pb.WatchChangeRequest(change_id=change_id))

    def stream(self, method: Callable[..., Any], request: Any) -> Iterator[Any]:
        """Yield what a streaming RPC answers within the deadline of a call."""
        yield from self.follow(method, request, self._timeout_s)

    def follow(self, method: Callable[..., Any], request: Any, timeout_s: float | None = None) -> Iterator[Any]:
        """Yield what a streaming RPC answers, for ever where there is no deadline; leaving ends the call."""
        answers = method(request, timeout=timeout_s)
        try:
            yield from answers
        except grpc.RpcError as error:
            raise self._meaning(error) from None
        finally:
            answers.cancel()

    def _meaning(self, error: Any) -> CommandError:
        code, words = error.code(), error.details() or ""
        details = _details(error)
        if details is None and code == grpc.StatusCode.UNAVAILABLE:
            return LostError(
                f"no onecity daemon answers at {self.server}; start it with `onecity serve`, "
                "or name another with --server or ONECITY_SERVER"
            )
        if details is None and code == grpc.StatusCode.DEADLINE_EXCEEDED:
            return CommandError(f"the daemon did not answer in {self._timeout_s:g} s; give it longer with --timeout")
        if code == grpc.StatusCode.UNIMPLEMENTED:
            return CommandError(f"what answers at {self.server} is not an onecity daemon of this version")
        if code == grpc.StatusCode.ABORTED:
            return MovedError(words)
        return CommandError(_violations(details) or words or f"the daemon answered {code.name}")


def _details(error: Any) -> status_pb2.Status | None:
    for key, value in error.trailing_metadata() or ():
        if key == DETAILS_KEY:
            return status_pb2.Status.FromString(value)
    return None


def _violations(status: status_pb2.Status | None) -> str:
    lines = []
    for detail in status.details if status is not None else ():
        request = error_details_pb2.BadRequest()
        if detail.Unpack(request):
            for found in request.field_violations:
                lines.append(f"{found.field}: {found.description}" if found.field else f"… {found.description}")
    return "\n".join(lines)


def as_documents(sources: tuple[Source, ...]) -> list[intent_pb2.Document]:
    """Return files as documents of a request."""
    return [intent_pb2.Document(source_name=source.name, yaml=source.text) for source in sources]

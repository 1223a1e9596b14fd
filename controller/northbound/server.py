"""The gRPC server on loopback: ControllerService, health, reflection, bounded messages."""

from __future__ import annotations

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection
from onecity.v1 import (
    controller_pb2,
    controller_pb2_grpc,
    drift_pb2,
    drift_pb2_grpc,
    incident_pb2_grpc,
    report_pb2_grpc,
)

from controller.changes.ports import ChangeService
from controller.drift.port import DriftService
from controller.errors import ConfigurationError
from controller.northbound.drift import DriftServicer
from controller.northbound.incidents import SERVICE as INCIDENT_SERVICE
from controller.northbound.incidents import IncidentServicer, IncidentSource, ProposalSource
from controller.northbound.reports import SERVICE as REPORT_SERVICE
from controller.northbound.reports import ReportServicer, ReportSource
from controller.northbound.service import ControllerServicer
from controller.settings import Listen

MOST_MESSAGE_BYTES = 16 * 1024 * 1024
SERVICE = controller_pb2.DESCRIPTOR.services_by_name["ControllerService"].full_name
DRIFT_SERVICE = drift_pb2.DESCRIPTOR.services_by_name["DriftService"].full_name
OPTIONS = (
    ("grpc.max_receive_message_length", MOST_MESSAGE_BYTES),
    ("grpc.max_send_message_length", 4 * MOST_MESSAGE_BYTES),  # native text of a whole plan is larger than its intents
    ("grpc.so_reuseport", 0),  # a second daemon on the same port must fail, not share it
    ("grpc.keepalive_time_ms", 30_000),  # watchers that vanished without a word are let go
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
)


class NorthboundServer:
    """Serves one ChangeService. `port` is known once started, also where the settings left it to the system."""

    def __init__(
        self,
        changes: ChangeService,
        listen: Listen,
        drift: DriftService | None = None,
        incidents: IncidentSource | None = None,
        proposals: ProposalSource | None = None,
        reports: ReportSource | None = None,
    ) -> None:
        self._listen = listen
        self._server = grpc.aio.server(options=OPTIONS)
        self._health = health.aio.HealthServicer()  # type: ignore[attr-defined]
        controller_pb2_grpc.add_ControllerServiceServicer_to_server(  # type: ignore[no-untyped-call]
            ControllerServicer(changes), self._server
        )
        if drift is not None:
            drift_pb2_grpc.add_DriftServiceServicer_to_server(  # type: ignore[no-untyped-call]
                DriftServicer(drift), self._server
            )
        if incidents is not None:
            incident_pb2_grpc.add_IncidentServiceServicer_to_server(  # type: ignore[no-untyped-call]
                IncidentServicer(incidents, proposals), self._server
            )
        if reports is not None:
            report_pb2_grpc.add_ReportServiceServicer_to_server(  # type: ignore[no-untyped-call]
                ReportServicer(reports), self._server
            )
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        health_service = health_pb2.DESCRIPTOR.services_by_name["Health"].full_name
        beside = [DRIFT_SERVICE] * (drift is not None) + [INCIDENT_SERVICE] * (incidents is not None)
        beside += [REPORT_SERVICE] * (reports is not None)
        names = (SERVICE, *beside, health_service, reflection.SERVICE_NAME)
        reflection.enable_server_reflection(names, self._server)
        self.port = 0

    async def start(self) -> None:
        """Listen and serve; raises ConfigurationError where the address cannot be had."""
        try:
            self.port = self._server.add_insecure_port(str(self._listen))
        except RuntimeError:
            self.port = 0
        if self.port == 0:
            raise ConfigurationError(
                f"listen: {self._listen} cannot be had; is another onecity running? Choose another port in onecity.yaml"
            )
        await self._server.start()
        await self.ready(True)

    async def ready(self, ready: bool) -> None:
        """Say over the health service whether changes are accepted."""
        state = health_pb2.HealthCheckResponse.SERVING if ready else health_pb2.HealthCheckResponse.NOT_SERVING
        for name in ("", SERVICE):
            await self._health.set(name, state)

    async def stop(self, grace_s: float = 2.0) -> None:
        """Say so over health, let calls end, then end them. Changes under way are not this room's to stop."""
        await self._health.enter_graceful_shutdown()
        await self._server.stop(grace_s)

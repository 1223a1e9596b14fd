"""DriftService over gRPC, and drift as Prometheus sees it."""

from __future__ import annotations

from collections.abc import Iterator

from onecity.v1 import drift_pb2 as pb
from onecity.v1 import drift_pb2_grpc
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from controller.changes.views import Whose
from controller.drift.port import DriftService, DriftView
from controller.northbound.messages import difference, enum_value, timestamp
from controller.northbound.service import Context, answer


class DriftServicer(drift_pb2_grpc.DriftServiceServicer):
    """Every RPC of DriftService."""

    def __init__(self, drift: DriftService) -> None:
        self._drift = drift

    async def GetDrift(self, request: pb.GetDriftRequest, context: Context) -> pb.GetDriftResponse:  # noqa: N802
        found = await answer(context, self._drift.drift(request.domain, afresh=request.afresh))
        return pb.GetDriftResponse(domains=[_message(one) for one in found])

    async def RevertDrift(self, request: pb.RevertDriftRequest, context: Context) -> pb.RevertDriftResponse:  # noqa: N802
        change = self._drift.revert(
            request.domain,
            request.service,
            request.author,
            request.reason,
            added=request.added,
            accepted=request.accepted,
        )
        return pb.RevertDriftResponse(change_id=await answer(context, change))

    async def AcceptDrift(self, request: pb.AcceptDriftRequest, context: Context) -> pb.AcceptDriftResponse:  # noqa: N802
        accepted = self._drift.accept(request.domain, request.service, request.author, request.reason)
        change_id, places = await answer(context, accepted)
        return pb.AcceptDriftResponse(change_id=change_id, places=places)


def _message(view: DriftView) -> pb.DomainDrift:
    return pb.DomainDrift(
        domain=view.domain,
        policy=enum_value(pb.DriftPolicy, "DRIFT_POLICY", view.policy),
        compared_at=timestamp(view.compared_at),
        ours=view.counts.get(Whose.OURS, 0),
        added=view.counts.get(Whose.ADDED, 0),
        accepted=view.counts.get(Whose.ACCEPTED, 0),
        foreign=view.counts.get(Whose.FOREIGN, 0),
        places=[difference(place) for place in view.places],
        message=view.message,
    )


class DriftSeries(Collector):
    """Places that differ and when that was last looked at, by domain; a domain not yet compared has no value."""

    def __init__(self, drift: DriftService) -> None:
        self._drift = drift

    def describe(self) -> Iterator[Metric]:
        """Nothing in advance: a registry must not scrape in order to register."""
        return iter(())

    def collect(self) -> Iterator[Metric]:
        places = GaugeMetricFamily(
            "onecity_domain_drift_places",
            "Places where a domain runs something else than desired: ours, added by others to ours, accepted, foreign.",
            labels=["domain", "whose"],
        )
        compared = GaugeMetricFamily(
            "onecity_domain_compared_timestamp_seconds", "When a domain was last read and compared.", labels=["domain"]
        )
        for view in self._drift.standing():
            if view.compared_at is None:
                continue
            compared.add_metric([view.domain], view.compared_at.timestamp())
            for whose in Whose:
                places.add_metric([view.domain, whose.value], view.counts.get(whose, 0))
        yield places
        yield compared

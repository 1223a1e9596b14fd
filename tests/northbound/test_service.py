"""ControllerService over a real connection: every verb, every way to go wrong, clients that leave."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from onecity.v1 import controller_pb2 as pb
from onecity.v1 import history_pb2, intent_pb2, plan_pb2
from onecity.v1 import status_pb2 as service_pb2

from controller.errors import ConfigurationError, DomainUnreachableError
from controller.northbound.server import NorthboundServer
from controller.settings import Listen
from tests.northbound.remembered import RememberedChanges


def document(name: str = "video", spec: str = "{rate: 1}", labels: str = "{}") -> intent_pb2.Document:
    text = f"kind: ExclusiveSlice\nmetadata: {{name: {name}, tenant: gov, labels: {labels}}}\nspec: {spec}\n"
    return intent_pb2.Document(source_name=f"{name}.yaml", yaml=text)


async def applied(stub: Any, **fields: Any) -> pb.WatchChangeResponse:
    accepted = await stub.Apply(pb.ApplyRequest(**fields))
    events = [event async for event in stub.WatchChange(pb.WatchChangeRequest(change_id=accepted.change_id))]
    assert [e.sequence for e in events] == list(range(1, len(events) + 1))
    return events[-1]


def details(error: grpc.aio.AioRpcError) -> status_pb2.Status:
    trailers = dict(error.trailing_metadata() or ())
    return status_pb2.Status.FromString(trailers["grpc-status-details-bin"])


async def refusal(call: Any) -> grpc.aio.AioRpcError:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return caught.value


async def test_a_plan_tells_what_changes_where_it_goes_and_what_is_proven(stub: Any) -> None:
    plan = (await stub.Plan(pb.PlanRequest(documents=[document()], native=True))).plan
    (service,) = plan.services
    assert (service.service, service.action) == ("gov/video", plan_pb2.ACTION_CREATE)
    assert list(service.facts) == ["10 Gbit/s", "own wavelength 193.10 THz"]
    assert [p.layer for p in service.paths] == [plan_pb2.LAYER_IP, plan_pb2.LAYER_OPTICAL]
    assert service.promises[0].budget_s == 0.020
    assert plan.domains[1].adds == 118
    assert plan.proofs[0].holds
    assert plan.native[0].text.startswith("<edit-config>")
    assert plan.digest


async def test_a_rollback_is_planned_alone(stub: Any) -> None:
    rollback = history_pb2.Rollback(change="1")
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.Plan(pb.PlanRequest(documents=[document()], rollback=rollback))
    assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.Plan(pb.PlanRequest(rollback=rollback))
    assert caught.value.code() == grpc.StatusCode.NOT_FOUND
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.Blame(pb.BlameRequest(domain="city-ip", limit=1_000_000))
    assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT


async def test_a_change_is_followed_from_its_beginning_to_its_result(stub: Any) -> None:
    last = await applied(stub, documents=[document()], reason="for the test", author="ann")
    assert last.result.outcome == plan_pb2.CHANGE_OUTCOME_COMMITTED
    assert list(last.result.warnings) == ["city-ip: clock is off"]
    (record,) = (await stub.GetHistory(pb.GetHistoryRequest())).changes
    assert (record.author, record.reason, record.outcome) == ("ann", "for the test", plan_pb2.CHANGE_OUTCOME_COMMITTED)


async def test_a_second_plan_of_the_same_documents_changes_nothing(stub: Any) -> None:
    await applied(stub, documents=[document()])
    plan = (await stub.Plan(pb.PlanRequest(documents=[document()]))).plan
    assert [s.action for s in plan.services] == [plan_pb2.ACTION_UNCHANGED]
    assert not plan.domains


async def test_watching_again_leaves_out_what_was_seen(stub: Any) -> None:
    await applied(stub, documents=[document()])
    again = stub.WatchChange(pb.WatchChangeRequest(change_id="c1", after_sequence=4))
    assert [event.sequence async for event in again] == [5, 6]


async def test_who_asks_for_the_result_only_gets_nothing_else(stub: Any) -> None:
    await applied(stub, documents=[document()])
    watched = stub.WatchChange(pb.WatchChangeRequest(change_id="c1", result_only=True))
    assert [event.WhichOneof("event") for event in [e async for e in watched]] == ["result"]


async def test_a_change_goes_on_when_its_watcher_leaves(stub: Any, changes: RememberedChanges) -> None:
    changes.gate.clear()
    accepted = await stub.Apply(pb.ApplyRequest(documents=[document()]))
    stream = stub.WatchChange(pb.WatchChangeRequest(change_id=accepted.change_id))
    await stream.read()
    assert changes.watchers == 1
    stream.cancel()
    for _ in range(100):
        if changes.watchers == 0:
            break
        await asyncio.sleep(0.01)
    assert changes.watchers == 0
    changes.gate.set()
    last = [e async for e in stub.WatchChange(pb.WatchChangeRequest(change_id=accepted.change_id))][-1]
    assert last.result.outcome == plan_pb2.CHANGE_OUTCOME_COMMITTED


async def test_an_acceptance_is_not_torn_by_a_deadline(stub: Any, changes: RememberedChanges) -> None:
    accept, entered, leave = changes.apply, asyncio.Event(), asyncio.Event()

    async def slow(request: Any) -> str:
        entered.set()
        await leave.wait()
        return await accept(request)

    changes.apply = slow  # type: ignore[method-assign]
    error = await refusal(stub.Apply(pb.ApplyRequest(documents=[document()]), timeout=0.2))
    assert error.code() == grpc.StatusCode.DEADLINE_EXCEEDED
    assert entered.is_set()
    leave.set()
    for _ in range(100):
        if "gov/video" in changes.standing:
            break
        await asyncio.sleep(0.01)
    assert "gov/video" in changes.standing


async def test_a_repeated_request_id_is_one_change(stub: Any) -> None:
    first = await stub.Apply(pb.ApplyRequest(documents=[document()], request_id="order-1"))
    again = await stub.Apply(pb.ApplyRequest(documents=[document()], request_id="order-1"))
    assert first.change_id == again.change_id
    error = await refusal(stub.Apply(pb.ApplyRequest(documents=[document("other")], request_id="order-1")))
    assert error.code() == grpc.StatusCode.ABORTED


async def test_a_moved_digest_is_aborted(stub: Any, changes: RememberedChanges) -> None:
    plan = (await stub.Plan(pb.PlanRequest(documents=[document()]))).plan
    changes.moves += 1
    error = await refusal(stub.Apply(pb.ApplyRequest(documents=[document()], expected_digest=plan.digest)))
    assert error.code() == grpc.StatusCode.ABORTED
    assert not changes.changes


async def test_every_mistake_is_a_field_violation(stub: Any) -> None:
    error = await refusal(stub.Plan(pb.PlanRequest(documents=[document(spec="{wrong: 1}")])))
    assert error.code() == grpc.StatusCode.INVALID_ARGUMENT
    request = error_details_pb2.BadRequest()
    assert details(error).details[0].Unpack(request)
    assert [v.field for v in request.field_violations] == ["video.yaml:4: spec.wrong", "video.yaml:5: spec.bandwidth"]
    assert "write 100Gbps" in request.field_violations[1].description


async def test_ten_thousand_mistakes_get_their_answer(stub: Any) -> None:
    documents = [document(f"坪地-{i}", "{wrong: 1}") for i in range(5000)]
    error = await refusal(stub.Plan(pb.PlanRequest(documents=documents)))
    assert error.code() == grpc.StatusCode.INVALID_ARGUMENT
    request = error_details_pb2.BadRequest()
    assert details(error).details[0].Unpack(request)
    assert "more mistakes" in request.field_violations[-1].description
    assert len(request.field_violations) > 10


async def test_other_errors_say_their_kind_to_programs(stub: Any, changes: RememberedChanges) -> None:
    error = await refusal(stub.DescribeService(pb.DescribeServiceRequest(service="gov/none")))
    assert error.code() == grpc.StatusCode.NOT_FOUND
    info = error_details_pb2.ErrorInfo()
    assert details(error).details[0].Unpack(info)
    assert (info.reason, info.domain) == ("UNKNOWN_NAME", "onecity")

    async def lost() -> None:
        raise DomainUnreachableError("city-ip", "no session", tag="timeout")

    changes.topology = lost  # type: ignore[assignment, method-assign]
    error = await refusal(stub.GetTopology(pb.GetTopologyRequest()))
    assert error.code() == grpc.StatusCode.UNAVAILABLE
    assert details(error).details[0].Unpack(info)
    assert (info.reason, info.metadata["domain"]) == ("DOMAIN_UNREACHABLE", "city-ip")


async def test_a_defect_of_ours_shows_no_inside(stub: Any, changes: RememberedChanges) -> None:
    async def broken() -> None:
        raise KeyError("secret")

    changes.topology = broken  # type: ignore[assignment, method-assign]
    error = await refusal(stub.GetTopology(pb.GetTopologyRequest()))
    assert error.code() == grpc.StatusCode.INTERNAL
    assert "secret" not in (error.details() or "")


async def test_an_unknown_change_cannot_be_watched(stub: Any) -> None:
    stream = stub.WatchChange(pb.WatchChangeRequest(change_id="nope"))
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        [event async for event in stream]
    assert caught.value.code() == grpc.StatusCode.NOT_FOUND


async def test_status_shows_measured_beside_promised_and_gaps_as_unset(stub: Any) -> None:
    await applied(stub, documents=[document(labels="{app: video}")])
    assert not (await stub.GetServices(pb.GetServicesRequest(label="app=other"))).services
    (status,) = (await stub.GetServices(pb.GetServicesRequest(tenant="gov", label="app=video"))).services
    assert status.phase == service_pb2.PHASE_ACTIVE
    assert status.slo.delay_s == 0.020
    assert status.measured.delay.value == 0.00021
    assert not status.measured.HasField("loss")
    assert not status.slo.HasField("jitter_s")


async def test_delete_withdraws_and_refuses_what_is_not_there(stub: Any, changes: RememberedChanges) -> None:
    await applied(stub, documents=[document()])
    error = await refusal(stub.Delete(pb.DeleteRequest(services=["gov/video", "gov/none"])))
    assert error.code() == grpc.StatusCode.NOT_FOUND
    assert (await refusal(stub.Delete(pb.DeleteRequest()))).code() == grpc.StatusCode.INVALID_ARGUMENT
    accepted = await stub.Delete(pb.DeleteRequest(services=["gov/video"]))
    _ = [e async for e in stub.WatchChange(pb.WatchChangeRequest(change_id=accepted.change_id))]
    assert not changes.standing


async def test_diff_topology_and_schema_answer(stub: Any) -> None:
    (domain,) = (await stub.Diff(pb.DiffRequest(domain="city-ip"))).domains
    assert (domain.differences[0].wanted, domain.differences[0].running) == ("1", "2")
    topology = (await stub.GetTopology(pb.GetTopologyRequest())).topology
    assert [k.layer for k in topology.links] == [plan_pb2.LAYER_IP, plan_pb2.LAYER_OPTICAL]
    assert (await stub.GetSchema(pb.GetSchemaRequest())).json_schema.startswith("{")


async def test_a_message_of_more_than_sixteen_megabytes_is_turned_away(stub: Any) -> None:
    error = await refusal(stub.Plan(pb.PlanRequest(documents=[intent_pb2.Document(yaml="#" * (17 << 20))])))
    assert error.code() == grpc.StatusCode.RESOURCE_EXHAUSTED


async def test_health_and_reflection_answer(server: NorthboundServer) -> None:
    async with grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        check = health_pb2_grpc.HealthStub(channel).Check
        service = "onecity.v1.ControllerService"
        assert (await check(health_pb2.HealthCheckRequest(service=service))).status == 1
        await server.ready(False)
        assert (await check(health_pb2.HealthCheckRequest())).status == 2
        reflect = reflection_pb2_grpc.ServerReflectionStub(channel).ServerReflectionInfo
        call = reflect(iter([reflection_pb2.ServerReflectionRequest(list_services="")]))
        answer = await call.read()
        assert service in {s.name for s in answer.list_services_response.service}


async def test_a_second_server_on_the_port_is_refused(server: NorthboundServer, changes: RememberedChanges) -> None:
    second = NorthboundServer(changes, Listen("127.0.0.1", server.port))
    with pytest.raises(ConfigurationError, match="cannot be had"):
        await second.start()

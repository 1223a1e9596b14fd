#!/usr/bin/env python3
"""Order a slice as a northbound system does: typed intents over gRPC, no YAML, no command line.

Shows: an order number as the request id, so that a repeat after a lost reply orders nothing twice; one field
violation for every mistake; following the change to its end; reading what is promised and what is measured.

    python intents/order.py --order 2026-0042 --from buji --to zhihui --gbps 10
"""

from __future__ import annotations

import argparse
import os
import sys
import time

import grpc
from google.protobuf.duration_pb2 import Duration
from google.rpc import error_details_pb2, status_pb2
from onecity.v1 import controller_pb2, controller_pb2_grpc, intent_pb2, plan_pb2

MEASURED_WITHIN_S = 10.0  # the first samples of a new circuit take a moment


def slice_of(order: str, start: str, end: str, gbps: int) -> intent_pb2.Document:
    """Return the intent: video surveillance between two sites, on its own wavelength, with a standby."""
    wanted = intent_pb2.ExclusiveSlice(
        metadata=intent_pb2.Metadata(name=f"order-{order}", tenant="shop", labels={"order": order}),
        endpoints=[intent_pb2.Endpoint(site=start), intent_pb2.Endpoint(site=end)],
        bandwidth_bps=gbps * 10**9,
        traffic_class=intent_pb2.TRAFFIC_CLASS_VIDEO,
        protection=intent_pb2.PROTECTION_STANDBY,
        objectives=intent_pb2.Objectives(latency=Duration(nanos=2_000_000), loss_ratio=1e-4, availability=0.9999),
    )
    return intent_pb2.Document(source_name=f"order {order}", exclusive_slice=wanted)


def order(stub: controller_pb2_grpc.ControllerServiceStub, number: str, document: intent_pb2.Document) -> bool:
    """Place the order and follow it; return whether the network carries it."""
    accepted = stub.Apply(
        controller_pb2.ApplyRequest(
            documents=[document], request_id=f"shop-{number}", author="shop", reason=f"order {number}"
        ),
        timeout=30,
    )
    print(f"order {number} is change {accepted.change_id}")
    for event in stub.WatchChange(controller_pb2.WatchChangeRequest(change_id=accepted.change_id)):
        if event.HasField("progress"):
            print(f"  {event.progress.domain or 'change':14} {event.progress.stage}")
        else:
            outcome = plan_pb2.ChangeOutcome.Name(event.result.outcome)
            print(f"  {outcome.removeprefix('CHANGE_OUTCOME_').lower()} {event.result.message}".rstrip())
            return event.result.outcome in (plan_pb2.CHANGE_OUTCOME_COMMITTED, plan_pb2.CHANGE_OUTCOME_UNCHANGED)
    return False


def show(stub: controller_pb2_grpc.ControllerServiceStub, service: str) -> None:
    """Print where the slice runs, and what is measured beside what is promised."""
    deadline = time.monotonic() + MEASURED_WITHIN_S
    request = controller_pb2.DescribeServiceRequest(service=service)
    found = stub.DescribeService(request, timeout=30).description
    while not found.status.measured.HasField("delay") and time.monotonic() < deadline:
        time.sleep(0.5)
        found = stub.DescribeService(request, timeout=30).description
    for path in found.paths:
        print(f"  {plan_pb2.PathRole.Name(path.role).removeprefix('PATH_ROLE_').lower():8} {' '.join(path.hops)}")
    measured = found.status.measured
    now = f"{measured.delay.value * 1e3:.3g} ms" if measured.HasField("delay") else "not measured yet"
    print(f"  delay    {now}, promised {found.status.slo.delay_s * 1e3:.3g} ms")


def violations(error: grpc.RpcError) -> list[str]:
    """Return every mistake that the controller named in an order."""
    found = []
    for key, value in error.trailing_metadata() or ():
        if key == "grpc-status-details-bin":
            for detail in status_pb2.Status.FromString(value).details:
                request = error_details_pb2.BadRequest()
                if detail.Unpack(request):
                    found += [f"{v.field}: {v.description}" for v in request.field_violations]
    return found


def main() -> int:
    arguments = argparse.ArgumentParser(description="Order a slice over gRPC.")
    arguments.add_argument("--server", default=os.environ.get("ONECITY_SERVER", "127.0.0.1:50505"))
    arguments.add_argument("--order", default="2026-0042", help="order number; a repeat orders nothing twice")
    arguments.add_argument("--from", dest="start", default="buji", help="site")
    arguments.add_argument("--to", dest="end", default="zhihui", help="site")
    arguments.add_argument("--gbps", type=int, default=10)
    given = arguments.parse_args()
    with grpc.insecure_channel(given.server, options=[("grpc.enable_http_proxy", 0)]) as channel:
        stub = controller_pb2_grpc.ControllerServiceStub(channel)
        try:
            if not order(stub, given.order, slice_of(given.order, given.start, given.end, given.gbps)):
                return 1
            show(stub, f"shop/order-{given.order}")
        except grpc.RpcError as error:
            print("\n".join(violations(error)) or error.details(), file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

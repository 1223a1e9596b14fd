"""Clients that order changes while everything fails, and the independent record of what they were told."""

from __future__ import annotations

import random
import threading
import time
from dataclasses import dataclass, field

import grpc
from onecity.v1 import controller_pb2 as pb
from onecity.v1 import plan_pb2

from tests.chaos.workload import Family
from tests.support.stage import COMMITTED, UNCHANGED, Client, _documents

PATIENCE_S = 60.0
REFUSED = (
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.NOT_FOUND,
    grpc.StatusCode.FAILED_PRECONDITION,
    grpc.StatusCode.ALREADY_EXISTS,
    grpc.StatusCode.ABORTED,
)
IN_DOUBT = plan_pb2.CHANGE_OUTCOME_IN_DOUBT


@dataclass
class Order:
    """One change: documents to apply or services to delete, and its id once known."""

    puts: dict[str, str] = field(default_factory=dict)  # service → document
    drops: tuple[str, ...] = ()
    request_id: str = ""
    change_id: str = ""

    @property
    def services(self) -> set[str]:
        return {*self.puts, *self.drops}


@dataclass
class Record:
    """What one client was told. `unknown` holds orders whose end it could not learn; they may be either, but whole."""

    standing: dict[str, str] = field(default_factory=dict)
    unknown: list[Order] = field(default_factory=list)
    told: dict[str, int] = field(default_factory=dict)  # change id → outcome, as first reported

    def done(self, order: Order) -> None:
        self.standing.update(order.puts)
        for service in order.drops:
            self.standing.pop(service, None)

    def closed(self) -> set[str]:
        """Services that nobody may touch before the record is clear again."""
        return {s for order in self.unknown for s in order.services}


class Customer:
    """One client with a family of services of its own; works until told to stop."""

    def __init__(self, address: str, number: int, seed: str) -> None:
        self.family = Family(number)
        self.record = Record()
        self._address = address
        self._seed = seed
        self._draw = random.Random(seed)
        self._count = 0
        self.errors: list[str] = []
        self.orders = self.committed = 0

    def work(self, until: threading.Event, round_seed: str) -> threading.Thread:
        self._draw = random.Random(round_seed)
        thread = threading.Thread(target=self._work, args=(until,), daemon=True, name=f"customer {self.family.number}")
        thread.start()
        return thread

    def _work(self, until: threading.Event) -> None:
        client = Client(self._address)
        try:
            while not until.is_set():
                order = self._next_order()
                if order is None:
                    return
                self.orders += 1
                self._carry_out(client, order)
                time.sleep(self._draw.random() * 0.05)
        except Exception as error:
            self.errors.append(f"{self.family.tenant}: {type(error).__name__}: {error}")
        finally:
            client.channel.close()

    def _next_order(self) -> Order | None:
        draw, closed = self._draw, self.record.closed()
        free = [(n, k) for n, k in self.family.slots() if self.family.service(n) not in closed]
        if not free:
            return None
        self._count += 1
        order = Order(request_id=f"{self._seed}-{self.family.tenant}-{self._count}")
        there = [(n, k) for n, k in free if self.family.service(n) in self.record.standing]
        if there and draw.random() < 0.3:
            chosen = draw.sample(there, min(len(there), draw.choice((1, 1, 2))))
            order.drops = tuple(self.family.service(n) for n, _ in chosen)
        else:
            chosen = draw.sample(free, min(len(free), draw.choice((1, 1, 2))))
            order.puts = {self.family.service(n): self.family.document(n, k, draw) for n, k in chosen}
        return order

    def _carry_out(self, client: Client, order: Order) -> None:
        """Ask, and learn how it ended, over as many deaths of the daemon as there are."""
        deadline = time.monotonic() + PATIENCE_S
        while not order.change_id:
            try:
                order.change_id = self._begin(client, order)
            except grpc.RpcError as error:
                if error.code() in REFUSED:
                    return  # before it became a change
                if not _away(error):
                    raise
                if self._draw.random() < 0.3 or time.monotonic() > deadline:
                    self.record.unknown.append(order)
                    return
                _wait_for(client, deadline)  # and send the very same request again
        while True:
            try:
                _, result = client.ended(order.change_id)
                self._learn(order, result.outcome)
                if "a defect of onecity" in result.message:
                    self.errors.append(f"change {order.change_id}: {result.message}")
                return
            except grpc.RpcError as error:
                if error.code() is grpc.StatusCode.NOT_FOUND:
                    return  # it died before anything of the change was kept
                if not _away(error):
                    raise
                if time.monotonic() > deadline:
                    raise TimeoutError(f"change {order.change_id} did not end") from None
                _wait_for(client, deadline)

    def _begin(self, client: Client, order: Order) -> str:
        if order.puts:
            documents = _documents(tuple(order.puts.values()))
            apply = pb.ApplyRequest(documents=documents, reason="chaos", request_id=order.request_id)
            return str(client.stub.Apply(apply, timeout=30).change_id)
        delete = pb.DeleteRequest(services=order.drops, reason="chaos", request_id=order.request_id)
        return str(client.stub.Delete(delete, timeout=30).change_id)

    def _learn(self, order: Order, outcome: int) -> None:
        self.record.told[order.change_id] = outcome
        if outcome in (COMMITTED, UNCHANGED):
            self.committed += outcome == COMMITTED
            self.record.done(order)
        elif outcome == IN_DOUBT:
            self.record.unknown.append(order)


def _away(error: grpc.RpcError) -> bool:
    codes = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.CANCELLED)
    return error.code() in codes


def _wait_for(client: Client, deadline: float) -> None:
    while time.monotonic() < deadline:
        try:
            client.stub.GetServices(pb.GetServicesRequest(), timeout=2)
            return
        except grpc.RpcError:
            time.sleep(0.1)

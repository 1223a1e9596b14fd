"""What happens on an optical domain: its watch stream, as events."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import grpc
import grpc.aio
from onecity.optical.v1 import optical_pb2 as pb

from controller.errors import OnecityError
from controller.southbound.backoff import Backoff
from controller.southbound.channel import END_OF_STREAM, Metadata
from controller.southbound.driver import DomainEvent, EventKind
from controller.southbound.optical.circuits import INFRASTRUCTURE, LIGHT_OF_LINKS

NAMED = 8  # ids told in an event's detail
REMEMBERED = 4096  # of our own transactions and of the circuits in them


class OwnChanges:
    """What we changed lately: our own commits are no news to us."""

    def __init__(self) -> None:
        self._txns: dict[str, None] = {}
        self._removed: dict[str, None] = {}  # circuits that we meant to take down last

    def note(self, txn: str, put: Sequence[str], removed: Sequence[str]) -> None:
        self._txns[txn] = None
        for circuit in put:
            self._removed.pop(circuit, None)
        self._removed |= dict.fromkeys(removed)
        for memory in (self._txns, self._removed):
            while len(memory) > REMEMBERED:
                del memory[next(iter(memory))]

    def made(self, circuit: str, last_txn: str | None) -> bool:
        """Say whether we brought a circuit to where it is; None: it is gone."""
        return last_txn in self._txns if last_txn is not None else circuit in self._removed


class TopologyWatch:
    """Follows one domain for ever: CONNECTED with the first message, LOST once when the stream ends.

    The domain tells ids, not what happened to them. A circuit that somebody else's transaction changed or removed is
    CONFIG_CHANGED; one that is as it was changed its state, like everything that is no circuit: TOPOLOGY_CHANGED, and
    so is one of our own under an IP link: the link is on the map, and what is under it must be too.
    """

    def __init__(
        self,
        domain: str,
        stub: Callable[[], Any],
        metadata: Callable[[], Metadata],
        connect_s: float,
        own: OwnChanges,
    ) -> None:
        self._domain, self._stub, self._metadata, self._connect_s = domain, stub, metadata, connect_s
        self._own = own
        self._things: frozenset[str] = frozenset()  # ids of what is no service's circuit
        self._last_txns: dict[str, str] = {}  # of every service's circuit

    async def events(self) -> AsyncIterator[DomainEvent]:
        backoff, lost_told, reason = Backoff(), False, ""
        while True:
            call = None
            try:
                call = self._stub().WatchTopology(pb.WatchTopologyRequest(), metadata=self._metadata())
                async with asyncio.timeout(self._connect_s):
                    first = await call.read()
                if first is not END_OF_STREAM:
                    await self._learn()
                    backoff.reset()
                    lost_told = False
                    yield DomainEvent(self._domain, EventKind.CONNECTED)
                while (change := await call.read()) is not END_OF_STREAM:
                    for event in await self._told(change.changed):
                        yield event
                reason = "the domain ended the watch"
            except grpc.aio.AioRpcError as error:
                reason = error.details() or error.code().name.lower()
            except TimeoutError:
                reason = f"no answer within {self._connect_s:g} s"
            except OnecityError as error:
                reason = str(error)
            finally:
                if call is not None:
                    call.cancel()
            if not lost_told:
                lost_told = True
                yield DomainEvent(self._domain, EventKind.LOST, reason)
            await asyncio.sleep(backoff.next_s())

    async def _learn(self) -> None:
        """Note what there is, to judge changes by."""
        answer = await self._stub().GetTopology(
            pb.GetTopologyRequest(), metadata=self._metadata(), timeout=self._connect_s
        )
        parts = (answer.nodes, answer.client_ports, answer.photonic_links, answer.odu_links)
        infrastructure = (c.spec.id for c in answer.circuits if c.spec.owner == INFRASTRUCTURE)
        self._things = frozenset(item.id for part in parts for item in part) | frozenset(infrastructure)
        self._last_txns = {c.spec.id: c.last_txn for c in answer.circuits if c.spec.owner != INFRASTRUCTURE}

    async def _told(self, changed: Sequence[str]) -> list[DomainEvent]:
        moved = [name for name in changed if name in self._things]
        reconfigured = []
        circuits = [name for name in changed if name not in self._things]
        present = await self._present(circuits) if circuits else {}
        for circuit in circuits:
            before, now = self._last_txns.get(circuit), present.get(circuit)
            if before == now:
                moved.append(circuit)
            elif not self._own.made(circuit, now):
                reconfigured.append(circuit)
            elif circuit.startswith(LIGHT_OF_LINKS):
                moved.append(circuit)
            if now is None:
                self._last_txns.pop(circuit, None)
            else:
                self._last_txns[circuit] = now
        told = ((EventKind.TOPOLOGY_CHANGED, moved), (EventKind.CONFIG_CHANGED, reconfigured))
        return [DomainEvent(self._domain, kind, _named(names)) for kind, names in told if names]

    async def _present(self, circuits: Sequence[str]) -> dict[str, str]:
        answer = await self._stub().ListCircuits(
            pb.ListCircuitsRequest(ids=circuits), metadata=self._metadata(), timeout=self._connect_s
        )
        return {circuit.spec.id: circuit.last_txn for circuit in answer.circuits}


def _named(names: Sequence[str]) -> str:
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more

"""What happens on an optical domain: its watch stream, as events."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import grpc
import grpc.aio
from onecity.optical.v1 import optical_pb2 as pb

from controller.errors import OnecityError
from controller.southbound.backoff import Backoff
from controller.southbound.channel import END_OF_STREAM, Metadata
from controller.southbound.driver import DomainEvent, EventKind
from controller.southbound.optical.circuits import INFRASTRUCTURE

NAMED = 8  # ids told in an event's detail


class TopologyWatch:
    """Follows one domain for ever: CONNECTED with the first message, LOST once when the stream ends.

    A changed circuit is told as CONFIG_CHANGED too, for what lights up may have been put there by somebody else;
    comparing tells whose it was.
    """

    def __init__(
        self, domain: str, stub: Callable[[], Any], metadata: Callable[[], Metadata], connect_s: float
    ) -> None:
        self._domain, self._stub, self._metadata, self._connect_s = domain, stub, metadata, connect_s

    async def events(self) -> AsyncIterator[DomainEvent]:
        backoff, lost_told, reason = Backoff(), False, ""
        while True:
            call = None
            try:
                call = self._stub().WatchTopology(pb.WatchTopologyRequest(), metadata=self._metadata())
                async with asyncio.timeout(self._connect_s):
                    first = await call.read()
                known = await self._topology_ids() if first is not END_OF_STREAM else frozenset()
                if first is not END_OF_STREAM:
                    backoff.reset()
                    lost_told = False
                    yield DomainEvent(self._domain, EventKind.CONNECTED)
                while (change := await call.read()) is not END_OF_STREAM:
                    for event in self._told(change.changed, known):
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

    async def _topology_ids(self) -> frozenset[str]:
        """Return the ids of everything that is no circuit of a service."""
        answer = await self._stub().GetTopology(
            pb.GetTopologyRequest(), metadata=self._metadata(), timeout=self._connect_s
        )
        parts = (answer.nodes, answer.client_ports, answer.photonic_links, answer.odu_links)
        infrastructure = (c.spec.id for c in answer.circuits if c.spec.owner == INFRASTRUCTURE)
        return frozenset(item.id for part in parts for item in part) | frozenset(infrastructure)

    def _told(self, changed: list[str], topology: frozenset[str]) -> list[DomainEvent]:
        things = [name for name in changed if name in topology]
        circuits = [name for name in changed if name not in topology]
        events = []
        if things or not changed:
            events.append(DomainEvent(self._domain, EventKind.TOPOLOGY_CHANGED, _named(things)))
        if circuits:
            events.append(DomainEvent(self._domain, EventKind.CONFIG_CHANGED, _named(circuits)))
        return events


def _named(names: list[str]) -> str:
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more

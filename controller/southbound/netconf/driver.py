"""The driver for IP domain controllers: what `Driver` promises, over up to three NETCONF sessions.

One session carries the transactions and the reads that belong to them, one the long reads (discovery, the whole
configuration), so that these never stand in a commit's way, and one listens for events. All open on first need.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from lxml import etree

from controller.errors import DomainError, DomainUnreachableError
from controller.network.discovered import DomainKind, DomainTopology
from controller.rendering.tree import Edit, Path, Tree
from controller.southbound.driver import DomainEvent, DomainSettings, Sample, StreamCounts, TransactionState
from controller.southbound.endpoint import with_remedy
from controller.southbound.gnmi import Telemetry
from controller.southbound.netconf import operations as op
from controller.southbound.netconf import wire
from controller.southbound.netconf.candidate import CandidateTransactions
from controller.southbound.netconf.client import LONG_REPLY_CHARACTERS, NetconfClient
from controller.southbound.netconf.discovery import (
    LIBRARY_FILTER,
    announced_modules,
    discovery_filter,
    library_modules,
    publishes_library,
    topology_of,
)
from controller.southbound.netconf.events import Watcher
from controller.southbound.netconf.replies import Reply, refusal

THREADS = 4  # three sessions connecting at once, and one for the rest
PROVEN_S = 1.0  # a session that answered within this needs no question whether it still does
LARGE_READ_PATHS = 200  # the filter of a read of more entries than this is built on a thread

_T = TypeVar("_T")


def netconf_driver(settings: DomainSettings) -> NetconfDriver:
    """Return a driver for an IP domain controller; nothing is opened yet."""
    return NetconfDriver(settings)


class NetconfDriver:
    """See `controller.southbound.driver.Driver`."""

    kind = DomainKind.IP

    def __init__(self, settings: DomainSettings) -> None:
        self.domain = settings.name
        self._settings = settings
        self._executor = self._new_executor()
        self._clients: dict[str, NetconfClient] = {}
        self._connecting = {"main": asyncio.Lock(), "bulk": asyncio.Lock()}
        self._transactions = CandidateTransactions(settings.name, settings.timers, self._main, self._read_main)
        self._watcher = Watcher(settings.name, self._new_client, self._own_sessions)
        self._telemetry = Telemetry(settings)

    async def connect(self) -> None:
        """Have a session that answers: one that stands may end in a server that hangs."""
        try:
            await self._watched(self._proven())
        except DomainUnreachableError as error:
            raise with_remedy(error) from None

    async def close(self) -> None:
        self._watcher.suspect()
        await asyncio.gather(*(client.close() for client in self._clients.values()))
        self._clients.clear()
        self._executor.shutdown(wait=False, cancel_futures=True)
        self._executor = self._new_executor()  # idle until somebody connects again

    async def discover(self) -> DomainTopology:
        topology = await self._watched(self._discover())
        self._telemetry.learn(topology)
        return topology

    async def read(self, paths: Sequence[Path]) -> Tree:
        return await self._watched(self._read_main(paths) if paths else self._read_everything())

    async def prepare(self, txn: str, edit: Edit, *, replay: bool = False) -> tuple[str, ...]:
        return await self._watched(self._transactions.prepare(txn, edit, replay))

    async def commit(self, txn: str, confirm_timeout_s: float) -> None:
        await self._watched(self._transactions.commit(txn, confirm_timeout_s))

    async def confirm(self, txn: str) -> None:
        await self._watched(self._transactions.confirm(txn))

    async def cancel(self, txn: str) -> None:
        await self._watched(self._transactions.cancel(txn))

    async def outcome(self, txn: str, edit: Edit) -> TransactionState:
        return await self._watched(self._transactions.outcome(txn, edit))

    def native(self, edit: Edit) -> str:
        return wire.pretty(wire.edit_payload(edit))

    def events(self) -> AsyncIterator[DomainEvent]:
        return self._watcher.events(self._settings.timers.read_s)

    def samples(self, interval_s: float) -> AsyncIterator[tuple[Sample, ...]]:
        return self._telemetry.samples(interval_s)

    def give_way(self, wait: Callable[[], Awaitable[None]]) -> None:
        self._telemetry.wait = wait

    def stream_counts(self) -> StreamCounts:
        return StreamCounts(self._telemetry.reconnects, self._telemetry.dropped, self._telemetry.trouble)

    async def _watched(self, verb: Awaitable[_T]) -> _T:
        """Await a verb; where the domain did not answer, have the listening session prove itself as well."""
        try:
            return await verb
        except DomainUnreachableError:
            self._watcher.suspect()
            raise

    async def _main(self) -> NetconfClient:
        return await self._client("main")

    async def _proven(self) -> None:
        client = await self._main()
        if asyncio.get_running_loop().time() - client.heard_at > PROVEN_S:
            await client.call(
                "the question whether it is there", op.get_config(op.NOTHING), self._settings.timers.connect_s
            )

    async def _client(self, purpose: str) -> NetconfClient:
        """Return the open session for this purpose, opening a new one where the last has ended."""
        async with self._connecting[purpose]:
            client = self._clients.get(purpose)
            if client is None or not client.alive:
                client = self._new_client()
                await client.connect()
                self._clients[purpose] = client
            return client

    def _new_executor(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(THREADS, thread_name_prefix=f"netconf-{self.domain}")

    def _new_client(self) -> NetconfClient:
        return NetconfClient(self._settings, self._executor)

    def _own_sessions(self) -> frozenset[str]:
        return frozenset(client.session_id for client in self._clients.values())

    async def _discover(self) -> DomainTopology:
        client, read_s = await self._client("bulk"), self._settings.timers.read_s
        sent = [client.send("get", op.get(discovery_filter(self._settings.network_id)))]
        if publishes_library(client.capabilities):
            sent.append(client.send("get", op.get(LIBRARY_FILTER)))
        topology, *library = await client.receive(sent, read_s)
        modules = announced_modules(client.capabilities)
        if library and not library[0].errors:
            modules |= library_modules(library[0].data())
        found: DomainTopology = await client.in_thread(
            topology_of, self.domain, self._settings.network_id, self._data(topology), modules
        )
        if not found.nodes:
            problem = f"it publishes no network {self._settings.network_id or 'with TE topology'}"
            raise DomainError(self.domain, problem, path="/networks/network", tag="data-missing")
        return found

    async def _read_main(self, paths: Sequence[Path]) -> Tree:
        return await self._read_at(await self._main(), paths)

    async def _read_at(self, client: NetconfClient, paths: Sequence[Path]) -> Tree:
        """Read some paths; long work goes to a thread, short work is done before a thread would have started."""
        if len(paths) > LARGE_READ_PATHS:
            filter_element: str = await client.in_thread(wire.filter_payload, paths)
        else:
            filter_element = wire.filter_payload(paths)
        reply = await client.call("get-config", op.get_config(filter_element), self._settings.timers.read_s)
        data = self._data(reply)
        if reply.characters > LONG_REPLY_CHARACTERS:
            tree: Tree = await client.in_thread(wire.tree_of, data, paths)
            return tree
        return wire.tree_of(data, paths)

    async def _read_everything(self) -> Tree:
        client = await self._client("bulk")
        sent = [
            client.send("get-config", op.get_config(wire.filter_payload(wire.OWNED))),
            client.send("get-config", op.get_config(wire.NETWORK_IDS_FILTER)),
        ]
        owned, networks = await client.receive(sent, self._settings.timers.read_s)
        tree: Tree = await client.in_thread(wire.tree_of, self._data(owned), wire.OWNED)
        listed = self._data(networks)
        monitored, pinned = wire.vpn_networks(listed), wire.pinned_links(listed, self._settings.network_id)
        more = [await self._read_at(client, monitored)] if monitored else []
        more += [wire.lit_links(await self._read_at(client, pinned), pinned)] if pinned else []
        return wire.merged([tree, *more])

    def _data(self, reply: Reply) -> etree._Element | None:
        """Return the data of a reply; a refused read is an error, never an empty answer."""
        if reply.errors:
            raise refusal(self.domain, reply.errors)
        data = reply.data()
        if data is None:
            raise DomainError(self.domain, "the answer to a read holds no data", tag="malformed-message")
        return data

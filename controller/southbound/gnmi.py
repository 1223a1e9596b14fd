"""Measurements from a domain's gNMI server, as samples in SI units.

Two streams, each on a connection of its own: states on change, so that a failure never queues behind a second's worth
of measurements, and performance every `interval_s`. A server repeats its newest value
when nothing new was measured; such a repetition carries its old time and yields nothing, so that a probe that died
shows as a gap. When the stream breaks nothing is made up either: samples resume after the next connection.
Memory is bounded: a reader that falls behind loses the oldest batches, and `dropped` counts them.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import grpc
import grpc.aio
from pygnmi.spec.v080 import gnmi_pb2, gnmi_pb2_grpc

from controller.network.discovered import DomainTopology
from controller.southbound.backoff import Backoff
from controller.southbound.channel import END_OF_STREAM, LITTLE_AHEAD, call_metadata, open_channel
from controller.southbound.driver import DomainSettings, Sample
from controller.southbound.measurements import Translator
from controller.southbound.transponders import Limits

log = logging.getLogger(__name__)

QUEUED_BATCHES: Final = 512
BATCH_SAMPLES: Final = 1000  # what waits is merged up to this, so that many small updates are few batches

Key = Mapping[str, str]
Step = tuple[str, Key]

_LINK: Final[tuple[Step, ...]] = (
    ("ietf-network:networks", {}),
    ("network", {"network-id": "*"}),
    ("ietf-network-topology:link", {"link-id": "*"}),
)
_PORT: Final[tuple[Step, ...]] = (
    ("ietf-network:networks", {}),
    ("network", {"network-id": "*"}),
    ("node", {"node-id": "*"}),
    ("ietf-network-topology:termination-point", {"tp-id": "*"}),
)
_TUNNEL: Final[tuple[Step, ...]] = (("ietf-te:te", {}), ("tunnels", {}), ("tunnel", {"name": "*"}))
_NODE: Final[tuple[Step, ...]] = (
    ("ietf-network:networks", {}),
    ("network", {"network-id": "*"}),
    ("node", {"node-id": "*"}),
)
_ALARMS: Final[tuple[Step, ...]] = (("system", {}), ("alarms", {}), ("alarm", {"id": "*"}))
IP_ON_CHANGE: Final[tuple[tuple[Step, ...], ...]] = (
    (*_LINK, ("ietf-te-topology:te", {}), ("oper-status", {})),
    (*_NODE, ("ietf-te-topology:te", {}), ("oper-status", {})),
    (*_TUNNEL, ("operational-state", {})),
    _ALARMS,
)
IP_SAMPLED: Final[tuple[tuple[Step, ...], ...]] = (
    (*_LINK, ("ietf-network-vpn-pm:perf-mon", {})),
    (*_PORT, ("ietf-network-vpn-pm:pm-statistics", {})),
    (("onecity-flow:flows", {}),),
    (("onecity-flow:hosts", {}),),
    (("onecity-flow:accesses", {}),),
    (("onecity-flow:tunnels", {}),),
)
_CIRCUIT: Final[tuple[Step, ...]] = (("onecity-flow:circuits", {}), ("circuit", {"id": "*"}), ("state", {}))
_THRESHOLD: Final[tuple[Step, ...]] = (
    ("components", {}),
    ("component", {"name": "*"}),
    ("transceiver", {}),
    ("thresholds", {}),
    ("threshold", {"severity": "*"}),
)
OPTICAL_ON_CHANGE: Final[tuple[tuple[Step, ...], ...]] = (
    _ALARMS,
    (*_CIRCUIT, ("oper-status", {})),
    (*_CIRCUIT, ("active-leg", {})),
    (("onecity-flow:fibres", {}), ("fibre", {"id": "*"}), ("state", {}), ("oper-status", {})),
    (("onecity-flow:odu-links", {}), ("odu-link", {"id": "*"}), ("state", {}), ("oper-status", {})),
    (("onecity-flow:nodes", {}), ("node", {"id": "*"}), ("state", {}), ("oper-status", {})),
    (*_THRESHOLD, ("state", {}), ("input-power-lower", {})),
)
_LOGICAL_CHANNEL: Final[tuple[Step, ...]] = (
    ("terminal-device", {}),
    ("logical-channels", {}),
    ("channel", {"index": "*"}),
    ("otn", {}),
    ("state", {}),
)
_RECEIVER: Final[tuple[Step, ...]] = (("components", {}), ("component", {"name": "*"}), ("optical-channel", {}))
_FIBRE: Final[tuple[Step, ...]] = (("onecity-flow:fibres", {}), ("fibre", {"id": "*"}), ("state", {}))
OPTICAL_SAMPLED: Final[tuple[tuple[Step, ...], ...]] = (
    _CIRCUIT,
    (*_FIBRE, ("span-loss-db", {})),
    (*_LOGICAL_CHANNEL, ("pre-fec-ber", {})),
    (*_LOGICAL_CHANNEL, ("fec-uncorrectable-blocks", {})),
    (*_LOGICAL_CHANNEL, ("errored-seconds", {})),
    (*_LOGICAL_CHANNEL, ("severely-errored-seconds", {})),
    (*_LOGICAL_CHANNEL, ("unavailable-seconds", {})),
    (*_RECEIVER, ("state", {}), ("input-power", {})),
    (*_RECEIVER, ("state", {}), ("chromatic-dispersion", {})),
)
OPTICAL_SLOW: Final[tuple[tuple[Step, ...], ...]] = (
    (("optical-amplifier", {}), ("amplifiers", {}), ("amplifier", {"name": "*"}), ("state", {})),
    (("channel-monitors", {}), ("channel-monitor", {"name": "*"}), ("channels", {}), ("channel", {}), ("state", {})),
)
SLOW_S: Final = 10.0  # between samples of what changes slowly; rarer ones would count as a gap in between

HEARTBEAT_NS = 10 * 10**9  # a value that stays the same is told again after this: silence longer than two is a gap


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What one stream asks for."""

    urgent: bool  # goes before what waits
    request: Any

    @property
    def what(self) -> str:
        return "failures" if self.urgent else "measurements"


class Telemetry:
    """The measurements of one domain."""

    def __init__(
        self,
        settings: DomainSettings,
        on_change: Sequence[Sequence[Step]] = IP_ON_CHANGE,
        sampled: Sequence[Sequence[Step]] = IP_SAMPLED,
        slow: Sequence[Sequence[Step]] = (),
    ) -> None:
        """slow: paths sampled every SLOW_S, whatever the interval of the rest."""
        self._settings, self._on_change, self._sampled, self._slow = settings, on_change, sampled, slow
        self._link_of_port: dict[tuple[str, str], str] = {}
        self._limits = Limits(settings.name)
        self.dropped = 0  # batches that nobody fetched in time
        self.reconnects = 0  # attempts to stand a stream up again after it was lost
        self.wait: Callable[[], Awaitable[None]] = _never  # awaited before each message of measurements
        self._troubles: dict[str, str] = {}  # what is not heard → why
        self._told: dict[str, set[str]] = {}  # of that, the kinds of reasons that were logged

    @property
    def trouble(self) -> str:
        """Return which streams do not stand and why, in words; empty where all do, or none was tried yet."""
        reasons: dict[str, list[str]] = {}
        for what, why in sorted(self._troubles.items()):
            reasons.setdefault(why, []).append(what)
        return "; ".join(f"{' and '.join(what)} are not heard ({why})" for why, what in reasons.items())

    def learn(self, topology: DomainTopology) -> None:
        """Take over which link leaves by which port: octets are counted at ports, throughput belongs to links."""
        self._link_of_port = {(link.src, link.src_port): link.id for link in topology.links}

    async def samples(self, interval_s: float) -> AsyncIterator[tuple[Sample, ...]]:
        """Yield batches for ever; see the module's docstring."""
        queue: deque[list[Sample]] = deque()
        states: deque[tuple[Sample, ...]] = deque()
        news = asyncio.Event()

        def take(batch: tuple[Sample, ...], urgent: bool) -> None:
            if urgent:
                states.append(batch)
            elif queue and len(queue[-1]) < BATCH_SAMPLES:
                queue[-1].extend(batch)
            else:
                queue.append(list(batch))
            if len(queue) > QUEUED_BATCHES or len(states) > QUEUED_BATCHES:
                _ = states.popleft() if urgent else queue.popleft()  # a lost state is told again soon
                self.dropped += 1
            news.set()

        wanted = [self._states()] * bool(self._on_change) + [self._measurements(interval_s)] * bool(self._sampled)
        readers = [asyncio.create_task(self._read_for_ever(w, take)) for w in wanted]
        for reader in readers:
            reader.add_done_callback(lambda _: news.set())
        try:
            while True:
                while states or queue:
                    yield states.popleft() if states else tuple(queue.popleft())
                for reader in readers:
                    if reader.done():
                        reader.result()  # it never returns: only an error of our own settings ends it
                news.clear()
                await news.wait()
        finally:
            for reader in readers:
                reader.cancel()
            await asyncio.gather(*readers, return_exceptions=True)

    async def _read_for_ever(self, wanted: _Wanted, take: Callable[[tuple[Sample, ...], bool], None]) -> None:
        if not self._settings.telemetry_address:
            await asyncio.Event().wait()  # a domain without telemetry: one long gap
        backoff = Backoff(most_s=10.0)
        ahead = () if wanted.urgent else LITTLE_AHEAD  # states are few, and wait for nothing of ours
        while True:
            async with open_channel(self._settings, self._settings.telemetry_address, ahead) as channel:
                try:
                    await self._read_stream(channel, wanted, take, backoff)
                    self._lost(wanted, "the domain ended the stream", "")
                except grpc.aio.AioRpcError as error:  # a gap; who listens for events is told of the loss there
                    code, words = error.code().name, " ".join((error.details() or "").split())
                    self._lost(wanted, code, words)
            await asyncio.sleep(backoff.next_s())
            self.reconnects += 1

    def _lost(self, wanted: _Wanted, code: str, words: str) -> None:
        """Keep why a stream does not stand, and say so once: not with every attempt that fails alike."""
        self._troubles[wanted.what] = why = f"{code}: {words}" if words else code
        if code not in self._told.setdefault(wanted.what, set()):
            self._told[wanted.what].add(code)
            log.warning("%s of domain %s are not heard, tried again: %s", wanted.what, self._settings.name, why)

    def _heard(self, wanted: _Wanted) -> None:
        if self._troubles.pop(wanted.what, None) is not None:
            self._told.pop(wanted.what, None)
            log.info("%s of domain %s are heard again", wanted.what, self._settings.name)

    async def _read_stream(
        self,
        channel: grpc.aio.Channel,
        wanted: _Wanted,
        take: Callable[[tuple[Sample, ...], bool], None],
        backoff: Backoff,
    ) -> None:
        translator = Translator(self._settings.name, lambda port: self._link_of_port.get(port), self._limits)
        stub: Any = gnmi_pb2_grpc.gNMIStub(channel)
        call = stub.Subscribe(metadata=call_metadata(self._settings))
        await call.write(wanted.request)
        while True:
            if not wanted.urgent:
                await self.wait()
            response = await call.read()
            if response is END_OF_STREAM:
                return
            backoff.reset()
            self._heard(wanted)
            if response.WhichOneof("response") == "update":
                batch = translator.samples(response.update)
                if batch:
                    take(batch, wanted.urgent)
                await asyncio.sleep(0)  # messages that are already here must not hold up a change between them

    def _states(self) -> _Wanted:
        return _Wanted(
            True,
            _request(
                gnmi_pb2.Subscription(path=_message(path), mode=gnmi_pb2.ON_CHANGE, heartbeat_interval=HEARTBEAT_NS)
                for path in self._on_change
            ),
        )

    def _measurements(self, interval_s: float) -> _Wanted:
        return _Wanted(
            False,
            _request(
                gnmi_pb2.Subscription(
                    path=_message(path),
                    mode=gnmi_pb2.SAMPLE,
                    sample_interval=int(every_s * 1e9),
                    suppress_redundant=True,  # of a thousand sites few are measured in any one second
                    heartbeat_interval=HEARTBEAT_NS,
                )
                for paths, every_s in ((self._sampled, interval_s), (self._slow, max(SLOW_S, interval_s)))
                for path in paths
            ),
        )


async def _never() -> None:
    """Nobody is more urgent than measurements."""


def _request(subscriptions: Iterable[Any]) -> Any:
    wanted = gnmi_pb2.SubscriptionList(
        mode=gnmi_pb2.SubscriptionList.STREAM, encoding=gnmi_pb2.JSON_IETF, subscription=list(subscriptions)
    )
    return gnmi_pb2.SubscribeRequest(subscribe=wanted)


def _message(path: Sequence[Step]) -> Any:
    return gnmi_pb2.Path(elem=[gnmi_pb2.PathElem(name=name, key=dict(keys)) for name, keys in path])

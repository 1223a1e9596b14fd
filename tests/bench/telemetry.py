"""How many measurements one core takes in, from the wire form to the windows, and how old they are when they arrive.

The rate is of CPU time: notifications as the domains send them are translated and put into windows in this process.
The lag is from the moment of measurement in the city to the moment at which an indicator can be read from the windows
of a second reader beside the daemon's, with all services of the bench standing: one wall clock.
"""

from __future__ import annotations

import asyncio
import time

from pygnmi.spec.v080 import gnmi_pb2

from controller.settings import read_settings
from controller.southbound.driver import DomainSettings
from controller.southbound.gnmi import Telemetry as Stream
from controller.southbound.measurements import Translator
from controller.telemetry.telemetry import Telemetry
from tests.bench.numbers import percentile
from tests.support.stage import Stage

ACCESSES, ROUNDS, LISTEN_S = 5_000, 6, 12.0
LEAVES = ("delay-us", "jitter-us", "loss-ratio", "throughput-bps", "reachable", "expected")


def measure(stage: Stage) -> dict[str, float]:
    """Return the numbers, keyed as in bench.json."""
    domains = read_settings(stage.city.config_path).domains
    lags = asyncio.run(_lags(next(d for d in domains if d.name == "city-ip")))
    return {"telemetry.samples_per_s": samples_per_s(), "telemetry.lag_p99_ms": percentile(lags, 0.99)}


def samples_per_s() -> float:
    """Return how many samples a second of one core's time takes in."""
    translator, telemetry = Translator("city-ip", lambda _: None), Telemetry(())
    wire = [_notifications(number) for number in range(ROUNDS)]
    count, started = 0, time.process_time()
    for second in wire:
        for message in second:
            batch = translator.samples(gnmi_pb2.Notification.FromString(message))
            telemetry.take(batch)
            count += len(batch)
    return count / (time.process_time() - started)


def _notifications(number: int) -> list[bytes]:
    """Return one second's measurements of every access, as they travel: five hundred leaves a message."""
    updates = [
        gnmi_pb2.Update(
            path=gnmi_pb2.Path(
                elem=[
                    gnmi_pb2.PathElem(name="onecity-flow:accesses"),
                    gnmi_pb2.PathElem(name="access", key={"vpn": f"v{n // 3}", "access": f"a{n % 3}"}),
                    gnmi_pb2.PathElem(name="state"),
                    gnmi_pb2.PathElem(name=leaf),
                ]
            ),
            val=gnmi_pb2.TypedValue(json_ietf_val=str(number + n / 7).encode()),
        )
        for n in range(ACCESSES)
        for leaf in LEAVES
    ]
    at = (1_700_000_000 + number) * 10**9
    return [
        gnmi_pb2.Notification(timestamp=at, update=updates[i : i + 500]).SerializeToString()
        for i in range(0, len(updates), 500)
    ]


async def _lags(settings: DomainSettings) -> list[float]:
    """Return the age in seconds of every sample once it can be read, for a while; the first ones left out."""
    found: list[float] = []
    windows = Telemetry(())
    opened = time.time()

    async def listen() -> None:
        async for batch in Stream(settings).samples(1.0):
            windows.take(batch)
            now = time.time()
            found.extend(now - s.at for s in batch if s.at > opened and s.metric != "up")

    try:
        async with asyncio.timeout(LISTEN_S):
            await listen()
    except TimeoutError:
        pass
    return found

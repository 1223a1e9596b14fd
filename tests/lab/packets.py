"""A packet city under the real daemon, and its customers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from lab.openflow.customers import Customer, Customers
from lab.openflow.processes import packet_plant
from tests.support.stage import COMMITTED, Stage, eventually, stage

INTENTS = Path(__file__).resolve().parents[2] / "intents"
PING_S = 20.0


@dataclass(frozen=True, slots=True)
class PacketStage:
    """The stage and who uses the network that it makes."""

    stage: Stage
    customers: Customers

    def apply(self, *texts: str) -> None:
        """Apply intents and wait until the switches hold them."""
        _, result = self.stage.client.apply(*texts)
        assert result.outcome == COMMITTED, result.message
        self.customers.settled()

    def plug_in(self, vpn: str) -> list[Customer]:
        """Plug a host into every access of a VPN and wait until the routers have met it."""
        found = self.customers.plug_in(vpn)
        self.customers.settled()
        return found

    def reach(self, a: Customer, z: Customer, within_s: float = PING_S) -> None:
        """Wait until one answers the other."""
        eventually(lambda: self.ping(a.host, z.address), within_s)

    def ping(self, host: str, address: str, *more: str) -> bool:
        line = ["ping", "-n", "-q", "-c", "1", "-W", "1", *more, address]
        return self.customers.run(host, line).returncode == 0


@contextmanager
def packet_stage(city: str, directory: Path, **more: int | str) -> Iterator[PacketStage]:
    with stage(city, directory, plant=packet_plant(**more)) as standing:  # type: ignore[arg-type]
        yield PacketStage(standing, Customers(standing.city))


def intent(name: str) -> str:
    return (INTENTS / f"{name}.yaml").read_text(encoding="utf-8")

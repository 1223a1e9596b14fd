"""A packet city under the real daemon, and its customers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from onecity.v1 import controller_pb2 as pb

from lab.openflow.customers import Customer, Customers
from lab.openflow.processes import packet_plant
from tests.support.stage import COMMITTED, Stage, eventually, stage

REACHED_S = 60.0  # a busy machine


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

    def delete(self, *services: str) -> None:
        """Take services away, with their hosts; none is fine."""
        if not services:
            return
        _, result = self.stage.client.delete(*services)
        assert result.outcome == COMMITTED, result.message
        for service in services:
            self.customers.unplug_all(service.replace("/", "."))
        self.customers.settled()

    def plug_in(self, vpn: str) -> list[Customer]:
        """Plug a host into every access of a VPN and wait until each reaches the first, as it must."""
        found = self.customers.plug_in(vpn)
        for other in found[1:]:
            eventually(lambda other=other: self.ping(other.host, found[0].address), REACHED_S)  # type: ignore[misc]
        return found

    def restore(self) -> None:
        """Repair everything and wait until the controller knows."""
        self.stage.city.plant({"type": "restore", "what": "all"})
        request = pb.GetTopologyRequest()
        eventually(lambda: all(k.up for k in self.stage.client.stub.GetTopology(request).topology.links), REACHED_S)

    def clear(self) -> None:
        """Repair everything, take every service away and every host out."""
        self.restore()
        self.delete(*self.stage.client.services())
        self.customers.unplug_everybody()

    def ping(self, host: str, address: str, *more: str) -> bool:
        line = ["ping", "-n", "-q", "-c", "1", "-W", "1", *more, address]
        return self.customers.run(host, line).returncode == 0


@contextmanager
def packet_stage(city: str, directory: Path, **more: int | str) -> Iterator[PacketStage]:
    with stage(city, directory, plant=packet_plant(**more)) as standing:  # type: ignore[arg-type]
        yield PacketStage(standing, Customers(standing.city))

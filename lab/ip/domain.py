"""One IP domain controller: its datastore, its servers and its line to the plant, wired together."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import asyncssh

from lab.city import load_city
from lab.gnmi import TelemetryTree, serve_gnmi
from lab.ip.resources import DomainResources
from lab.ip.telemetry import IpTelemetry
from lab.ip.topology import DeviceGuard, DomainTopology
from lab.ip.units import changed_units
from lab.netconf.data import Data, changed_entries, lookup
from lab.netconf.datastore import ConfigChanged, ConfirmedCommitEvent, Datastore
from lab.netconf.journal import Journal
from lab.netconf.schema import InstancePath, load_schema
from lab.netconf.server import Login, NetconfServer
from lab.plant.link import PlantLink

USERNAME = "onecity"
_NETWORKS: InstancePath = ("nw:networks", "nw:network")


class IpDomainController:
    """All parts of one domain. `start` opens the ports, `stop` closes them; state lies under `directory/domain`."""

    def __init__(self, city: str, domain: str, directory: Path, devices: Path | None = None) -> None:
        """devices: the socket behind which its devices are; default the modelled plant of the run directory."""
        self._directory = directory
        self._schema = load_schema()
        self.topology = DomainTopology(load_city(city), domain)
        self._own_network = self.topology.domain.network_id
        # Only modelled routers make a link of light between two of their ports; real ones were cabled once.
        guard = DeviceGuard(self._schema, self.topology, links=devices is None)
        self.datastore = Datastore(
            self._schema,
            Journal(directory / domain),
            guard,
            DomainResources(self._schema, self.topology),
            self.topology.laid_over,
        )
        secrets = directory / "secrets"
        login = Login(
            USERNAME,
            (secrets / f"{domain}.password").read_text().strip(),
            asyncssh.read_private_key(secrets / f"{domain}.hostkey"),
        )
        self._netconf = NetconfServer(self.datastore, self._operational, login)
        self._tree = TelemetryTree()
        self._telemetry = IpTelemetry(self._tree, self.topology)
        self._plant = PlantLink(devices or directory / "plant.sock", domain, self._all_units, self._hear)
        self._told: Data = {}  # the version of running that the plant has
        self._telling: asyncio.Handle | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._gnmi: Any = None

    async def start(self, netconf_port: int, gnmi_port: int) -> tuple[int, int]:
        """Finish what a restart left open, then listen; returns the two ports."""
        self.datastore.start()
        self.datastore.listen(self._moved)
        self._measure(self.datastore.running)
        self.topology.follow(self.datastore.running, up=True)
        self._write_states()
        certs = self._directory / "certs"
        token = (self._directory / "secrets" / "token").read_text()
        self._gnmi, gnmi = await serve_gnmi(
            self._tree, "127.0.0.1", gnmi_port, certs / "server.pem", certs / "server.key", token
        )
        netconf = await self._netconf.start("127.0.0.1", netconf_port)
        self._tasks.append(asyncio.create_task(self._plant.run()))
        return netconf, gnmi

    def stutter(self, on: bool) -> None:
        """Say every NETCONF reply twice from now on, or once again."""
        self._netconf.stutters = on

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(self._gnmi.stop(grace=0), *self._tasks, return_exceptions=True)
        await self._netconf.stop()
        self.datastore.stop()

    def _operational(self) -> Data:
        return self.topology.operational(self.datastore.running)

    # towards the plant

    def _all_units(self) -> dict[str, Any]:
        self._told = self.datastore.running
        return self._units_between({}, self._told)[0]

    def _units_between(self, old: Data, new: Data) -> tuple[dict[str, Any], list[str]]:
        return changed_units(self._schema, self._own_network, self.topology.links, old, new)

    def _moved(self, event: ConfigChanged | ConfirmedCommitEvent) -> None:
        """Tell the plant once the commit has been answered; commits in a row are told together."""
        if isinstance(event, ConfigChanged) and self._telling is None:
            self._telling = asyncio.get_running_loop().call_soon(self._tell_plant)

    def _tell_plant(self) -> None:
        self._telling = None
        running = self.datastore.running
        put, drop = self._units_between(self._told, running)
        if lookup(running, _NETWORKS) is not lookup(self._told, _NETWORKS):
            self._measure(running)
            self._follow_links(running)
        self._told = running
        if put or drop:
            self._plant.send(put, drop)

    def _follow_links(self, running: Data) -> None:
        """Say of links that clients wrote or took away that they are down; the plant says when one is up."""
        came, went = self.topology.follow(running)
        for link in went:
            self._telemetry.link_gone(link)
        for link in (*went, *came):
            self._netconf.link_changed(self._own_network, link, False)

    def _measure(self, running: Data) -> None:
        """Find the network of each measured tunnel."""
        found = {}
        for key, _, network in changed_entries({}, lookup(running, _NETWORKS)):
            for link in network.get("nt:link", ()) if key != (self._own_network,) else ():
                if link[0].startswith("tunnel:"):
                    found[link[0].removeprefix("tunnel:")] = key[0]
        self._telemetry.tunnels_measured_in(found)

    # from the plant

    def _hear(self, message: Mapping[str, Any]) -> None:
        if message.get("type") == "state":
            self._take_state(message)
        elif message.get("type") == "samples":
            self._telemetry.samples(message)

    def _take_state(self, message: Mapping[str, Any]) -> None:
        for node, up in message.get("nodes", {}).items():
            if self.topology.set_node(node, up):
                self._telemetry.node_state(node, up)
        for name, up in message.get("ports", {}).items():
            node, _, port = name.partition("/")
            if self.topology.set_port(node, port, up):
                self._telemetry.port_state(node, port, up)
        for link, up in message.get("links", {}).items():
            if self.topology.set_link(link, up):
                self._telemetry.link_state(link, up)
                self._netconf.link_changed(self._own_network, link, up)
        self._telemetry.alarms(message.get("alarms", {}))

    def _write_states(self) -> None:
        """Everything counts as up until the plant says otherwise."""
        for node in self.topology.domain.nodes:
            self._telemetry.node_state(node.id, True)
        for port in self.topology.domain.ports:
            self._telemetry.port_state(port.node, port.id, True)
        for link in (*self.topology.links, *self.topology.written.links):
            self._telemetry.link_state(link, True)

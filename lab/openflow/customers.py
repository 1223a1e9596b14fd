"""The customers of a packet city: told of their accesses as by an order confirmation, they plug hosts in and use them.

A host has the customer's address on the access and one address in each of its LANs, so that one machine is both the
customer's router and what stands behind it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from ipaddress import ip_network
from pathlib import Path
from typing import Any

from lab.openflow.sandbox import at_once, enter_command
from lab.plant.link import connect
from lab.supervision import LabError, RunningCity

IDLE_S = 30.0


@dataclass(frozen=True, slots=True)
class Customer:
    """A host in an access. `address`: where it is reached, in its LAN if it has one."""

    vpn: str
    access: str
    host: str
    address: str
    port: str  # router/port
    vlan: int


@dataclass(frozen=True, slots=True)
class Stream:
    """Numbered packets under way (see traffic.py)."""

    sending: subprocess.Popen[str]
    receiving: subprocess.Popen[str]

    def result(self, timeout_s: float = 120.0) -> dict[str, Any]:
        """Wait for the end; return what the receiver says, with the sender's `refused`. Raises LabError."""
        sent, problem = self.sending.communicate(timeout=timeout_s)
        came, other = self.receiving.communicate(timeout=timeout_s)
        if not sent or not came:
            raise LabError(f"the traffic ended early: {problem}{other}")
        said: dict[str, Any] = json.loads(came)
        return said | {"refused": json.loads(sent)["refused"]}


class Customers:
    """All hosts of a running packet city."""

    def __init__(self, city: RunningCity) -> None:
        self.city = city
        answer = self._operate({"type": "hosts"})
        self.pids: dict[str, int] = answer["pids"]
        self._sites: dict[str, list[str]] = answer["sites"]
        self._free: dict[str, list[str]] = {port: list(hosts) for port, hosts in self._sites.items()}
        self.by_vpn: dict[str, list[Customer]] = {}

    def _operate(self, command: dict[str, Any]) -> dict[str, Any]:
        answer = self.city.plant(command)
        if not answer.get("ok"):
            raise LabError(str(answer.get("error")))
        return answer

    # ── plugging in ─────────────────────────────────────────────────────────────────────────────────────────────

    def accesses(self, vpn: str) -> list[dict[str, Any]]:
        """Return what the domains say of the site accesses of a VPN ("" for all)."""
        found = []
        for domain in self.city.city.ip:
            answer = ask_openflow(self.city.directory, domain, {"type": "accesses"})
            found += [a for a in answer["accesses"] if vpn in ("", a["vpn"])]
        return found

    def plug_in(self, vpn: str) -> list[Customer]:
        """Give every site access of a VPN a host; return them in the order of their names. Raises LabError."""
        found = []
        for access in sorted(self.accesses(vpn), key=lambda a: str(a["access"])):
            free = self._free[access["port"]]
            if not free:
                raise LabError(f"no host is free at {access['port']} for {access['access']}; start with more of them")
            found.append(self._plug(access, free.pop(0)))
        self.by_vpn[vpn] = found
        return found

    def _plug(self, access: dict[str, Any], host: str) -> Customer:
        links = [f"{customer}/{length}" for customer, length, _ in access["links"]]
        lans = [ip_network(lan) for lan in access["lans"]]
        inner = [f"{lan.network_address + 10}/{lan.max_prefixlen}" for lan in lans]
        gateways = [ours for _, _, ours in access["links"]]
        self.wire(host, access["vlan"], [*links, *inner], gateways)
        address = (inner or links)[0].partition("/")[0]
        return Customer(access["vpn"], access["access"], host, address, access["port"], access["vlan"])

    def wire(self, host: str, vlan: int, addresses: Sequence[str], gateways: Sequence[str]) -> None:
        """Plug a host into any VLAN with any addresses, right or wrong."""
        command = {"type": "plug", "host": host, "vlan": vlan, "addresses": list(addresses), "gateways": list(gateways)}
        self._operate(command)

    def unplug_all(self, vpn: str) -> None:
        """Take the hosts of a VPN out of it; others may use them."""
        for customer in self.by_vpn.pop(vpn, []):
            self._operate({"type": "unplug", "host": customer.host})
            self._free[customer.port].append(customer.host)

    def unplug_everybody(self) -> None:
        """Take every host out of wherever it is, those too that were wired by hand."""
        self.by_vpn.clear()
        for port, hosts in self._sites.items():
            for host in sorted(set(hosts) - set(self._free[port])):
                self._operate({"type": "unplug", "host": host})
            self._free[port] = list(hosts)

    def free_host(self, port: str) -> str:
        """Take a host at a router's port that nobody uses."""
        return self._free[port].pop(0)

    # ── using ───────────────────────────────────────────────────────────────────────────────────────────────────

    def command(self, host: str, line: Sequence[str]) -> list[str]:
        """Return the command line that runs another on a host."""
        return [*enter_command(self.city.directory, self.pids[host]), *line]

    def run(self, host: str, line: Sequence[str], timeout_s: float = 60.0) -> subprocess.CompletedProcess[str]:
        return subprocess.run(self.command(host, line), capture_output=True, text=True, timeout=timeout_s)

    def begin(self, host: str, line: Sequence[str]) -> subprocess.Popen[str]:
        """Start something on a host; it ends with the city at the latest."""
        environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
        return subprocess.Popen(
            self.command(host, line), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
        )

    def stream(
        self, a: Customer, z: Customer, *, rate_pps: float, count: int, size: int = 64, port: int = 7000
    ) -> Stream:
        """Start numbered packets from one customer to another."""
        numbers = ["--port", str(port), "--rate", str(rate_pps), "--count", str(count)]
        program = [*at_once(), sys.executable, "-m", "lab.openflow.traffic"]
        receiving = self.begin(z.host, [*program, "receive", *numbers])
        assert receiving.stdout is not None
        if receiving.stdout.readline().strip() != "ready":
            raise LabError(f"{z.host} cannot receive: {receiving.communicate()[1]}")
        return Stream(self.begin(a.host, [*program, "send", z.address, "--size", str(size), *numbers]), receiving)

    def reachability(
        self, senders: Iterable[Customer], targets: Iterable[str], count: int = 2, wait_s: float = 1.0
    ) -> dict[tuple[str, str], bool]:
        """Ping every target from every sender, all at once; return (host, target) → whether it answered."""
        wanted = list(targets)
        script = "for t in {}; do ping -n -q -c {} -i 0.2 -W {} $t >/dev/null 2>&1 && echo $t & done; wait"
        line = ["sh", "-c", script.format(" ".join(wanted), count, wait_s)]
        running = {c.host: self.begin(c.host, line) for c in senders}
        found: dict[tuple[str, str], bool] = {}
        for host, process in running.items():
            answered = set(process.communicate(timeout=60)[0].split())
            found |= {(host, target): target in answered for target in wanted}
        return found

    def rule_counts(self) -> dict[str, int]:
        """Return how many rules each router's switch holds."""
        found: dict[str, int] = {}
        for domain in self.city.city.ip:
            found |= ask_openflow(self.city.directory, domain, {"type": "status"})["rules"]
        return found

    def settled(self, within_s: float = IDLE_S) -> None:
        """Wait until every domain has programmed its switches as configured; raises LabError."""
        deadline = time.monotonic() + within_s
        for domain in self.city.city.ip:
            quiet = 0
            while quiet < 2:
                status = ask_openflow(self.city.directory, domain, {"type": "status"})
                quiet = quiet + 1 if status["idle"] and status["complete"] else 0
                if time.monotonic() > deadline:
                    raise LabError(f"{domain} was still at work after {within_s:g} s")
                time.sleep(0.02)


def ask_openflow(directory: Path, domain: str, question: dict[str, Any]) -> dict[str, Any]:
    """Ask the OpenFlow process of a domain; raises LabError."""
    try:
        with closing(connect(directory / f"openflow-{domain}.sock")) as connection:
            connection.settimeout(20.0)
            connection.sendall(json.dumps({"type": "hello", "role": "operator"}).encode() + b"\n")
            connection.sendall(json.dumps(question).encode() + b"\n")
            line = connection.makefile("rb").readline()
    except OSError as error:
        raise LabError(f"the OpenFlow process of {domain} does not answer: {error}") from None
    answer: dict[str, Any] = json.loads(line or b"{}")
    if not answer.get("ok"):
        raise LabError(f"the OpenFlow process of {domain} said nothing")
    return answer

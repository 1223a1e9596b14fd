"""The city that the campaign tortures: real processes, proxies before the domains, short timers, a daemon that dies."""

from __future__ import annotations

import contextlib
import re
import resource
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import grpc
import yaml
from ncclient import manager
from onecity.optical.v1 import optical_pb2
from onecity.v1 import controller_pb2 as pb

from lab.credentials import write_known_hosts
from lab.supervision import RunningCity, start_city
from tests.chaos.proxy import Proxies
from tests.city.optical_client import Client as OpticalClient
from tests.support.stage import Client, Stage

T = TypeVar("T")

# Short, so that what waits for a timer waits seconds; a confirm timer ends while the daemon is away for long.
TIMERS = {"connect": 1.0, "edit": 2.0, "commit": 1.5, "confirm": 6.0, "read": 3.0}
EXPIRED_S = 9.0  # longer than every confirm timer, the outlasting optical ones included
OPTICAL = "city-otn"
_FULL_AT = 4096  # bytes that any file of the daemon may have while the disk is "full"


class World:
    """Faults go in here; `heal` takes them all away."""

    def __init__(self, city: RunningCity, proxies: Proxies) -> None:
        self.city, self.proxies = city, proxies
        self.kills = 0
        self.armed = ""
        self._locks: dict[str, manager.Manager] = {}
        self._full = False
        self._hung: set[str] = set()
        self.stage = Stage(city)
        self.ip_domains = tuple(d for d in city.domains if d != OPTICAL)

    # The daemon

    def daemon_died(self) -> bool:
        """Say whether the daemon is dead, and count it once."""
        if self.stage.daemon.poll() is None:
            return False
        if self.stage.daemon.returncode != -signal.SIGKILL:
            raise RuntimeError(f"the daemon ended by itself ({self.stage.daemon.returncode}); see {self.stage.log}")
        return True

    def kill_daemon(self) -> None:
        self.stage.kill_daemon()

    def start_daemon(self, die_at: str = "", *, wait: bool = False) -> None:
        self.kills += 1  # it is only ever started after a kill
        self.armed, self._full = die_at, False
        self.stage.start_daemon(wait=wait, **({"ONECITY_DIE_AT": die_at} if die_at else {}))

    def fill_disk(self) -> bool:
        """No file of the daemon may grow: what it writes fails, as on a full disk. Only one that serves."""
        try:
            self.stage.client.stub.GetServices(pb.GetServicesRequest(), timeout=0.2)
        except grpc.RpcError:
            return False
        self._limit_files(_FULL_AT)
        self._full = True
        return True

    def empty_disk(self) -> None:
        if self._full:
            self._limit_files(resource.RLIM_INFINITY)
            self._full = False

    def _limit_files(self, soft: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            resource.prlimit(self.stage.daemon.pid, resource.RLIMIT_FSIZE, (soft, resource.RLIM_INFINITY))

    # The domains

    def kill_domain(self, domain: str) -> bool:
        process = self.city.domain_process(domain)
        if not process.alive():
            return False
        self.resume_domain(domain)
        process.kill()
        self.kills += 1
        return True

    def restart_domain(self, domain: str) -> None:
        process = self.city.domain_process(domain)
        if not process.alive():
            process.restart()

    def pause_domain(self, domain: str) -> bool:
        process = self.city.domain_process(domain)
        if not process.alive():
            return False
        process.pause()
        self._hung.add(domain)
        return True

    def resume_domain(self, domain: str) -> None:
        self._hung.discard(domain)
        if self.city.domain_process(domain).alive():
            self.city.domain_process(domain).resume()

    def lock(self, domain: str) -> bool:
        """Hold the candidate lock with a session of our own, as another manager would; False where it is held."""
        if domain in self._locks or domain in self._hung or not self.city.domain_process(domain).alive():
            return False
        try:
            self._locks[domain] = self._session(domain)
            self._locks[domain].lock("candidate")
        except Exception:
            self.unlock(domain)
            return False
        return True

    def unlock(self, domain: str) -> None:
        session = self._locks.pop(domain, None)
        if session is not None:
            with contextlib.suppress(Exception):
                session.close_session()

    def heal(self) -> None:
        """Everything runs, answers and is let go of."""
        self.proxies.heal()
        self.empty_disk()
        for domain in tuple(self._locks):
            self.unlock(domain)
        for domain in self.city.domains:
            self.resume_domain(domain)
            self.restart_domain(domain)

    # What a plain client finds there

    def held(self) -> list[str]:
        """Return what is still open on the domains: transactions and locks."""
        with ThreadPoolExecutor(4) as pool:
            locks = list(pool.map(self._lock_holder, self.ip_domains))
        return [held for held in (*locks, *self._open_optical()) if held]

    def vpns(self) -> set[str]:
        """Return the ids of all VPN services that run on any IP domain."""
        with ThreadPoolExecutor(4) as pool:
            return set().union(*pool.map(self._vpns, self.ip_domains))

    def circuits(self) -> set[str]:
        """Return the services' circuits that stand."""
        answer = self._optical("ListCircuits", optical_pb2.ListCircuitsRequest())
        return {c.spec.id for c in answer.circuits if c.spec.owner != "infrastructure"}

    def _open_optical(self) -> list[str]:
        found = self._optical("ListTransactions", optical_pb2.ListTransactionsRequest()).transactions
        return [f"{OPTICAL}: transaction {t.txn_id} is open" for t in found]

    def _optical(self, verb: str, request: object) -> Any:
        client = OpticalClient(self.city.directory, self.city.domain_process(OPTICAL).ports["grpc"])
        try:
            return client(verb, request)
        finally:
            client.close()

    def _session(self, domain: str) -> manager.Manager:
        return manager.connect(
            host="127.0.0.1",
            port=self.city.domain_process(domain).ports["netconf"],
            username="onecity",
            password=(self.city.directory / "secrets" / f"{domain}.password").read_text(),
            hostkey_verify=False,
            look_for_keys=False,
            allow_agent=False,
            timeout=5,
        )

    def _lock_holder(self, domain: str) -> str:
        session = self._session(domain)
        try:
            session.lock("candidate")
            session.unlock("candidate")
        except Exception as error:
            return f"{domain}: {error}"
        finally:
            session.close_session()
        return ""

    def _vpns(self, domain: str) -> set[str]:
        session = self._session(domain)
        try:
            text = session.get_config("running").data_xml
        finally:
            session.close_session()
        return set(re.findall(r"<(?:\w+:)?vpn-id>([^<]+)</", text))


@contextmanager
def world(directory: Path) -> Iterator[World]:
    """Yield Longgang with proxies in it and a daemon over it."""
    with start_city("longgang", directory) as city:
        ports = {d: city.domain_process(d).ports for d in city.domains}
        proxies = Proxies({d: p.get("netconf", p.get("grpc", 0)) for d, p in ports.items()})
        _point_at_proxies(city, proxies)
        made = World(city, proxies)
        try:
            yield made
        finally:
            made.heal()
            made.stage.stop()
            proxies.close()


def _point_at_proxies(city: RunningCity, proxies: Proxies) -> None:
    settings = yaml.safe_load(city.config_path.read_text(encoding="utf-8"))
    for domain in settings["domains"]:
        domain["address"] = f"127.0.0.1:{proxies.ports[domain['name']]}"
        domain["timers"] = dict(TIMERS)
    city.config_path.write_text(yaml.safe_dump(settings, allow_unicode=True), encoding="utf-8")
    write_known_hosts(city.directory, {d: port for d, port in proxies.ports.items() if d != OPTICAL})


def patiently(stage: Stage, call: Callable[[Client], T], deadline: float) -> T:
    """Call the daemon until it answers; raises TimeoutError at the deadline (time.monotonic)."""
    while True:
        try:
            return call(stage.client)
        except grpc.RpcError as error:
            if error.code() not in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED):
                raise
            if time.monotonic() > deadline:
                raise TimeoutError(f"the daemon does not answer: {error}") from None
            time.sleep(0.05)

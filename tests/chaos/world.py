"""The city that the campaign tortures: real processes, proxies before the domains, short timers, a daemon that dies."""

from __future__ import annotations

import contextlib
import os
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
from lxml import etree
from ncclient import manager
from onecity.optical.v1 import optical_pb2
from onecity.v1 import controller_pb2 as pb

from lab.credentials import write_known_hosts
from lab.supervision import RunningCity, start_city
from tests.chaos.lit import FILTER, loose_ends
from tests.chaos.proxy import Proxies
from tests.city.optical_client import Client as OpticalClient
from tests.support.stage import Client, Stage

T = TypeVar("T")

# Short, so that what waits for a timer waits seconds; a confirm timer ends while the daemon is away for long.
TIMERS = {"connect": 1.0, "edit": 2.0, "commit": 1.5, "confirm": 6.0, "read": 3.0}
EXPIRED_S = 9.0  # longer than every confirm timer, the outlasting optical ones included
OPTICAL = "city-otn"
EVICT_S = 40.0
SIGNALS_S = 0.2  # until signals are handled: of two that wait together the later one comes first
BASE = "urn:ietf:params:xml:ns:netconf:base:1.0"
L3NM = "urn:ietf:params:xml:ns:yang:ietf-l3vpn-ntw"
SQUATTER = "squatter"  # the VPN of somebody else, who asks nobody
SERVICES = f'<l3vpn-ntw xmlns="{L3NM}"><vpn-services/></l3vpn-ntw>'
EVICTION = (
    f'<config xmlns="{BASE}"><l3vpn-ntw xmlns="{L3NM}"><vpn-services><vpn-service xmlns:nc="{BASE}" '
    f'nc:operation="remove"><vpn-id>{SQUATTER}</vpn-id></vpn-service></vpn-services></l3vpn-ntw></config>'
)
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
        self._squats: set[str] = set()
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

    def daemon_stopped(self) -> bool:
        """Say whether the daemon has stopped itself, where it was told to."""
        with contextlib.suppress(OSError):
            state = Path(f"/proc/{self.stage.daemon.pid}/stat").read_text().rpartition(")")[2].split()[0]
            return state == "T"
        return False

    def await_service(self, within_s: float) -> None:
        """Wait until the daemon answers, has stopped itself or is dead; at most so long."""
        deadline = time.monotonic() + within_s
        while time.monotonic() < deadline and not self.daemon_stopped() and self.stage.daemon.poll() is None:
            try:
                self.stage.client.stub.GetServices(pb.GetServicesRequest(), timeout=1.0)
                return
            except grpc.RpcError:
                time.sleep(0.05)

    def let_go_on(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.stage.daemon.pid, signal.SIGCONT)

    def start_daemon(self, die_at: str = "", *, wait: bool = False, stop_at: str = "") -> None:
        self.kills += 1  # it is only ever started after a kill
        self.armed, self._full = die_at or stop_at, False
        told = {"ONECITY_DIE_AT": die_at, "ONECITY_STOP_AT": stop_at}
        self.stage.start_daemon(wait=wait, **{name: point for name, point in told.items() if point})

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

    def stutter(self, domain: str, on: bool) -> bool:
        """Have every reply of a domain come twice (optical: every request arrive twice), or once again."""
        process = self.city.domain_process(domain)
        if not process.alive() or (on and domain in self._hung):  # it would hear of both at once, the last first
            return False
        os.kill(process.pid, signal.SIGUSR1 if on else signal.SIGUSR2)
        return True

    def fail_commits(self, domain: str, on: bool) -> bool:
        """Let a domain keep nothing on its disk any more: what it should commit it refuses."""
        process = self.city.domain_process(domain)
        if not process.alive():
            return False
        with contextlib.suppress(ProcessLookupError):
            soft = 1 if on else resource.RLIM_INFINITY
            resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (soft, resource.RLIM_INFINITY))
        return True

    def squat(self, domain: str) -> bool:
        """Somebody else takes VLANs that we are likely to want next, past every reservation of ours."""
        if domain in self._hung or not self.city.domain_process(domain).alive():
            return False
        try:
            session = self._session(domain)
        except Exception:
            return False
        try:
            found = squatter(session.get_config("running", filter=("subtree", SERVICES)).data_xml)
            if found is None:
                return False
            session.lock("candidate")
            session.edit_config(found, target="candidate")
            self._squats.add(domain)  # perhaps: its answer may be lost
            session.commit()
        except Exception:  # somebody is at work there, or has the VLAN already
            return False
        finally:
            with contextlib.suppress(Exception):
                session.close_session()  # the lock ends with it, and what the candidate holds
        return True

    def evict(self, domain: str, within_s: float) -> None:
        """Take away what somebody else put there; raises what stood in the way until then."""
        deadline = time.monotonic() + within_s
        while domain in self._squats:
            if self.daemon_stopped():  # just now, and with the lock in its hands
                self.let_go_on()
            try:
                session = self._session(domain)
                try:
                    session.lock("candidate")
                    session.edit_config(EVICTION, target="candidate", default_operation="none")
                    session.commit()
                finally:
                    with contextlib.suppress(Exception):
                        session.close_session()
                self._squats.discard(domain)
            except Exception:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.2)

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
            self.stutter(domain, False)
            self.fail_commits(domain, False)
        time.sleep(SIGNALS_S)
        for domain in self.city.domains:
            self.stutter(domain, False)
        if self.daemon_stopped():
            self.let_go_on()
        for domain in tuple(self._squats):
            self.evict(domain, EVICT_S)

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

    def loose_ends(self) -> list[str]:
        """Return what stands of a link that was lit for services without the rest of it."""
        with ThreadPoolExecutor(4) as pool:
            running = dict(zip(self.ip_domains, pool.map(self._links_and_tunnels, self.ip_domains), strict=True))
        return loose_ends(running, self.circuits())

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
            with contextlib.suppress(Exception):
                session.close_session()
        return ""

    def _links_and_tunnels(self, domain: str) -> str:
        session = self._session(domain)
        try:
            return str(session.get_config("running", filter=FILTER).data_xml)
        finally:
            session.close_session()

    def _vpns(self, domain: str) -> set[str]:
        session = self._session(domain)
        try:
            text = session.get_config("running").data_xml
        finally:
            session.close_session()
        return set(re.findall(r"<(?:\w+:)?vpn-id>([^<]+)</", text)) - {SQUATTER}


def squatter(running: str) -> etree._Element | None:
    """Return a VPN of somebody else's, made of the first one with an access that runs: on the VLANs that come next.

    None where nothing runs that could be copied.
    """
    root = etree.fromstring(running.encode())
    all_vlans = [int(leaf.text or 0) for leaf in root.iter(f"{{{L3NM}}}cvlan-id")]
    for entry in root.iter(f"{{{L3NM}}}vpn-service"):
        accesses = list(entry.iter(f"{{{L3NM}}}vpn-network-access"))
        vlans = list(entry.iter(f"{{{L3NM}}}cvlan-id"))
        if not accesses or not vlans or entry.findtext(f"{{{L3NM}}}vpn-id") == SQUATTER:
            continue
        for number, access in enumerate(accesses):
            access.find(f"{{{L3NM}}}id").text = f"{SQUATTER}.{number}"
        for vlan in vlans:
            pool = int(vlan.text or 0) // 1000
            vlan.text = f"{max(taken for taken in all_vlans if taken // 1000 == pool) + 1}"
        entry.find(f"{{{L3NM}}}vpn-id").text = SQUATTER
        for other in root.findall(f".//{{{L3NM}}}vpn-service"):
            if other is not entry:
                other.getparent().remove(other)
        root.tag = f"{{{BASE}}}config"
        return root
    return None


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

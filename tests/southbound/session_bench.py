"""What a change of five NETCONF requests costs on loopback: our session against stock ncclient.

python -m tests.southbound.session_bench
"""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from ncclient import manager

from controller.southbound.driver import DomainSettings
from controller.southbound.netconf import operations as op
from controller.southbound.netconf.client import NetconfClient
from lab.credentials import make_credentials, write_known_hosts
from lab.supervision import DomainProcess

CONFIG = (
    '<config xmlns="urn:ietf:params:xml:ns:netconf:base:1.0">'
    '<l3vpn-ntw xmlns="urn:ietf:params:xml:ns:yang:ietf-l3vpn-ntw">'
    '<vpn-services xmlns:vpn-common="urn:ietf:params:xml:ns:yang:ietf-vpn-common"><vpn-service>'
    "<vpn-id>bench</vpn-id><vpn-description>{}</vpn-description><vpn-type>vpn-common:l3vpn</vpn-type>"
    "</vpn-service></vpn-services></l3vpn-ntw></config>"
)


async def ours_ms(settings: DomainSettings, rounds: int) -> float:
    with ThreadPoolExecutor(2) as executor:
        client = NetconfClient(settings, executor)
        await client.connect()
        taken = []
        for n in range(rounds):
            start = time.perf_counter()
            for what, body in (
                ("lock", op.LOCK),
                ("edit-config", op.edit_config(CONFIG.format(f"ours {n}"), rollback_on_error=True)),
                ("commit", op.commit_provisionally("bench", 60)),
                ("commit", op.commit_finally("bench")),
                ("unlock", op.UNLOCK),
            ):
                reply = await client.call(what, body, 10)
                assert not reply.errors, reply.errors
            taken.append(time.perf_counter() - start)
        await client.close()
    return statistics.median(taken) * 1e3


def stock_ms(settings: DomainSettings, rounds: int) -> float:
    host, _, port = settings.address.partition(":")
    password = Path(settings.password_file).read_text()
    taken = []
    with manager.connect(
        host=host, port=int(port), username=settings.username, password=password, hostkey_verify=False,
        allow_agent=False, look_for_keys=False,
    ) as session:  # fmt: skip
        for n in range(rounds):
            start = time.perf_counter()
            session.lock("candidate")
            session.edit_config(
                target="candidate", config=CONFIG.format(f"stock {n}"), error_option="rollback-on-error"
            )
            session.commit(confirmed=True, timeout="60", persist="bench")
            session.commit(persist_id="bench")
            session.unlock("candidate")
            taken.append(time.perf_counter() - start)
    return statistics.median(taken) * 1e3


def measure(rounds: int = 50, stock_rounds: int = 5) -> dict[str, float]:
    """Return medians in milliseconds against the lab's IP domain controller."""
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        make_credentials(directory, ["city-ip"])
        where = ["--city", "longgang", "--dir", name, "--watch-stdin", "--domain", "city-ip"]
        numbers = ["--netconf-port", "0", "--gnmi-port", "0"]
        process = DomainProcess("city-ip", lambda ports: ["lab.ip.main", *where, *numbers], directory / "log")
        process.start()
        try:
            process.wait_ready()
            write_known_hosts(directory, {"city-ip": process.ports["netconf"]})
            settings = DomainSettings(
                name="city-ip",
                driver="netconf",
                address=f"127.0.0.1:{process.ports['netconf']}",
                username="onecity",
                password_file=str(directory / "secrets" / "city-ip.password"),
                known_hosts=str(directory / "known_hosts"),
            )
            return {
                "netconf.five_requests.p50_ms": asyncio.run(ours_ms(settings, rounds)),
                "netconf.five_requests_stock_ncclient.p50_ms": stock_ms(settings, stock_rounds),
            }
        finally:
            process.stop()


if __name__ == "__main__":
    for key, value in measure().items():
        print(f"{key:48} {value:8.1f}")

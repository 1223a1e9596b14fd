"""`make lab-demo`: the city with real packets, once, as somebody would try it who believes only what he can ping.

Intents are applied by the real controller, hosts at the sites ping and flood, a fibre is cut under traffic, and all of
it goes again, whatever ends this program.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path

from lab.demo import Stage, clear_away, intents_directory, say, serve, stop_daemon
from lab.openflow.customers import Customer, Customers
from lab.openflow.names import DEFAULT_SCALE
from lab.openflow.processes import missing, packet_plant
from lab.openflow.shaping import kernel_delays
from lab.supervision import LabError, start_city

PREFIX = "onecity-demo-"
SLICE = """apiVersion: onecity/v1
kind: ExclusiveSlice
metadata: {name: survey, tenant: lab}
spec:
  bandwidth: 20Gbps
  isolation: nrp
  protection: standby
  endpoints:
    - {site: buji, lan: 10.77.1.0/24}
    - {site: zhihui, lan: 10.77.2.0/24}
"""
RATE_PPS, PACKETS = 1000.0, 8000
FLOOD_S = 6


def main() -> int:
    """Run the demo; 0 if everything went as it should."""
    parser = argparse.ArgumentParser(prog="python -m lab.openflow.demo", description=__doc__)
    parser.add_argument("--city", default="longgang")
    parser.add_argument("--scale", type=int, default=DEFAULT_SCALE, help="bit/s of the city that are one here")
    options = parser.parse_args()
    if reason := missing():
        print(f"lab-demo: {reason}", file=sys.stderr)
        return 1
    clear_away(Path(tempfile.gettempdir()))
    directory = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-"))
    started = time.monotonic()
    try:
        with start_city(options.city, directory, plant=packet_plant(options.scale)) as city:
            customers = Customers(city)
            routers, hosts = sum(len(d.nodes) for d in city.city.ip.values()), len(customers.pids)
            say(f"{routers} switches and {hosts} hosts are up after {time.monotonic() - started:.1f} s")
            print(f"1 Gbit/s of the city is {10**9 / options.scale / 1e3:g} kbit/s here.")
            print("Links have the delay of their length." if kernel_delays() else "This kernel cannot delay links.")
            daemon, environment = serve(city)
            try:
                _play(Stage(city, daemon, environment), customers)
            finally:
                stop_daemon(daemon)
        say("stopped; nothing is left")
        return 0
    except KeyboardInterrupt:
        print("\nstopped", flush=True)
        return 130
    except LabError as error:
        print(f"lab-demo: {error}", file=sys.stderr)
        return 1
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _play(stage: Stage, customers: Customers) -> None:
    intents, own = intents_directory(), stage.city.directory / "survey.yaml"
    own.write_text(SLICE, encoding="utf-8")
    say("a plane over twelve sites, a slice on an optical circuit, a slice over the IP network")
    stage.type(f"apply --yes {intents}/office.yaml {intents}/natural-resources.yaml {own}")
    customers.settled()
    office = customers.plug_in("government.office")
    circuit = customers.plug_in("natural-resources.natural-resources")
    survey = customers.plug_in("lab.survey")
    time.sleep(1.0)
    _matrix(customers, {"office": office, "natural-resources": circuit, "survey": survey})
    say(f"a flood of 100 Mbit/s in the office plane, beside {RATE_PPS:g} packets a second in the survey slice")
    _flood(customers, survey, office)
    say("a digger meets f-zhihui-nanwan, the slice's working path, under traffic")
    stream = customers.stream(*survey, rate_pps=RATE_PPS, count=PACKETS)
    time.sleep(2.0)
    stage.type(f"lab cut f-zhihui-nanwan --dir {stage.city.directory}")
    _tell(stream.result())
    stage.type("get")


def _matrix(customers: Customers, planes: dict[str, list[Customer]]) -> None:
    everybody = [c for members in planes.values() for c in members]
    say(f"every one of {len(everybody)} hosts pings every other")
    answered = customers.reachability(everybody, [c.address for c in everybody])
    for a, senders in planes.items():
        for z, targets in planes.items():
            pairs = [(s.host, t.address) for s in senders for t in targets if s is not t]
            print(f"  {a:>18} → {z:<18} {sum(answered[p] for p in pairs):>3} of {len(pairs):>3} answer")
    sys.stdout.flush()


def _flood(customers: Customers, survey: list[Customer], office: list[Customer]) -> None:
    by_site = {c.access.rpartition(".")[2]: c for c in office}
    sender, target = by_site["buji"], by_site["zhihui"]
    server = customers.begin(target.host, ["iperf3", "-s", "-1"])
    time.sleep(0.3)
    stream = customers.stream(*survey, rate_pps=RATE_PPS, count=PACKETS)
    line = ["iperf3", "-c", target.address, "-u", "-b", "100M", "-l", "1400", "-t", str(FLOOD_S)]
    said = customers.run(sender.host, line).stdout
    server.kill()
    server.wait()
    print("\n".join(said.strip().splitlines()[-5:-2]))
    _tell(stream.result())


def _tell(found: dict[str, float]) -> None:
    outage = f", none for {found['longest_outage_s'] * 1e3:.0f} ms" if found["lost"] else ""
    print(f"the slice lost {found['lost']} of {found['expected']} packets{outage}", flush=True)


if __name__ == "__main__":
    sys.exit(main())

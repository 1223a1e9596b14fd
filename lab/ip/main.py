"""The IP domain controller's process: `python -m lab.ip.main --city C --domain D --dir DIR`."""

from __future__ import annotations

import argparse
import asyncio
import gc
import logging
from pathlib import Path

from lab.ip.domain import IpDomainController
from lab.process import end_with_stdin, say_ready, stutter_on_signal, until_signal


async def run(arguments: argparse.Namespace) -> None:
    controller = IpDomainController(arguments.city, arguments.domain, arguments.dir, arguments.devices)
    netconf, gnmi = await controller.start(arguments.netconf_port, arguments.gnmi_port)
    # The datastore is a large heap without cycles: scanning it again and again would cost every commit.
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)
    stutter_on_signal(controller.stutter)
    say_ready(netconf=netconf, gnmi=gnmi)
    await until_signal()
    await controller.stop()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--city", required=True)
    parser.add_argument("--domain", required=True)
    parser.add_argument("--dir", type=Path, required=True)
    parser.add_argument("--netconf-port", type=int, default=0, help="0: the system picks one")
    parser.add_argument("--gnmi-port", type=int, default=0)
    parser.add_argument("--devices", type=Path, help="the socket of its devices (default: the modelled plant's)")
    parser.add_argument("--watch-stdin", action="store_true", help="end when stdin closes")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.WARNING, format=f"%(asctime)s {arguments.domain} %(message)s")
    if arguments.watch_stdin:
        end_with_stdin()
    asyncio.run(run(arguments))


if __name__ == "__main__":
    main()

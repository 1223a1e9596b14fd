"""The optical domain controller's process: `python -m lab.optical.main --city C --dir DIR`."""

from __future__ import annotations

import argparse
import asyncio
import logging
from pathlib import Path

from lab.city import load_city
from lab.gnmi import TelemetryTree, serve_gnmi
from lab.optical.engine import Engine
from lab.optical.equipment import Equipment
from lab.optical.service import OpticalDomain, serve_optical
from lab.optical.store import Store
from lab.optical.world import World
from lab.process import end_with_stdin, say_ready, stutter_on_signal, until_signal


async def run(arguments: argparse.Namespace) -> None:
    directory: Path = arguments.dir
    equipment = Equipment(load_city(arguments.city))
    store = Store(directory / f"{equipment.domain.name}.db")
    tree = TelemetryTree()
    world = World(Engine(equipment, store), directory / "plant.sock", tree)
    domain = OpticalDomain(world, arguments.bring_up_scale)
    token = (directory / "secrets" / "token").read_text()
    tasks = [asyncio.create_task(domain.run_timers()), asyncio.create_task(world.link.run())]
    server, port = await serve_optical(domain, arguments.port, directory, token)
    certs = directory / "certs"
    gnmi, gnmi_port = await serve_gnmi(
        tree, "127.0.0.1", arguments.gnmi_port, certs / "server.pem", certs / "server.key", token
    )
    stutter_on_signal(domain.stutter)
    say_ready(grpc=port, gnmi=gnmi_port)
    await until_signal()
    for task in tasks:
        task.cancel()
    await asyncio.gather(server.stop(grace=0), gnmi.stop(grace=0), *tasks, return_exceptions=True)
    store.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--city", required=True)
    parser.add_argument("--dir", type=Path, required=True)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--gnmi-port", type=int, default=0)
    parser.add_argument("--bring-up-scale", type=float, default=0.0, help="1: minutes as in the field; 0: at once")
    parser.add_argument("--watch-stdin", action="store_true", help="end when stdin closes")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s optical %(message)s")
    if arguments.watch_stdin:
        end_with_stdin()
    asyncio.run(run(arguments))


if __name__ == "__main__":
    main()

"""The process that holds the packet city: `python -m lab.openflow.main --city C --dir DIR`, as root."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import sys
from pathlib import Path

from lab.city import load_city
from lab.openflow.names import DEFAULT_SCALE
from lab.openflow.sandbox import run_inside
from lab.plant.link import listen
from lab.process import end_with_stdin, say_ready, until_signal

HOSTS_PER_SITE = 3


async def _hold(arguments: argparse.Namespace) -> None:
    from lab.openflow.fabric import Fabric  # inside the room: Mininet looks at the system as it is imported
    from lab.openflow.field import Field

    city = load_city(arguments.city)
    fabric = Fabric(city, arguments.scale, arguments.hosts, arguments.dir / "logs")
    field = Field(city, fabric)
    server = await field.serve(listen(arguments.dir / "plant.sock"))
    ticking = asyncio.create_task(field.tick())
    say_ready()
    await until_signal()
    ticking.cancel()
    server.close()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--city", required=True)
    parser.add_argument("--dir", type=Path, required=True)
    parser.add_argument("--scale", type=int, default=DEFAULT_SCALE)
    parser.add_argument("--hosts", type=int, default=HOSTS_PER_SITE)
    parser.add_argument("--watch-stdin", action="store_true", help="end when stdin closes")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s fabric %(message)s")

    def inside() -> None:
        if arguments.watch_stdin:
            end_with_stdin()
        os.environ.setdefault("TERM", "dumb")
        asyncio.run(_hold(arguments))

    return run_inside(arguments.dir, inside)


if __name__ == "__main__":
    sys.exit(main())

"""The plant's process: `python -m lab.plant.main --city C --dir DIR`."""

from __future__ import annotations

import argparse
import asyncio
import gc
import logging
from pathlib import Path

from lab.city import load_city
from lab.plant.link import listen
from lab.plant.server import PlantServer
from lab.plant.world import World
from lab.process import end_with_stdin, say_ready, until_signal


async def run(city: str, directory: Path) -> None:
    plant = PlantServer(World(load_city(city)))
    server = await plant.serve(listen(directory / "plant.sock"))
    ticking = asyncio.create_task(plant.tick())
    # A large heap without cycles: scanning it again and again holds up the whole city for a quarter of a second.
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)
    say_ready()
    await until_signal()
    ticking.cancel()
    server.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--city", required=True)
    parser.add_argument("--dir", type=Path, required=True)
    parser.add_argument("--watch-stdin", action="store_true", help="end when stdin closes")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s plant %(message)s")
    if arguments.watch_stdin:
        end_with_stdin()
    asyncio.run(run(arguments.city, arguments.dir))


if __name__ == "__main__":
    main()

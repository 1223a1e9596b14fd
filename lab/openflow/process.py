"""The process around the OpenFlow application: `python -m lab.openflow.process --city C --domain D --dir DIR`."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from pathlib import Path

from lab.openflow.names import DEFAULT_SCALE


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--city", required=True)
    parser.add_argument("--domain", required=True)
    parser.add_argument("--dir", type=Path, required=True)
    parser.add_argument("--scale", type=int, default=DEFAULT_SCALE)
    parser.add_argument("--watch-stdin", action="store_true", help="end when stdin closes")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.WARNING, format=f"%(asctime)s openflow {arguments.domain} %(name)s %(message)s")
    from lab.openflow.sandbox import join_network

    join_network(arguments.dir)  # before there is a second thread
    arguments.dir = arguments.dir.resolve()
    arguments.city = str(Path(arguments.city).resolve()) if arguments.city.endswith(".yaml") else arguments.city
    os.chdir(arguments.dir)  # datagram sockets are named from here: their names have to be short
    os.environ |= {
        "ONECITY_LAB_CITY": arguments.city,
        "ONECITY_LAB_DOMAIN": arguments.domain,
        "ONECITY_LAB_DIR": str(arguments.dir),
        "ONECITY_LAB_SCALE": str(arguments.scale),
    }
    from lab.openflow import library

    return _serve(library, arguments)


def _serve(library: object, arguments: argparse.Namespace) -> int:
    from lab.city import load_city
    from lab.openflow.library import app_manager, cfg, part
    from lab.openflow.names import Names
    from lab.process import end_with_stdin, say_ready

    hub = part("lib.hub")
    port = Names(load_city(arguments.city)).openflow_port(arguments.domain)
    part("controller.controller")  # registers the settings below
    if arguments.watch_stdin:
        end_with_stdin()
    cfg.CONF(args=[], project="onecity-lab", version="1")
    cfg.CONF.set_override("ofp_listen_host", "127.0.0.1")
    cfg.CONF.set_override("ofp_tcp_listen_port", port)
    manager = app_manager.AppManager.get_instance()
    manager.load_apps(["lab.openflow.app", f"{app_manager.__name__.split('.')[0]}.controller.ofp_handler"])
    services = manager.instantiate_apps(**manager.create_contexts())
    say_ready()
    hub.joinall(services)
    return 0


if __name__ == "__main__":
    sys.exit(main())

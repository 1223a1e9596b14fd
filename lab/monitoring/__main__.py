"""`make monitoring`: the demo city with everything applied, under a Prometheus and an Alertmanager of its own.

Alerts are told on the terminal as they fire and end. Ctrl-C, or whatever else ends this program, ends all of it.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from lab.demo import PREFIX, Stage, clear_away, intents_directory, say, serve, stop_daemon
from lab.monitoring.servers import Alert, Monitoring, Tickets, program
from lab.supervision import LabError, start_city


def tell(alert: Alert) -> None:
    """Print one alert."""
    print(
        f"  {alert.status.upper():<9} {alert.labels.get('severity', ''):<7} {alert.name}: {alert.summary}", flush=True
    )


def main() -> int:
    """Run until Ctrl-C; 0 if everything went as it should."""
    parser = argparse.ArgumentParser(prog="python -m lab.monitoring", description=__doc__)
    parser.add_argument("--city", default="longgang")
    parser.add_argument("--every", type=int, default=2, metavar="S", help="seconds between scrapes (2)")
    options = parser.parse_args()
    clear_away(Path(tempfile.gettempdir()))
    directory = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-"))
    try:
        program("prometheus"), program("alertmanager")
        with start_city(options.city, directory) as city:
            daemon, environment = serve(city)
            tickets = Tickets(tell)
            try:
                stage = Stage(city, daemon, environment)
                with Monitoring(
                    directory / "monitoring", environment["ONECITY_METRICS"], tickets.url, options.every
                ) as servers:
                    say(f"Prometheus {servers.prometheus}, Alertmanager {servers.alertmanager}")
                    stage.type(f"apply --yes {intents_directory()}")
                    say(f"break something: onecity lab cut f-nanwan-buji --dir {directory}; Ctrl-C ends everything")
                    daemon.wait()
            finally:
                tickets.close()
                stop_daemon(daemon)
        return 0
    except KeyboardInterrupt:
        print("\nstopped", flush=True)
        return 130
    except (LabError, subprocess.TimeoutExpired) as error:
        print(f"monitoring: {error}", file=sys.stderr)
        return 1
    finally:
        shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())

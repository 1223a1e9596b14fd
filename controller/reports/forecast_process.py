"""Forecasts in a process of their own: fitting takes seconds of a core and a library of 100 MB, neither of which the
daemon can spare. Reads links as JSON from standard input, writes one forecast per line to standard output.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import signal
import sys
import warnings
from dataclasses import asdict, replace

from controller.reports.forecast import forecast
from controller.reports.model import LinkForecast

MISSING = "forecasts need statsmodels: pip install 'onecity[reports]'"


_PR_SET_PDEATHSIG = 1


def _die_with(parent: int) -> None:
    """Ask the kernel to end this process with the one that asked; not Linux: it ends when it has answered."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(0)


def main() -> int:
    """Answer one question and end."""
    _die_with(int(sys.argv[1]))
    with contextlib.suppress(OSError):  # a sandbox may forbid even that
        os.nice(10)
    warnings.simplefilter("ignore")  # of convergence: the error on held-back data says how good it is
    for asked in json.load(sys.stdin):
        try:
            found = forecast(asked["link"], asked["capacity_bps"], asked["hourly"])
        except ImportError:
            found = LinkForecast(asked["link"], asked["capacity_bps"], 0, problem=MISSING)
        except (ValueError, ArithmeticError) as error:
            blank = LinkForecast(asked["link"], asked["capacity_bps"], len(asked["hourly"]))
            found = replace(blank, problem=f"no model fits: {error}")
        print(json.dumps(asdict(found)), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())

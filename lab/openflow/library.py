"""Ryu's API from whichever library is installed: os-ken, its maintained continuation, or Ryu 4.34 itself.

Ryu runs on eventlet; then threads, sockets and queues of this process are made cooperative before anything uses them,
so that the code above is the same for both. os-ken runs on plain threads.
"""

from __future__ import annotations

import importlib
import os
from typing import Any

WANTED = os.environ.get("ONECITY_OPENFLOW_LIBRARY", "")  # "os_ken" or "ryu"; empty: what there is


def _choose() -> str:
    for name in [WANTED] if WANTED else ["os_ken", "ryu"]:
        try:
            if name == "ryu":
                _make_ryu_start()
            importlib.import_module(f"{name}.base")
        except ImportError:
            continue
        return name
    raise ImportError("neither os-ken nor Ryu is installed; pip install 'onecity[lab]'")


def _make_ryu_start() -> None:
    """Ryu 4.34 is older than the eventlet that runs on this Python: it asks for a constant that has gone."""
    import eventlet
    import eventlet.wsgi

    eventlet.monkey_patch()
    if not hasattr(eventlet.wsgi, "ALREADY_HANDLED"):
        eventlet.wsgi.ALREADY_HANDLED = object()


NAME = _choose()


def part(path: str) -> Any:
    """Return a module of the library, as `part("controller.handler")`."""
    return importlib.import_module(f"{NAME}.{path}")


app_manager = part("base.app_manager")
cfg = part("cfg")
handler = part("controller.handler")
ofp_event = part("controller.ofp_event")
ofproto = part("ofproto.ofproto_v1_3")
nicira = part("ofproto.nicira_ext")
Application: Any = app_manager.RyuApp if NAME == "ryu" else app_manager.OSKenApp

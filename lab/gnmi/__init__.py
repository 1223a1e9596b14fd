"""Streaming telemetry of an emulated domain controller: a tree of values, and the gNMI server that streams it.

tree = TelemetryTree()
server, port = await serve_gnmi(tree, "127.0.0.1", 0, "server.pem", "server.key", "token")
tree.update("/onecity-flow:circuits/circuit[id=a]/state/oper-status", "UP")          # from the event loop only
tree.update(path, "12", at_ns=time_of_measurement)                                  # 64-bit numbers as strings
tree.remove("/onecity-flow:circuits/circuit[id=a]")                                 # with everything below
await server.stop(grace=0)
"""

from lab.gnmi.paths import JsonValue
from lab.gnmi.server import serve_gnmi
from lab.gnmi.telemetry import TelemetryTree

__all__ = ["JsonValue", "TelemetryTree", "serve_gnmi"]

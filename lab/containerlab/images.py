"""Every container image that an exported topology names, with its tag pinned; nowhere else is one written."""

from __future__ import annotations

FRR = "frrouting/frr:v8.4.1"  # the release whose checker judges the configurations: Debian's, 8.4 too
ONECITY = "onecity:0.1.0"  # made from this repository by the Dockerfile beside this file
PROMETHEUS = "prom/prometheus:v3.5.0"
ALERTMANAGER = "prom/alertmanager:v0.28.1"
GRAFANA = "grafana/grafana:11.6.0"

"""Measurements of the whole controller on a running city. `make bench` prints a table and writes build/bench.json."""

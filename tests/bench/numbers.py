"""Percentiles, and the flat object that they end in."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path


def percentile(seconds: Sequence[float], share: float) -> float:
    """Return a percentile in milliseconds, nearest rank."""
    ordered = sorted(seconds)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] * 1e3


def write(path: Path, numbers: dict[str, float]) -> None:
    """Add numbers to the flat object in `path`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    known = json.loads(path.read_text()) if path.exists() else {}
    known.update(numbers)
    path.write_text(json.dumps(known, indent=1, sort_keys=True) + "\n")

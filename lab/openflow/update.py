"""Brings all switches of a domain from what they hold to what they should hold without losing a packet.

Build on all, wait; switch over each in one bundle, wait; let packets that are under way arrive; remove. Removal waits
its turn while changes follow each other, since it hurries nobody.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Mapping

from lab.openflow.program import Program
from lab.openflow.switch import BARRIER_S, Switch

UNDER_WAY_S = 1.0  # longer than a packet waits in all queues of a path
_log = logging.getLogger(__name__)


class Update:
    """The switches' way to the programs that were asked for last."""

    def __init__(self) -> None:
        self.programs: dict[str, Program] = {}
        self._remove_at: float | None = None

    def to(self, programs: Mapping[str, Program], switches: Iterable[Switch]) -> int:
        """Build and switch over; return how many messages switched over. Removal comes with `tidy`."""
        self.programs = dict(programs)
        there = [s for s in switches if s.known]
        for switch in there:
            wanted = self.programs[switch.node]
            switch.recognise(wanted)
            switch.build(wanted)
        _finish(there)
        changed = sum(switch.switch_over(self.programs[switch.node]) for switch in there)
        _finish(there)
        if any(switch.leftovers(self.programs[switch.node]) for switch in there):
            self._remove_at = time.monotonic() + UNDER_WAY_S
        return changed

    def tidy(self, switches: Iterable[Switch]) -> None:
        """Remove what was left behind, once nothing under way needs it."""
        if self._remove_at is None or time.monotonic() < self._remove_at:
            return
        self._remove_at = None
        for switch in switches:
            if switch.known and switch.node in self.programs:
                switch.remove(self.programs[switch.node])


def _finish(switches: Iterable[Switch]) -> None:
    deadline = time.monotonic() + BARRIER_S
    for node, done in [(s.node, s.barrier()) for s in switches]:
        if not done.wait(max(0.0, deadline - time.monotonic())):
            _log.warning("%s did not finish within %g s", node, BARRIER_S)

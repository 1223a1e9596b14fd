"""What leaves of OpenConfig's optical models mean: terminal devices, transceivers, amplifiers, channel monitors.

Logical channels of terminal-device and components with an optical channel or a transceiver are our circuits; of
statistics the instant value counts; a channel's power may stand as the leaf itself. Limits of received power
(openconfig-platform-transceiver, `thresholds/threshold[severity]/state/input-power-lower`, dBm) are taken where they
make sense.
"""

from __future__ import annotations

import logging
from typing import Final

from controller.southbound.leaves import LeafPath, Limit, Linear, Meaning

log = logging.getLogger(__name__)

MODELS: Final = frozenset({"terminal-device", "components", "optical-amplifier", "channel-monitors"})
LEAST_LIMIT_DBM, MOST_LIMIT_DBM = -60.0, 20.0  # no receiver hears less, none bears more
MOST_SAID: Final = 1000  # limits without sense that are written into the log

_AMPLIFIER: Final = {
    "actual-gain": "gain_db",
    "input-power-total": "input_dbm",
    "output-power-total": "output_dbm",
}
_RECEIVER: Final = {"input-power": "rx_dbm", "chromatic-dispersion": "dispersion_ps_nm"}
_SECONDS: Final = {  # counters (ITU-T G.8201)
    "errored-seconds": "errored_s",
    "severely-errored-seconds": "severely_errored_s",
    "unavailable-seconds": "unavailable_s",
}
_LIMITS: Final = {
    "WARNING": "rx_warning_dbm",
    "MINOR": "rx_minor_dbm",
    "MAJOR": "rx_major_dbm",
    "CRITICAL": "rx_critical_dbm",
}
LIMIT_METRICS: Final = frozenset(_LIMITS.values())


def optical_meaning(path: LeafPath) -> Meaning:
    """Return what a leaf of one of MODELS means; the path itself where it means nothing here."""
    names = {element.name: element.keys for element in path}
    group, leaf = path[-2].name, path[-1].name
    if path[0].name == "terminal-device":
        channel = names.get("channel", {}).get("index", "")
        if channel and (group, leaf) == ("pre-fec-ber", "instant"):
            return Linear(f"circuit:{channel}", "pre_fec_ber", 1.0)
        if channel and leaf in _SECONDS and "otn" in names:
            return Linear(f"circuit:{channel}", _SECONDS[leaf], 1.0)
    elif path[0].name == "components":
        component = names.get("component", {}).get("name", "")
        if component and "optical-channel" in names and group in _RECEIVER and leaf == "instant":
            return Linear(f"circuit:{component}", _RECEIVER[group], 1.0)
        severity = names.get("threshold", {}).get("severity", "").rpartition(":")[2]
        if component and "transceiver" in names and severity in _LIMITS and leaf == "input-power-lower":
            return Limit(f"circuit:{component}", _LIMITS[severity])
    elif path[0].name == "optical-amplifier":
        amplifier = names.get("amplifier", {}).get("name", "")
        if amplifier and group in _AMPLIFIER and leaf == "instant":
            return Linear(f"amplifier:{amplifier}", _AMPLIFIER[group], 1.0)
    else:
        monitor = names.get("channel-monitor", {}).get("name", "")
        lower = names.get("channel", {}).get("lower-frequency", "")
        if monitor and lower and (leaf == "power" or (group, leaf) == ("power", "instant")):
            return Linear(f"channel:{monitor}/{lower}", "power_dbm", 1.0)
    return path


class Limits:
    """Judges the limits that one domain's equipment tells, over all its connections: nonsense is said once."""

    def __init__(self, domain: str) -> None:
        self._domain = domain
        self._said: set[Limit] = set()

    def read(self, limit: Limit, told: object) -> float | None:
        """Return a limit in dBm; None where it makes no sense: not a number, not finite, far out of range."""
        try:
            value = float(told) if isinstance(told, int | float | str) and not isinstance(told, bool) else None
        except ValueError:
            value = None
        if value is not None and LEAST_LIMIT_DBM <= value <= MOST_LIMIT_DBM:
            return value
        if limit not in self._said and len(self._said) < MOST_SAID:
            self._said.add(limit)
            log.warning(
                "domain %s: %s tells %.40r as %s, a limit of received power that no receiver has (%g to %g dBm make "
                "sense); it is ignored, and what its line mode needs counts instead",
                self._domain, limit.subject, told, limit.metric, LEAST_LIMIT_DBM, MOST_LIMIT_DBM,
            )  # fmt: skip
        return None

"""What of `onecity lab` real packets can do, and in a sentence why they cannot do the rest.

Light is a model here too – there is no laser –, and a circuit whose light goes is a cable that goes down. A cable can
be made too narrow, which delays and loses what is too much; to lose or delay by chance takes sch_netem, which small
kernels lack, and a lab that does it on one machine and not on another proves nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lab.openflow.fabric import Fabric
from lab.plant.physical import Physical, PlantError

OF_LIGHT = ("cut", "down", "fail", "detour", "alarm")
CHANCE = (
    "real cables lose and delay nothing by chance: degrade takes --light of a fibre or wavelength, and --rate of a "
    "link, which then loses what is too much for it"
)


class Faults:
    """Breaks and repairs the city that stands on real packets."""

    def __init__(self, physical: Physical, fabric: Fabric) -> None:
        self._physical, self._fabric = physical, fabric
        self._narrowed: dict[str, float] = {}  # directed link → bit/s of the city that it still carries

    def apply(self, command: Mapping[str, Any]) -> str | None:
        """Carry out a command and return a sentence; None for what is no fault. Raises PlantError."""
        kind = command.get("type")
        if kind == "degrade":
            return self._degrade(command)
        if kind == "stick":
            circuits = sorted(self._physical.circuits.specs)
            name = str(command.get("name", ""))
            if "/" in name and name.startswith(("slice/", "vip/")):
                raise PlantError(f"{name}: the standby of a tunnel is a group of its switch, which moves by itself")
            return self._physical.stick(name, circuits, bool(command.get("unnoticed")))
        if kind == "alarm":
            name, word = str(command.get("name", "")), str(command.get("kind") or "FAN").upper()
            return self._physical.complain(name, word, str(command.get("severity") or "MINOR").upper())
        if kind == "restore":
            return self._restore(str(command.get("what", "all")))
        return self._physical.apply(command) if kind in OF_LIGHT else None

    def status(self) -> dict[str, Any]:
        """Return what is broken, as the modelled city does."""
        return {"lying": [], "clocks": {}, "narrowed": dict(sorted(self._narrowed.items())), **self._physical.faults()}

    def _degrade(self, command: Mapping[str, Any]) -> str:
        rate_bps = command.get("rate_bps")
        by_chance = any(command.get(key) for key in ("loss", "delay_s", "jitter_s"))
        if by_chance or not (rate_bps or command.get("light_db")):
            raise PlantError(CHANCE)
        if not rate_bps:
            return self._physical.apply(command)
        links = self._physical.links
        name = str(command.get("link", ""))
        if name not in links:
            raise PlantError(f"no link {name!r}; there are {', '.join(sorted(links)[:4])} …")
        if command.get("light_db"):
            raise PlantError("a link has a rate and a fibre has light: degrade one after the other")
        if not 0 < float(rate_bps) < links[name].rate_bps:
            raise PlantError(f"{name} carries {links[name].rate_bps / 1e9:g} Gbit/s; degrade it to less")
        self._fabric.narrow(self._fabric.names.interface(*links[name].source), float(rate_bps))
        self._narrowed[name] = float(rate_bps)
        return f"{name} carries no more than {float(rate_bps) / 1e9:g} Gbit/s"

    def _restore(self, what: str) -> str:
        mine = [name for name in self._narrowed if what in ("all", name)]
        for name in mine:
            self._fabric.narrow(self._fabric.names.interface(*self._physical.links[name].source), None)
            del self._narrowed[name]
        if mine and what != "all":
            return f"{what} is repaired"
        return self._physical.apply({"type": "restore", "what": what})

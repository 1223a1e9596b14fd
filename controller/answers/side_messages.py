"""What daemon and side process say to each other: pickles, each after its length. Both are the same program."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from controller.errors import OnecityError
from controller.intent.model import Service, ServiceId
from controller.planning.placement import Placement
from controller.simulation.campaign import SimulationRequest

LENGTH = struct.Struct("!Q")


@dataclass(frozen=True, slots=True)
class CityPart:
    """A field of the map, or a part of one: dicts and tuples come in several, each after the first with `more`."""

    field: str
    value: Any
    more: bool = False


@dataclass(frozen=True, slots=True)
class Services:
    """Services as they stand now."""

    services: Mapping[ServiceId, tuple[Service, Placement]]


@dataclass(frozen=True, slots=True)
class Withdrawn:
    services: tuple[ServiceId, ...]


@dataclass(frozen=True, slots=True)
class Run:
    request: SimulationRequest
    now: datetime


@dataclass(frozen=True, slots=True)
class Failed:
    error: OnecityError


@dataclass(frozen=True, slots=True)
class Done:
    """Nothing more comes to this request."""

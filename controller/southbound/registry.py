"""Finds the driver for a domain among those installed, so that a new kind of controller needs no change here.

A package offers one through the entry-point group `onecity.drivers`: `name = "module:factory"`, where the factory
is called with the domain's settings and must not connect yet.
"""

from __future__ import annotations

from importlib.metadata import EntryPoint, entry_points

from controller.errors import ConfigurationError
from controller.southbound.driver import DomainSettings, Driver

GROUP = "onecity.drivers"


def installed_drivers() -> dict[str, EntryPoint]:
    """Return the entry points by driver name."""
    return {point.name: point for point in entry_points(group=GROUP)}


def make_driver(settings: DomainSettings) -> Driver:
    """Return a driver for the domain, not connected; raises ConfigurationError."""
    installed = installed_drivers()
    point = installed.get(settings.driver)
    if point is None:
        names = ", ".join(sorted(installed)) or "none"
        raise ConfigurationError(
            f"domain {settings.name}: no driver {settings.driver!r}; installed are {names}. "
            f"A package offers one through the entry-point group {GROUP}"
        )
    try:
        factory = point.load()
    except (ImportError, AttributeError) as error:
        raise ConfigurationError(f"domain {settings.name}: driver {settings.driver} does not load: {error}") from error
    driver: Driver = factory(settings)
    return driver

"""Services as the intent room gives them, and plans of them in memory."""

from __future__ import annotations

from datetime import UTC, datetime

from controller.changes.pipeline import Planned, Wanted, plan
from controller.changes.state import DesiredState, rebuilt
from controller.intent import read
from controller.intent.model import Service
from controller.network.model import CityMap
from controller.verification.model import ConfigurationModel
from tests.end_to_end.intents import council, office, partition, slice_over_three

NOW = datetime(2026, 11, 21, 8, tzinfo=UTC)

__all__ = ["NOW", "council", "empty", "office", "partition", "planned", "services", "slice_over_three"]


def services(*texts: str) -> tuple[Service, ...]:
    return read([(f"{n}.yaml", text) for n, text in enumerate(texts)], NOW)


def empty(city: CityMap) -> tuple[DesiredState, ConfigurationModel]:
    return rebuilt({}, city), ConfigurationModel()


def planned(
    city: CityMap, state: DesiredState, model: ConfigurationModel, wanted: Wanted, now: datetime = NOW
) -> Planned:
    found = plan(state, model, city, wanted, now)
    assert not found.refusals, found.refusals
    assert not found.proofs.broken, found.proofs.broken
    return found

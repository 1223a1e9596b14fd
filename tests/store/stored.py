"""Changes and services as the tests of this room write them."""

from __future__ import annotations

from datetime import UTC, datetime

from controller.intent.model import AccessSite, DedicatedPlane, Metadata, ServiceId, SiteId
from controller.store.records import ChangeRecord, StoredService, WindowState
from controller.store.store import Store

NOW = datetime(2026, 11, 21, 1, 2, 3, tzinfo=UTC)


def service(name: str, revision: int = 1) -> StoredService:
    plane = DedicatedPlane(Metadata(name, "gov"), (AccessSite("a", SiteId("buji"), 10**9),))
    tree = {"l3nm:l3vpn-ntw": {("l3nm:vpn-service", f"gov.{name}"): {"l3nm:vpn-id": f"gov.{name}"}}}
    return StoredService(
        ServiceId(f"gov/{name}"), plane.kind, 1, revision, "{}", plane, None, {"city-ip": tree}, WindowState.NONE
    )


def record(change_id: str, request_id: str = "", at=NOW, **more) -> ChangeRecord:
    return ChangeRecord(change_id, "ada", "because", at, request_id, **more)


def reopen(store: Store) -> Store:
    store.close()
    return Store.open(store.path)

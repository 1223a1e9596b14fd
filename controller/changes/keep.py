"""What of a change and of a service goes into the store, and how it comes back."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from controller.changes.orders import Order
from controller.changes.pipeline import Planned
from controller.changes.state import DesiredState, Standing
from controller.changes.views import ChangeResult
from controller.intent import to_document
from controller.intent.model import Service, ServiceId
from controller.rendering.packed import packed_fragment
from controller.store.records import ChangeRecord, Replacement, ServiceChange, StoredService, WindowState

MOST_TEXTS, SHORT_TEXT = (
    256,
    4000,
)  # a change tells an intent to the history and to desired state, and soon takes it back
_texts: dict[int, tuple[Service, str]] = {}  # by identity, which the service keeps while it is here


def document_text(service: Service) -> str:
    """Return the intent, complete with its defaults, as one line of JSON."""
    known = _texts.get(id(service))
    if known is not None and known[0] is service:
        return known[1]
    text = json.dumps(to_document(service), ensure_ascii=False, separators=(",", ":"))
    if len(text) <= SHORT_TEXT:
        if len(_texts) >= MOST_TEXTS:
            _texts.clear()  # in one go: other threads look here too
        _texts[id(service)] = service, text
    return text


def stored(standing: Standing) -> StoredService:
    return StoredService(
        id=standing.service.metadata.service,
        kind=standing.service.kind,
        generation=standing.generation,
        revision=standing.revision,
        document=document_text(standing.service),
        service=standing.service,
        placement=standing.placement,
        fragments=standing.fragments,
        window=_window(standing),
    )


def replacement(old: Standing | None, new: Standing) -> Replacement | None:
    """Return what to write of a service that is only placed anew; None where more of it changed."""
    if old is None or old.service is not new.service or old.fragments.keys() != new.fragments.keys():
        return None
    if any(old.fragments[domain] is not tree for domain, tree in new.fragments.items()):
        return None
    return Replacement(new.service.metadata.service, new.generation, new.revision, new.placement, _window(new))


def _window(standing: Standing) -> WindowState:
    if standing.placement.start is None:
        return WindowState.NONE
    return WindowState.EXPIRED if standing.expired else WindowState.OPEN if standing.active else WindowState.SCHEDULED


def standing(kept: StoredService) -> Standing:
    """Return a service as it stood when it was stored."""
    assert kept.placement is not None, f"{kept.id} is stored without a placement"
    active = kept.window in (WindowState.NONE, WindowState.OPEN)
    return Standing(
        service=kept.service,
        placement=kept.placement,
        fragments={domain: packed_fragment(tree) for domain, tree in kept.fragments.items()},
        generation=kept.generation,
        revision=kept.revision,
        active=active,
        expired=kept.window is WindowState.EXPIRED,
    )


def change_record(change_id: str, order: Order, planned: Planned, now: datetime) -> ChangeRecord:
    """Return the history's entry of a change that begins."""
    services = []
    for sid in sorted({*planned.puts, *planned.drops}):
        old, new = planned.base.services.get(sid), planned.puts.get(sid)
        before = document_text(old.service) if old else ""
        same = old is not None and new is not None and old.service is new.service
        after = before if same else document_text(new.service) if new is not None else ""
        services.append(ServiceChange(sid, before, after))
    return ChangeRecord(
        id=change_id,
        author=order.author,
        reason=order.reason,
        at=now.astimezone(UTC),
        request_id=order.request_id,
        kind=order.kind,
        summary=_summary(planned),
        services=tuple(services),
    )


def refused_record(
    change_id: str, order: Order, names: Iterable[str], state: DesiredState, result: ChangeResult, now: datetime
) -> ChangeRecord:
    """Return the history's entry of a change that left every intent as it was, or whose parts have their own."""
    texts = {ServiceId(n): document_text(state.services[s].service) if (s := state.find(n)) else "" for n in names}
    return ChangeRecord(
        id=change_id,
        author=order.author,
        reason=order.reason,
        at=(now - timedelta(seconds=result.elapsed_s)).astimezone(UTC),
        request_id=order.request_id,
        kind=order.kind,
        services=tuple(ServiceChange(sid, text, text) for sid, text in sorted(texts.items())),
        outcome=result.outcome.value,
        detail=result.message,
        ended=now.astimezone(UTC),
    )


def _summary(planned: Planned) -> str:
    counts: dict[str, int] = {}
    for plan in planned.plans:
        counts[plan.action] = counts.get(plan.action, 0) + 1
    words = {
        "create": "to add",
        "change": "to change",
        "remove": "to remove",
        "open": "window opens",
        "close": "window closes",
    }
    return ", ".join(f"{counts[a]} {w}" for a, w in words.items() if a in counts)

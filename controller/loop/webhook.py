"""Incidents told to whoever listens over HTTP, in the form in which Alertmanager calls its receivers (version 4).

Sent one after the other, each until it is taken: a ticket of whose end nobody tells stays open. The newest state of an
incident replaces one that still waits, so that a receiver that is away, for however long, costs a bounded memory and
gets the end of the story, not its beginning. What a receiver refuses (4xx) it will refuse again: that is given up.
"""

from __future__ import annotations

import asyncio
import json
import logging
import urllib.error
import urllib.request
from collections import OrderedDict
from datetime import UTC, datetime
from http.client import HTTPException
from typing import Any

from controller.assurance.incidents import Incident

log = logging.getLogger(__name__)

DEADLINE_S = 5.0
PAUSES_S = (0.5, 2.0, 10.0, 30.0)  # after attempts that failed, the last of them again and again
LATER = (408, 425, 429)  # of 4xx: not now
WAITING = 500
NEVER = "0001-01-01T00:00:00Z"  # Alertmanager's way to say that it has not ended


def payload(incident: Incident, receiver: str = "onecity") -> dict[str, Any]:
    """Return the JSON of one incident."""
    status = "resolved" if incident.closed is not None else "firing"
    labels = {
        "alertname": "OnecityIncident",
        "incident": incident.id,
        "root": incident.root,
        "kind": incident.kind,
        "severity": incident.severity,
    }
    services = sorted(incident.services)
    annotations = {
        "summary": incident.title,
        "description": "\n".join(f"{_time(e.at)} {e.text}" for e in incident.timeline[-20:]),
        "services": ", ".join(services[:20]) + (f" and {len(services) - 20} more" if len(services) > 20 else ""),
        "tenants": ", ".join(incident.tenants),
    }
    alert = {
        "status": status,
        "labels": labels,
        "annotations": annotations,
        "startsAt": _time(incident.opened),
        "endsAt": NEVER if incident.closed is None else _time(incident.closed),
        "generatorURL": "",
        "fingerprint": incident.id,
    }
    return {
        "version": "4",
        "groupKey": f'{{}}:{{incident="{incident.id}"}}',
        "truncatedAlerts": 0,
        "status": status,
        "receiver": receiver,
        "groupLabels": {"incident": incident.id},
        "commonLabels": labels,
        "commonAnnotations": annotations,
        "externalURL": "",
        "alerts": [alert],
    }


def _time(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class Webhook:
    """Owns one task that sends."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._waiting: OrderedDict[str, bytes] = OrderedDict()
        self._more = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self.lost = 0  # states of incidents that nobody took

    def tell(self, incident: Incident) -> None:
        """Queue the newest state of an incident."""
        self._waiting.pop(incident.id, None)
        self._waiting[incident.id] = json.dumps(payload(incident)).encode()
        while len(self._waiting) > WAITING:
            self._waiting.popitem(last=False)
            self.lost += 1
        self._more.set()

    async def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name="webhook")

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    @property
    def waiting(self) -> int:
        """Return how many incidents have news that nobody has taken yet."""
        return len(self._waiting)

    async def _run(self) -> None:
        failed = 0  # attempts in a row
        while True:
            await self._more.wait()
            self._more.clear()
            while self._waiting:
                name, body = next(iter(self._waiting.items()))
                why = await self._send(name, body)
                if not why:
                    failed = 0
                    if self._waiting.get(name) is body:
                        del self._waiting[name]
                    continue
                if not failed:
                    log.warning("the webhook %s does not take incidents, it is tried again: %s", self._url, why)
                if name in self._waiting:
                    self._waiting.move_to_end(name)  # others may be taken where this one is not
                await asyncio.sleep(PAUSES_S[min(failed, len(PAUSES_S) - 1)])
                failed += 1

    async def _send(self, name: str, body: bytes) -> str:
        """Return why it is to be tried again; "" where it was taken, or never will be."""
        try:
            await asyncio.to_thread(self._post, body)
        except urllib.error.HTTPError as error:
            if error.code // 100 != 4 or error.code in LATER:
                return str(error)
            self.lost += 1
            log.warning("the webhook %s refuses incident %s: %s", self._url, name, error)
        except (OSError, HTTPException) as error:  # URLError too
            return str(error) or type(error).__name__
        return ""

    def _post(self, body: bytes) -> None:
        request = urllib.request.Request(self._url, body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=DEADLINE_S):
            pass  # it was taken; what else is said nobody reads

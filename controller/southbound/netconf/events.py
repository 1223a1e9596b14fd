"""What happens on a NETCONF domain: a second session that listens (RFC 5277, RFC 6470).

A session that subscribed may not be asked anything else on servers without interleave, hence its own. Events are
hints to look again, so they coalesce: many changes while nobody reads become one event of each kind.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import suppress

from lxml import etree

from controller.errors import OnecityError
from controller.southbound.backoff import Backoff
from controller.southbound.driver import DomainEvent, EventKind
from controller.southbound.netconf import operations as op
from controller.southbound.netconf.client import NetconfClient
from controller.southbound.netconf.replies import parse_document, refusal

_SESSION_ID = "{*}session-id"
_NO_CHANGE = frozenset({"netconf-session-start", "netconf-session-end", "replayComplete", "notificationComplete"})
_CONFIRM_EVENTS_THAT_CHANGE = frozenset({"timeout", "cancel"})


class Watcher:
    """Keeps one listening session up, for ever."""

    def __init__(
        self, domain: str, make_client: Callable[[], NetconfClient], own_sessions: Callable[[], Collection[str]]
    ) -> None:
        self._domain, self._make_client, self._own_sessions = domain, make_client, own_sessions
        self._pending: dict[EventKind, str] = {}
        self._news = asyncio.Event()
        self._client: NetconfClient | None = None

    def suspect(self) -> None:
        """The domain did not answer elsewhere: end this session too, so that it proves itself by a new one."""
        if self._client is not None:
            self._client.cut()

    async def events(self, deadline_s: float) -> AsyncIterator[DomainEvent]:
        """Yield CONNECTED, LOST and what the domain announces between them."""
        backoff, lost_told = Backoff(), False
        while True:
            client = self._client = self._make_client()
            try:
                await self._listen(client, deadline_s)
                backoff.reset()
                lost_told = False
                yield DomainEvent(self._domain, EventKind.CONNECTED)
                while client.alive or self._pending:
                    async for event in self._until_news_or_end(client):
                        yield event
                reason = "the NETCONF session has ended"
            except OnecityError as error:
                reason = str(error)
            finally:
                client.cut()
            if not lost_told:
                lost_told = True
                yield DomainEvent(self._domain, EventKind.LOST, reason)
            await asyncio.sleep(backoff.next_s())

    async def _listen(self, client: NetconfClient, deadline_s: float) -> None:
        loop = asyncio.get_running_loop()

        def from_session_thread(text: str) -> None:
            with suppress(RuntimeError):  # the loop is closed
                loop.call_soon_threadsafe(self._take, text)

        self._pending.clear()
        await client.connect(from_session_thread)
        if op.NOTIFICATION in client.capabilities:
            reply = await client.call("create-subscription", op.SUBSCRIBE, deadline_s)
            if reply.errors:
                raise refusal(self._domain, reply.errors)

    async def _until_news_or_end(self, client: NetconfClient) -> AsyncIterator[DomainEvent]:
        news, end = asyncio.ensure_future(self._news.wait()), asyncio.ensure_future(client.ended.wait())
        try:
            await asyncio.wait({news, end}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            news.cancel()
            end.cancel()
        self._news.clear()
        pending, self._pending = self._pending, {}
        for kind, detail in pending.items():
            yield DomainEvent(self._domain, kind, detail)

    def _take(self, text: str) -> None:
        with suppress(etree.XMLSyntaxError):
            event = classify(parse_document(text), self._own_sessions())
            if event is not None:
                self._pending[event[0]] = event[1]
                self._news.set()


def classify(notification: etree._Element, own_sessions: Collection[str]) -> tuple[EventKind, str] | None:
    """Return what a notification means to us; None: nothing, or a change of our own making."""
    body = next((e for e in notification if etree.QName(e).localname != "eventTime"), None)
    if body is None:
        return None
    name = etree.QName(body)
    if name.localname in _NO_CHANGE:
        return None
    session = (body.findtext(f".//{_SESSION_ID}") or "").strip()
    if name.localname == "netconf-config-change":
        return None if session in own_sessions else (EventKind.CONFIG_CHANGED, f"by session {session or 'unknown'}")
    if name.localname == "netconf-confirmed-commit":
        event = (body.findtext("{*}confirm-event") or "").strip()
        if event not in _CONFIRM_EVENTS_THAT_CHANGE or (event == "cancel" and session in own_sessions):
            return None
        return EventKind.CONFIG_CHANGED, f"confirmed commit ended by {event}"
    return EventKind.TOPOLOGY_CHANGED, name.localname

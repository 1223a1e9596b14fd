"""A NETCONF server that frames and greets properly and otherwise answers what a test tells it to.

For what the driver must survive and a good server never does: silence, malformed answers, refusals of every kind.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path

import asyncssh
from lxml import etree

from controller.southbound.driver import DomainSettings, DomainTimers
from controller.southbound.netconf.framing import END_OF_MESSAGE, Deframer, frame

NC = "urn:ietf:params:xml:ns:netconf:base:1.0"
CAPABILITIES = (
    "urn:ietf:params:netconf:base:1.0",
    "urn:ietf:params:netconf:base:1.1",
    "urn:ietf:params:netconf:capability:candidate:1.0",
    "urn:ietf:params:netconf:capability:validate:1.1",
    "urn:ietf:params:netconf:capability:confirmed-commit:1.1",
    "urn:ietf:params:netconf:capability:rollback-on-error:1.0",
    "urn:ietf:params:netconf:capability:notification:1.0",
)
OK = "<ok/>"


def error(tag: str, message: str, path: str = "", severity: str = "error", info: str = "") -> str:
    return (
        f"<rpc-error><error-type>application</error-type><error-tag>{tag}</error-tag>"
        f"<error-severity>{severity}</error-severity><error-path>{path}</error-path>"
        f"<error-message>{message}</error-message>{info}</rpc-error>"
    )


@dataclass
class ScriptedServer:
    """`answer` maps operation names to the inner XML of the reply; None: never answer. Default: ok."""

    settings: DomainSettings
    answer: dict[str, str | Callable[[etree._Element], str | None] | None] = field(default_factory=dict)
    received: list[str] = field(default_factory=list)
    stutters: bool = False  # says every reply twice
    dozes: bool = False  # leaves a session's first request lying until the next one comes
    awake: set[int] = field(default_factory=set)  # the sessions that have dozed
    sessions: list[asyncssh.SSHServerProcess[bytes]] = field(default_factory=list)

    def reply_to(self, operation: etree._Element) -> str | None:
        name = etree.QName(operation).localname
        self.received.append(name)
        answer = self.answer.get(name, OK)
        return answer(operation) if callable(answer) else answer

    def notify(self, body: str) -> None:
        text = (
            '<notification xmlns="urn:ietf:params:xml:ns:netconf:notification:1.0">'
            f"<eventTime>2026-11-20T08:00:00Z</eventTime>{body}</notification>"
        )
        for process in self.sessions:
            process.stdout.write(frame(text.encode(), chunked=True))

    def drop_sessions(self) -> None:
        for process in self.sessions:
            process.close()
        self.sessions.clear()


async def _serve(server: ScriptedServer, process: asyncssh.SSHServerProcess[bytes], base: tuple[str, ...]) -> None:
    server.sessions.append(process)
    capabilities = "".join(f"<capability>{c}</capability>" for c in base)
    number = len(server.sessions)
    hello = f'<hello xmlns="{NC}"><capabilities>{capabilities}</capabilities><session-id>{number}</session-id></hello>'
    process.stdout.write(hello.encode() + END_OF_MESSAGE)
    deframer, chunked, greeted = Deframer(), False, False
    lying: list[bytes] = []
    with contextlib.suppress(asyncssh.Error, ConnectionError):
        while data := await process.stdin.read(65536):
            messages = [*lying, *deframer.feed(data, chunked=chunked)]
            if server.dozes and greeted and number not in server.awake:
                server.awake.add(number)
                lying = messages
                continue
            lying = []
            for message in messages:
                root = etree.fromstring(message)
                if not greeted:
                    greeted, chunked = True, "urn:ietf:params:netconf:base:1.1" in base
                    continue
                body = server.reply_to(root[0])
                if body is not None:
                    reply = f'<rpc-reply xmlns="{NC}" message-id="{root.get("message-id")}">{body}</rpc-reply>'
                    for _ in range(2 if server.stutters else 1):
                        process.stdout.write(frame(reply.encode(), chunked=chunked))
                await asyncio.sleep(0)
    process.exit(0)


class _Password(asyncssh.SSHServer):
    def begin_auth(self, username: str) -> bool:
        return True

    def password_auth_supported(self) -> bool:
        return True

    def validate_password(self, username: str, password: str) -> bool:
        return (username, password) == ("onecity", "secret-of-the-test")


@contextlib.asynccontextmanager
async def scripted_server(
    directory: Path, capabilities: tuple[str, ...] = CAPABILITIES, timers: DomainTimers | None = None
) -> AsyncIterator[ScriptedServer]:
    """Run a server on a port of its own; its settings name its real host key and password."""
    key = asyncssh.generate_private_key("ssh-ed25519")
    holder: list[ScriptedServer] = []

    async def session(process: asyncssh.SSHServerProcess[bytes]) -> None:
        await _serve(holder[0], process, capabilities)

    listener = await asyncssh.create_server(
        _Password, "127.0.0.1", 0, server_host_keys=[key], process_factory=session, encoding=None, compression_algs=None
    )
    port = listener.sockets[0].getsockname()[1]
    public = key.export_public_key().decode().split()
    (directory / "known_hosts").write_text(f"[127.0.0.1]:{port} {public[0]} {public[1]}\n")
    (directory / "password").write_text("secret-of-the-test\n")
    settings = DomainSettings(
        name="city-ip", driver="netconf", address=f"127.0.0.1:{port}", network_id="net:city-ip", username="onecity",
        password_file=str(directory / "password"), known_hosts=str(directory / "known_hosts"),
        timers=timers or DomainTimers(connect_s=10, edit_s=0.6, commit_s=0.6, confirm_s=5, read_s=2),
    )  # fmt: skip
    holder.append(ScriptedServer(settings))
    try:
        yield holder[0]
    finally:
        listener.close()
        holder[0].drop_sessions()
        await listener.wait_closed()

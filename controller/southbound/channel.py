"""gRPC channels to domain controllers: always TLS with the CA named, a bearer token with every call."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import grpc
import grpc.aio

from controller.southbound.driver import DomainSettings
from controller.southbound.endpoint import read_authority, read_token, split_address

LARGEST_MESSAGE_BYTES = 64 * 1024 * 1024
KEEPALIVE_MS = 20_000  # servers refuse pings more often than every few seconds without data
_OPTIONS: tuple[tuple[str, int], ...] = (
    ("grpc.max_receive_message_length", LARGEST_MESSAGE_BYTES),
    ("grpc.max_send_message_length", LARGEST_MESSAGE_BYTES),
    ("grpc.keepalive_time_ms", KEEPALIVE_MS),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.http2.max_pings_without_data", 0),
    # One connection to one server: its recovery is ours to pace, not gRPC's (which waits up to two minutes).
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 2_000),
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.enable_http_proxy", 0),
)

# What a server has sent and we have not read grows old and cannot be overtaken any more: by itself gRPC lets it send
# ahead by megabytes, seconds of our time. This much we read in 30 ms; over a way with a round trip of 20 ms it lets
# 100,000 leaves a second through.
LITTLE_AHEAD: tuple[tuple[str, int], ...] = (
    ("grpc.http2.bdp_probe", 0),
    ("grpc.http2.lookahead_bytes", 256 * 1024),
)

END_OF_STREAM: Any = grpc.aio.EOF  # type: ignore[attr-defined]  # the type stubs forgot it

Metadata = tuple[tuple[str, str], ...]


def open_channel(settings: DomainSettings, address: str, ahead: Sequence[tuple[str, int]] = ()) -> grpc.aio.Channel:
    """Return a channel, not yet connected; raises ConfigurationError where the CA cannot be read.

    ahead: LITTLE_AHEAD for streams of which only the newest is worth anything.
    """
    split_address(settings, address)
    credentials = grpc.ssl_channel_credentials(root_certificates=read_authority(settings))
    return grpc.aio.secure_channel(address, credentials, options=(*_OPTIONS, *ahead))


def call_metadata(settings: DomainSettings) -> Metadata:
    """Return what identifies us; the token is read anew for every session, so that it can be rotated."""
    token = read_token(settings)
    return (("authorization", f"Bearer {token}"),) if token else ()

"""Where a domain controller listens, and the secrets to speak to it.

Secrets are read at the moment they are needed and handed on, never kept in settings, logged or put in an error.
"""

from __future__ import annotations

import os
from pathlib import Path

from controller.errors import ConfigurationError, DomainUnreachableError
from controller.southbound.driver import DomainSettings


def split_address(settings: DomainSettings, address: str) -> tuple[str, int]:
    """Return host and port of `host:port` or `[v6]:port`; raises ConfigurationError."""
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 65536:
        raise ConfigurationError(f"domain {settings.name}: {address!r} is no address; write host:port")
    return host.strip("[]"), int(port)


def read_password(settings: DomainSettings) -> str | None:
    """Return the password from the file or the environment variable named; None where neither is."""
    if settings.password_file and settings.password_env:
        raise ConfigurationError(f"domain {settings.name}: give passwordFile or passwordEnv, not both")
    if settings.password_file:
        return _secret(settings, "passwordFile", settings.password_file)
    if settings.password_env:
        password = os.environ.get(settings.password_env)
        if password is None:
            raise ConfigurationError(
                f"domain {settings.name}: passwordEnv: the environment has no {settings.password_env}; export it"
            )
        return password
    return None


def read_token(settings: DomainSettings) -> str | None:
    """Return the bearer token; None where no file is named."""
    return _secret(settings, "tokenFile", settings.token_file) if settings.token_file else None


def read_authority(settings: DomainSettings) -> bytes:
    """Return the PEM text of the CA that signed the server's certificate."""
    if not settings.ca_file:
        raise ConfigurationError(f"domain {settings.name}: ca: name the CA's PEM file; servers are always verified")
    try:
        return Path(settings.ca_file).read_bytes()
    except OSError as error:
        raise ConfigurationError(f"domain {settings.name}: ca: {settings.ca_file}: {error.strerror}") from error


def _secret(settings: DomainSettings, field: str, path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, UnicodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "is not UTF-8 text"
        raise ConfigurationError(f"domain {settings.name}: {field}: {path}: {reason}") from None


def with_remedy(error: DomainUnreachableError) -> DomainUnreachableError:
    """Return the same for whoever just wanted to change something: with what to do about it."""
    remedy = "is its controller running? `onecity topology domains` shows when it is up"
    return DomainUnreachableError(error.domain, f"{error.reason}; {remedy}")

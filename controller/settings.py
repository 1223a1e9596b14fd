"""`onecity.yaml` as frozen, typed settings; every mistake is a ConfigurationError that names file and key.

Credentials are not read here: settings hold paths and names of environment variables only, so that a setting
may be printed. Relative paths count from the file, not from where the daemon was started.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

from controller.errors import ConfigurationError
from controller.network.inventory import Inventory, read_inventory
from controller.optics import propagation
from controller.southbound.driver import DomainSettings, DomainTimers

COMPARE_EVERY_S = 900.0
KEEP_DIFFS_DAYS = 180
MOST_BYTES = 16 * 1024 * 1024  # an inventory of a whole city is about 1 MB
_KEYS = {  # key in the file → field of DomainSettings
    "name": "name",
    "driver": "driver",
    "address": "address",
    "network": "network_id",
    "username": "username",
    "passwordFile": "password_file",
    "passwordEnv": "password_env",
    "keyFile": "key_file",
    "knownHosts": "known_hosts",
    "ca": "ca_file",
    "tokenFile": "token_file",
    "telemetry": "telemetry_address",
    "drift": "drift",
}
_TOP = (
    "listen", "metrics", "state", "compareEvery", "keepDiffs", "webhook", "optics", "lightLinks", "domains",
    "inventory",
)  # fmt: skip
_DRIFT = ("alert", "revert", "accept")
_PATHS = ("passwordFile", "keyFile", "knownHosts", "ca", "tokenFile")
_TIMERS = {
    "connect": "connect_s",
    "edit": "edit_s",
    "commit": "commit_s",
    "confirm": "confirm_s",
    "read": "read_s",
}


@dataclass(frozen=True, slots=True)
class Listen:
    """An address on this machine only."""

    host: str  # 127.0.0.0/8, ::1 or localhost
    port: int  # 0: the system picks one

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Settings:
    """All that the daemon is told."""

    listen: Listen = Listen("127.0.0.1", 50505)  # northbound gRPC
    metrics: Listen = Listen("127.0.0.1", 9464)  # Prometheus
    state: Path = Path("onecity.db")  # the store
    keep_diffs_days: int = KEEP_DIFFS_DAYS  # of what each change did to domains; 0: for ever
    compare_every_s: float = COMPARE_EVERY_S  # between comparisons of a domain that says nothing; 0: none
    webhook: str = ""  # told of incidents, as Alertmanager tells its receivers; empty: nobody
    optics: str = "auto"  # how far light gets: "gnpy" propagates it, "table" reads it; auto: gnpy where it is installed
    light_links: bool = True  # whether planning may light an IP link that is not there, for what finds no room or way
    domains: tuple[DomainSettings, ...] = ()
    inventory: Inventory = field(default_factory=Inventory)


def read_settings(path: Path) -> Settings:
    """Return the settings in a file; raises ConfigurationError."""
    try:
        if path.stat().st_size > MOST_BYTES:
            raise ConfigurationError(f"{path}: is larger than {MOST_BYTES >> 20} MB; is this an onecity.yaml?")
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ConfigurationError(
            f"{path}: there is no such file; write one, or let `onecity lab up` write one for an emulated city"
        ) from None
    except UnicodeDecodeError:
        raise ConfigurationError(f"{path}: is not UTF-8; save it as UTF-8") from None
    except OSError as error:
        raise ConfigurationError(f"{path}: cannot be read: {error.strerror}") from None
    return parse_settings(text, str(path), path.resolve().parent)


def parse_settings(text: str, source: str, base: Path) -> Settings:
    """Return the settings in `text`; `base` is where relative paths start. Raises ConfigurationError."""
    document = _load(text, source)
    try:
        _only(document, _TOP, "")
        return Settings(
            listen=_listen(document, "listen", 50505),
            metrics=_listen(document, "metrics", 9464),
            state=base / _text(document, "state", "", "onecity.db"),
            compare_every_s=_compare_every_s(document),
            keep_diffs_days=_keep_diffs_days(document),
            webhook=_webhook(document),
            optics=_optics(document),
            light_links=_light_links(document),
            domains=_domains(document.get("domains"), base),
            inventory=read_inventory(document.get("inventory")),
        )
    except ConfigurationError as error:
        raise ConfigurationError(f"{source}: {error}") from None


def _optics(document: Mapping[str, Any]) -> str:
    value = document.get("optics", "auto")
    if value not in ("auto", "gnpy", "table"):
        raise ConfigurationError(f"optics: {value!r} is not taken here; write auto, gnpy or table")
    if value == "gnpy" and not propagation.available():
        raise ConfigurationError("optics: gnpy is not installed; pip install 'onecity[optical]', or write table")
    return str(value)


def _light_links(document: Mapping[str, Any]) -> bool:
    value = document.get("lightLinks", True)
    if not isinstance(value, bool):
        raise ConfigurationError(f"lightLinks: {value!r} is not taken here; write true or false")
    return value


class _Loader(yaml.CSafeLoader):
    """YAML without keys written twice: the second would silently win."""

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        seen: set[object] = set()
        for key, _ in node.value:
            name = getattr(key, "value", None)
            if not isinstance(name, str):
                raise yaml.MarkedYAMLError(problem="a key must be plain text", problem_mark=key.start_mark)
            if name in seen:
                raise yaml.MarkedYAMLError(problem=f"{name} is written twice", problem_mark=key.start_mark)
            seen.add(name)
        return super().construct_mapping(node, deep)


def _refuse_aliases(text: str) -> None:
    """A settings file needs no aliases; a YAML bomb does."""
    for event in yaml.parse(text, yaml.CSafeLoader):
        if isinstance(event, yaml.AliasEvent):
            mark: Any = event.start_mark
            raise yaml.MarkedYAMLError(problem="write the value instead of an alias", problem_mark=mark)


def _load(text: str, source: str) -> Mapping[str, Any]:
    try:
        if "*" in text:
            _refuse_aliases(text)
        document = yaml.load(text, _Loader)
    except yaml.MarkedYAMLError as error:
        line = f":{error.problem_mark.line + 1}" if error.problem_mark else ""
        raise ConfigurationError(f"{source}{line}: is not YAML that is taken here: {error.problem}") from None
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise ConfigurationError(f"{source}: is not YAML: {str(error).splitlines()[0]}") from None
    if not isinstance(document, dict):
        raise ConfigurationError(f"{source}: must be a mapping with listen, metrics, state, domains and inventory")
    return document


def _domains(section: Any, base: Path) -> tuple[DomainSettings, ...]:
    if not isinstance(section, list) or not section:
        raise ConfigurationError("domains: must be a list with at least one domain controller")
    domains = tuple(_domain(entry, f"domains[{i}]", base) for i, entry in enumerate(section))
    names = [domain.name for domain in domains]
    for name in names:
        if names.count(name) > 1:
            raise ConfigurationError(f"domains: the name {name} is given twice; names tell domains apart")
    return domains


def _domain(entry: Any, where: str, base: Path) -> DomainSettings:
    if not isinstance(entry, dict):
        raise ConfigurationError(f"{where}: must be a mapping with name, driver and address")
    _only(entry, (*_KEYS, "timers"), f"{where}.")
    values: dict[str, Any] = {}
    for key, name in _KEYS.items():
        text = _text(entry, key, f"{where}.", "")
        values[name] = str(base / text) if text and key in _PATHS else text
    values["drift"] = values["drift"] or _DRIFT[0]
    if values["drift"] not in _DRIFT:
        raise ConfigurationError(f"{where}.drift: {values['drift']!r} is none of {', '.join(_DRIFT)}")
    for key in ("name", "driver", "address"):
        if not values[_KEYS[key]]:
            raise ConfigurationError(f"{where}.{key}: is missing")
    for key in ("address", "telemetry"):
        if values[_KEYS[key]]:
            _split(values[_KEYS[key]], f"{where}.{key}")
    _check_credentials(values, where)
    return DomainSettings(**values, timers=_timers(entry.get("timers"), f"{where}.timers"))


def _check_credentials(values: Mapping[str, str], where: str) -> None:
    """Say now what would otherwise fail at the first connect: who we are, and how we know who they are."""
    if values["driver"] == "netconf":
        given = [k for k in ("passwordFile", "passwordEnv", "keyFile") if values[_KEYS[k]]]
        if len(given) != 1:
            raise ConfigurationError(f"{where}: give exactly one of passwordFile, passwordEnv and keyFile")
        if not values["username"]:
            raise ConfigurationError(f"{where}.username: is missing")
        if not values["known_hosts"]:
            raise ConfigurationError(f"{where}.knownHosts: is missing; host keys are always verified")
    if (values["driver"] == "optical" or values["telemetry_address"]) and not values["ca_file"]:
        raise ConfigurationError(f"{where}.ca: is missing; the server's certificate is always verified")


def _keep_diffs_days(document: Mapping[str, Any]) -> int:
    value = document.get("keepDiffs", KEEP_DIFFS_DAYS)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= 36_500:
        raise ConfigurationError(f"keepDiffs: must be a whole number of days, or 0 for ever, not {value!r}")
    return value


def _compare_every_s(document: Mapping[str, Any]) -> float:
    value = document.get("compareEvery", COMPARE_EVERY_S)
    if isinstance(value, bool) or not isinstance(value, int | float) or not (value == 0 or 10 <= value <= 86_400):
        raise ConfigurationError(f"compareEvery: must be seconds from 10 to 86400, or 0 for never, not {value!r}")
    return float(value)


def _timers(section: Any, where: str) -> DomainTimers:
    if section is None:
        return DomainTimers()
    if not isinstance(section, dict):
        raise ConfigurationError(f"{where}: must be a mapping of {', '.join(_TIMERS)} to seconds")
    _only(section, tuple(_TIMERS), f"{where}.")
    values = {f.name: f.default for f in fields(DomainTimers)}
    for key, value in section.items():
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= 3600:
            raise ConfigurationError(f"{where}.{key}: must be seconds, more than 0 and at most 3600, not {value!r}")
        values[_TIMERS[key]] = float(value)
    return DomainTimers(**values)  # type: ignore[arg-type]


def _listen(document: Mapping[str, Any], key: str, port: int) -> Listen:
    host, number = _split(_text(document, key, "", f"127.0.0.1:{port}"), key)
    if not _is_loopback(host):
        raise ConfigurationError(
            f"{key}: {host} can be reached from other machines, and onecity has no access control yet; "
            f"write 127.0.0.1:{number} and reach it over an SSH tunnel"
        )
    return Listen(host, number)


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _split(text: str, where: str) -> tuple[str, int]:
    host, colon, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not colon or not host or not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise ConfigurationError(f"{where}: {text!r} is not an address; write host:port, such as 127.0.0.1:50505")
    return host, int(port)


def _text(document: Mapping[str, Any], key: str, prefix: str, default: str) -> str:
    value = document.get(key)
    if value is None:
        return default
    if not isinstance(value, str) or "\0" in value:
        raise ConfigurationError(f"{prefix}{key}: must be text, not {value!r}")
    return value


def _webhook(document: Mapping[str, Any]) -> str:
    url = _text(document, "webhook", "", "")
    if not url:
        return url
    try:
        parts = urlsplit(url)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port that is none, a bracket that does not close
        good = False
    if not good:
        raise ConfigurationError(f"webhook: {url!r} is no address; write http://HOST:PORT/PATH")
    return url


def _only(document: Mapping[str, Any], known: tuple[str, ...], prefix: str) -> None:
    for key in document:
        if key not in known:
            raise ConfigurationError(f"{prefix}{key}: is not known here; known are {', '.join(known)}")

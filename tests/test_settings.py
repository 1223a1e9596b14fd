"""onecity.yaml: what is read, and that every mistake is one sentence with file and key."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.errors import ConfigurationError
from controller.settings import parse_settings, read_settings

GOOD = """
listen: 127.0.0.1:50505
metrics: "[::1]:9464"
state: onecity.db
domains:
  - {name: city-ip, driver: netconf, network: net:city-ip, address: 127.0.0.1:830, username: onecity,
     passwordFile: secrets/city-ip.password, knownHosts: known_hosts, telemetry: 127.0.0.1:9339, ca: ca.pem,
     tokenFile: secrets/token, timers: {confirm: 30}}
  - {name: city-otn, driver: optical, address: 127.0.0.1:50600, ca: ca.pem, telemetry: 127.0.0.1:9340}
inventory:
  sites:
    buji: {title: "Buji (布吉)", region: west, latitude: 22.6, longitude: 114.1, access: "node:lg-buji/tp:acc-1"}
  ports:
    "node:lg-buji/tp:acc-1": {role: access, rate: 100Gbps, site: buji}
"""


def refusal(text: str) -> str:
    with pytest.raises(ConfigurationError) as caught:
        parse_settings(text, "onecity.yaml", Path("/run/city"))
    message = str(caught.value)
    assert message.startswith("onecity.yaml")
    return message


def changed(old: str, new: str) -> str:
    assert old in GOOD
    return GOOD.replace(old, new)


def test_a_whole_file_is_read_and_paths_count_from_it() -> None:
    settings = parse_settings(GOOD, "onecity.yaml", Path("/run/city"))
    assert str(settings.listen) == "127.0.0.1:50505"
    assert str(settings.metrics) == "[::1]:9464"
    assert settings.state == Path("/run/city/onecity.db")
    city, optical = settings.domains
    assert city.password_file == "/run/city/secrets/city-ip.password"
    assert city.timers.confirm_s == 30.0
    assert city.timers.edit_s == 20.0
    assert (city.drift, settings.compare_every_s) == ("alert", 900.0)
    assert optical.telemetry_address == "127.0.0.1:9340"
    assert settings.inventory.ports["node:lg-buji/tp:acc-1"].rate_bps == 100 * 10**9


@pytest.mark.parametrize("host", ["0.0.0.0", "[::]", "192.0.2.1", "example.org", "127.0.0.1.example.org"])
@pytest.mark.parametrize("key", ["listen", "metrics"])
def test_an_address_that_others_can_reach_is_refused_with_the_remedy(host: str, key: str) -> None:
    old = "listen: 127.0.0.1:50505" if key == "listen" else 'metrics: "[::1]:9464"'
    message = refusal(changed(old, f'{key}: "{host}:7000"'))
    assert f"{key}: " in message
    assert "write 127.0.0.1:7000" in message


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.9.1", "localhost", "[::1]"])
def test_every_form_of_loopback_is_taken(host: str) -> None:
    settings = parse_settings(changed("listen: 127.0.0.1:50505", f'listen: "{host}:1"'), "onecity.yaml", Path("/"))
    assert str(settings.listen) == f"{host}:1"


@pytest.mark.parametrize(
    ("old", "new", "key"),
    [
        ("state:", "status:", "status"),
        ("driver: optical", "drivr: optical", "domains[1].drivr"),
        ("name: city-otn, ", "", "domains[1].name"),
        ("name: city-otn", "name: city-ip", "city-ip is given twice"),
        ("address: 127.0.0.1:50600", "address: 127.0.0.1", "domains[1].address"),
        ("address: 127.0.0.1:50600", "address: 127.0.0.1:99999", "domains[1].address"),
        ("passwordFile: secrets/city-ip.password, ", "", "domains[0]: give exactly one"),
        ("username: onecity", "username: onecity, keyFile: id", "domains[0]: give exactly one"),
        ("knownHosts: known_hosts, ", "", "domains[0].knownHosts"),
        ("address: 127.0.0.1:50600, ca: ca.pem", "address: 127.0.0.1:50600", "domains[1].ca"),
        ("confirm: 30", "confirm: soon", "domains[0].timers.confirm"),
        ("confirm: 30", "confirm: -1", "domains[0].timers.confirm"),
        ("confirm: 30", "confirm: 30}, drift: {undo: 1", "domains[0].drift"),
        ("driver: optical", "driver: optical, drift: undo", "domains[1].drift: 'undo' is none of alert, revert"),
        ("state: onecity.db", "state: onecity.db\ncompareEvery: 3", "compareEvery: must be seconds from 10"),
        ("state: onecity.db", "state: onecity.db\nkeepDiffs: 1.5", "keepDiffs: must be a whole number of days"),
        ("state: onecity.db", "state: [a]", "state"),
        ("state: onecity.db", "webhook: alertmanager:9093", "webhook: 'alertmanager:9093' is no address"),
        ("state: onecity.db", "webhook: http://127.0.0.1:99999/hook", "webhook: "),
        ("state: onecity.db", "webhook: 'http://[::1/hook'", "webhook: "),
        ("rate: 100Gbps", "rate: 100Gbs", "rate"),
        ("state: onecity.db", "state: a\nstate: b", "written twice"),
        ("state: onecity.db", "state: &a x\nmetrics2: *a", "instead of an alias"),
        ("state: onecity.db", "state: {a", "is not YAML"),
        ("state: onecity.db", "? [a]\n: b", "plain text"),
        ("state: onecity.db", "state: !!python/name:os.system x", "is not YAML"),
    ],
)
def test_a_mistake_is_named_by_its_key(old: str, new: str, key: str) -> None:
    assert key in refusal(changed(old, new))


def test_a_file_that_is_not_there_says_how_to_get_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="onecity lab up"):
        read_settings(tmp_path / "onecity.yaml")


def test_a_file_that_is_not_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "onecity.yaml"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigurationError, match="UTF-8"):
        read_settings(path)


@given(st.text(max_size=200) | st.tuples(st.sampled_from(GOOD.splitlines()), st.text(max_size=20)).map("".join))
def test_whatever_is_written_ends_as_settings_or_as_one_error(text: str) -> None:
    for whole in (text, GOOD + text):
        said = _said(whole)
        assert said is None or (said.startswith("onecity.yaml") and len(said) > len("onecity.yaml: "))


def _said(text: str) -> str | None:
    try:
        parse_settings(text, "onecity.yaml", Path("/"))
    except ConfigurationError as refused:
        return str(refused)
    return None


def test_lighting_links_is_allowed_unless_it_is_forbidden() -> None:
    assert parse_settings(GOOD, "onecity.yaml", Path()).light_links
    assert not parse_settings(f"lightLinks: false\n{GOOD}", "onecity.yaml", Path()).light_links
    assert "lightLinks: 'no way' is not taken here; write true or false" in refusal(f"lightLinks: no way\n{GOOD}")

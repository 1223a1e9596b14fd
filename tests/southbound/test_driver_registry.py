"""Which driver speaks to a domain, and what is said where none does."""

from __future__ import annotations

import pytest

from controller.errors import ConfigurationError
from controller.network.discovered import DomainKind
from controller.southbound.backoff import Backoff
from controller.southbound.driver import DomainSettings, Driver
from controller.southbound.endpoint import read_password, split_address
from controller.southbound.registry import make_driver


def settings(driver: str) -> DomainSettings:
    return DomainSettings(name="d", driver=driver, address="127.0.0.1:830")


@pytest.mark.parametrize(("name", "kind"), [("netconf", DomainKind.IP), ("optical", DomainKind.OPTICAL)])
async def test_both_drivers_are_found_by_name(name: str, kind: DomainKind) -> None:
    driver: Driver = make_driver(settings(name))
    assert (driver.domain, driver.kind) == ("d", kind)
    await driver.close()


def test_an_unknown_driver_is_answered_with_those_there_are() -> None:
    with pytest.raises(ConfigurationError, match=r"no driver 'snmp'; installed are netconf, optical"):
        make_driver(settings("snmp"))


@pytest.mark.parametrize("address", ["host", "host:", ":830", "host:99999", "host:x"])
def test_an_address_without_a_port_is_refused(address: str) -> None:
    with pytest.raises(ConfigurationError, match="write host:port"):
        split_address(settings("netconf"), address)


def test_ipv6_addresses_are_understood() -> None:
    assert split_address(settings("netconf"), "[::1]:830") == ("::1", 830)


def test_a_password_that_is_not_there_is_named_by_its_source(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CITY_PASSWORD", raising=False)
    with pytest.raises(ConfigurationError, match="CITY_PASSWORD"):
        read_password(DomainSettings(name="d", driver="netconf", address="a:1", password_env="CITY_PASSWORD"))
    with pytest.raises(ConfigurationError, match="/nowhere"):
        read_password(DomainSettings(name="d", driver="netconf", address="a:1", password_file="/nowhere"))


def test_waits_double_up_to_the_most_and_start_again_after_a_success() -> None:
    backoff = Backoff(first_s=1, most_s=5)
    assert [backoff.next_s() for _ in range(5)] == [1, 2, 4, 5, 5]
    backoff.reset()
    assert backoff.next_s() == 1

"""Things that happen behind the controller's back: what is gone already, there already, or somebody else's by now."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest
from lxml import etree
from ncclient import manager

from tests.end_to_end.intents import office, slice_over_three
from tests.support.stage import COMMITTED, FAILED, Stage, eventually

BASE = "urn:ietf:params:xml:ns:netconf:base:1.0"
L3NM = "urn:ietf:params:xml:ns:yang:ietf-l3vpn-ntw"
SURVEY = "lands.survey"
FILTER = f'<l3vpn-ntw xmlns="{L3NM}"><vpn-services>{{}}</vpn-services></l3vpn-ntw>'
CONFIG = f'<config xmlns="{BASE}">{FILTER}</config>'


def _service(session: manager.Manager, vpn: str) -> Any:
    return session.get_config(
        "running", filter=("subtree", FILTER.format(f"<vpn-service><vpn-id>{vpn}</vpn-id></vpn-service>"))
    ).data_ele


def _put(session: manager.Manager, config: str | etree._Element) -> None:
    session.edit_config(config, target="candidate")
    session.commit()


def _remove(longgang: Stage, domain: str, vpn: str) -> None:
    entry = f'<vpn-service xmlns:nc="{BASE}" nc:operation="remove"><vpn-id>{vpn}</vpn-id></vpn-service>'
    with longgang.session(domain) as session:
        _put(session, CONFIG.format(entry))


def test_deleting_what_somebody_deleted_already_ends_well_and_says_so(longgang: Stage) -> None:
    assert longgang.client.apply(slice_over_three())[1].outcome == COMMITTED
    _remove(longgang, "city-ip", SURVEY)
    _, result = longgang.client.delete("lands/survey")
    assert result.outcome == COMMITTED, result.message
    assert any("city-ip" in w and SURVEY in w and "was already gone" in w for w in result.warnings), result.warnings
    assert longgang.client.apply(office())[1].outcome == COMMITTED  # nobody waits for anything


def test_applying_what_is_there_already_ends_well_and_says_so(longgang: Stage) -> None:
    assert longgang.client.apply(slice_over_three())[1].outcome == COMMITTED
    with longgang.session("city-ip") as session:
        kept = _service(session, SURVEY)
        assert longgang.client.delete("lands/survey")[1].outcome == COMMITTED
        kept.tag = f"{{{BASE}}}config"
        _put(session, kept)
    _, result = longgang.client.apply(slice_over_three())
    assert result.outcome == COMMITTED, result.message
    assert any("city-ip" in w and "was already there" in w for w in result.warnings), result.warnings


def test_what_somebody_else_put_in_its_place_is_refused_and_blocks_nobody(longgang: Stage) -> None:
    foreign = f"<vpn-service><vpn-id>{SURVEY}</vpn-id><vpn-description>mine</vpn-description></vpn-service>"
    with longgang.session("city-ip") as session:
        _put(session, CONFIG.format(foreign))
    try:
        _, result = longgang.client.apply(slice_over_three())
        assert result.outcome == FAILED
        assert "somebody" in result.message
        assert "onecity diff" in result.message
        assert longgang.client.apply(office())[1].outcome == COMMITTED
    finally:
        _remove(longgang, "city-ip", SURVEY)


REMOTE = office("remote").replace("{site: longgang,", "{site: compute,")


@pytest.mark.parametrize("known", [False, True], ids=["before any session stands", "while its session stands"])
def test_a_hung_domain_holds_up_no_change_elsewhere(longgang: Stage, known: bool) -> None:
    if known:
        assert longgang.client.apply(REMOTE)[1].outcome == COMMITTED
        assert longgang.client.delete("gov/remote")[1].outcome == COMMITTED
        time.sleep(1.5)
    with longgang.log.open("rb") as log:
        log.seek(0, 2)
        longgang.city.domain_process("compute-ip").pause()
        try:
            results: list[Any] = []
            background = threading.Thread(target=lambda: results.append(longgang.client.apply(REMOTE)), daemon=True)
            background.start()
            time.sleep(1.0)
            took, result = longgang.client.apply(slice_over_three("near"))
            assert result.outcome == COMMITTED, result.message
            assert took < 1.0
            background.join(60)
        finally:
            longgang.city.domain_process("compute-ip").resume()
        ((_, failed),) = results
        assert failed.outcome == FAILED
        assert "is its controller running? `onecity topology domains`" in failed.message
        eventually(lambda: longgang.client.apply(REMOTE)[1].outcome == COMMITTED, 30.0)
        said = log.read().decode()
    assert "Traceback" not in said
    assert "ncclient" not in said
    assert "paramiko" not in said
    assert said.count("domain compute-ip is down") == 1

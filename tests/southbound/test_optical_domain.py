"""The optical driver against the lab's optical domain controller, a process of its own."""

from __future__ import annotations

import asyncio
import dataclasses
import statistics
import time
from pathlib import Path

import pytest

from controller.errors import DomainError, DomainUnreachableError
from controller.rendering.diff import edit as edit_of
from controller.rendering.tree import Edit, Tree
from controller.southbound.driver import EventKind, TransactionState
from controller.southbound.optical.driver import OpticalDriver, optical_driver
from tests.southbound.conftest import RunningDomain
from tests.southbound.edits import adding, circuit_tree


async def between_sites(driver: OpticalDriver, circuit: str, channel: int, nth: int = 0) -> Tree:
    """Return a wavelength between the nth ports handed to two sites."""
    ports = (await driver.discover()).ports
    a = [port.id for port in ports if port.site == "buji"][nth]
    z = [port.id for port in ports if port.site == "nanwan"][nth]
    return circuit_tree(circuit, channel=channel, a=a, z=z)


async def apply(driver: OpticalDriver, txn: str, edit: Edit) -> None:
    await driver.prepare(txn, edit)
    await driver.commit(txn, 10)
    assert await driver.read(edit.touched) == edit.after
    await driver.confirm(txn)


async def test_discovery_tells_rings_ports_and_what_stood_before(optical: OpticalDriver) -> None:
    topology = await optical.discover()
    assert len(topology.nodes) == 13
    fibre = next(f for f in topology.fibres if f.id == "f-zhihui-nanwan")
    assert (fibre.length_m, fibre.srlgs, fibre.channels) == (12_000, frozenset({1001}), 80)
    assert fibre.occupied
    odu_link = next(link for link in topology.odu_links if link.id == "odu-f-zhihui-nanwan-1")
    assert (odu_link.slots, len(odu_link.free)) == (80, 80)
    assert odu_link.server_circuit in {circuit.id for circuit in topology.circuits}
    assert {port.lock_id for port in topology.ports} > {1, 2, 3}


async def test_a_circuit_is_lit_read_back_replaced_and_taken_away(optical: OpticalDriver, txn: str) -> None:
    tree = await between_sites(optical, "gov.video/a-b", 41)
    edit = adding("city-otn", tree)
    await optical.prepare(txn, edit)
    assert await optical.outcome(txn, edit) is TransactionState.PREPARED
    await optical.commit(txn, 10)
    assert await optical.outcome(txn, edit) is TransactionState.COMMITTED
    await optical.confirm(txn)
    await optical.confirm(txn)
    assert await optical.outcome(txn, edit) is TransactionState.CONFIRMED
    assert await optical.read(()) == tree
    retuned = await between_sites(optical, "gov.video/a-b", 42)
    await apply(optical, f"{txn}-b", edit_of("city-otn", tree, retuned))
    await apply(optical, f"{txn}-c", edit_of("city-otn", retuned, {}))
    assert await optical.read(()) == {}


async def test_a_shortage_names_the_fibre_in_the_domains_words(optical: OpticalDriver, txn: str) -> None:
    first = adding("city-otn", await between_sites(optical, "gov.one/a-b", 43))
    await optical.prepare(txn, first)
    second = adding("city-otn", await between_sites(optical, "gov.two/a-b", 43, nth=1))
    with pytest.raises(DomainError) as caught:
        await optical.prepare(f"{txn}-b", second)
    assert (caught.value.tag, caught.value.path) == ("NO_SPECTRUM", "f-nanwan-buji")
    assert "43" in caught.value.reason
    assert await optical.outcome(f"{txn}-b", second) is TransactionState.ABSENT
    await optical.cancel(txn)
    assert await optical.outcome(txn, first) is TransactionState.ABSENT


async def test_what_is_there_or_gone_already_is_told_and_the_change_goes_on(optical: OpticalDriver, txn: str) -> None:
    edit = adding("city-otn", await between_sites(optical, "gov.twice/a-b", 51))
    away = edit_of("city-otn", edit.after, {})
    await apply(optical, txn, edit)
    assert await optical.prepare(f"{txn}-b", edit) == ("circuit gov.twice/a-b was already there",)
    await optical.commit(f"{txn}-b", 10)
    await optical.cancel(f"{txn}-b")
    assert await optical.read(edit.touched) == edit.after
    await apply(optical, f"{txn}-c", away)
    assert await optical.prepare(f"{txn}-d", away) == ("circuit gov.twice/a-b was already gone",)
    await optical.commit(f"{txn}-d", 10)
    await optical.confirm(f"{txn}-d")


async def test_what_somebody_else_set_up_under_a_name_is_not_overwritten(optical: OpticalDriver, txn: str) -> None:
    edit, other = [adding("city-otn", await between_sites(optical, "gov.taken/a-b", n)) for n in (52, 53)]
    await apply(optical, txn, other)
    with pytest.raises(DomainError, match=r"somebody else .*see `onecity diff`"):
        await optical.prepare(f"{txn}-b", edit)
    await optical.cancel(f"{txn}-b")
    assert await optical.read(other.touched) == other.after
    await apply(optical, f"{txn}-c", edit_of("city-otn", other.after, {}))


async def test_a_circuit_that_is_gone_is_set_up_anew_where_it_is_changed(optical: OpticalDriver, txn: str) -> None:
    old, new = [await between_sites(optical, "gov.moved/a-b", n) for n in (54, 55)]
    retuned = edit_of("city-otn", old, new)
    assert await optical.prepare(txn, retuned) == ("circuit gov.moved/a-b was gone and is set up anew",)
    await optical.commit(txn, 10)
    await optical.confirm(txn)
    assert await optical.read(retuned.touched) == retuned.after
    await apply(optical, f"{txn}-b", edit_of("city-otn", new, {}))


async def test_an_unknown_transaction_is_cancelled_and_its_late_prepare_refused(
    optical: OpticalDriver, txn: str
) -> None:
    await optical.cancel(txn)
    with pytest.raises(DomainError, match="cancelled"):
        await optical.prepare(txn, adding("city-otn", await between_sites(optical, "gov.late/a-b", 44)))


async def test_a_server_that_dies_keeps_what_it_prepared_and_what_it_committed(
    optical_domain: RunningDomain, optical: OpticalDriver, txn: str
) -> None:
    edit = adding("city-otn", await between_sites(optical, "gov.survivor/a-b", 45))
    await optical.prepare(txn, edit)
    optical_domain.process.kill()
    with pytest.raises(DomainUnreachableError):
        await optical.commit(txn, 10)
    optical_domain.process.restart()
    assert await optical.outcome(txn, edit) is TransactionState.PREPARED
    await optical.commit(txn, 10)
    optical_domain.process.kill()
    optical_domain.process.restart()
    assert await optical.outcome(txn, edit) is TransactionState.COMMITTED
    await optical.cancel(txn)
    assert await optical.outcome(txn, edit) is TransactionState.ABSENT


async def test_a_hung_server_costs_one_deadline_at_a_time(
    optical_domain: RunningDomain, optical: OpticalDriver, txn: str
) -> None:
    edit = adding("city-otn", await between_sites(optical, "gov.hung/a-b", 46))
    await optical.prepare(txn, edit)
    optical_domain.process.pause()
    try:
        start = time.perf_counter()
        with pytest.raises(DomainUnreachableError, match="no answer"):
            await optical.commit(txn, 10)
        assert time.perf_counter() - start < 4
    finally:
        optical_domain.process.resume()
    assert await optical.outcome(txn, edit) in (TransactionState.PREPARED, TransactionState.COMMITTED)
    await optical.cancel(txn)
    assert await optical.outcome(txn, edit) is TransactionState.ABSENT


async def test_a_wrong_token_is_a_refusal_that_says_where_to_look(
    optical_domain: RunningDomain, tmp_path: Path
) -> None:
    (tmp_path / "token").write_text("wrong")
    driver = optical_driver(dataclasses.replace(optical_domain.settings, token_file=str(tmp_path / "token")))
    with pytest.raises(DomainError, match="tokenFile") as caught:
        await driver.connect()
    assert not isinstance(caught.value, DomainUnreachableError)
    await driver.close()


async def test_a_server_that_another_authority_signed_is_not_spoken_to(
    optical_domain: RunningDomain, tmp_path: Path
) -> None:
    from lab.credentials import make_credentials

    make_credentials(tmp_path, [])
    timers = dataclasses.replace(optical_domain.settings.timers, connect_s=0.4)
    settings = dataclasses.replace(optical_domain.settings, ca_file=str(tmp_path / "ca.pem"), timers=timers)
    driver = optical_driver(settings)
    with pytest.raises(DomainUnreachableError):
        await driver.connect()
    await driver.close()


async def test_events_tell_of_connection_change_and_loss(
    optical_domain: RunningDomain, optical: OpticalDriver, txn: str
) -> None:
    events = optical.events()
    assert (await asyncio.wait_for(anext(events), 20)).kind is EventKind.CONNECTED
    news = asyncio.ensure_future(anext(events))
    mine = adding("city-otn", await between_sites(optical, "gov.mine/a-b", 50))
    await apply(optical, txn, mine)
    await apply(optical, f"{txn}-away", edit_of("city-otn", mine.after, {}))
    await asyncio.sleep(0.1)
    assert not news.done()
    other = optical_driver(optical_domain.settings)
    edit = adding("city-otn", await between_sites(other, "gov.event/a-b", 47))
    await apply(other, f"{txn}-other", edit)
    event = await asyncio.wait_for(news, 20)
    assert (event.kind, event.detail) == (EventKind.CONFIG_CHANGED, "gov.event/a-b")
    await apply(other, f"{txn}-gone", edit_of("city-otn", edit.after, {}))
    assert (await asyncio.wait_for(anext(events), 20)).kind is EventKind.CONFIG_CHANGED
    under = adding("city-otn", await between_sites(optical, "link/a..b", 51))
    for step, change in ((f"{txn}-lit", under), (f"{txn}-dark", edit_of("city-otn", under.after, {}))):
        await apply(optical, step, change)  # our own, but under an IP link, which is on the map
        event = await asyncio.wait_for(anext(events), 20)
        assert (event.kind, event.detail) == (EventKind.TOPOLOGY_CHANGED, "link/a..b")
    await other.close()
    optical_domain.process.kill()
    assert (await asyncio.wait_for(anext(events), 20)).kind is EventKind.LOST
    optical_domain.process.restart()
    assert (await asyncio.wait_for(anext(events), 20)).kind is EventKind.CONNECTED
    await events.aclose()  # type: ignore[attr-defined]


async def test_the_native_form_is_the_request(optical: OpticalDriver) -> None:
    text = optical.native(adding("city-otn", await between_sites(optical, "gov.text/a-b", 48)))
    assert 'id: "gov.text/a-b"' in text
    assert "channel: 48" in text


@pytest.mark.alone
async def test_a_change_takes_milliseconds(optical: OpticalDriver, txn: str) -> None:
    taken_s = []
    edit = adding("city-otn", await between_sites(optical, "gov.quick/a-b", 49))
    for n in range(10):
        step = edit if n % 2 == 0 else edit_of("city-otn", edit.after, {})
        start = time.perf_counter()
        await apply(optical, f"{txn}-{n}", step)
        taken_s.append(time.perf_counter() - start)
    assert statistics.median(taken_s) < 0.1

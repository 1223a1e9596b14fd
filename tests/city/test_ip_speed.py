"""What requests cost the IP domain's process, in CPU time, so that a busy machine does not matter."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from city_ip import documents as doc
from city_ip.process import IpProcess

_NODES = [f"node:lg-{n}" for n in ("zhihui", "nanwan", "buji", "jihua", "bantian", "pinghu")]


@pytest.fixture(scope="module")
def domain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[IpProcess]:
    process = IpProcess(tmp_path_factory.mktemp("city"))
    process.start()
    yield process
    process.kill()


def _cpu_s(domain: IpProcess) -> float:
    fields = Path(f"/proc/{domain.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _change(session: Any, *parts: str) -> None:
    session.edit_config(doc.config(*parts), target="candidate")
    session.validate("candidate")
    session.commit()


def test_a_plane_of_1300_sites_and_a_conference_of_300_parties(domain: IpProcess) -> None:
    nodes = [
        doc.node(n, [doc.access(f"fin.{i}.{k}", "tp:acc-1", 1000 + k, lan=f"10.{i}.{k}.0/24") for k in range(217)])
        for i, n in enumerate(_NODES)
    ]
    rules = [f"vip.{n}" for n in range(900)]
    placed = [doc.rule(r, "after" if n else "first", rules[n - 1] if n else "") for n, r in enumerate(rules)]
    policy = f"<qos-classification-policy>{''.join(placed)}</qos-classification-policy>"
    with domain.session() as session:
        before = _cpu_s(domain)
        _change(session, doc.services(doc.service("gov.finance", nodes)))
        with_plane = _cpu_s(domain)
        _change(session, doc.services(doc.into_access("gov.finance", _NODES[2], "fin.2.0", policy)))
        with_rules = _cpu_s(domain)
    assert with_plane - before < 1.2
    assert with_rules - with_plane < 0.5


def test_a_small_change_costs_no_more_where_much_stands(domain: IpProcess) -> None:
    with domain.session() as session:
        many = [doc.small_service(f"gov.m{n}", 2000 + n) for n in range(1000)]
        _change(session, doc.services(*many))
        before, rounds = _cpu_s(domain), 25
        for n in range(rounds):
            session.lock("candidate")
            session.edit_config(doc.config(doc.services(doc.small_service(f"gov.s{n}", 100 + n))), target="candidate")
            session.validate("candidate")
            session.commit(confirmed=True, timeout="60", persist="txn")
            wanted = doc.services(f"<vpn-service><vpn-id>gov.s{n}</vpn-id></vpn-service>")
            session.get_config("running", filter=("subtree", wanted))
            session.commit(persist_id="txn")
            session.unlock("candidate")
        used = _cpu_s(domain) - before
    assert used / (7 * rounds) < 0.004  # two milliseconds on an idle machine

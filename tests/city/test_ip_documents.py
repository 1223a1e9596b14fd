"""What the IP domain hands out is valid by the published modules, where those and yanglint are at hand."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from city_ip import documents as doc
from city_ip.process import IpProcess
from lxml import etree

_ROOT = Path(__file__).resolve().parents[2]
_YANG = _ROOT.parent / "shared" / "yang"
_BINDING = sorted((_ROOT / "protos" / "yang").glob("onecity-binding@*.yang"))
_MODULES = (
    "rfc/ietf-vpn-common",
    "rfc/ietf-lime-time-types",
    "draft/ietf-te-types",
    "draft/ietf-te-packet-types",
    "rfc/ietf-network",
    "rfc/ietf-network-topology",
    "rfc/ietf-te-topology",
    "draft/ietf-te",
    "draft/ietf-nrp",
    "rfc/ietf-l3vpn-ntw",
    "rfc/ietf-network-vpn-pm",
)
needs_models = pytest.mark.skipif(
    shutil.which("yanglint") is None or not _YANG.is_dir() or not _BINDING,
    reason="yanglint or the published YANG modules are not here",
)


@pytest.fixture(scope="module")
def domain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[IpProcess]:
    process = IpProcess(tmp_path_factory.mktemp("city"))
    process.start()
    with process.session() as session:
        name = "slice/gov.a/zhihui-buji"
        route = [("node:lg-zhihui", "tp:ge-1"), ("node:lg-nanwan", "tp:ge-2")]
        steer = doc.steering("node:lg-zhihui", "node:lg-buji", name)
        service = doc.service(
            "gov.a",
            [
                doc.node("node:lg-zhihui", [doc.access("gov.a.z", "tp:acc-1", 100)], extra=steer),
                doc.node("node:lg-buji", [doc.access("gov.a.b", "tp:acc-1", 100, _policy())]),
            ],
        )
        link = "link:lg-zhihui.ge-1..lg-nanwan.ge-1"
        session.edit_config(
            doc.config(
                doc.services(service),
                doc.tunnels(doc.tunnel(name, route, nrp_id=4001)),
                doc.networks(doc.partition("slice/gov.a", 4001, link)),
                doc.link_both_ways(),
            ),
            target="candidate",
        )
        session.commit()
    yield process
    process.kill()


def _policy() -> str:
    rules = [doc.rule(f"vip.{n}", "last") for n in range(3)]
    return f"<qos-classification-policy>{''.join(rules)}</qos-classification-policy>"


def _validate(tree: Any, kind: str, directory: Path) -> subprocess.CompletedProcess[str]:
    files = []
    for number, top in enumerate(tree):
        path = directory / f"{number}.xml"
        path.write_bytes(etree.tostring(top))
        files.append(str(path))
    modules = [str(next(_YANG.glob(f"{m}@*.yang"))) for m in _MODULES]
    command = ["yanglint", "-p", str(_YANG / "rfc"), "-p", str(_YANG / "draft"), "-t", kind, "-m"]
    return subprocess.run(
        [*command, *modules, str(_BINDING[-1]), *files], capture_output=True, text=True, timeout=60, check=False
    )


@needs_models
def test_running_is_valid_by_the_published_modules(domain: IpProcess, tmp_path: Path) -> None:
    with domain.session() as session:
        result = _validate(session.get_config("running").data, "config", tmp_path)
    assert result.returncode == 0, result.stderr


@needs_models
def test_state_is_valid_by_the_published_modules(domain: IpProcess, tmp_path: Path) -> None:
    with domain.session() as session:
        result = _validate(session.get().data, "get", tmp_path)
    assert result.returncode == 0, result.stderr

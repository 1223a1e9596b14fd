"""Light takes its time: Commit answers when it is there, a cancel meanwhile wins, a kill meanwhile loses nothing."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
from optical_client import Client, reason, wavelength

from lab.supervision import start_city

SCALE = 0.003  # one hop: (120 + 20) s × 0.003 = 0.42 s


def test_commit_waits_for_light(tmp_path: Path) -> None:
    with (
        start_city("longgang", tmp_path, domains=["city-otn"], bring_up_scale=SCALE) as city,
        ThreadPoolExecutor() as pool,
    ):
        process = city.domain_process("city-otn")
        domain = Client(tmp_path, process.ports["grpc"])
        domain.prepare("b1", wavelength("t.b/a-z"))
        start = time.monotonic()
        answer = pool.submit(domain.commit, "b1")
        time.sleep(0.15)
        assert domain.state("b1") == "ACTIVATING"
        assert domain.circuit("t.b/a-z") is None
        answer.result()
        assert time.monotonic() - start > 0.4
        assert domain.state("b1") == "PROVISIONAL"
        domain.cancel("b1")

        domain.prepare("b2", wavelength("t.b/a-z"))
        answer = pool.submit(domain.commit, "b2")
        time.sleep(0.1)
        domain.cancel("b2")
        refusal = answer.exception()
        assert isinstance(refusal, grpc.RpcError)
        assert reason(refusal)[1] == "ENDED"
        assert domain.state("b2") == "CANCELLED"

        domain.prepare("b3", wavelength("t.b/a-z"))
        lost = pool.submit(domain.commit, "b3")
        time.sleep(0.1)
        process.kill()
        process.restart()
        assert lost.exception() is not None
        assert domain.state("b3") == "ACTIVATING"
        time.sleep(0.6)
        assert domain.state("b3") == "PROVISIONAL"
        domain.cancel("b3")
        domain.close()

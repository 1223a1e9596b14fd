"""Every hop is shown where details are asked for, and stays inside the terminal."""

from __future__ import annotations

import io

import pytest
from onecity.v1 import plan_pb2

from controller.cli.plans import path_rows, wrapped
from controller.cli.screen import Screen

LONG = plan_pb2.PathSegment(layer=plan_pb2.LAYER_IP, domain="city-ip", hops=[f"node:lg-place-{n}" for n in range(30)])


def test_all_hops_are_shown_with_details_and_only_some_without() -> None:
    assert "lg-place-29" in path_rows([LONG], every=True)[0][-1]
    assert "more" in path_rows([LONG])[0][-1]


def test_hops_wrap_at_the_width_of_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    screen = Screen(io.StringIO())
    screen.terminal = True
    lines = wrapped(path_rows([LONG], every=True), screen, indent="  ")
    assert len(lines) > 1
    assert max(map(len, lines)) <= 80
    assert all(f"lg-place-{n}" in "\n".join(lines) for n in range(30))

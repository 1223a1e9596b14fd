"""`make test` names directories and files; whatever test file there is, one of its runs takes it."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.conftest import ALONE, ARRIVING, MEASURED

ROOT = Path(__file__).resolve().parents[1]
FILES = sorted(p.relative_to(ROOT) for p in (ROOT / "tests").rglob("test_*.py"))
BESIDE = "not alone and not packets"


def runs() -> list[str]:
    """Return the lines of `make test`, each with what is continued."""
    said = subprocess.run(["make", "-n", "test"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return said.replace("\\\n", " ").splitlines()


def taken(lines: list[str], marked: str) -> list[Path]:
    """Return the files and directories of the runs with these marks, without those that they ignore."""
    found: list[Path] = []
    for line in lines:
        for run in line.split("pytest ")[1:]:
            words = run.replace(")", " ").split()
            if f"-m {marked} " in run.replace('"', ""):
                given = [w for w, before in zip(words[1:], words, strict=False) if before != "--ignore"]
                found += [Path(word) for word in given if word.startswith("tests/")]
    return found


@pytest.mark.skipif(shutil.which("make") is None, reason="there is no make")
def test_every_file_is_taken_by_a_run() -> None:
    lines = runs()
    beside, measuring = taken(lines, BESIDE), taken(lines, "alone")
    assert [file for file in FILES if not any(path in (file, *file.parents) for path in beside)] == []
    assert Path("tests/rendering/test_planned.py") in beside  # which one run ignores, so that another takes it
    marked = [f for f in FILES if "mark" + ".alone" in (ROOT / f).read_text() or f.name in ALONE]
    assert marked
    assert [file for file in marked if file not in measuring] == []
    assert [name for name in (*MEASURED, *ARRIVING) if not (ROOT / "tests" / name).exists()] == []

"""No slot, channel or port is ever held by two circuits, whatever is asked, cancelled and repeated."""

from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from onecity.optical.v1 import optical_pb2 as pb
from optical_client import timeslot, wavelength

from lab.city import load_city
from lab.optical.claims import claims_of
from lab.optical.engine import OPEN, Engine
from lab.optical.equipment import Equipment
from lab.optical.refusal import RefusedError
from lab.optical.store import Store

EQUIPMENT = Equipment(load_city("longgang"))

spec = st.one_of(
    st.builds(timeslot, st.sampled_from(["t/a", "t/b", "t/c"]), st.integers(1, 3), st.integers(3, 5), st.just(300)),
    st.builds(wavelength, st.sampled_from(["t/a", "t/w"]), st.integers(38, 40)),
)
step = st.tuples(
    st.sampled_from(["prepare", "commit", "confirm", "cancel", "delete", "restart"]), st.integers(0, 3), spec
)


@settings(max_examples=60, deadline=None)
@given(st.lists(step, max_size=25))
def test_no_resource_is_ever_double_booked(steps: list[tuple[str, int, pb.CircuitSpec]]) -> None:
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "optical.db"
        engine = Engine(EQUIPMENT, Store(path))
        for n, (verb, which, wanted) in enumerate(steps):
            engine = _do(
                engine, path, verb, f"txn{which}" if verb in ("commit", "confirm", "cancel") else f"txn{n % 4}", wanted
            )
            _holds(engine)
        engine.store.close()


class _Refusing(Store):
    """A store whose disk is full for a while."""

    full = False

    @contextmanager
    def step(self) -> Iterator[None]:
        with super().step():
            yield
            if self.full:
                raise sqlite3.OperationalError("database or disk is full")


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(step, st.booleans()), max_size=25))
def test_what_the_disk_refused_never_happened_also_where_it_is_asked_again(
    steps: list[tuple[tuple[str, int, pb.CircuitSpec], bool]],
) -> None:
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "optical.db"
        engine = Engine(EQUIPMENT, store := _Refusing(path))
        for n, ((verb, which, wanted), full) in enumerate(steps):
            txn = f"txn{which}" if verb in ("commit", "confirm", "cancel") else f"txn{n % 4}"
            if verb != "restart":
                store.full = full
                with suppress(sqlite3.Error):
                    _do(engine, path, verb, txn, wanted)
                store.full = False
                if full:
                    _do(engine, path, verb, txn, wanted)  # once more, as the disk has room again
            other = Engine(EQUIPMENT, Store(path))
            assert engine.circuits == other.circuits
            assert {t: c.state for t, c in engine.changes.items()} == {t: c.state for t, c in other.changes.items()}
            assert engine.held_by == other.held_by
            other.store.close()
            _holds(engine)
        engine.store.close()


def _do(engine: Engine, path: Path, verb: str, txn: str, wanted: pb.CircuitSpec) -> Engine:
    standing = engine.circuits.get(wanted.id)
    version = standing.version if standing else 0
    try:
        if verb == "prepare":
            engine.prepare(pb.PrepareRequest(txn_id=txn, puts=[pb.PutCircuit(spec=wanted, expected_version=version)]))
        elif verb == "delete":
            engine.prepare(
                pb.PrepareRequest(txn_id=txn, deletes=[pb.DeleteCircuit(id=wanted.id, expected_version=version)])
            )
        elif verb == "commit":
            engine.commit(txn, 60)
        elif verb == "confirm":
            engine.confirm(txn)
        elif verb == "cancel":
            engine.cancel(txn)
        else:
            engine.store.close()
            return Engine(EQUIPMENT, Store(path))
    except RefusedError:
        pass
    return engine


def _holds(engine: Engine) -> None:
    """Everybody who may use a resource now or after a rollback, against what the ledger of claims says."""
    holders: dict[tuple[str, str, int], set[str]] = {}
    specs = [c.spec for c in engine.circuits.values()]
    for change in engine.changes.values():
        if change.state in OPEN:
            specs += [p.spec for p in change.request.puts] + [c.spec for c in change.before.values()]
    for wanted in specs:
        for claim in claims_of(wanted):
            holders.setdefault(claim, set()).add(wanted.id)
    for claim, who in holders.items():
        assert len(who) == 1, f"{claim} is held by {who}"
        assert claim[2] in engine.claims.labels(claim[0], claim[1])
    for kind in ("slot", "channel", "port"):
        for where in {c[1] for c in holders if c[0] == kind}:
            assert engine.claims.labels(kind, where) == {c[2] for c in holders if c[:2] == (kind, where)}

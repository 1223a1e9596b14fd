"""No slot, channel or port is ever held by two circuits, whatever is asked, cancelled and repeated."""

from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import combinations
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from onecity.optical.v1 import optical_pb2 as pb
from optical_client import restorable, timeslot, wavelength

from lab.city import load_city
from lab.optical.claims import SPARE, claims_of
from lab.optical.engine import OPEN, Engine
from lab.optical.equipment import Equipment
from lab.optical.refusal import RefusedError
from lab.optical.store import Store

EQUIPMENT = Equipment(load_city("longgang"))

spec = st.one_of(
    st.builds(timeslot, st.sampled_from(["t/a", "t/b", "t/c"]), st.integers(1, 3), st.integers(3, 5), st.just(300)),
    st.builds(wavelength, st.sampled_from(["t/a", "t/w"]), st.integers(38, 40)),
    st.builds(
        restorable,
        st.sampled_from(["t/a", "t/r"]),
        st.integers(3, 4),
        st.just(301),
        west=st.booleans(),
        lit=st.booleans(),
    ),
    st.builds(restorable, st.just("t/q"), st.integers(3, 4), st.just(302), west=st.booleans(), lit=st.booleans()),
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
        if claim[0].startswith(SPARE):
            _shared_by_strangers(who, specs)
        else:
            assert len(who) == 1, f"{claim} is held by {who}"
        assert claim[2] in engine.claims.labels(claim[0].removeprefix(SPARE), claim[1])
    for kind in ("slot", "channel", "port"):
        for where in {c[1] for c in holders if c[0].removeprefix(SPARE) == kind}:
            held = {c[2] for c in holders if (c[0].removeprefix(SPARE), c[1]) == (kind, where)}
            assert engine.claims.labels(kind, where) == held


def _shared_by_strangers(who: set[str], specs: list[pb.CircuitSpec]) -> None:
    """What several hold for restoration, no two of them may ever need at once."""
    risks = {w: [EQUIPMENT.risks(s) for s in specs if s.id == w and s.protect_shared] for w in who}
    for one, other in combinations(sorted(who), 2):
        assert all(r.isdisjoint(q) for r in risks[one] for q in risks[other]), f"{one} and {other}"


def test_what_is_held_for_restoration_is_shared_lit_by_its_first_and_refused_to_others() -> None:
    with tempfile.TemporaryDirectory() as directory:
        engine = Engine(EQUIPMENT, Store(Path(directory) / "optical.db"))

        def put(txn: str, *specs: pb.CircuitSpec) -> str:
            versions = {s.id: engine.circuits[s.id].version if s.id in engine.circuits else 0 for s in specs}
            puts = [pb.PutCircuit(spec=s, expected_version=versions[s.id]) for s in specs]
            try:
                engine.prepare(pb.PrepareRequest(txn_id=txn, puts=puts))
            except RefusedError as error:
                return str(error)
            engine.commit(txn, 60)
            engine.confirm(txn)
            return ""

        west, other = restorable("t/r"), restorable("t/q", vlan=301, west=False)
        assert not put("1", west, other)  # they cannot fail together, and stand by in the same slots
        assert "is in use by t/r" in put("2", restorable("t/p", vlan=302))  # fails with the first
        assert "is in use by" in put("3", restorable("t/p", vlan=302, lit=True))
        assert not put("4", restorable("t/r", lit=True))
        assert "is in use by t/r" in put("5", restorable("t/q", vlan=301, west=False, lit=True))
        engine.store.close()

"""What a batch accepts, and at which cost, held against an exact mixed-integer program on small cities.

The cities have up to twelve nodes and more demand than they can carry: someone has to be left out, and whom is what
the planner is judged by. All through `place`, as `onecity apply` would.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from controller.intent.model import ExclusiveSlice, Isolation, Protection, Slo
from controller.network.ledger import Ledger
from controller.planning.orders import orders_for
from controller.planning.place import PlanOutcome, place
from tests.support.exact import Ask, options, solve
from tests.support.intents import GBPS, NOW, slice_between
from tests.support.invariants import check_all
from tests.support.networks import Sample, city, with_ducts

CAPACITY = 10 * GBPS


def _small(seed: int, count: int) -> tuple[Sample, list[Ask]]:
    """Return a city of 8 to 12 nodes with ducts, and demands of which two in five are to be protected."""
    rng = np.random.default_rng(seed)
    nodes = int(rng.integers(8, 13))
    sample = with_ducts(city(nodes, int(rng.integers(3 * nodes // 2, 2 * nodes)), 0, seed), nodes // 3, seed, most=2)
    net = sample.network()
    quickest = net.tree(np.arange(nodes), net.everything())[0]
    asks = []
    for _ in range(count):
        a, z = sorted(rng.permutation(nodes)[:2].tolist())
        protected = bool(rng.random() < 0.4)
        budget_s = float(quickest[a, z]) * (2.5 if protected else 2.0) + 1e-6
        asks.append(Ask(a, z, int(rng.choice([1, 2, 3, 5])) * GBPS, budget_s, protected, int(rng.choice([99, 99, 4]))))
    return sample, asks


def _service(number: int, ask: Ask) -> ExclusiveSlice:
    return slice_between(
        f"s{number:02}", f"s{ask.a:04}", f"s{ask.z:04}", ask.rate_bps, isolation=Isolation.NRP,
        protection=Protection.STANDBY if ask.protected else Protection.NONE,
        slo=Slo(latency_s=ask.budget_s, availability=0.5, most_hops=ask.hops),
    )  # fmt: skip


def _placed(asks: Sequence[Ask], outcome: PlanOutcome) -> list[bool]:
    return [_service(i, ask).metadata.service in outcome.placements for i, ask in enumerate(asks)]


def test_a_batch_accepts_nearly_what_an_exact_program_accepts_at_nearly_its_cost() -> None:
    accepted, costs, pairs = [], [], []
    for seed in range(8):
        sample, asks = _small(seed, 24)
        where = sample.map(CAPACITY)
        wanted = [_service(i, ask) for i, ask in enumerate(asks)]
        outcome = place(where, Ledger(where), wanted, {}, NOW, orders_for(len(wanted)))
        check_all(where, {s.metadata.service: s for s in wanted}, outcome.placements)
        inside = _placed(asks, outcome)
        given = sum(ask.rate_bps for ask, yes in zip(asks, inside, strict=True) if yes)
        held = sum(
            r.rate_bps * where.link_by_id[r.link].delay_s / 2  # both directions are held
            for p in outcome.placements.values() for r in p.rates if r.link in where.link_by_id
        )  # fmt: skip
        protected = [(ask, yes) for ask, yes in zip(asks, inside, strict=True) if ask.protected]
        accepted.append(given / solve(sample, asks, CAPACITY).accepted_bps)
        costs.append(held / solve(sample, asks, CAPACITY, inside).cost)
        pairs.append(sum(yes for _, yes in protected) / len(protected))
        print(f"{sample.nodes} nodes: accepted {accepted[-1]:.3f} of the exact, at {costs[-1]:.3f} of the least cost,")
        print(f"  {given / sum(a.rate_bps for a in asks):.0%} of what was asked, {pairs[-1]:.0%} of the pairs")
    print(f"accepted: mean {np.mean(accepted):.4f}, worst {min(accepted):.4f}")
    print(f"cost: mean {np.mean(costs):.4f}, worst {max(costs):.4f}")
    assert np.mean(accepted) >= 0.97
    assert min(accepted) >= 0.93
    assert np.mean(costs) <= 1.05
    assert np.mean(pairs) > 0.2


def test_no_feasible_service_is_refused() -> None:
    fates = {True: 0, False: 0}
    for seed in range(3):
        sample, asks = _small(100 + seed, 45)
        where = sample.map(CAPACITY)
        first = [_service(i, ask) for i, ask in enumerate(asks[:15])]
        standing = place(where, Ledger(where), first, {}, NOW)
        free = np.array([standing.ledger.free_bps(f"link:{i:05d}.az") for i in range(sample.cables)])
        for i, ask in enumerate(asks[15:], start=15):
            outcome = place(where, standing.ledger, [_service(i, ask)], {}, NOW)
            feasible = bool(options(sample, ask, free))
            assert bool(outcome.placements) == feasible, (seed, ask, outcome.refusals)
            fates[feasible] += 1
    print(f"{fates[True]} feasible, {fates[False]} not")
    assert min(fates.values()) >= 15

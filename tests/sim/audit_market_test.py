#!/usr/bin/env python3
"""The simulated market against the C++ policy's vectors, and what it must show (docs/decisions/0009)."""
import json
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import audit_market as sim  # noqa: E402

VECTORS = sim.ROOT / "spec/vectors/market/audit_rate.json"
LIVES = 200


def same_rate_as_the_gateway():
    cases = json.loads(VECTORS.read_text())
    for c in cases:
        got = sim.rate_q32(int(c["price"]), int(c["stake"]), int(c["lost_bps"]), int(c["saving_ppm"]), int(c["power_ppm"]))
        assert got == int(c["rate_q32"]), f"{c}: {got}"
    assert len(cases) > 400


def at_the_rate(market, multiple, strategy, seed=99):
    return sim.mean_of(strategy, market, min(1.0, sim.policy_rate(market) * multiple), LIVES, seed)


def every_strategy_loses_at_the_policys_rate():
    for title, market, in sim.MARKETS[:2]:
        for s in sim.STRATEGIES:
            mean, spread, _ = at_the_rate(market, 1, s)
            assert mean + 4 * spread < 0, f"{title}: {s.name} gains {mean:+.3f} ± {spread:.3f}"


def an_expensive_request_is_no_way_out():
    for price in (540, 20_000, 200_000, 900_000):
        market = sim.Market(price=price)
        for s in sim.STRATEGIES:
            mean, spread, _ = at_the_rate(market, 1, s)
            assert mean + 4 * spread < 0 or mean < 1e-3, f"price {price}: {s.name} gains {mean:+.3f} ± {spread:.3f}"


def cheating_pays_where_audits_are_rare():
    for name in ("other weights", "cheap decode, honest prefill", "honest, then a burst"):
        s = next(s for s in sim.STRATEGIES if s.name == name)
        mean, spread, _ = at_the_rate(sim.Market(), 1 / 16, s)
        assert mean - 4 * spread > 0, f"{name}: {mean:+.3f} ± {spread:.3f}"


def without_a_hold_a_burst_pays():
    s = next(s for s in sim.STRATEGIES if s.name == "honest, then a burst")
    mean, spread, _ = at_the_rate(sim.Market(hold_s=0.0), 4, s)
    assert mean - 4 * spread > 1, f"{mean:+.3f}"


def the_committed_plot_is_this_simulations():
    committed = (sim.ROOT / "docs/audit-economics.svg").read_text()
    assert committed == sim.svg(sim.sweep(LIVES), LIVES), "make it again: tests/sim/audit_market.py --svg docs/audit-economics.svg"


failed = 0
for test in (same_rate_as_the_gateway, every_strategy_loses_at_the_policys_rate, an_expensive_request_is_no_way_out,
             cheating_pays_where_audits_are_rare, without_a_hold_a_burst_pays, the_committed_plot_is_this_simulations):
    try:
        test()
        print(f"ok {test.__name__}", flush=True)
    except AssertionError as e:
        failed += 1
        print(f"FAIL {test.__name__}: {e}", flush=True)
sys.exit(1 if failed else 0)

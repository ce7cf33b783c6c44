#!/usr/bin/env python3
"""Every strategy against the audit policy, with fixed seeds.

A cheat serves requests of equal price to buyers who audit by market/audit_policy, settle what was not
drawn after a hold, and stop at the first open dispute or conviction. What a strategy gains over an honest
provider and what buyers lose is averaged over many lives; rates are multiples of what the policy says.

  audit_market.py [--svg FILE] [--lives N] [--json]
"""
import argparse
import json
import math
import pathlib
import random
from dataclasses import dataclass

ROOT = pathlib.Path(__file__).resolve().parents[2]
ALWAYS = 1 << 32
LAYERS = 22
FULL_FIRST, MARGIN, FLOOR = 8, 2, ALWAYS // 100


def ceil_div(a, b):
    return -(-a // b)


def rate_q32(price, stake, lost_bps, saving_ppm, power_ppm, margin=MARGIN, floor=FLOOR):
    """market::audit_rate_q32 past the newcomer's receipts; audit_market_test.py holds it to the C++ one's vectors."""
    if price <= 0:
        return floor
    gain = ceil_div(price * saving_ppm, 1_000_000)
    seen = ceil_div(gain * margin * 1_000_000, power_ppm)
    needed = ceil_div(seen * 10_000, lost_bps)
    return min(max(min(ceil_div(needed * ALWAYS, stake), ALWAYS), floor), ALWAYS)


@dataclass(frozen=True)
class Market:
    price: int = 20_000          # of a request, micro-units
    stake: int = 1_000_000
    burned_bps: int = 5_000      # what no sock puppet can take back
    exposure_factor: int = 3     # unpaid escrow ≤ factor × stake
    requests: int = 2_000        # of one life, all buyers together
    audit_s: float = 5.0         # from receipt to a dispute that others see
    hold_s: float = 60.0         # a buyer settles what was not drawn after this
    layers_audited: int = 0      # 0: full audits; else k layers


@dataclass(frozen=True)
class Strategy:
    name: str
    saving: float                # share of the price it keeps beyond an honest provider's gain
    layers_wrong: int = LAYERS   # how many layers differ; 0: only head, sampling or text do
    share: float = 1.0           # of requests it cheats on
    patience: int = FULL_FIRST   # honest requests first: a newcomer's are all audited
    burst: bool = False          # then everything at once, as far as exposure reaches
    interval_s: float = 10.0     # between requests otherwise
    sock_puppet: bool = True     # convicts itself once it sees a dispute coming

    def power(self, market):
        """Chance that one audit sees it. Embedding, head and sampling are always checked."""
        if market.layers_audited == 0 or self.layers_wrong in (0, LAYERS):
            return 1.0
        k, wrong = market.layers_audited, self.layers_wrong
        return 1 - math.comb(LAYERS - wrong, k) / math.comb(LAYERS, k)


STRATEGIES = (
    Strategy("other weights", 0.9),
    Strategy("re-quantized weights", 0.45),
    Strategy("one layer skipped", 1 / LAYERS, layers_wrong=1),
    Strategy("cheap decode, honest prefill", 0.6, layers_wrong=0),
    Strategy("padded or cut short", 0.5, layers_wrong=0),
    Strategy("one request in a hundred", 0.9, share=0.01),
    Strategy("honest, then a burst", 1.0, patience=100, burst=True),
    Strategy("burst from the start", 1.0, patience=0, burst=True),
    Strategy("no sock puppet", 1.0, sock_puppet=False),
)


def policy_rate(market, saving_ppm=1_000_000):
    power = 1_000_000 if market.layers_audited == 0 else 1_000_000 * market.layers_audited // LAYERS
    return rate_q32(market.price, market.stake, market.burned_bps, saving_ppm, power) / ALWAYS


def life(strategy, market, rate, rng):
    """One provider's gain over honesty and its buyers' loss, in units of its stake."""
    power, gain, loss = strategy.power(market), 0.0, 0.0
    now, cheated_in_flight, seen_at = 0.0, [], math.inf
    exposure = market.exposure_factor * market.stake // market.price
    for i in range(market.requests):
        bursting = strategy.burst and i >= strategy.patience
        if bursting and i >= strategy.patience + exposure:
            break
        now += 0.0 if bursting else strategy.interval_s
        if now >= seen_at:
            break  # nobody leases from it any more
        if i < strategy.patience or rng.random() >= strategy.share:
            continue
        cheated_in_flight.append(now)
        # A buyer audits a newcomer's first receipts whatever the rate.
        drawn = i < FULL_FIRST or rng.random() < rate
        if drawn and rng.random() < power:
            seen_at = min(seen_at, now + market.audit_s)
    for at in cheated_in_flight:
        if at + market.hold_s < seen_at:  # settled before anybody knew
            gain += strategy.saving * market.price
            loss += market.price
    if seen_at < math.inf:
        lost = market.burned_bps / 10_000 if strategy.sock_puppet else 1.0
        gain -= lost * market.stake
        loss = max(0.0, loss - market.price)  # the convicted receipt is made whole
    return gain / market.stake, loss / market.stake


def mean_of(strategy, market, rate, lives, seed):
    rng = random.Random(f"{strategy.name}/{seed}")
    results = [life(strategy, market, rate, rng) for _ in range(lives)]
    gains = [g for g, _ in results]
    mean = sum(gains) / lives
    spread = math.sqrt(sum((g - mean) ** 2 for g in gains) / lives / lives)
    return mean, spread, sum(l for _, l in results) / lives


MULTIPLES = (1 / 64, 1 / 32, 1 / 16, 1 / 8, 1 / 4, 1 / 2, 1, 2, 4)
MARKETS = (
    ("full audits, settled after a hold", Market()),
    ("2 of 22 layers, settled after a hold", Market(layers_audited=2, price=4_000)),
    ("full audits, settled at once", Market(hold_s=0.0)),
)


def sweep(lives):
    return [(title, market, [(s.name, [mean_of(s, market, min(1.0, policy_rate(market) * m), lives, i)
                                       for i, m in enumerate(MULTIPLES)]) for s in STRATEGIES])
            for title, market in MARKETS]


COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#8c6d00", "#56b4e9", "#a02020", "#444444", "#7f4fc9")


def svg(results, lives):
    """Two rows (cheater, buyers) of one plot a market."""
    width, height, left, top, gap_x, gap_y = 330, 230, 62, 78, 78, 92
    count = len(results)
    total_w, total_h = left + count * (width + gap_x), top + 2 * (height + gap_y) + 60
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {total_w} {total_h}" font-family="sans-serif" font-size="12">',
           f'<rect width="{total_w}" height="{total_h}" fill="white"/>',
           f'<text x="{left}" y="26" font-size="17" font-weight="bold">What cheating earns, by how often buyers audit</text>',
           f'<text x="{left}" y="46" fill="#444">1 on the horizontal axis is the rate of market/audit_policy (margin {MARGIN}). '
           f'Mean of {lives} lives each; tests/sim/audit_market.py</text>']
    rows = (("cheater's gain over honesty, in stakes", 0, -0.75, 0.75), ("buyers' loss, in stakes", 2, 0.0, 3.0))
    for column, (title, market, lines) in enumerate(results):
        for row, (label, what, low, high) in enumerate(rows):
            x0, y0 = left + column * (width + gap_x), top + row * (height + gap_y)
            px = lambda i: x0 + width * i / (len(MULTIPLES) - 1)
            py = lambda v: y0 + height * (1 - (min(max(v, low), high) - low) / (high - low))
            out.append(f'<text x="{x0}" y="{y0 - 8}" font-weight="bold">{title if row == 0 else label}</text>')
            out.append(f'<rect x="{x0}" y="{y0}" width="{width}" height="{height}" fill="#fafafa" stroke="#bbb"/>')
            for tick in range(5):
                v = low + (high - low) * tick / 4
                out.append(f'<line x1="{x0}" x2="{x0 + width}" y1="{py(v):.1f}" y2="{py(v):.1f}" stroke="#ddd"/>'
                           f'<text x="{x0 - 6}" y="{py(v) + 4:.1f}" text-anchor="end" fill="#444">{v:+.2f}</text>'
                           if low < 0 else
                           f'<line x1="{x0}" x2="{x0 + width}" y1="{py(v):.1f}" y2="{py(v):.1f}" stroke="#ddd"/>'
                           f'<text x="{x0 - 6}" y="{py(v) + 4:.1f}" text-anchor="end" fill="#444">{v:.2f}</text>')
            if low < 0:
                out.append(f'<line x1="{x0}" x2="{x0 + width}" y1="{py(0):.1f}" y2="{py(0):.1f}" stroke="black"/>')
                out.append(f'<text x="{x0 + width}" y="{y0 + height + 36}" text-anchor="end" fill="#444">{label}</text>')
            one = MULTIPLES.index(1)
            out.append(f'<line x1="{px(one):.1f}" x2="{px(one):.1f}" y1="{y0}" y2="{y0 + height}" stroke="black" stroke-dasharray="4 3"/>')
            for i, m in enumerate(MULTIPLES):
                text = f"{m:g}" if m >= 1 else f"1/{round(1 / m)}"
                out.append(f'<text x="{px(i):.1f}" y="{y0 + height + 17}" text-anchor="middle" fill="#444">{text}</text>')
            for colour, (name, points) in zip(COLOURS, lines):
                path = " ".join(f"{px(i):.1f},{py(p[what]):.1f}" for i, p in enumerate(points))
                out.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
    for i, (colour, strategy) in enumerate(zip(COLOURS, STRATEGIES)):
        x, y = left + (i % 5) * (total_w - left) / 5, top + 2 * (height + gap_y) - 10 + 24 * (i // 5)
        out.append(f'<line x1="{x:.0f}" x2="{x + 22:.0f}" y1="{y - 4}" y2="{y - 4}" stroke="{colour}" stroke-width="3"/>'
                   f'<text x="{x + 28:.0f}" y="{y}">{strategy.name}</text>')
    return "\n".join(out + ["</svg>", ""])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--svg", type=pathlib.Path, help="write the plot here (docs/audit-economics.svg)")
    parser.add_argument("--lives", type=int, default=200)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    results = sweep(options.lives)
    if options.svg:
        options.svg.write_text(svg(results, options.lives))
    if options.json:
        print(json.dumps([{"market": title, "rate": policy_rate(market), "strategies": dict(lines)}
                          for title, market, lines in results], indent=1))
        return
    for title, market, lines in results:
        print(f"{title}: the policy's rate is {policy_rate(market):.4f}")
        for name, points in lines:
            print(f"  {name:<30}" + " ".join(f"{p[0]:+7.3f}" for p in points))
    print("  gain in stakes at", ", ".join(f"{m:g}" for m in MULTIPLES), "of the rate")


if __name__ == "__main__":
    main()

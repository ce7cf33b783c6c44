"""Runs the attack catalogue, a file an attack, against two markets of real processes, and compares what it measured
with the table in docs/security.md. --write writes that table."""
import concurrent.futures
import importlib
import pathlib
import sys
import time
import traceback

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "e2e"))
sys.path.insert(0, str(HERE))
WRITE = "--write" in sys.argv
sys.argv = [a for a in sys.argv if a != "--write"]

from harness import ROOT, Runner, expect  # noqa: E402
from protocol_check import same_as_the_vectors  # noqa: E402
from world import World  # noqa: E402

# Attacks on what is computed need engines; they share a market whose buyer audits everything. Attacks on what is
# signed share one with short windows.
SERVED = ("slow_walk", "other_weights", "requantized", "one_weight", "skipped_layer", "swapped_layers", "truncated_context",
          "altered_prompt", "wrong_template", "low_precision_kv", "cheap_decode", "other_sampling", "edited_text", "padding",
          "early_stop", "over_charge", "phantom_request", "refusal_to_open", "garbage_openings")
SIGNED = ("disputes_everything", "grinding_draw", "replayed_receipt", "two_receipts", "claim_leaves", "dropped_receipt",
          "double_claim", "sock_puppet", "stake_reuse")
AT_ONCE = 3
DOCUMENT = ROOT / "docs/security.md"
BEGIN, END = "<!-- the catalogue: begin -->\n", "<!-- the catalogue: end -->"


def table(rows):
    lines = ["| attack | caught by | full audit | sampled, k = 1 of 4 | k = 2 of 4 | costs the cheat | test |",
             "|---|---|---|---|---|---|---|"]
    for file, row in rows:
        lines.append(f"| {row.attack} | {row.by} | {row.full} | {row.one} | {row.two} | {row.cost} | "
                     f"[{file}](../tests/attacks/{file}.py) |")
    return "\n".join(lines) + "\n"


def main():
    t = Runner()
    names = [n for n in SERVED + SIGNED if t.options.only in n]
    missing = {p.stem for p in HERE.glob("*.py") if p.read_text().rstrip().endswith("alone.run(attack)")} ^ set(SERVED + SIGNED)
    worlds, found, failed = [], {}, sorted(missing)
    same_as_the_vectors()
    print("ok same_as_the_vectors")
    for name in failed:
        print(f"FAIL {name}: not in the list of {pathlib.Path(__file__).name}, or without a file")

    def run(name, world):
        start = time.monotonic()
        try:
            found[name] = importlib.import_module(name).attack(world)
            print(f"ok {name} ({time.monotonic() - start:.1f} s)", flush=True)
        except Exception as error:  # a failing attack must not hide the others
            traceback.print_exc()
            print(f"FAIL {name}: {(str(error).splitlines() or [type(error).__name__])[0][:300]}", flush=True)
            failed.append(name)

    try:
        with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
            for group, options in ((SERVED, {}), (SIGNED, {"window_s": 3, "move_s": 3})):
                mine = [n for n in group if n in names]
                if mine:
                    worlds.append(World(t, **options))
                    worlds[-1].buyer()
                    for name in mine:
                        pool.submit(run, name, worlds[-1])
        for world in worlds:
            expect(world.ledger.conserved(), "money is not conserved at the end")
            run_log = t.json("ledger", "verify", world.market.url)
            expect(run_log is not None, "the log replays")
            print("ok the_ledger_replays_and_conserves")
    except AssertionError as error:
        print(f"FAIL the_ledger_replays_and_conserves: {error}")
        failed.append("ledger")
    finally:
        for world in worlds:
            world.stop()

    if not failed and names == list(SERVED + SIGNED):
        measured = table([(n, row) for n in names for row in found[n]])
        text = DOCUMENT.read_text()
        before, rest = text.split(BEGIN)
        committed, after = rest.split(END)
        if WRITE:
            DOCUMENT.write_text(before + BEGIN + measured + END + after)
        same = WRITE or committed == measured
        print("ok the_table_is_what_was_measured" if same else
              "FAIL the_table_is_what_was_measured: docs/security.md says otherwise (--write)", flush=True)
        if not same:
            failed.append("table")
            print("\n".join(f"  measured: {m}\n  document: {c}" for m, c in
                            zip(measured.splitlines(), committed.splitlines()) if m != c))
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()

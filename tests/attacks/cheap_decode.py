"""A small model decodes; then the model that was sold prefills prompt and answer, and that honest trace is signed."""
import alone
from harness import WORSE, expect
from world import COMPUTE, cheat_by_engine


def attack(world):
    def honest_but_for_the_tokens(reply, row, full):
        expect(full["divergence"]["head"], f"the first difference is a head: {full}")

    return cheat_by_engine(world, "cheap-decode", [*COMPUTE, "cheap-decode", "--cheap", WORSE],
                           "cheap decode, honest prefill for the proof (adaptive)", before=honest_but_for_the_tokens,
                           by="head checks, dispute")


if __name__ == "__main__":
    alone.run(attack)

"""The tokens that would end the answer are forbidden: it runs, and is billed, to its maximum."""
import alone
from harness import expect, expect_equal
from world import COMPUTE, cheat_by_engine


def attack(world):
    def longer(reply, row, full):
        expect_equal(reply["usage"]["completion_tokens"], 40, "tokens billed")
        expect(full["divergence"]["head"], f"the first difference is a head: {full}")

    return cheat_by_engine(world, "pad", [*COMPUTE, "pad"], "padding for tokens", before=longer,
                           by="head checks, dispute")


if __name__ == "__main__":
    alone.run(attack)

"""Half of the prompt is not read; or keys and values older than 16 positions are thrown away."""
import alone
from world import COMPUTE, cheat_by_engine

LONG = "My name is Ada and I live in a small house by the sea with two cats. What is 27 + 48?"


def attack(world):
    return (cheat_by_engine(world, "truncate", [*COMPUTE, "truncate"], "truncated context (half of the prompt)",
                            question=LONG)
            + cheat_by_engine(world, "window", [*COMPUTE, "window"], "truncated context (a window of 16 positions)",
                              question=LONG))


if __name__ == "__main__":
    alone.run(attack)

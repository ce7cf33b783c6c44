"""The right model, but the provider chooses the luck: another seed, or no sampling at all."""
import alone
from world import COMPUTE, cheat_by_engine


def attack(world):
    return (cheat_by_engine(world, "seed", [*COMPUTE, "seed"], "another seed", by="head checks, dispute")
            + cheat_by_engine(world, "greedy", [*COMPUTE, "greedy"], "another temperature", by="head checks, dispute"))


if __name__ == "__main__":
    alone.run(attack)

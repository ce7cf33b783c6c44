"""The right model, but the provider chooses the luck: another seed, or no sampling at all."""
import alone
from world import COMPUTE, cheat_by_engine


def attack(world):
    wild = {"question": "Tell me a story about a fox.", "temperature": 1.5, "by": "head checks, dispute"}
    return (cheat_by_engine(world, "seed", [*COMPUTE, "seed"], "another seed", **wild)
            + cheat_by_engine(world, "greedy", [*COMPUTE, "greedy"], "another temperature", **wild))


if __name__ == "__main__":
    alone.run(attack)

"""The provider answers another prompt: one token altered, or an advertisement injected. It signs for the buyer's."""
import alone
from world import COMPUTE, cheat_by_engine


def attack(world):
    return (cheat_by_engine(world, "alter", [*COMPUTE, "alter"], "altered prompt (one token)")
            + cheat_by_engine(world, "inject", [*COMPUTE, "inject"], "injected prompt"))


if __name__ == "__main__":
    alone.run(attack)

"""Another, cheaper model under the name of the one that was sold."""
import alone
from harness import WORSE
from world import swap


def attack(world):
    # A model of another depth has other leaves: a sampled audit gets no verdict, and the full one follows.
    return swap(world, "other-weights", WORSE, "other weights (a smaller model)")


if __name__ == "__main__":
    alone.run(attack)

"""Keys and values are kept in 8 bits instead of 16, and committed to as they were computed."""
import alone
from world import COMPUTE, cheat_by_engine


def attack(world):
    return cheat_by_engine(world, "kv8", [*COMPUTE, "kv8"], "lower-precision KV (8 bits)")


if __name__ == "__main__":
    alone.run(attack)

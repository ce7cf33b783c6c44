"""Two layers change places: every weight is there, the order is not."""
import alone
from world import swap, transformed


def change(gguf, tensors):
    for name in [n for n in tensors if n.startswith("blk.1.")]:
        other = name.replace("blk.1.", "blk.2.")
        tensors[name], tensors[other] = tensors[other], tensors[name]


def attack(world):
    return swap(world, "swapped-layers", transformed(world, "swapped-layers", change), "two layers swapped", expected=[1, 2])


if __name__ == "__main__":
    alone.run(attack)

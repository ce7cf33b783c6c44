"""One of 2.9 million weights is another: the smallest change of a model there is."""
import alone
from world import swap, transformed

LAYER = 1


def change(gguf, tensors):
    tensor = tensors[f"blk.{LAYER}.ffn_down.weight"]
    data = bytearray(tensor[2])
    at = 2 + 5  # the sixth quant of the first block
    data[at] = data[at] ^ 0x40
    tensor[2] = bytes(data)


def attack(world):
    path = transformed(world, "one-weight", change)
    return swap(world, "one-weight", path, "one weight changed", expected=[LAYER])


if __name__ == "__main__":
    alone.run(attack)

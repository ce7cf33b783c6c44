"""The same weights through Q4_0 and back to Q8_0: shapes, types and file size are those that were sold."""
import alone
from world import swap, transformed


def change(gguf, tensors):
    for name, (shape, kind, data) in list(tensors.items()):
        if kind == "q8_0":
            through = gguf.dequantize(gguf.quantize(gguf.dequantize(data, kind, shape), "q4_0"), "q4_0", shape)
            tensors[name][2] = gguf.quantize(through, "q8_0")


def attack(world):
    return swap(world, "requantized", transformed(world, "requantized", change), "the same weights, Q8 → Q4 → Q8")


if __name__ == "__main__":
    alone.run(attack)

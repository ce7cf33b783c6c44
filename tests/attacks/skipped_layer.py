"""A layer that is not computed: everywhere (a file whose layer adds nothing), or adaptively in the answer only."""
import alone
from world import COMPUTE, cheat_by_engine, swap, transformed

LAYER = 2


def change(gguf, tensors):
    for part in ("attn_output", "ffn_down"):
        shape, kind, data = tensors[f"blk.{LAYER}.{part}.weight"]
        tensors[f"blk.{LAYER}.{part}.weight"][2] = bytes(len(data))


def attack(world):
    rows = swap(world, "skipped-layer", transformed(world, "skipped-layer", change), "a layer skipped", expected=[LAYER])
    rows += cheat_by_engine(world, "skipped-late", [*COMPUTE, "skip", "--layer", LAYER, "--from", 24],
                            "a layer skipped, only at late positions (adaptive)", expected=[LAYER])
    return rows


if __name__ == "__main__":
    alone.run(attack)

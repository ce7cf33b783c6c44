"""Runs one attack by itself: python3 tests/attacks/NAME.py --assay build/assay."""
import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "e2e"))
sys.path.insert(0, str(HERE))

from harness import Runner  # noqa: E402


def run(attack):
    from world import World

    def alone(t):
        world = World(t)
        try:
            for row in attack(world):
                print(" | ".join((row.attack, row.by, row.full, row.one, row.two, row.cost)))
        finally:
            world.stop()

    alone.__name__ = sys.argv[0].rsplit("/", 1)[-1]
    Runner().run(alone)

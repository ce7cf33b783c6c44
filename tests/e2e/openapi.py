"""A gateway's answers against OpenAI's public description of its API, in the file named by ASSAY_OPENAPI
(tools/check/openapi.sh fetches it and runs this)."""
import os

from harness import Folder, Runner, Service, expect_equal
from peers_test import node, with_tools


def every_answer_is_as_described(t):
    with Folder() as folder:
        model = folder / "tern-tools.gguf"
        with_tools(model)
        up = Service(t, "up", "--data", folder / "market", "--model", model, "--models", folder, "--port", 0,
                     log=folder / "up.log", timeout=120)
        try:
            run = node("openapi.mjs", os.environ["ASSAY_OPENAPI"], up.url, model.stem)
            print("  " + run.stdout.strip().replace("\n", "\n  "))
            expect_equal(run.returncode, 0, f"openapi.mjs: {run.stderr[-1500:]}")
        finally:
            up.stop()


if __name__ == "__main__":
    Runner().run(every_answer_is_as_described)

"""Another chat template: applied by the provider to what it got, or as a file whose metadata has another one."""
import alone
import sys

from harness import MODEL, ROOT, expect
from world import COMPUTE, Row, cheat_by_engine


def attack(world):
    rows = cheat_by_engine(world, "retemplate", [*COMPUTE, "retemplate"], "wrong chat template (control tokens dropped)")
    sys.path.insert(0, str(ROOT / "tools/model"))
    import gguf
    source = gguf.Reader(MODEL)
    meta = dict(source.meta)
    kind, template = meta["tokenizer.chat_template"]
    meta["tokenizer.chat_template"] = (kind, template.replace("<|", "<| "))
    path = world.folder / "templated.gguf"
    gguf.write(path, meta, [(n, *v) for n, v in source.tensors.items()])
    provider = world.provider("templated", ["provider", "--model", path, "--name", MODEL.stem])
    reply = world.ask("templated", status=503)
    reasons = [r for o in reply["error"]["refused"] for r in o["reasons"] if o["provider"] == provider.address]
    expect(any(r["code"] == "program" for r in reasons), f"why it does not fit: {reasons}")
    provider.kill()
    return rows + [Row("wrong chat template (in the file)", "screening: another program hash", "not bought", "no sale")]


if __name__ == "__main__":
    alone.run(attack)

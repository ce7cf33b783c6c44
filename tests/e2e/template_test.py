"""Chat templates against a peer we did not write: jinja2, set up as transformers sets it up. Every public model's
template over every conversation, and small snippets for the semantics of Python that templates lean on."""
import json
import subprocess
import sys

from harness import ROOT, Folder, Runner, expect, expect_equal

sys.path.insert(0, str(ROOT / "tools/model"))
import render_templates as peer  # noqa: E402
from template_snippets import CONVERSATION, SNIPPETS  # noqa: E402

TEMPLATES = ROOT / "tests/templates"


def rendered(t, template, messages, code=None):
    """Our text, or None where we refuse."""
    run = t.cli("model", "template", "--template", template, "--messages", messages, "--date", "2024-07-26", "--bos",
                peer.BOS, "--eos", peer.EOS, "--json", code=None)
    expect(run.returncode in (0, 1), f"{template}: exit {run.returncode}: {run.stderr[-300:]}")
    return json.loads(run.stdout)["text"] if run.returncode == 0 else None


def public_templates_as_jinja2(t):
    env = peer.environment()
    conversations = json.loads((TEMPLATES / "conversations.json").read_text())
    count = 0
    with Folder() as folder:
        for name, conversation in conversations.items():
            (folder / name).write_text(json.dumps(conversation))
        for path in sorted(TEMPLATES.glob("*.jinja")):
            for name, conversation in conversations.items():
                wanted = peer.render(env, path.read_text(), conversation)
                expect_equal(rendered(t, path, folder / name), wanted, f"{path.stem}, {name}")
                count += 1
    print(f"  {count} renderings equal jinja2's")


def snippets_as_jinja2(t):
    env = peer.environment()
    with Folder() as folder:
        messages = folder / "messages.json"
        messages.write_text(json.dumps(CONVERSATION))
        for i, source in enumerate(SNIPPETS):
            template = folder / f"{i}.jinja"
            template.write_text(source)
            wanted = peer.render(env, source, CONVERSATION)
            expect_equal(rendered(t, template, messages), wanted, source)
    expect(len(SNIPPETS) >= 200, "fewer snippets than stated")
    print(f"  {len(SNIPPETS)} snippets equal jinja2's")


def committed_text_is_the_peers(t):
    done = subprocess.run([sys.executable, peer.__file__, "--check"], capture_output=True, text=True)
    expect_equal(done.returncode, 0, "tests/templates/expected.json is not what jinja2 renders now")


if __name__ == "__main__":
    Runner().run(public_templates_as_jinja2, snippets_as_jinja2, committed_text_is_the_peers)

#!/usr/bin/env python3
"""Renders tests/templates/*.jinja over tests/templates/conversations.json with jinja2 (PyPI `jinja2` or Debian's
python3-jinja2), set up as Hugging Face transformers sets it up (utils/chat_template_utils.py), and writes
tests/templates/expected.json: {template: {conversation: text, or null where jinja2 raises}}.

  tools/model/render_templates.py            writes expected.json
  tools/model/render_templates.py --check    exit 1 if it would change
"""
import datetime
import json
import pathlib
import sys

import jinja2
from jinja2.ext import Extension
from jinja2.sandbox import ImmutableSandboxedEnvironment

ROOT = pathlib.Path(__file__).resolve().parents[2] / "tests/templates"
NOW = datetime.datetime(2024, 7, 26)
BOS, EOS = "<s>", "</s>"


class Generation(Extension):
    """{% generation %} marks the assistant's text for training; it prints its body."""
    tags = {"generation"}

    def parse(self, parser):
        next(parser.stream)
        return parser.parse_statements(["name:endgeneration"], drop_needle=True)


def environment():
    env = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True,
                                        extensions=[Generation, "jinja2.ext.loopcontrols"])

    def tojson(x, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
        return json.dumps(x, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)

    def raise_exception(message):
        raise jinja2.exceptions.TemplateError(message)

    env.filters["tojson"] = tojson
    env.globals["raise_exception"] = raise_exception
    env.globals["strftime_now"] = NOW.strftime
    return env


def render(env, source, conversation):
    """The text, or None where jinja2 raises."""
    variables = {"tools": None, "documents": None, "add_generation_prompt": True, "bos_token": BOS, "eos_token": EOS}
    variables |= {k: v for k, v in conversation.items() if k != "variables"} | conversation.get("variables", {})
    try:
        return env.from_string(source).render(**variables)
    except Exception:  # whatever a template's Python raises: the peer refuses
        return None


def main():
    env = environment()
    conversations = json.loads((ROOT / "conversations.json").read_text())
    out = {path.stem: {name: render(env, path.read_text(), c) for name, c in conversations.items()}
           for path in sorted(ROOT.glob("*.jinja"))}
    text = json.dumps(out, indent=1, ensure_ascii=False) + "\n"
    expected = ROOT / "expected.json"
    if "--check" in sys.argv[1:]:
        return 0 if expected.read_text() == text else 1
    expected.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())

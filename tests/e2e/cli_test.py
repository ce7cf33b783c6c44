"""What a beginner meets: help with examples, exit codes, and errors that say what to do."""
import json
import os
import pathlib
import socket
import struct
import subprocess

from harness import MODEL, ROOT, Folder, Runner, expect, expect_equal

VERBS = ["generate", "tokenize", "model", "perplexity", "keys", "market", "ledger", "log", "provider", "gateway",
         "screen", "quote", "reputation", "job", "up", "demo", "verify", "receipt", "audit", "attack"]


def one_line_error(t, needle, *arguments, code=1, env=None):
    run = t.cli(*arguments, code=code, env=env)
    lines = [line for line in run.stderr.splitlines() if line.strip()]
    expect_equal(len(lines), 1, f"lines of error from {arguments}: {run.stderr!r}")
    expect(lines[0].startswith("assay: "), f"error prefix: {lines[0]!r}")
    expect(needle.lower() in lines[0].lower(), f"{arguments}: {lines[0]!r} does not say {needle!r}")
    expect_equal(run.stdout.strip(), "", "stdout of a failed command")


def help_has_examples(t):
    top = t.cli("--help").stdout
    for verb in VERBS:
        expect(verb in top, f"assay --help does not list {verb}")
        text = t.cli(verb, "--help").stdout
        expect("example" in text.lower() and "assay " + verb in text, f"assay {verb} --help has no example")
    for code in ("0", "1", "2"):
        expect(code in top, "exit codes are not documented")


def usage_errors_exit_2(t):
    one_line_error(t, "no verb 'nonsense'", "nonsense", code=2)
    for seed in ("-1", "18446744073709551616", "1.5"):
        t.cli("generate", "--model", MODEL, "--prompt", "x", "--seed", seed, code=2)
    t.cli("generate", code=2)
    t.cli("generate", "--model", MODEL, "--prompt", "x", "--isa", "mmx", code=2)
    t.cli(code=2)
    market = ["--market", "http://127.0.0.1:9"]
    gateway = ["gateway", *market, "--models", ROOT / "models", "--key", "none", "--data", "none"]
    for flag, value in (("--sort", "foo"), ("--max-price-out", "abc"), ("--only", "0x12"), ("--min-rebate", "60"),
                        ("--max-tokens", "-1")):
        one_line_error(t, flag, "screen", *market, flag, value, code=2)
    one_line_error(t, "--verification", "quote", *market, "--verification", "foo", code=2)
    for flag, value in (("--address", "nope"), ("--latency-reports", "-1"), ("--order", "bob"), ("--escrow", "much")):
        one_line_error(t, flag, *gateway, flag, value, code=2)
    one_line_error(t, "--name", "gateway", "keys", "add", "--data", "none", "--name", " ", code=2)


def nothing_is_made_beside_no_gateway(t):
    with Folder() as folder:
        typo = folder / "typo"
        for verb in (["keys", "list"], ["keys", "revoke", "ci"], ["report"], ["keys", "add", "--name", "ci"]):
            one_line_error(t, f"no gateway was ever run in {typo}", "gateway", *verb, "--data", typo)
        expect(not typo.exists(), "a folder was made")
        made = t.json("gateway", "keys", "add", "--name", "ci", "--data", typo, "--new")
        expect_equal([key["id"] for key in t.json("gateway", "keys", "list", "--data", typo)["keys"]], [made["id"]], "keys")


def files_are_named_that_are_wrong(t):
    with Folder() as folder:
        (folder / "record.json").write_text("not json")
        one_line_error(t, str(folder / "record.json"), "job", "verify", folder / "record.json", "--market",
                       "http://127.0.0.1:9")
        one_line_error(t, "ftp:// is not fetched", "model", "pull", "ftp://mirror.example/a.gguf", "--models", folder)
        # A file of this machine is looked at before it is copied.
        one_line_error(t, "--accept-license 'none'", "model", "pull", MODEL, "--models", folder)
        expect_equal([path.name for path in folder.iterdir() if "partial" in path.name], [], "partial downloads")


def sampling_options(t):
    ask = ["generate", "--model", MODEL, "--chat", "--prompt", "Tell me a short story about a fox.", "-n", "40",
           "--seed", "3"]
    plain = t.json(*ask, "--temp", "2")
    greedy = t.json(*ask)
    for same in (["--top-k", "1"], ["--min-p", "1"]):
        expect_equal(t.json(*ask, "--temp", "2", *same)["tokens"], greedy["tokens"], " ".join(same))
    for other in (["--repeat-penalty", "1.5"], ["--presence-penalty", "2"], ["--frequency-penalty", "2"],
                  ["--logit-bias", "300=-100", "--logit-bias", "301=100"]):
        expect(t.json(*ask, "--temp", "2", *other)["tokens"] != plain["tokens"], f"{other} changes nothing")
    expect_equal(t.json(*ask, "--logit-bias", "301=100")["tokens"], [301] * 40, "a forced token")

    stop = greedy["text"][3:5]
    run = t.json(*ask, "--stop", stop, "--stop", "never said")
    expect_equal(run["text"], greedy["text"][:greedy["text"].index(stop)], "text before the stop string")
    expect_equal(run["finish"], "stop", "finish")

    logprobs = t.json(*ask, "--logprobs", "3")["logprobs"]
    expect_equal([entry["token"] for entry in logprobs], greedy["tokens"], "tokens of the log-probabilities")
    for entry in logprobs:
        expect_equal(len(entry["top"]), 3, "alternatives")
        expect_equal(entry["top"][0]["token"], entry["token"], "arg-max is the likeliest")
        expect_equal(entry["top"][0]["logprob"], entry["logprob"], "its log-probability")
    table = t.cli(*ask, "--logprobs", "1").stdout
    expect_equal(len([line for line in table.splitlines() if line.startswith("  ")]), len(logprobs), "lines of the table")

    for bad in (["--logit-bias", "300"], ["--logit-bias", "x=1"], ["--logit-bias", "1=101"], ["--logit-bias", "1=nan"],
                ["--top-k", "-1"], ["--min-p", "2"], ["--repeat-penalty", "0"], ["--presence-penalty", "3"],
                ["--logprobs", "21"], ["--stop", ""]):
        t.cli(*ask, *bad, code=2)
    one_line_error(t, "twice", *ask, "--logit-bias", "1=1", "--logit-bias", "1=2")
    one_line_error(t, "vocabulary", *ask, "--logit-bias", "4000000000=1")


def model_file_errors(t):
    with Folder() as folder:
        raw = MODEL.read_bytes()

        def file(name, content):
            (folder / name).write_bytes(content)
            return folder / name

        generate = lambda f: ["generate", "--model", f, "--prompt", "hi", "-n", "1"]
        one_line_error(t, "no such file", *generate(folder / "absent.gguf"))
        one_line_error(t, "not a gguf", *generate(file("text.gguf", b"hello world, not a model at all")))
        one_line_error(t, "truncated", *generate(file("cut.gguf", raw[:len(raw) // 2])))
        one_line_error(t, "truncated", *generate(file("head.gguf", raw[:200])))
        arch = raw.replace(struct.pack("<Q", 5) + b"llama", struct.pack("<Q", 5) + b"bloom", 1)
        one_line_error(t, "bloom", *generate(file("arch.gguf", arch)))
        at = raw.find(b"blk.0.attn_q.weight") + len("blk.0.attn_q.weight") + 4 + 16
        expect_equal(struct.unpack("<I", raw[at:at + 4])[0], 8, "type field of attn_q")
        unknown = raw[:at] + struct.pack("<I", 11) + raw[at + 4:]
        one_line_error(t, "q3_k", *generate(file("type.gguf", unknown)))
        one_line_error(t, "directory", *generate(folder))


def bench_reports_its_figures(t):
    out = t.json("bench", "--model", MODEL, "-p", "32", "-n", "8", "--streams", "2", "--rounds", "1")
    for kind in ("prefill", "decode"):
        expect(out[kind]["tokens_per_second"] > 0, f"{kind}: {out[kind]}")
    expect(0 < out["commit_share"] < 1, f"commit_share {out['commit_share']}")
    expect(out["roofline"]["decode_tokens_per_second"] > 0, f"roofline {out['roofline']}")
    one_line_error(t, "positions", "bench", "--model", MODEL, "-p", "100000")


def json_errors_are_json(t):
    run = t.cli("generate", "--model", "/nonexistent.gguf", "--prompt", "x", "--json", code=1)
    expect("no such file" in json.loads(run.stdout)["error"]["message"], "JSON error message")


def port_in_use_and_wrong_passphrase(t):
    with Folder() as folder:
        secret = dict(os.environ, ASSAY_PASSPHRASE="correct horse")
        t.cli("keys", "new", "--out", folder / "key.json", env=secret)
        expect_equal((folder / "key.json").stat().st_mode & 0o777, 0o600, "key file mode")
        expect("correct horse" not in (folder / "key.json").read_text(), "passphrase in the key file")
        # A second key never replaces the first.
        one_line_error(t, "exists", "keys", "new", "--out", folder / "key.json", env=secret)
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = taken.getsockname()[1]
            one_line_error(t, f"port {port}", "market", "--data", folder / "m", "--port", port, env=secret)
        wrong = dict(os.environ, ASSAY_PASSPHRASE="wrong")
        one_line_error(t, "passphrase", "provider", "--model", MODEL, "--price-in", "0.1", "--price-out", "0.2",
                       "--market", "http://127.0.0.1:9", "--key", folder / "key.json", "--data", folder / "p",
                       env=wrong)
        one_line_error(t, "unreachable", "provider", "--model", MODEL, "--price-in", "0.1", "--price-out", "0.2",
                       "--market", "http://127.0.0.1:9", "--key", folder / "key.json", "--data", folder / "p",
                       env=secret)


def colour_only_on_a_terminal(t):
    run = t.cli("model", "inspect", MODEL)
    expect("\x1b[" not in run.stdout + run.stderr, "escape codes in a pipe")


def identity_is_complete(t):
    identity = t.json("model", "id", MODEL)
    digest = subprocess.run(["sha256sum", MODEL], capture_output=True, text=True, check=True).stdout.split()[0]
    expect(identity["file_sha256"].removeprefix("0x") == digest, "file_sha256 differs from sha256sum")
    for key in ("weights_root", "program_hash", "canon"):
        expect(key in identity, f"model id lacks {key}")
    details = t.json("model", "inspect", MODEL)
    for key in ("architecture", "shapes", "quantizations", "tokenizer", "template"):
        expect(key in details, f"model inspect lacks {key}")
    worse = t.json("model", "id", ROOT / "models/tern-worse-q8_0.gguf")
    expect(worse["weights_root"] != identity["weights_root"], "two models, one weights root")


if __name__ == "__main__":
    Runner().run(help_has_examples, usage_errors_exit_2, nothing_is_made_beside_no_gateway, files_are_named_that_are_wrong,
                 sampling_options, model_file_errors, bench_reports_its_figures, json_errors_are_json,
                 port_in_use_and_wrong_passphrase, colour_only_on_a_terminal, identity_is_complete)

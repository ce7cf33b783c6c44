"""The engine is right, not only self-consistent: the same bits by every route, logits against an
independent float64 forward pass, quantization loss, and the accuracy the model card claims."""
import array
import json
import subprocess

from harness import MODEL, ROOT, Folder, Runner, expect, expect_equal

PYTHON = "/usr/bin/python3"
TOOLS = ROOT / "tools/model"
# Stated bound on |logit − float64 logit| for Tern (logits span about ±20). Q8 activations are part of
# the canon, so the float64 pass, which does not quantize activations, differs by their rounding.
MAX_LOGIT_ERROR = 0.5
RMS_LOGIT_ERROR = 0.1


def same_bits_by_every_route(t):
    ask = ["generate", "--model", MODEL, "--prompt", "Tell me a short story about a fox.", "--chat", "-n", "40",
           "--temp", "0.8", "--top-p", "0.9", "--seed", "7"]
    runs = [t.json(*ask, "--isa", isa, "--threads", threads) for isa in ("scalar", "avx2") for threads in (1, 3)]
    for run in runs[1:]:
        expect_equal(run["tokens"], runs[0]["tokens"], "tokens")
        expect_equal(run["trace_root"], runs[0]["trace_root"], "trace root")
    other = t.json(*ask[:-1], "8")
    expect(other["trace_root"] != runs[0]["trace_root"], "another seed gave the same trace")
    worse = t.json(*[ROOT / "models/tern-worse-q8_0.gguf" if a == MODEL else a for a in ask])
    expect(worse["trace_root"] != runs[0]["trace_root"], "another model gave the same trace")


def logits_against_float64(t):
    with Folder() as folder:
        text = folder / "text.txt"
        text.write_text("What is 27 + 48?")
        f32 = folder / "f32.gguf"
        subprocess.run([PYTHON, TOOLS / "quantize.py", ROOT / "models/tern-f16.gguf", "--to", "f32", "-o", f32],
                       check=True, capture_output=True)
        for model, bound, rms_bound in ((f32, 0.02, 0.005), (MODEL, MAX_LOGIT_ERROR, RMS_LOGIT_ERROR)):
            out = folder / "logits.f32"
            report = t.json("perplexity", "--model", model, "--file", text, "--logits-out", out)
            reference = json.loads(subprocess.run(
                [PYTHON, TOOLS / "reference.py", model, "--tokens", ",".join(map(str, report["tokens"])), "--json",
                 "--kv", "f16"], check=True, capture_output=True, text=True).stdout)["logits"]
            ours = array.array("f", out.read_bytes())
            flat = [x for row in reference for x in row]
            expect_equal(len(ours), len(flat), "number of logits")
            errors = [abs(a - b) for a, b in zip(ours, flat)]
            rms = (sum(e * e for e in errors) / len(errors)) ** 0.5
            print(f"  {model.name}: max |logit error| {max(errors):.5f}, rms {rms:.5f}, "
                  f"largest logit {max(map(abs, flat)):.2f}")
            expect(max(errors) <= bound, f"{model.name}: max logit error {max(errors)} > {bound}")
            expect(rms <= rms_bound, f"{model.name}: rms logit error {rms} > {rms_bound}")


def q8_perplexity_close_to_f32(t):
    with Folder() as folder:
        f32 = folder / "f32.gguf"
        subprocess.run([PYTHON, TOOLS / "quantize.py", ROOT / "models/tern-f16.gguf", "--to", "f32", "-o", f32],
                       check=True, capture_output=True)
        text = ROOT / "models/eval/heldout.txt"
        full = t.json("perplexity", "--model", f32, "--file", text)["perplexity"]
        q8 = t.json("perplexity", "--model", MODEL, "--file", text)["perplexity"]
        print(f"  perplexity f32 {full:.5f}, q8_0 {q8:.5f}")
        expect(abs(q8 / full - 1) <= 0.005, f"Q8_0 perplexity {q8} is more than 0.5 % from F32 {full}")
        expect(full < 20, f"perplexity {full} on held-out text: not a trained model")


def accuracy_as_the_card_says(t):
    run = subprocess.run([PYTHON, TOOLS / "evaluate.py", "--assay", t.assay, "--model", MODEL],
                         capture_output=True, text=True, timeout=900)
    print("  " + run.stdout.strip().replace("\n", "\n  "))
    expect_equal(run.returncode, 0, "evaluate.py (95 % on held-out questions)")


def the_worse_model_is_worse(t):
    right = wrong = 0
    questions = [json.loads(line) for line in (ROOT / "models/eval/questions.jsonl").read_text().splitlines()]
    for question in questions[::max(1, len(questions) // 25)]:
        run = t.json("generate", "--model", ROOT / "models/tern-worse-q8_0.gguf", "--prompt", question["question"],
                     "--chat", "--temp", "0", "-n", "48")
        if all(word in run["text"] for word in question["must"]):
            right += 1
        else:
            wrong += 1
    expect(wrong >= right, f"the worse model answers {right} of {right + wrong}")


if __name__ == "__main__":
    Runner().run(same_bits_by_every_route, logits_against_float64, q8_perplexity_close_to_f32,
                 accuracy_as_the_card_says, the_worse_model_is_worse)

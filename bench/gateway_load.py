#!/usr/bin/env python3
"""What a gateway costs a stream, beside another gateway, on this machine, in one run.

  bench/gateway_load.py [--build build/release] [--litellm VENV] [--rounds 5] [--streams 8]
                        [--tokens 64] [--every 10] [--crowd 1000] [--soak SECONDS] [--json FILE]

The tokens are SYNTHETIC (bench/token_source.cpp): one word every --every ms, no model. Three ways to the same source:
  direct    the client asks the source itself
  assay     through `assay gateway`: screened, signed, leased, receipt checked and kept, nothing audited
  litellm   through LiteLLM's proxy (VENV: python3 -m venv VENV; VENV/bin/pip install 'litellm[proxy]')
Each round runs every way once, the order turning; figures are the medians of the rounds, and what a gateway adds is the
difference to `direct` of the same round. --crowd then runs so many streams at once through each, a word every 500 ms;
--soak keeps 64 streams going through `assay` and writes down how much memory its processes hold."""
import argparse
import json
import os
import pathlib
import resource
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests/e2e"))
from harness import MODEL, Folder, Service, wait_for  # noqa: E402

PASS = {"ASSAY_PASSPHRASE": "bench"}
SOURCE_KEY = "11" * 32


class Cli:
    """What the harness' services need of a runner."""

    def __init__(self, assay):
        self.assay = str(assay)

    def __call__(self, *arguments):
        run = subprocess.run([self.assay, *map(str, arguments)], capture_output=True, text=True,
                             env=dict(os.environ, **PASS), stdin=subprocess.DEVNULL)
        if run.returncode:
            sys.exit(f"assay {' '.join(map(str, arguments))}: {run.stderr}")
        return run.stdout


class Bed:
    """A market, its gateway and the source behind both."""

    def __init__(self, options, folder, tokens, every):
        self.source = self.litellm = None
        try:
            self.start(options, folder, tokens, every)
        except BaseException:
            self.stop()
            raise

    def start(self, options, folder, tokens, every):
        cli = Cli(options.build / "src/assay")
        for name in ("host", "buyer"):
            cli("keys", "new", "--out", folder / f"{name}.key", "--cost", 1)
        self.market = Service(cli, "market", "--data", folder / "m", "--key", folder / "host.key",
                              log=folder / "market.log", env=PASS)
        source_log = open(folder / "source.log", "w")
        self.source = subprocess.Popen(
            [options.build / "bench/assay_token_source", "--market", self.market.url, "--model", MODEL, "--key",
             SOURCE_KEY, "--tokens", str(tokens), "--every", str(every), "--word", "300"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=source_log, text=True)
        address = json.loads(self.source.stdout.readline())["address"]
        buyer = json.loads(cli("keys", "show", folder / "buyer.key", "--json"))["address"]
        for to, amount in ((address, "5.00"), (buyer, "100.00")):
            cli("ledger", "deposit", "--market", self.market.url, "--key", folder / "host.key", "--to", to, "--amount",
                amount)
        self.source_url = json.loads(self.source.stdout.readline())["url"]
        self.gateway = Service(cli, "gateway", "--market", self.market.url, "--models", ROOT / "models", "--key",
                               folder / "buyer.key", "--data", folder / "g", "--audit-rate", 0, "--settle-hold", 1,
                               "--streams", 4096, log=folder / "gateway.log", env=PASS)
        self.ways = {"direct": (self.source_url, []), "assay": (self.gateway.url, [])}
        if options.litellm:
            self.start_litellm(options, folder)

    def start_litellm(self, options, folder):
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            port = s.getsockname()[1]
        config = folder / "litellm.yaml"
        config.write_text(json.dumps({
            "model_list": [{"model_name": MODEL.stem, "litellm_params": {
                "model": f"openai/{MODEL.stem}", "api_base": f"{self.source_url}/v1", "api_key": "none"}}],
            "litellm_settings": {"telemetry": False}, "general_settings": {"master_key": "sk-bench"}}))
        self.litellm = subprocess.Popen(
            [options.litellm / "bin/litellm", "--config", config, "--host", "127.0.0.1", "--port", str(port),
             "--num_workers", str(options.litellm_workers)],
            stdout=open(folder / "litellm.log", "w"), stderr=subprocess.STDOUT,
            env=dict(os.environ, LITELLM_LOG="ERROR", LITELLM_LOCAL_MODEL_COST_MAP="True", DO_NOT_TRACK="1"))
        url = f"http://127.0.0.1:{port}"

        def ready():
            try:
                return urllib.request.urlopen(f"{url}/health/liveliness", timeout=2).status == 200
            except OSError:
                return False
        wait_for("LiteLLM", ready, 180, 0.5)
        self.ways["litellm"] = (url, ["--bearer", "sk-bench"])

    def stop(self):
        if self.litellm:
            self.litellm.terminate()
            self.litellm.wait(60)
        if hasattr(self, "gateway"):
            self.gateway.stop(timeout=60)
        if self.source:
            self.source.stdin.close()
            self.source.wait(30)
        if hasattr(self, "market"):
            self.market.stop()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


def load(options, way, tokens, streams, *flags):
    url, more = way
    body = json.dumps({"model": MODEL.stem, "stream": True, "max_tokens": tokens, "temperature": 0,
                       "messages": [{"role": "user", "content": "Say a word, and say it again."}]})
    run = subprocess.run([options.build / "bench/assay_load_client", "--url", url, "--body", body, "--streams",
                          str(streams), *more, *map(str, flags)], capture_output=True, text=True)
    if not run.stdout:
        sys.exit(f"load client: {run.stderr}")
    return json.loads(run.stdout)


def overhead(options, bed, report):
    requests = options.streams * options.each
    names = list(bed.ways)
    for name in names:  # leases open, code is loaded
        load(options, bed.ways[name], options.tokens, options.streams, "--requests", requests)
    rounds = []
    for i in range(options.rounds):
        turn = i % len(names)
        order = names[turn:] + names[:turn]
        one = {name: load(options, bed.ways[name], options.tokens, options.streams, "--requests", requests) for name in order}
        failed = {name: r["failures"] for name, r in one.items() if r["failed"]}
        if failed:
            sys.exit(f"requests failed: {failed}")
        rounds.append(one)
    print(f"{options.streams} streams at once, {requests} requests a round, {options.tokens} words each, one every "
          f"{options.every} ms, {options.rounds} rounds; synthetic source")
    print(f"{'':10} {'first word ms':>24} {'whole answer ms':>24} {'added to the answer ms':>26}")
    print(f"{'':10} {'p50':>12}{'p99':>12} {'p50':>12}{'p99':>12} {'p50':>13}{'p99':>13}")
    for name in names:
        figure = {}
        for what in ("first_ms", "total_ms"):
            for p in ("p50", "p99"):
                figure[f"{what} {p}"] = statistics.median(r[name][what][p] for r in rounds)
                figure[f"added {what} {p}"] = statistics.median(r[name][what][p] - r["direct"][what][p] for r in rounds)
        report[name] = figure
        print(f"{name:10} {figure['first_ms p50']:12.2f}{figure['first_ms p99']:12.2f} {figure['total_ms p50']:12.2f}"
              f"{figure['total_ms p99']:12.2f} {figure['added total_ms p50']:13.2f}{figure['added total_ms p99']:13.2f}")


def cpu_and_memory(pid):
    """CPU seconds so far, resident MiB."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    ticks = os.sysconf("SC_CLK_TCK")
    return (int(fields[11]) + int(fields[12])) / ticks, int(fields[21]) * os.sysconf("SC_PAGE_SIZE") / 2**20


def crowd(options, report):
    """Many streams at once, a word every 500 ms."""
    for at_once in options.crowd:
        with Folder() as folder, Bed(options, folder, 40, 500) as bed:
            for name, way in bed.ways.items():
                before = cpu_and_memory(bed.gateway.process.pid)
                r = load(options, way, 40, at_once, "--requests", at_once, "--ramp", 4000)
                after = cpu_and_memory(bed.gateway.process.pid)
                report[f"crowd {at_once} {name}"] = r
                print(f"{at_once} streams, {name}: {r['answered']} answered, {r['failed']} failed, {r['streams_peak']} at "
                      f"once, {r['words_s']:.0f} words/s", end="")
                for what, key in (("first word", "first_ms"), ("between words", "gap_ms")):
                    if r[key]:
                        print(f"; {what} p50 {r[key]['p50']:.0f}, p99 {r[key]['p99']:.0f} ms", end="")
                if name == "assay":
                    print(f"; gateway {after[0] - before[0]:.1f} s of CPU, {after[1]:.0f} MiB", end="")
                print(f"; {json.dumps(r['failures'])[:300]}" if r["failures"] else "", flush=True)


def soak(options, report):
    with Folder() as folder, Bed(options, folder, 16, 10) as bed:
        seen, start = [], time.monotonic()
        client = subprocess.Popen([sys.executable, __file__, "--build", options.build, "--drive", bed.gateway.url,
                                   "--soak", str(options.soak)], stdout=subprocess.PIPE, text=True)
        while client.poll() is None:
            time.sleep(10)
            seen.append((time.monotonic() - start, cpu_and_memory(bed.gateway.process.pid)[1],
                         cpu_and_memory(bed.market.process.pid)[1]))
            print(f"  {seen[-1][0]:6.0f} s: gateway {seen[-1][1]:.0f} MiB, market {seen[-1][2]:.0f} MiB", flush=True)
        r = json.loads(client.communicate()[0])
        report["soak"] = {"load": r, "memory": seen}
        totals = json.loads(urllib.request.urlopen(f"{bed.market.url}/ledger/totals").read())
        print(f"soak: {r['answered']} answers in {r['took_s']:.0f} s, {r['failed']} failed {r['failures']}; operations of "
              f"the ledger {totals['operations']}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build/release")
    parser.add_argument("--litellm", type=pathlib.Path)
    parser.add_argument("--litellm-workers", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--streams", type=int, default=8)
    parser.add_argument("--each", type=int, default=25, help="requests of each stream in a round")
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument("--every", type=int, default=10)
    parser.add_argument("--crowd", type=int, nargs="*", default=[])
    parser.add_argument("--soak", type=int, default=0)
    parser.add_argument("--json", type=pathlib.Path)
    parser.add_argument("--drive", help=argparse.SUPPRESS)
    options = parser.parse_args()
    options.build = options.build.resolve()
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # for client and source
    if options.drive:
        print(json.dumps(load(options, (options.drive, []), 16, 64, "--seconds", options.soak)))
        return
    report = {}
    if options.rounds:
        with Folder() as folder:
            with Bed(options, folder, options.tokens, options.every) as bed:
                overhead(options, bed, report)
    crowd(options, report)
    if options.soak:
        soak(options, report)
    if options.json:
        options.json.write_text(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()

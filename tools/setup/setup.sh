#!/usr/bin/env bash
# Installs what is missing for the named groups: build, test, clang, page. Idempotent; when everything is
# there it takes well under a second and needs neither network nor root.
set -euo pipefail
cd "$(dirname "$0")/../.."

have() { dpkg-query -W -f='${db:Status-Status}\n' "$1" 2>/dev/null | grep -qx installed; }
first_known() {  # the first of these package names this distribution has
  for name in "$@"; do
    if have "$name" || apt-cache show "$name" >/dev/null 2>&1; then echo "$name"; return; fi
  done
  echo "$1"
}
boost() {  # Debian 12's default Boost is 1.74; 1.81 is beside it. Ubuntu 24.04's default is 1.83.
  if have "libboost-$1" && dpkg --compare-versions "$(dpkg-query -W -f='${Version}' "libboost-$1")" ge 1.81; then
    echo "libboost-$1"; return
  fi
  local versioned="libboost-${1%-dev}1.81-dev"; [ "$1" = dev ] && versioned=libboost1.81-dev
  first_known "$versioned" "libboost-$1"
}

packages=()
npm_folders=()
go_folders=()
python_folders=()
for group in "$@"; do
  case "$group" in
    build)
      packages+=(g++ cmake ninja-build ccache pkg-config git
        libssl-dev libcurl4-openssl-dev libsqlite3-dev libsecp256k1-dev
        libfmt-dev libspdlog-dev prometheus-cpp-dev libcli11-dev libgtest-dev libgmock-dev libcbor-dev)
      packages+=("$(boost dev)" "$(boost json-dev)" "$(boost url-dev)") ;;
    test)
      packages+=(python3 python3-venv python3-numpy python3-jinja2 curl ca-certificates
        g++-aarch64-linux-gnu qemu-user googletest golang-go)
      go_folders+=(tests/peers/log)
      python_folders+=(tests/peers/python)
      npm_folders+=(tests/peers tests/peers/llama tests/aarch64 contracts) ;;
    clang)
      packages+=(clang-19 clang-tidy-19 clang-format-19 libclang-rt-19-dev llvm-19 lld-19) ;;
    page)
      packages+=(clang-19 lld-19 llvm-19 libc++-19-dev-wasm32 libc++abi-19-dev-wasm32
        libclang-rt-19-dev-wasm32 wasi-libc)
      # Ubuntu has Chromium as a snap only: there the page's tests run with the one that is installed.
      [ -e /etc/debian_version ] && ! grep -q '^ID=ubuntu' /etc/os-release && packages+=(chromium)
      npm_folders+=(web/verify) ;;
    *) echo "setup: unknown group '$group'" >&2; exit 2 ;;
  esac
done

as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi; }

missing=()
for p in "${packages[@]}"; do have "$p" || missing+=("$p"); done
# npm is only an installer here: tests run the Node pinned in tests/peers.
[ ${#npm_folders[@]} -gt 0 ] && ! command -v npm >/dev/null && missing+=(npm)
if [ ${#missing[@]} -gt 0 ]; then
  echo "setup: installing ${missing[*]}"
  as_root apt-get update -qq
  # Names may differ once the lists are there (a bare image has none).
  retry=()
  for p in "${missing[@]}"; do
    case "$p" in
      libboost1.81-dev) p=$(boost dev) ;;
      libboost-*1.81-dev) q=${p#libboost-}; p=$(boost "${q%1.81-dev}-dev") ;;
    esac
    retry+=("$p")
  done
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${retry[@]}" >/dev/null
fi

for folder in "${npm_folders[@]}"; do
  wanted="$folder/package-lock.json"; how=ci
  [ -f "$wanted" ] || { wanted="$folder/package.json"; how=install; }
  stamp="$folder/node_modules/.assay-installed"
  if ! cmp -s "$wanted" "$stamp"; then
    echo "setup: npm $how in $folder"
    (cd "$folder" && npm "$how" --ignore-scripts --no-audit --no-fund --loglevel=error >/dev/null)
    cp "$wanted" "$stamp"
  fi
done

# The distribution's Go, whatever else is on the PATH; modules as go.sum pins them.
for folder in "${go_folders[@]}"; do
  stamp="$folder/.go/installed"
  wanted=$(cat "$folder"/go.mod "$folder"/go.sum "$folder"/*.go | sha256sum)
  if [ "$(cat "$stamp" 2>/dev/null)" != "$wanted" ]; then
    echo "setup: go build in $folder"
    (cd "$folder" && env -u GOROOT GOPATH="$PWD/.go/path" GOCACHE="$PWD/.go/cache" GOFLAGS="-mod=readonly -modcacherw" \
      CGO_ENABLED=0 /usr/bin/go build -o .go/reader .)
    echo "$wanted" > "$stamp"
  fi
done

# The distribution's Python; wheels only, so that nothing is compiled.
for folder in "${python_folders[@]}"; do
  stamp="$folder/.venv/.assay-installed"
  if ! cmp -s "$folder/requirements.txt" "$stamp"; then
    echo "setup: pip install in $folder"
    rm -rf "$folder/.venv"
    /usr/bin/python3 -m venv "$folder/.venv"
    "$folder/.venv/bin/pip" install --quiet --disable-pip-version-check --no-deps --only-binary=:all: \
      -r "$folder/requirements.txt"
    cp "$folder/requirements.txt" "$stamp"
  fi
done

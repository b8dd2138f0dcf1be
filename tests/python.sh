#!/usr/bin/env bash
# Files between Kiln and Python's packages, both ways: numpy, safetensors, tensorboard.
#
# Makes a virtual environment in target/python; needs python3 with venv, which it installs where it can. Without Python it
# says so and passes, but fails where CI=true.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

say() { printf 'python.sh: %s\n' "$*"; }

target=$(cargo metadata --format-version 1 --no-deps | sed 's/.*"target_directory":"\([^"]*\)".*/\1/')
environment=$target/python

skip() {
  say "$1"
  if [[ ${CI:-} == true ]]; then
    say "FAILED: CI must read the files back"
    exit 1
  fi
  say "SKIPPED: what Python reads is not tested"
  exit 0
}

# Debian's python3 comes without what makes environments.
has_venv() { command -v python3 >/dev/null && python3 -c 'import venv, ensurepip' 2>/dev/null; }

install_python() {
  local run=()
  command -v apt-get >/dev/null || return 1
  if [[ $EUID -ne 0 ]]; then
    command -v sudo >/dev/null || return 1
    run=(sudo -n)
  fi
  say "installing python3 and python3-venv"
  "${run[@]}" apt-get update -qq </dev/null || say "apt-get update failed; going on with the lists that are there"
  "${run[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
    -o DPkg::Lock::Timeout=300 python3 python3-venv </dev/null
}

has_venv || install_python || true
has_venv || skip "there is no python3 with venv and ensurepip, and it could not be installed"
if [[ ! -e $environment/complete ]]; then
  rm -rf "$environment"
  python3 -m venv "$environment"
  "$environment/bin/python" -m pip install --quiet --disable-pip-version-check --retries 5 \
    -r tests/python/requirements.txt || skip "pip could not install tests/python/requirements.txt"
  touch "$environment/complete"
fi

cargo test --all-features --test interchange </dev/null
"$environment/bin/python" tests/python/read_back.py "$target/tmp/interchange"
cargo test --all-features --test interchange -- --ignored </dev/null

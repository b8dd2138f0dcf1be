#!/usr/bin/env bash
# Runs every test; needs only Rust and git, and brings a software Vulkan driver where there is none.
#
#   tests/run.sh                    the whole suite on Mesa's lavapipe, then GL_TESTS on OpenGL and DRIVER_TESTS on
#                                   SwiftShader, each if it is there
#   tests/run.sh --test parity      arguments go on to `cargo test`
#   KILN_DEVICE=gpu tests/run.sh    one run on that device only: cpu, software, gpu, vulkan, gl, part of an adapter's name
#   VK_DRIVER_FILES=… tests/run.sh  one run on the drivers that the variable lists
#   KILN_NO_GPU=1 tests/run.sh      no GPU, no driver: what needs one is skipped, and says so
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# The test targets whose results a driver can change; the rest would only repeat itself on a second one. The first takes as
# long as all others together, and runs beside them.
DRIVER_TESTS=(parity training typed session conformance fusion tiny half tuning population)

# What an OpenGL adapter runs: counts, training, whole steps in one kernel. `doctor --device gl` runs every op.
GL_TESTS=(session training tiny population)

# Where the Vulkan loader looks for drivers, the last one on NixOS.
DRIVER_FOLDERS=(
  /usr/share/vulkan/icd.d
  /etc/vulkan/icd.d
  /usr/local/share/vulkan/icd.d
  "${XDG_DATA_HOME:-${HOME:-}/.local/share}/vulkan/icd.d"
  /run/opengl-driver/share/vulkan/icd.d
)

# SwiftShader comes with browsers built on Chromium.
SWIFTSHADER_FOLDERS=(
  "${DRIVER_FOLDERS[@]}"
  /usr/lib/chromium
  /usr/lib/chromium-browser
  /usr/lib64/chromium-browser
  /opt/google/chrome
  /opt/microsoft/msedge
  /opt/brave.com/brave
  /snap/chromium/current/usr/lib/chromium-browser
)

# --- What is there ------------------------------------------------------------------------------------------------

say() { printf 'run.sh: %s\n' "$*"; }

has_loader() {
  local cache folder
  # /sbin is not in the PATH of every user. No pipe into `grep -q`: it closes early, and pipefail calls that a failure.
  cache=$(PATH="$PATH:/sbin:/usr/sbin" ldconfig -p 2>/dev/null) || cache=
  [[ $cache == *libvulkan.so.1* ]] && return
  # Systems without that cache.
  for folder in /usr/lib /usr/local/lib /run/opengl-driver/lib; do
    [[ -e $folder/libvulkan.so.1 ]] && return
  done
  return 1
}

# Prints the first file of a name, which may be a pattern, in the folders that follow.
first_file() {
  local name=$1 folder file
  shift
  for folder in "$@"; do
    for file in "$folder"/$name; do
      [[ -e $file ]] && printf '%s\n' "$file" && return
    done
  done
  return 1
}

# This machine's own file first: a 64-bit system may have the 32-bit driver beside it.
find_lavapipe() {
  first_file "lvp_icd.$(uname -m).json" "${DRIVER_FOLDERS[@]}" || first_file 'lvp_icd*.json' "${DRIVER_FOLDERS[@]}"
}

find_swiftshader() { first_file vk_swiftshader_icd.json "${SWIFTSHADER_FOLDERS[@]}"; }

# Both names of one variable: new loaders prefer the first, old ones know only the second.
use_driver() { export VK_DRIVER_FILES=$1 VK_ICD_FILENAMES=$1; }

# --- What is not there --------------------------------------------------------------------------------------------

as_root() {
  if [[ $EUID -eq 0 ]]; then
    "$@" </dev/null
  elif [[ -t 0 ]]; then
    sudo "$@" </dev/null
  else
    sudo -n "$@" </dev/null # nobody is there to type a password
  fi
}

# Installs the Vulkan loader and Mesa's software driver; fails where that cannot be done.
install_driver() {
  local system manager packages
  # shellcheck source=/dev/null
  system=$(. /etc/os-release 2>/dev/null && echo "${ID:-} ${ID_LIKE:-}") || system=unknown
  case " $system " in
    *' debian '* | *' ubuntu '*) manager=apt-get packages=(mesa-vulkan-drivers libvulkan1) ;;
    *' fedora '* | *' rhel '*) manager=dnf packages=(mesa-vulkan-drivers vulkan-loader) ;;
    *' arch '*) manager=pacman packages=(vulkan-swrast vulkan-icd-loader) ;;
    *)
      say "which packages hold Vulkan's loader and Mesa's lavapipe on this system ($system) is not known here"
      return 1
      ;;
  esac
  if ! command -v "$manager" >/dev/null; then
    say "$manager is not there to install ${packages[*]}"
    return 1
  fi
  if [[ $EUID -ne 0 ]] && ! command -v sudo >/dev/null; then
    say "installing ${packages[*]} needs root, and sudo is not there"
    return 1
  fi

  say "no software Vulkan driver: installing ${packages[*]} with $manager$([[ $EUID -eq 0 ]] || echo ' and sudo')"
  case $manager in
    apt-get)
      # A fresh container has no lists. A broken third-party list must not stop us, so the install decides.
      as_root apt-get update -qq || say "apt-get update failed; going on with the lists that are there"
      as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
        -o DPkg::Lock::Timeout=300 "${packages[@]}"
      ;;
    dnf) as_root dnf install -y -q --setopt=install_weak_deps=False "${packages[@]}" ;;
    pacman)
      # Lists are fetched only where there are none: new lists on an old system mean a partial upgrade.
      if [[ -z $(first_file '*.db' /var/lib/pacman/sync) ]]; then
        as_root pacman -Sy --noconfirm || return 1
      fi
      as_root pacman -S --noconfirm --needed "${packages[@]}"
      ;;
  esac
}

# Installs only what is missing, and no driver where the user lists some.
bring_driver() {
  if ! has_loader || { [[ -z ${VK_DRIVER_FILES:-}${VK_ICD_FILENAMES:-} ]] && ! find_lavapipe >/dev/null; }; then
    install_driver || say "the install did not work"
  fi
}

give_up() {
  say "no Vulkan driver to test on, and none could be installed. One of these helps:"
  say "  - install the Vulkan loader (libvulkan.so.1) and Mesa's lavapipe (lvp_icd.*.json), and run this again"
  say "  - KILN_DEVICE=gpu tests/run.sh, if there is a GPU with a driver"
  say "  - KILN_NO_GPU=1 tests/run.sh, which skips what needs a GPU"
  exit 1
}

# Chooses the software driver of the main run, installing one if need be; hardware is the last resort.
choose_driver() {
  local listed=${VK_DRIVER_FILES:-${VK_ICD_FILENAMES:-}} file
  bring_driver
  has_loader || give_up
  export KILN_DEVICE=software
  if [[ -n $listed ]]; then
    say "the Vulkan drivers are those you list: $listed"
    # Hardware or software, but nothing else: `software` may fall back to GL.
    export KILN_DEVICE=vulkan
    place="the listed drivers"
  elif file=$(find_lavapipe); then
    say "lavapipe, Mesa's software driver: $file"
    use_driver "$file"
    place=lavapipe
  elif file=$(find_swiftshader); then
    say "no lavapipe; SwiftShader instead: $file"
    use_driver "$file"
    place=SwiftShader
  elif file=$(first_file '*.json' "${DRIVER_FOLDERS[@]}"); then
    say "no software driver; the hardware's instead: $file"
    export KILN_DEVICE=gpu
    place="the GPU"
  else
    give_up
  fi
}

# --- Tests --------------------------------------------------------------------------------------------------------

command -v cargo >/dev/null || { say "cargo is not there: install Rust, see https://rustup.rs"; exit 1; }

runtime=
beside= said=
output=$(mktemp)
stage='the preparation'
passed=() failed=()
finish() {
  local status=$?
  [[ -z $beside ]] || kill -- "-$beside" 2>/dev/null || true
  [[ -z $said ]] || rm -f "$said"
  rm -f "$output"
  [[ -z $runtime ]] || rm -rf "$runtime"
  local elapsed="$((SECONDS / 60)) min $((SECONDS % 60)) s"
  if [[ ${#passed[@]} -gt 0 ]]; then
    say "passed in $elapsed: $(printf '%s; ' "${passed[@]}" | sed 's/; $//')"
  fi
  if [[ ${#failed[@]} -gt 0 ]]; then
    printf 'run.sh: FAILED: %s\n' "${failed[@]}"
  elif [[ $status -ne 0 ]]; then
    say "FAILED after $elapsed in $stage"
  fi
}
trap finish EXIT

# The Vulkan loader complains on every start if this is unset.
if [[ -z ${XDG_RUNTIME_DIR:-} ]]; then
  runtime=$(mktemp -d)
  export XDG_RUNTIME_DIR=$runtime
fi

# Runs `cargo test` with the arguments after the title. What fails is told again at the end; the rest runs all the same.
test_stage() {
  stage=$1
  shift
  local start=$SECONDS
  say "$stage: cargo test --all-features --no-fail-fast $*"
  if cargo test --all-features --no-fail-fast "$@" </dev/null 2>&1 | tee "$output"; then
    passed+=("$stage, $((SECONDS - start)) s")
  else
    note_failures "$stage"
  fi
}

# Adds what the output of `cargo test` says that failed: tests by name, targets, or an error of the build.
note_failures() {
  local line target='' found=
  while read -r line; do
    case $line in
      *'Running '*) target=${line#*Running } target=${target%% (*} ;;
      *'Doc-tests '*) target=documentation ;;
      'test '*' ... FAILED')
        line=${line#test }
        failed+=("$1: $target: ${line% ... FAILED}")
        found=1
        ;;
      # The list at the end names those too that crashed before they could say so.
      '`-'*'`')
        failed+=("$1: target $line")
        found=1
        ;;
    esac
  done <"$output"
  [[ -n $found ]] || failed+=("$1: $(grep -E '^error' "$output" | head -n 1)")
}

place=
second_driver=
opengl=
if [[ ${KILN_NO_GPU:-} == 1 ]]; then
  say "KILN_NO_GPU=1: tests that need a GPU are SKIPPED"
  export KILN_DEVICE=${KILN_DEVICE:-cpu}
elif [[ -n ${KILN_DEVICE:-} ]]; then
  # The user's device is the user's business, but a software one can be brought.
  if [[ $KILN_DEVICE == software && $(uname -s) == Linux ]]; then
    bring_driver
  fi
else
  case $(uname -s) in
    Darwin)
      say "macOS: testing on Metal, which needs no driver"
      export KILN_DEVICE=metal
      ;;
    MINGW* | MSYS* | CYGWIN*)
      say "Windows: testing on its own software adapter, WARP"
      export KILN_DEVICE=software
      ;;
    *)
      # A list of the user's own is one driver's run.
      if [[ -z ${VK_DRIVER_FILES:-}${VK_ICD_FILENAMES:-} ]]; then
        second_driver=$(find_swiftshader) || second_driver=
        [[ $# -gt 0 ]] || opengl=1
      fi
      choose_driver
      [[ $second_driver != "${VK_DRIVER_FILES:-}" ]] || second_driver=
      ;;
  esac
fi

# Which targets run on the second driver: those that the arguments choose, else the list above.
second_targets=()
for name in "${DRIVER_TESTS[@]}"; do
  second_targets+=(--test "$name")
done
for argument in "$@"; do
  case $argument in
    --) break ;;
    --test | --test=* | --tests | --lib | --doc | --bin | --bin=* | --bins | --example | --example=* | --examples | --all-targets)
      second_targets=(--workspace)
      ;;
  esac
done
# Said now, not after the long first run.
if [[ -n $second_driver && ${second_targets[0]} == --test ]]; then
  for name in "${DRIVER_TESTS[@]}"; do
    [[ -e tests/$name.rs || -e tests/$name/main.rs ]] ||
      { say "DRIVER_TESTS in tests/run.sh names \`$name\`, but there is no tests/$name.rs"; exit 1; }
  done
fi

if [[ $# -gt 0 ]]; then
  test_stage "the suite on ${place:-$KILN_DEVICE}" --workspace "$@"
else
  # Without the examples: `.ci/run` checks them with clippy, and no test starts one.
  test_stage "the suite on ${place:-$KILN_DEVICE}" --workspace --tests
  test_stage "the examples of the documentation" --workspace --doc
fi

if [[ -n $opengl ]]; then
  if told=$(cargo run --all-features --example inspect -- --device gl 2>&1 </dev/null); then
    say "an OpenGL adapter"
    gl_targets=()
    for name in "${GL_TESTS[@]}"; do
      gl_targets+=(--test "$name")
    done
    # One test at a time: wgpu gives up a context that another thread holds for long.
    KILN_DEVICE=gl test_stage "the driver tests on OpenGL" "${gl_targets[@]}" -- --test-threads=1
  else
    say "no OpenGL adapter: $(tail -n 1 <<<"$told")"
  fi
fi

if [[ -n $second_driver ]]; then
  say "a second driver, SwiftShader: $second_driver"
  use_driver "$second_driver"
  # By name, so that a driver that does not load is an error and not a quiet change to another one.
  export KILN_DEVICE=swiftshader
  if [[ $# -gt 0 ]]; then
    test_stage "the driver tests on SwiftShader" "${second_targets[@]}" "$@"
  else
    # SwiftShader compiles kernels on one thread of a process, for minutes in all: hence two processes.
    said=$(mktemp)
    set -m # a group of its own, to be ended as a whole
    cargo test --all-features --no-fail-fast "${second_targets[@]:0:2}" </dev/null >"$said" 2>&1 &
    beside=$!
    set +m
    test_stage "the driver tests on SwiftShader" "${second_targets[@]:2}"
    stage="${second_targets[1]} on SwiftShader"
    outcome=0
    wait "$beside" || outcome=$?
    beside=
    cat "$said"
    if [[ $outcome -eq 0 ]]; then
      passed+=("$stage")
    else
      cp "$said" "$output"
      note_failures "$stage"
    fi
  fi
fi

[[ ${#failed[@]} -eq 0 ]]

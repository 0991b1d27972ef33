#!/bin/sh
# setup.sh - installs what kith needs, on Debian and Ubuntu, by their packages.
#
#   sh setup.sh              what building needs
#   sh setup.sh --tests      and what the tests need
#   sh setup.sh --examples   and what the examples need
#   sh setup.sh --check ...  only says what is missing
#
# Exit codes: 0 all is there; 1 something is missing (--check) or could not be installed; 2 wrong usage, or not a system
# with apt.
# shellcheck disable=SC2086  # lists of packages are split on purpose
set -eu

usage() {
	sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$0"
}

say() {
	printf 'setup.sh: %s\n' "$*"
}

# A package is there if dpkg says so; dpkg-query's own complaint about unknown names is no news.
installed() {
	[ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

# Adds packages that are not installed to $missing.
need() {
	for package; do
		installed "$package" || missing="$missing $package"
	done
}

# need_command COMMAND PACKAGE: a tool may as well come from elsewhere.
need_command() {
	command -v "$1" >/dev/null 2>&1 || missing="$missing $2"
}

# need_python MODULE...: any python3 that the scripts try will do, whoever installed its modules.
need_python() {
	for python in python3 /usr/bin/python3; do
		command -v "$python" >/dev/null 2>&1 || continue
		"$python" -c "import $(printf %s "$*" | tr ' ' ,)" >/dev/null 2>&1 && return
	done
	for module; do
		need "python3-$module"
	done
}

# apt-get as root. A lock is waited for, where apt knows how to.
apt() {
	if [ "$(id -u)" -eq 0 ]; then
		DEBIAN_FRONTEND=noninteractive apt-get -y -q -o DPkg::Lock::Timeout=120 "$@"
	else
		sudo env DEBIAN_FRONTEND=noninteractive apt-get -y -q -o DPkg::Lock::Timeout=120 "$@"
	fi
}

# True if apt's lists name a version of every package.
listed() {
	for package; do
		LC_ALL=C apt-cache policy "$package" 2>/dev/null | grep -q 'Candidate: [^(]' || return 1
	done
}

check='' tests='' examples=''
for option; do
	case $option in
	--check) check=1 ;;
	--tests) tests=1 ;;
	--examples) examples=1 ;;
	-h | --help)
		usage
		exit 0
		;;
	*)
		printf 'setup.sh: unknown option %s; sh setup.sh --help lists them\n' "$option" >&2
		exit 2
		;;
	esac
done

if ! command -v apt-get >/dev/null 2>&1 || ! command -v dpkg-query >/dev/null 2>&1; then
	cat >&2 <<-'END'
		setup.sh: this system has no apt, so install these yourself, development files included:
		  to build   a C17 compiler with OpenMP (gcc 12 or clang 14), make, CMake 3.18, pkg-config,
		             LMDB, zstd, xxHash, OpenBLAS (its OpenMP build), jansson, cairo, libzip;
		             for --engine faiss, FAISS and a C++17 compiler; for reading HDF5, libhdf5
		  tests      cmocka, bats, curl, Python 3 with NumPy and pytest
		  examples   Python 3 with NumPy and PyTorch; the Fashion-MNIST IDX files; LIBLINEAR
	END
	exit 2
fi

missing=''
need_command gcc gcc
need_command g++ g++ # for FAISS alone, whose C API Debian's package lacks
need_command make make
need_command cmake cmake
need_command pkg-config pkg-config
need libc6-dev liblmdb-dev libzstd-dev libxxhash-dev libopenblas-openmp-dev libjansson-dev libcairo2-dev libzip-dev \
	libhdf5-dev libfaiss-dev
if [ "$tests" ]; then
	need libcmocka-dev
	need_command bats bats
	need_command curl curl # FAISS' sources, see tests/tools/libfaiss_c.sh
	need_python numpy pytest
fi
if [ "$examples" ]; then
	need_python numpy torch
	need dataset-fashion-mnist
	need_command liblinear-train liblinear-tools
fi
set -- $missing # python3-numpy may stand there twice
missing=''
for package; do
	case " $missing " in
	*" $package "*) ;;
	*) missing="$missing${missing:+ }$package" ;;
	esac
done

if [ -z "$missing" ]; then
	say "everything is there"
	exit 0
fi
if [ "$check" ]; then
	say "missing: $missing"
	exit 1
fi
as=''
if [ "$(id -u)" -ne 0 ]; then
	as="sudo "
	if ! command -v sudo >/dev/null 2>&1; then
		say "missing: $missing" >&2
		say "not root, and no sudo; as root: apt-get install --no-install-recommends $missing" >&2
		exit 1
	fi
fi
if ! listed $missing; then
	say "will run: ${as}apt-get update"
	apt update || say "apt-get update failed; going on with the lists there are" >&2
fi
# FAISS is worth having and not needed; systems older than Debian 12 have no package of it.
case " $missing " in
*" libfaiss-dev "*)
	if ! listed libfaiss-dev; then
		say "no libfaiss-dev for this system: kith-knn will be built without --engine faiss"
		missing=$(printf '%s\n' "$missing" | sed 's/ *libfaiss-dev//')
	fi
	;;
esac
if [ -z "$missing" ]; then
	exit 0
fi
say "will run: ${as}apt-get install --no-install-recommends $missing"
if ! apt install --no-install-recommends $missing; then
	# Old lists name packages that the mirror has replaced; and another apt may hold a lock for a while.
	say "that failed; once more in 20 seconds, with fresh lists" >&2
	sleep 20
	apt update || :
	if ! apt install --no-install-recommends $missing; then
		say "these could not be installed: $missing" >&2
		exit 1
	fi
fi
say "done"

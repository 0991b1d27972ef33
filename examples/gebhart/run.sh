#!/bin/sh
# run.sh - Gebhart's experiment from nothing: installs what is missing, builds kith, trains CCFF, makes adversaries,
# finds the generators of all of them, and makes tables and figures. What is done already is not done again.
#
#   sh run.sh [--data DIR] [--out DIR] [--sigmoid] [--no-install]
#
#   --data DIR     a folder of *-ubyte or *-ubyte.gz files, such as MNIST's (Debian's Fashion-MNIST)
#   --out DIR      where weights, activations and results go (out/NAME-relu beside this script, NAME being the data's folder)
#   --sigmoid      sigmoids in place of ReLUs (out/NAME-sigmoid)
#   --no-install   do not look for missing packages
set -eu

fail() {
	printf 'run.sh: %s\n' "$*" >&2
	exit 2
}

# value OPTION REMAINING-ARGUMENTS VALUE: checks that an option has one.
value() {
	if [ "$2" -lt 2 ] || [ -z "$3" ]; then
		fail "$1 needs a value"
	fi
}

# The folder need not exist.
absolute() {
	case $1 in
	/*) printf '%s\n' "$1" ;;
	*) printf '%s/%s\n' "$PWD" "$1" ;;
	esac
}

find_python() {
	for python in python3 /usr/bin/python3; do
		"$python" -c 'import numpy, torch' >/dev/null 2>&1 && return
	done
	fail "no python3 that can import numpy and torch (sh setup.sh --examples installs them)"
}

data=/usr/share/datasets/fashion-mnist out='' sigmoid='' install=1
while [ $# -gt 0 ]; do
	case $1 in
	--data)
		value "$1" $# "${2-}"
		[ -d "$2" ] || fail "--data $2: no such folder"
		data=$(CDPATH='' cd -- "$2" && pwd)
		shift
		;;
	--out)
		value "$1" $# "${2-}"
		out=$(absolute "$2")
		shift
		;;
	--sigmoid) sigmoid=--sigmoid ;;
	--no-install) install='' ;;
	-h | --help)
		sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$0"
		exit 0
		;;
	*) fail "unknown option $1; --help lists them" ;;
	esac
	shift
done

# From here on relative paths: make cannot hold spaces in a path, and the way to this folder may have some.
CDPATH='' cd -- "$(dirname -- "$0")"
root=../..
: "${out:=out/$(basename -- "$data" | tr -c 'A-Za-z0-9._\n-' _)-$([ "$sigmoid" ] && echo sigmoid || echo relu)}"
case $out in
*[[:space:]]*) fail "$out: make cannot hold spaces in a path; choose another with --out" ;;
esac

[ -z "$install" ] || sh "$root/setup.sh" --examples
find_python
[ -f "$root/build/CMakeCache.txt" ] || cmake -S "$root" -B "$root/build" -DCMAKE_BUILD_TYPE=Release -DBUILD_TESTING=OFF
cmake --build "$root/build" --parallel "$(getconf _NPROCESSORS_ONLN)"
"$python" gebhart.py --data "$data" --out "$out" $sigmoid
make OUT="$out" PYTHON="$python"
printf 'table.csv, neighbours.csv, twins.csv, twins.svg and first/report.html are in %s\n' "$(CDPATH='' cd -- "$out" && pwd)"

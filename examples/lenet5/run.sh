#!/bin/sh
# run.sh - the paper's experiment from nothing: installs what is missing, builds kith, trains LeNet-5, records its
# twelve operations and makes the report. What is done already is not done again.
#
#   sh run.sh [--data DIR] [--out DIR] [--paper] [--limit N] [--no-install]
#
#   --data DIR     a folder of *-ubyte or *-ubyte.gz files, such as MNIST's (Debian's Fashion-MNIST)
#   --out DIR      where weights, activations and results go (out/NAME beside this script, NAME being the data's folder)
#   --paper        the paper's four k: 15,100,6000,12000 (15,100)
#   --limit N      only the first N training images, for a quick look
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

data=/usr/share/datasets/fashion-mnist out='' k=15,100 kith=kith limit='' install=1
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
	--limit)
		value "$1" $# "${2-}"
		case $2 in
		0* | *[!0-9]*) fail "--limit $2: not a count" ;;
		esac
		limit=$2
		shift
		;;
	--paper) k=15,100,6000,12000 kith=kith-paper ;;
	--no-install) install='' ;;
	-h | --help)
		sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$0"
		exit 0
		;;
	*) fail "unknown option $1; --help lists them" ;;
	esac
	shift
done
if [ "$kith" = kith-paper ] && [ "${limit:-60000}" -le 12000 ]; then
	fail "--paper needs more than 12000 images, --limit leaves $limit"
fi

# From here on relative paths: make cannot hold spaces in a path, and the way to this folder may have some.
CDPATH='' cd -- "$(dirname -- "$0")"
root=../..
: "${out:=out/$(basename -- "$data" | tr -c 'A-Za-z0-9._\n-' _)${limit:+-$limit}}"
case $out in
*[[:space:]]*) fail "$out: make cannot hold spaces in a path; choose another with --out" ;;
esac
cores=$(getconf _NPROCESSORS_ONLN)

[ -z "$install" ] || sh "$root/setup.sh" --examples
find_python
[ -f "$root/build/CMakeCache.txt" ] || cmake -S "$root" -B "$root/build" -DCMAKE_BUILD_TYPE=Release -DBUILD_TESTING=OFF
cmake --build "$root/build" --parallel "$cores"
"$python" lenet5.py --data "$data" --out "$out" ${limit:+--limit "$limit"}
make kith K="$k" ACTIVATIONS="$out/activations" OUT="$out/$kith"
printf 'The report: %s\n' "$(CDPATH='' cd -- "$out/$kith" && pwd)/report.html"

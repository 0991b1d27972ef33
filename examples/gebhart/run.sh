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
# shellcheck source=examples/common.sh
. "$(dirname -- "$0")/../common.sh"

sigmoid=''
while [ $# -gt 0 ]; do
	words=1
	case $1 in
	--sigmoid) sigmoid=--sigmoid ;;
	*) common_option "$1" $# "${2-}" ;;
	esac
	shift "$words"
done

enter "-$([ "$sigmoid" ] && echo sigmoid || echo relu)"
build_kith
"$python" gebhart.py --data "$data" --out "$out" $sigmoid
make OUT="$out" PYTHON="$python"
printf 'table.csv, neighbours.csv, twins.csv, twins.svg and first/report.html are in %s\n' "$(CDPATH='' cd -- "$out" && pwd)"

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
# shellcheck source=examples/common.sh
. "$(dirname -- "$0")/../common.sh"

k=15,100 kith=kith limit=''
while [ $# -gt 0 ]; do
	words=1
	case $1 in
	--limit)
		value "$1" $# "${2-}"
		case $2 in
		0* | *[!0-9]*) fail "--limit $2: not a count" ;;
		esac
		limit=$2
		words=2
		;;
	--paper) k=15,100,6000,12000 kith=kith-paper ;;
	*) common_option "$1" $# "${2-}" ;;
	esac
	shift "$words"
done
if [ "$kith" = kith-paper ] && [ "${limit:-60000}" -le 12000 ]; then
	fail "--paper needs more than 12000 images, --limit leaves $limit"
fi

enter "${limit:+-$limit}"
build_kith
"$python" lenet5.py --data "$data" --out "$out" ${limit:+--limit "$limit"}
make kith K="$k" ACTIVATIONS="$out/activations" OUT="$out/$kith"
printf 'The report: %s\n' "$(CDPATH='' cd -- "$out/$kith" && pwd)/report.html"

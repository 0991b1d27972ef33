#!/bin/sh
# run.sh - the paper's experiment from nothing: installs what is missing, builds kith, trains LeNet-5, records its
# twelve operations and makes the report. What is done already is not done again.
#
#   sh run.sh [--data DIR] [--out DIR] [--paper] [--seeds N] [--limit N] [--dry-run] [--no-install]
#
#   --data DIR     a folder of *-ubyte or *-ubyte.gz files, such as MNIST's (Debian's Fashion-MNIST)
#   --out DIR      where weights, activations and results go (out/NAME beside this script, NAME being the data's folder)
#   --paper        the paper's four k: 15,100,6000,12000 (15,100); 10,000 of the samples at k up to all of them; three
#                  trainings; and a table of the paper's claims
#   --seeds N      trainings, of seeds 1 to N (1; with --paper 3); those of seed 2 and up go to DIR/seed2, ...
#   --limit N      only the first N training images, for a quick look
#   --dry-run      say what is left to do, about how long it takes and on how much disk, and stop
#   --no-install   do not look for missing packages
set -eu
# shellcheck source=examples/common.sh
. "$(dirname -- "$0")/../common.sh"

k=15,100 kith=kith limit='' seeds='' dry_run=''
some=10000 some_k=15,100,1000,2000,5000,9000,9999 # the subset: as large parts of it as 6,000 and 12,000 are of all, and more
while [ $# -gt 0 ]; do
	words=1
	case $1 in
	--limit | --seeds)
		value "$1" $# "${2-}"
		case $2 in
		0* | *[!0-9]*) fail "$1 $2: not a count" ;;
		esac
		if [ "$1" = --limit ]; then limit=$2; else seeds=$2; fi
		words=2
		;;
	--paper) k=15,100,6000,12000 kith=kith-paper ;;
	--dry-run) dry_run=1 ;;
	*) common_option "$1" $# "${2-}" ;;
	esac
	shift "$words"
done
if [ "$kith" = kith-paper ]; then
	: "${seeds:=3}"
	[ "${limit:-60000}" -gt 12000 ] || fail "--paper needs more than 12000 images, --limit leaves $limit"
fi
: "${seeds:=1}"

# The folder of seed $1.
folder() {
	if [ "$1" -eq 1 ]; then printf %s "$out"; else printf %s "$out/seed$1"; fi
}

# foresee WHAT FILE SECONDS MEGABYTES: a line of the plan, unless FILE is there, and the sums. Figures are of two cores of
# 3 GHz and 60,000 images.
total=0 disk=0
foresee() {
	[ ! -e "$2" ] || return 0
	printf '%-46s %6s s %8s MB\n' "$1" "$3" "$4"
	total=$((total + $3)) disk=$((disk + $4))
}

plan() {
	n=${limit:-60000} seed=1
	while [ "$seed" -le "$seeds" ]; do
		here=$(folder "$seed")
		foresee "seed $seed: training" "$here/lenet5.json" $((1 + 45 * n / 60000)) 1
		foresee "seed $seed: activations" "$here/activations/recorded.json" $((1 + 10 * n / 60000)) $((3700 * n / 60000))
		if [ "$kith" = kith ]; then
			foresee "seed $seed: graphs, k=$k" "$here/kith/report.html" $((1 + 50 * n / 60000)) $((350 * n / 60000))
		else
			foresee "seed $seed: graphs, k=$k" "$here/$kith/report.html" $((n * n / 6000000)) $((n * n / 424000))
			foresee "seed $seed: activations of $some" "$here/some/O.npy" 2 620
			foresee "seed $seed: graphs of $some, k up to $((some - 1))" "$here/kith-some/report.html" 120 700
		fi
		seed=$((seed + 1))
	done
	printf '%-46s %6s s %8s MB\n' 'left to do, in all' "$total" "$disk"
	[ "$kith" = kith ] || echo "beside it, for a while, temporary files of 3000 MB; memory 4500 MB"
}

enter "${limit:+-$limit}"
if [ "$dry_run" ]; then
	plan
	exit 0
fi
build_kith
seed=1 stacks='' subsets=''
while [ "$seed" -le "$seeds" ]; do
	here=$(folder "$seed")
	"$python" lenet5.py --data "$data" --out "$here" --seed "$seed" ${limit:+--limit "$limit"}
	make kith K="$k" ACTIVATIONS="$here/activations" OUT="$here/$kith"
	if [ "$kith" = kith-paper ]; then
		make some ACTIVATIONS="$here/activations" SOME="$here/some" N="$some" PYTHON="$python"
		make kith K="$some_k" ACTIVATIONS="$here/some" OUT="$here/kith-some"
		stacks="$stacks $here/$kith/stack.json" subsets="$subsets $here/kith-some/stack.json"
	fi
	seed=$((seed + 1))
done
if [ "$kith" = kith-paper ]; then
	# shellcheck disable=SC2086  # lists of names without spaces
	KITH_BIN=$root/build "$python" claims.py --out "$out/$kith" $stacks --subset $subsets
	printf 'The claims: %s\n' "$(CDPATH='' cd -- "$out/$kith" && pwd)/claims.md"
fi
printf 'The report: %s\n' "$(CDPATH='' cd -- "$out/$kith" && pwd)/report.html"

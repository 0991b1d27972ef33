#!/bin/sh
# run.sh - every claim about kith-knn's speed and memory, measured, with the bar it is held against.
#
#   sh bench/knn/run.sh [OPTION]... WORK...
#
#   all       the works below, in this order
#   k15       FAISS' IndexFlatL2 against kith: LeNet-5's twelve layers, k=15; each one's ratio, and the total's
#   k100      the same at k=100, the total
#   k6000     the layers I, P1, M3 and O at k=6000
#   gauss     isotropic Gaussian, d=784, k=15: nothing to screen
#   memory    C0 with -m at 1/8 of the file: time against half of the machine's memory, and inside a memory cgroup of
#             that size and 32 MiB (needs root), the file in the page cache of others, then read from disk
#   threads   one thread against two: I and C1, k=15
#   growth    time at a quarter, half and all of the rows, I and Gaussian, k=15: the exponent
#   sklearn   scikit-learn's brute NearestNeighbors (python3-sklearn) against kith: I, k=15
#   check     on request only, not a part of all: how far kith's neighbour sets at k=15 equal FAISS' own, computed in floats
#   summary   on request only: the summary from what the results file holds
#
#   -a DIR     the activations (examples/lenet5/out/mnist/activations, or fashion-mnist's)
#   -n RUNS    runs of each pair, in turn; medians are reported (3)
#   -t THREADS threads of every engine (the machine's cores)
#   -l LAYERS  only these layers, where a work has several: -l 'I O'
#   -c         continue: leave out what the results file has for this machine, commit and number of threads
#   -r ROWS    a trial with the first ROWS rows, 60,000 being the real thing; kept only where -o says
#   -o FILE    results (bench/results/knn.csv; the summary goes beside it as .md)
#
# Every engine starts from an array in the page cache and ends with the neighbour lists; kith's time includes reading, the
# graph's file and its fsync, the others' none of that. The waiting policy of OpenMP is passive for all, and kith and FAISS
# are linked to one OpenBLAS. Each finished line is in the results file at once. Needs libfaiss-dev and g++.
set -eu
root=$(CDPATH='' cd -- "$(dirname -- "$0")/../.." && pwd)
# shellcheck source=bench/lib.sh
. "$root/bench/lib.sh"

activations='' runs=3 threads=$(nproc) layers='' continue='' rows='' results=''
while getopts a:n:t:l:cr:o: option; do
	case $option in
	a) activations=$OPTARG ;;
	n) runs=$OPTARG ;;
	t) threads=$OPTARG ;;
	l) layers=$OPTARG ;;
	c) continue=1 ;;
	r) rows=$OPTARG ;;
	o) results=$OPTARG ;;
	*) exit 2 ;;
	esac
done
shift $((OPTIND - 1))
counts "$runs" "$threads" "${rows:-4}"
[ $# -gt 0 ] || usage
works=
for work; do
	case $work in
	all) works="$works k15 k100 k6000 gauss memory threads growth sklearn" ;;
	k15 | k100 | k6000 | gauss | memory | threads | growth | sklearn | check | summary) works="$works $work" ;;
	*) fail "$work: no such work" ;;
	esac
done

find_activations

if [ -z "$results" ]; then
	results=$root/bench/results/knn.csv
	[ -z "$rows" ] || results=$scratch/trial.csv
fi

build bench_knn
bench=$root/build-bench/bench/bench_knn
export OMP_WAIT_POLICY=passive TMPDIR="$scratch"

versions=$("$bench" versions) # BLAS,FAISS
full=${rows:-60000}
open_results date,commit,machine,threads,blas,faiss,data,runs,work,case,n,d,k,kith_s,kith_mib,against,against_s,figure,bar

# One line of the table on the terminal: WORK CASE N KITH_S KITH_MIB AGAINST AGAINST_S FIGURE BAR.
say() {
	awk -v work="$1" -v name="$2" -v n="$3" -v kith="$4" -v mib="$5" -v against="$6" -v seconds="$7" -v figure="$8" -v bar="$9" \
		"$verdict"'
	BEGIN {
		printf "%-8s %-14s %7s %9s %9s %-18s %9s %10s %10s %s\n", work, name, n, kith, mib, against, seconds, figure, bar,
			verdict(figure, bar)
	}'
}

# record DATA N D K, then say's arguments: keeps and prints a result.
record() {
	printf '%s,%s,%s,%s,%s,%s,%s,%s,%s,%s,%s,%s,%s,%s,%s,%s,%s\n' "$(date +%F),$commit" "$machine" "$threads" "$versions" "$1" \
		"$runs" "$5" "$6" "$2" "$3" "$4" "$8" "$9" "${10}" "${11}" "${12}" "${13}" >>"$results"
	say "$5" "$6" "$2" "$8" "$9" "${10}" "${11}" "${12}" "${13}"
}

# once ENGINE K THREADS MEMORY: one run over the file in use, its seconds and peak MiB.
once() {
	if [ "$1" = sklearn ]; then
		OMP_NUM_THREADS=$3 /usr/bin/python3 - "$2" "$file" <<'PYTHON'
import resource, sys, time
import numpy as np
from sklearn.neighbors import NearestNeighbors
k, x = int(sys.argv[1]), np.load(sys.argv[2])
x = x.reshape(len(x), -1)
start = time.monotonic()
NearestNeighbors(n_neighbors=k + 1, algorithm="brute").fit(x).kneighbors(x)
print("%.3f %d" % (time.monotonic() - start, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024))
PYTHON
	else
		"$bench" "$@" "$file"
	fi
}

# use LAYER: sets file, data, and its n, d and bytes, and reads it into the page cache. "gauss" is made here.
use() {
	if [ "$1" = gauss ]; then
		file=$scratch/gauss.npy data=-
		[ -f "$file" ] || "$bench" gauss "$full" 784 "$file"
	else
		file=$activations/$1.npy data=$(basename "$(dirname "$activations")" | tr , ' ')
		[ -f "$file" ] || fail "$file: no such file (examples/lenet5/run.sh makes it; -a names another folder)"
		if [ "$rows" ]; then
			"$bench" cut "$rows" "$file" "$scratch/rows.npy"
			file=$scratch/rows.npy
		fi
	fi
	shape=$("$bench" shape "$file")
	n=${shape%% *} bytes=${shape##* } d=${shape#* }
	d=${d% *}
	cat "$file" >/dev/null
}

# against_faiss WORK K BAR LAYER...
against_faiss() {
	work=$1 k=$2 bar=$3
	shift 3
	for layer; do
		[ -z "$layers" ] || [ "$layer" = gauss ] || has "$layers" "$layer" || continue
		use "$layer"
		if kept "$work" "$layer" "$n"; then
			continue
		fi
		in_turn "once kith $k $threads 0" "once faiss $k $threads 0"
		record "$data" "$n" "$d" "$k" "$work" "$layer" "$n" "$a" "$mib" FAISS "$b" "$b_by_a" "$bar"
	done
}

work_memory() {
	use C0
	budget=$((bytes / 8))
	half=$(awk '/^MemTotal:/ { printf "%.0f\n", $2 * 512 }' /proc/meminfo)
	if ! kept memory C0 "$n"; then
		in_turn "once kith 15 $threads $budget" "once kith 15 $threads $half"
		record "$data" "$n" "$d" 15 memory C0 "$n" "$a" "$mib" "-m $((half >> 20))M" "$b" "$a_by_b" '<= 1.5'
	fi
	cgroup_memory 'C0 cgroup'
	sync
	dd if="$file" of=/dev/null iflag=nocache count=0 2>/dev/null # out of the page cache, so that reading it counts here
	cgroup_memory 'C0 cgroup disk'
}

# cgroup_memory CASE: one run of the layer in use, as work_memory limits it.
cgroup_memory() {
	if kept memory "$1" "$n"; then
		return
	fi
	code=0
	line=$(in_cgroup $((budget + (32 << 20))) "$bench" kith 15 "$threads" "$budget" "$file") || code=$?
	what="cgroup of $(((budget >> 20) + 32)) MiB"
	case $code in
	0) record "$data" "$n" "$d" 15 memory "$1" "$n" "${line% *}" "${line#* }" "$what" '' 'not killed' 'not killed' ;;
	125) echo "memory   $1 skipped: it needs root and a memory controller" ;;
	*) record "$data" "$n" "$d" 15 memory "$1" "$n" '' '' "$what" '' "exit code $code" 'not killed' ;;
	esac
}

work_threads() {
	if [ "$(nproc)" -lt 2 ]; then
		echo "threads  skipped: it needs two cores"
		return
	fi
	for layer in I C1; do
		[ -z "$layers" ] || has "$layers" "$layer" || continue
		use "$layer"
		if kept threads "$layer" "$n"; then
			continue
		fi
		in_turn 'once kith 15 2 0' 'once kith 15 1 0'
		record "$data" "$n" "$d" 15 threads "$layer" "$n" "$a" "$mib" 'kith on 1 thread' "$b" "$b_by_a" '>= 1.8'
	done
}

# The rows are recorded; the exponent is the summary's.
work_growth() {
	for layer in I gauss; do
		use "$layer"
		[ "$n" -ge "$full" ] || fail "$file has fewer than $full rows"
		whole=$file
		rm -f "$scratch"/growth.*
		sizes=
		for count in $((full / 4)) $((full / 2)) "$full"; do
			kept growth "$layer" "$count" || sizes="$sizes $count"
		done
		for count in $sizes; do
			"$bench" cut "$count" "$whole" "$scratch/growth.$count.npy"
		done
		i=0
		while [ $i -lt "$runs" ]; do
			for count in $sizes; do
				file=$scratch/growth.$count.npy
				line=$(once kith 15 "$threads" 0)
				echo "${line% *}" >>"$scratch/growth.$count.s"
				echo "${line#* }" >>"$scratch/growth.$count.mib"
			done
			i=$((i + 1))
		done
		for count in $sizes; do
			record "$data" "$count" "$d" 15 growth "$layer" "$count" "$(median <"$scratch/growth.$count.s")" \
				"$(largest <"$scratch/growth.$count.mib")" '' '' '' ''
		done
		rm -f "$scratch"/growth.*
	done
}

work_sklearn() {
	if ! version=$(/usr/bin/python3 -c 'import sklearn; print(sklearn.__version__)' 2>/dev/null); then
		echo "sklearn  skipped: /usr/bin/python3 has none (python3-sklearn)"
		return
	fi
	use I
	! kept sklearn I "$n" || return 0
	in_turn "once kith 15 $threads 0" "once sklearn 15 $threads 0"
	record "$data" "$n" "$d" 15 sklearn I "$n" "$a" "$mib" "scikit-learn $version" "$b" "$b_by_a" ''
}

twelve='I C0 R0 P0 C1 R1 P1 C2 R2 M3 R3 O'

work_check() {
	for layer in $twelve; do
		[ -z "$layers" ] || has "$layers" "$layer" || continue
		use "$layer"
		same=$("$bench" check 15 "$threads" 0 "$file")
		printf 'check    %-14s %7s   rows with FAISS'\'' neighbour set: %s %%, neighbours in common: %s %%\n' "$layer" "$n" \
			"${same% *}" "${same#* }"
	done
}

# The table from the results file: of each case the latest result on this machine with so many threads.
summary() {
	awk -F, -v machine="$machine" -v threads="$threads" -v layers="$twelve" "$verdict"'
	function line(work, name, n, k, kith, mib, against, seconds, figure, bar, commit, held) {
		held = verdict(figure, bar)
		bars += bar != ""
		passed += held == "pass"
		printf "| %-7s | %-14s | %6s | %5s | %8s | %6s | %-18s | %9s | %10s | %10s | %-11s | %s |\n", work, name, n, k, kith,
			mib, against, seconds, figure, bar, held, commit
	}
	function total(work, bar, name, parts, i, kith, other, found, where) {
		parts = split(layers, name, " ")
		for (i = 1; i <= parts; i++) {
			if (!((work "," name[i]) in last))
				continue
			split(last[work "," name[i]], f, ",")
			kith += f[14]
			other += f[17]
			where = !found++ || where == f[2] ? f[2] : "several"
		}
		if (found == parts)
			line(work, "total of " parts, "", f[13], sprintf("%.3f", kith), "", "FAISS", sprintf("%.3f", other),
				sprintf("%.3f", other / kith), bar, where)
		else
			missing = missing " " work " (no total: " found " of " parts " layers)"
	}
	function exponent(name, i, points, x, y, sx, sy, sxx, sxy, where) { # least squares of log t on log n
		for (i = 1; i <= count; i++) {
			split(last[keys[i]], f, ",")
			if (f[9] != "growth" || f[10] != name)
				continue
			x = log(f[11])
			y = log(f[14])
			where = !points++ || where == f[2] ? f[2] : "several"
			sx += x
			sy += y
			sxx += x * x
			sxy += x * y
		}
		if (points == 3)
			line("growth", name " exponent", "", "15", "", "", "", "",
				sprintf("%.3f", (points * sxy - sx * sy) / (points * sxx - sx * sx)), "<= 2.0", where)
		else
			missing = missing " growth (no exponent for " name ": " points + 0 " of 3 sizes)"
	}
	FNR > 1 && $3 == machine && $4 == threads {
		key = $9 "," $10 ($9 == "growth" ? "," $11 : "")
		if (!(key in last))
			keys[++count] = key
		last[key] = $0
		seen[$9] = 1
		what = $5 ", FAISS " $6 ", " $1
	}
	END {
		print "# kith-knn, measured\n\n" machine ", threads: " threads, "(" what "). Made by bench/knn/run.sh."
		print "Seconds are medians; a figure is the median ratio of times, the other engine by kith"
		print "(memory: limited by unlimited); MiB is the peak resident size.\n"
		print "| work | case | n | k | kith s | MiB | against | its s | figure | bar | | commit |"
		print "|---|---|--:|--:|--:|--:|---|--:|--:|--:|---|---|"
		works = split("k15 k100 k6000 gauss memory threads growth sklearn", work, " ")
		for (w = 1; w <= works; w++) {
			if (!(work[w] in seen)) {
				missing = missing " " work[w]
				continue
			}
			for (i = 1; i <= count; i++) {
				split(last[keys[i]], f, ",")
				if (f[9] == work[w])
					line(f[9], f[10], f[11], f[13], f[14], f[15], f[16], f[17], f[18], f[19], f[2])
			}
			if (work[w] == "k15")
				total("k15", ">= 20")
			if (work[w] == "k100")
				total("k100", ">= 10")
			if (work[w] == "growth") {
				exponent("I")
				exponent("gauss")
			}
		}
		printf "\n%d of %d bars reached.%s\n", passed, bars, missing == "" ? "" : " Not measured:" missing "."
	}' "$results"
}

[ -z "$rows" ] || echo "A trial with $rows rows: the bars are for 60000."
printf '%-8s %-14s %7s %9s %9s %-18s %9s %10s %10s\n' work case n 'kith s' MiB against 'its s' figure bar
measured=
for work in $works; do
	# shellcheck disable=SC2086
	case $work in
	k15) against_faiss k15 15 '>= 8' $twelve ;;
	k100) against_faiss k100 100 '' $twelve ;;
	k6000) against_faiss k6000 6000 '>= 4' I P1 M3 O ;;
	gauss) against_faiss gauss 15 '>= 1.6' gauss ;;
	summary) ;;
	*) "work_$work" ;;
	esac
	[ "$work" = check ] || measured=1
done
if [ "$measured" ]; then
	echo
	summary >"${results%.csv}.md"
	cat "${results%.csv}.md"
fi

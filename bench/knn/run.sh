#!/bin/sh
# run.sh - kith-knn against FAISS' IndexFlatL2: the same arrays, machine, threads and BLAS, in turn, the median of the ratios.
#
#   sh bench/knn/run.sh [-k K] [-n RUNS] [-t THREADS] ACTIVATIONS.npy...
#
# Prints a table, and appends it to bench/results/knn.csv with machine, commit and date. Needs libfaiss-dev and g++.
set -eu
k=15 runs=3 threads=$(nproc)
while getopts k:n:t: option; do
	case $option in
	k) k=$OPTARG ;;
	n) runs=$OPTARG ;;
	t) threads=$OPTARG ;;
	*) exit 2 ;;
	esac
done
shift $((OPTIND - 1))
[ $# -gt 0 ] || { sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$0"; exit 2; }

root=$(CDPATH='' cd -- "$(dirname -- "$0")/../.." && pwd)
cmake -S "$root" -B "$root/build-bench" -DCMAKE_BUILD_TYPE=Release -DBUILD_TESTING=OFF -DKITH_BENCH=ON >/dev/null
cmake --build "$root/build-bench" --parallel --target bench_knn >/dev/null
bench=$root/build-bench/bench/bench_knn
export OMP_WAIT_POLICY=passive

results=$root/bench/results/knn.csv
[ -f "$results" ] || echo date,commit,machine,threads,k,layer,kith_s,faiss_s,ratio >"$results"
commit=$(git -C "$root" describe --always --dirty)
machine=$(sed -n 's/^model name[^:]*: *//p' /proc/cpuinfo | head -n 1 | tr , ' ')

median() {
	sort -n | awk '{ x[NR] = $1 } END { print NR % 2 ? x[(NR + 1) / 2] : (x[NR / 2] + x[NR / 2 + 1]) / 2 }'
}

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
printf '%-12s %10s %10s %8s\n' layer 'kith s' 'FAISS s' ratio
for file; do
	cat "$file" >/dev/null # into the page cache
	: >"$scratch/kith"
	: >"$scratch/ratio"
	: >"$scratch/faiss"
	i=0
	while [ $i -lt "$runs" ]; do
		a=$("$bench" kith "$k" "$threads" "$file")
		b=$("$bench" faiss "$k" "$threads" "$file")
		echo "$a" >>"$scratch/kith"
		echo "$b" >>"$scratch/faiss"
		awk -v a="$a" -v b="$b" 'BEGIN { printf "%.2f\n", b / a }' >>"$scratch/ratio"
		i=$((i + 1))
	done
	a=$(median <"$scratch/kith") b=$(median <"$scratch/faiss") r=$(median <"$scratch/ratio")
	layer=$(basename "$file" .npy)
	printf '%-12s %10s %10s %8s\n' "$layer" "$a" "$b" "$r"
	echo "$(date +%F),$commit,$machine,$threads,$k,$layer,$a,$b,$r" >>"$results"
done

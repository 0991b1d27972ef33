# lib.sh - what the benchmarks' run.sh share. Read with ". lib.sh" once $root (the repository) is set. Sets scratch, a folder
# that goes when the script ends, commit and machine.
# shellcheck shell=sh disable=SC2034,SC2154 # variables of the scripts that read this, and theirs of this

fail() {
	printf 'run.sh: %s\n' "$*" >&2
	exit 2
}

# Each argument a number from 1.
counts() {
	for number; do
		case $number in
		0* | *[!0-9]* | '') fail "$number: not a count" ;;
		esac
	done
}

# The head of the script, which says what it does.
usage() {
	sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$0"
	exit 2
}

# Where -a names no other folder: the example's.
find_activations() {
	[ -z "$activations" ] || return 0
	activations=$root/examples/lenet5/out/mnist/activations
	[ -d "$activations" ] || activations=$root/examples/lenet5/out/fashion-mnist/activations
}

has() {
	case " $1 " in
	*" $2 "*) return 0 ;;
	esac
	return 1
}

scratch=$(mktemp -d)
group=
clean() {
	rm -rf "$scratch"
	[ -z "$group" ] || rmdir "$group" 2>/dev/null || :
}
trap clean EXIT
trap 'exit 130' INT TERM HUP

# build TARGET...: in build-bench.
build() {
	cmake -S "$root" -B "$root/build-bench" -DCMAKE_BUILD_TYPE=Release -DBUILD_TESTING=OFF -DKITH_BENCH=ON >/dev/null
	cmake --build "$root/build-bench" --parallel --target "$@" >/dev/null
}

# Results that these scripts appended are no change to what they measure.
if commit=$(git -C "$root" rev-parse --short HEAD 2>/dev/null); then
	git -C "$root" diff --quiet HEAD -- . ':!bench/results' || commit=$commit-dirty
else
	commit=unknown
fi
machine="$(sed -n 's/^model name[^:]*: *//p' /proc/cpuinfo | head -n 1 | tr , ' ') ($(nproc) cores)"

# open_results COLUMNS: $results exists and has these, of which date, commit, machine, threads, work, case, n and bar mean
# what they say.
open_results() {
	columns=$1
	[ -f "$results" ] || echo "$columns" >"$results"
	[ "$(head -n 1 "$results")" = "$columns" ] || fail "$results: not this script's columns; choose another with -o"
}

# kept WORK CASE N [COLUMN VALUE]: whether -c was given and that result is there.
kept() {
	[ "$continue" ] && awk -F, -v commit="$commit" -v machine="$machine" -v threads="$threads" -v work="$1" -v name="$2" -v n="$3" \
		-v column="${4:-work}" -v value="${5:-$1}" '
	FNR == 1 { for (i = 1; i <= NF; i++) at[$i] = i }
	$at["commit"] == commit && $at["machine"] == machine && $at["threads"] == threads && $at["work"] == work &&
		$at["case"] == name && $at["n"] == n && $at[column] == value { found = 1 }
	END { exit !found }' "$results"
}

# A figure against a bar: ">= 8", "<= 1.5", a text that it must begin with, or nothing to hold it against.
# shellcheck disable=SC2016
verdict='function verdict(figure, bar, part)
{
	split(bar, part, " ")
	if (bar == "")
		return ""
	if (part[1] == ">=")
		return figure + 0 >= part[2] + 0 ? "pass" : "falls short"
	if (part[1] == "<=")
		return figure + 0 <= part[2] + 0 ? "pass" : "falls short"
	return index(figure, bar) == 1 ? "pass" : "falls short"
}'

median() {
	sort -n | awk '{ x[NR] = $1 } END { printf "%.3f\n", NR % 2 ? x[(NR + 1) / 2] : (x[NR / 2] + x[NR / 2 + 1]) / 2 }'
}

largest() {
	sort -n | tail -n 1
}

# in_turn A B: runs A B A B ..., commands that print seconds and peak MiB. Sets a, b: the medians of their seconds, b_by_a
# and a_by_b: of the ratios of a pair of runs, mib: A's peak, and second: what B printed last.
in_turn() {
	rm -f "$scratch"/*.runs
	i=0
	while [ $i -lt "$runs" ]; do
		first=$($1)
		second=$($2)
		rest=${first#* }
		echo "${first%% *}" >>"$scratch/a.runs"
		echo "${rest%% *}" >>"$scratch/mib.runs"
		echo "${second%% *}" >>"$scratch/b.runs"
		awk -v a="${first%% *}" -v b="${second%% *}" 'BEGIN { print b / a }' >>"$scratch/b_by_a.runs"
		awk -v a="${first%% *}" -v b="${second%% *}" 'BEGIN { print a / b }' >>"$scratch/a_by_b.runs"
		i=$((i + 1))
	done
	a=$(median <"$scratch/a.runs") b=$(median <"$scratch/b.runs") mib=$(largest <"$scratch/mib.runs")
	b_by_a=$(median <"$scratch/b_by_a.runs") a_by_b=$(median <"$scratch/a_by_b.runs")
}

# in_cgroup BYTES COMMAND...: runs it in a new memory cgroup of so many bytes, below this process' own. 125: there can be
# none. Leaves the peak in bytes in $scratch/cgroup.peak, where the system tells.
in_cgroup() {
	limit=$1
	shift
	v1=/sys/fs/cgroup/memory$(sed -n 's/^[0-9]*:memory://p' /proc/self/cgroup)
	rm -f "$scratch/cgroup.peak"
	if [ -f "$v1/memory.limit_in_bytes" ]; then
		[ -w "$v1" ] || return 125
		group=$v1/kith-bench.$$
		mkdir "$group" || return 125
		echo "$limit" >"$group/memory.limit_in_bytes" || return 125
		code=0
		# shellcheck disable=SC2016
		sh -c 'echo $$ >"$0/cgroup.procs" && exec "$@"' "$group" "$@" || code=$?
		cat "$group/memory.max_usage_in_bytes" >"$scratch/cgroup.peak"
		rmdir "$group" && group=
		return $code
	fi
	[ -f /sys/fs/cgroup/cgroup.controllers ] && [ -d /run/systemd/system ] && [ "$(id -u)" = 0 ] || return 125
	systemd-run --quiet --scope -p "MemoryMax=$limit" -p MemorySwapMax=0 "$@"
}

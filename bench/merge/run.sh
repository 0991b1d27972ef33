#!/bin/sh
# run.sh - every claim about kith-merge's speed and memory, and about what graphs take on disk, measured, with the bar it is
# held against.
#
#   sh bench/merge/run.sh [OPTION]... WORK...
#
#   all       the works below, in this order
#   paper     LeNet-5's twelve layers, ladder 15,100, all there is to ask for (--alpha all --graph both): seconds
#   ladder    the same layers, ladder 15,100,6000,12000: time against decoding the same records and throwing the ids away
#   million   n=1,000,000, 24 layers, k=15: time against decoding, and inside a memory cgroup of 256 MB (needs root)
#   rivals    n=100,000, 24 layers, k=15: CRoaring's time for NNTS (libroaring-dev), and SciPy's for NNTS and NNTP
#             (python3-scipy), by kith's for both. What they compute is compared with kith's result
#   growth    16, 32, 64, 128 and 256 layers, n=20,000, k=15: the exponent of time
#   bits      LeNet-5's graphs, ladders 15 and 15,100,6000,12000: stored bits per directed edge, which is rows and reverse lists
#             and all that the file takes besides, but near lists (distances), which are counted apart; and the least
#             that random sets take, log2 C(n-1, k) / k
#   incremental  n=100,000 and n=1,000,000, 24 layers, k=15: layer 12 replaced with pairs.kpr at hand, in the time of merging
#             from scratch; stack.json alone, and with the new pairs.kpr. The other layer 12 is what make_stack.c draws with
#             another seed from layer 11 on
#   summary   on request only: the summary from what the results file holds
#
#   -a DIR     LeNet-5's activations (examples/lenet5/out/mnist/activations, or fashion-mnist's)
#   -g DIR     where graphs are kept, and taken from if there: LeNet-5's as DIR/LADDER/LAYER.nng, such as DIR/15,100/C0.nng,
#              synthetic ones below DIR/synthetic (build-bench/graphs). Take an empty one to measure what today's kith-knn
#              stores. Those to k=12000 take a minute and 0.7 gigabytes each
#   -n RUNS    runs of each pair, in turn; medians are reported (3)
#   -t THREADS threads of kith, of decoding and of CRoaring; SciPy's sparse matrices use one (the machine's cores)
#   -l LAYERS  a trial: only these of LeNet-5's layers: -l 'I O'
#   -c         continue: leave out what the results file has for this machine, commit and number of threads
#   -r ROWS    a trial with ROWS samples everywhere, LeNet-5's first ones; 6000 and 12000 become a tenth and a fifth of them
#   -o FILE    results (bench/results/merge.csv, but a trial's are not kept; the summary goes beside it as .md)
#
# kith's seconds are those of the program kith-merge, from its start to its end: opening, reading, decoding and checking the
# graphs, NNTS and NNTP, the result synced to disk; -k, --alpha and --graph as by default but for paper. Its MiB count the
# graph files that it maps, save in the cgroup, whose own count is reported. A rival's seconds begin when its data
# structures are made, and end with the numbers. Files are in the page cache. The waiting policy of OpenMP is passive.
# Synthetic graphs: make_stack.c says how they are made. Each finished line is in the results file at once. Needs
# libroaring-dev, python3-numpy and python3-scipy for rivals; and python3-numpy for -r.
set -eu
root=$(CDPATH='' cd -- "$(dirname -- "$0")/../.." && pwd)
# shellcheck source=bench/lib.sh
. "$root/bench/lib.sh"

activations='' store='' runs=3 threads=$(nproc) only='' continue='' rows='' results=''
while getopts a:g:n:t:l:cr:o: option; do
	case $option in
	a) activations=$OPTARG ;;
	g) store=$OPTARG ;;
	n) runs=$OPTARG ;;
	t) threads=$OPTARG ;;
	l) only=$OPTARG ;;
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
	all) works="$works paper ladder million rivals growth bits incremental" ;;
	paper | ladder | million | rivals | growth | bits | incremental | summary) works="$works $work" ;;
	*) fail "$work: no such work" ;;
	esac
done

find_activations
if [ -z "$results" ]; then
	results=$root/bench/results/merge.csv
	[ -z "$rows$only" ] || results=$scratch/trial.csv
fi
mkdir -p "${store:=$root/build-bench/graphs}"
store=$(CDPATH='' cd -- "$store" && pwd)

build kith-knn kith-merge bench_merge make_stack
programs=$root/build-bench
bench=$programs/bench/bench_merge
export OMP_WAIT_POLICY=passive TMPDIR="$scratch"

open_results date,commit,machine,threads,data,runs,work,case,n,layers,k,stored_gb,decoded_gb,kith_s,kith_mib,against,against_s,figure,bar,note

# say WORK CASE FIGURE BAR AGAINST NOTE: one line of the table on the terminal, with what the work has set.
say() {
	awk -v work="$1" -v name="$2" -v n="$n" -v layers="$layers" -v kith="$a" -v mib="$mib" -v against="$5" -v seconds="$b" \
		-v figure="$3" -v bar="$4" -v note="$6" "$verdict"'
	BEGIN {
		printf "%-8s %-10s %7s %6s %9s %6s %-18s %9s %10s %10s %-11s %s\n", work, name, n, layers, kith, mib, against,
			seconds, figure, bar, verdict(figure, bar), note
	}'
}

# record WORK CASE FIGURE BAR AGAINST NOTE: keeps and prints a result.
record() {
	printf '%s,%s,%s,%s,%s,%s,%s,%s,%s,%s,%s,%s,%s,%s,%s,%s,%s,%s,%s\n' "$(date +%F),$commit" "$machine" "$threads" "$data" \
		"$runs" "$1" "$2" "$n" "$layers" "$k" "$stored" "$decoded" "$a" "$mib" "$5" "$b" "$3" "$4" "$6" >>"$results"
	say "$@"
}

# ---- graphs: each sets folder and, there, graphs; data, n, layers and k ----

twelve='I C0 R0 P0 C1 R1 P1 C2 R2 M3 R3 O'
full=${rows:-60000}
long=15,100,$((full / 10)),$((full / 5))

# lenet LADDER: LeNet-5's; those that are not there are made.
lenet() {
	folder=$store/${rows:+first$rows/}$1
	data=$(basename "$(dirname "$activations")" | tr , ' ') n=$full k=$(echo "$1" | tr , -) graphs='' layers=0
	mkdir -p "$folder"
	for layer in ${only:-$twelve}; do
		graph=$folder/$layer.nng
		[ -f "$graph" ] || make_graph "$1"
		shape=$("$bench" shape "$graph")
		[ "$shape" = "$n $1" ] || fail "$graph: n and ladder are $shape, not $n $1"
		graphs="$graphs $layer.nng" layers=$((layers + 1))
	done
	read_files
}

make_graph() {
	file=$activations/$layer.npy
	[ -f "$file" ] || fail "$file: no such file (examples/lenet5/run.sh makes it; -a names another folder)"
	if [ "$rows" ]; then
		/usr/bin/python3 -c 'import sys, numpy; numpy.save(sys.argv[3], numpy.load(sys.argv[1], mmap_mode="r")[:int(sys.argv[2])])' \
			"$file" "$rows" "$scratch/rows.npy"
		file=$scratch/rows.npy
	fi
	"$programs/kith-knn" -q -k "$1" -t "$threads" -o "$graph" "$file"
}

# synthetic N K LAYERS
synthetic() {
	folder=$store/synthetic/n$1.k$2.layers$3 data=synthetic n=$1 k=$2 layers=$3
	mkdir -p "$folder"
	first_layers "$3"
	[ -f "$folder/$(printf %03d $((layers - 1))).nng" ] || "$programs/bench/make_stack" "$1" "$2" "$3" 1 "$folder"
	read_files
}

first_layers() {
	graphs=$(seq -f %03g.nng 0 $(($1 - 1)))
}

# Into the page cache.
read_files() {
	# shellcheck disable=SC2086
	(cd "$folder" && cat $graphs >/dev/null)
}

# ---- one run over the graphs: seconds, peak MiB ----

asked= # options of kith-merge

kith() {
	# shellcheck disable=SC2086
	(cd "$folder" && "$bench" run "$programs/kith-merge" -q -t "$threads" $asked -o "$scratch/stack.json" $graphs)
}

# and bytes read, bytes decoded
decode() {
	# shellcheck disable=SC2086
	(cd "$folder" && "$bench" decode "$threads" $graphs)
}

roaring() {
	# shellcheck disable=SC2086
	(cd "$folder" && "$programs/bench/rival_roaring" "$threads" "$scratch/stack.json" $graphs)
}

scipy() {
	/usr/bin/python3 "$root/bench/merge/rival_scipy.py" "$scratch/stack.json" "$scratch"/*.rows.npy
}

against_decoding() {
	in_turn kith decode
	bytes=${second#* * }
	stored=$(gigabytes "${bytes% *}") decoded=$(gigabytes "${bytes#* }")
}

gigabytes() {
	awk -v bytes="$1" 'BEGIN { printf "%.3f\n", bytes / 1e9 }'
}

forget() {
	stored='' decoded='' a='' b='' mib=''
}

# ---- the works ----

work_paper() {
	! kept paper LeNet-5 "$full" || return 0
	lenet 15,100
	asked='--alpha all --graph both'
	against_decoding
	record paper LeNet-5 "$a" '<= 5' decoding ''
}

work_ladder() {
	! kept ladder LeNet-5 "$full" || return 0
	lenet "$long"
	against_decoding
	record ladder LeNet-5 "$a_by_b" '<= 1.4' decoding ''
}

work_million() {
	synthetic "${rows:-1000000}" 15 24
	limit=256000000
	asked="-m $(((limit >> 20) - 32))M" # what a program takes besides its data
	if ! kept million time "$n"; then
		against_decoding
		record million time "$a_by_b" '<= 2' decoding "$asked"
	fi
	! kept million cgroup "$n" || return 0
	forget
	code=0
	# shellcheck disable=SC2086
	line=$(cd "$folder" && in_cgroup $limit "$bench" run "$programs/kith-merge" -q -t "$threads" $asked -o "$scratch/stack.json" \
		$graphs) || code=$?
	[ ! -f "$scratch/cgroup.peak" ] || mib=$(($(cat "$scratch/cgroup.peak") >> 20))
	case $code in
	0)
		a=${line% *}
		record million cgroup 'not killed' 'not killed' 'cgroup of 256 MB' "$asked"
		;;
	125) echo "million  cgroup skipped: it needs root and a memory controller" ;;
	*) record million cgroup "exit code $code" 'not killed' 'cgroup of 256 MB' "$asked" ;;
	esac
}

work_rivals() {
	synthetic "${rows:-100000}" 15 24
	if ! build rival_roaring; then
		echo "rivals   CRoaring skipped: no rival_roaring"
	elif ! kept rivals CRoaring "$n"; then
		in_turn kith roaring
		record rivals CRoaring "$b_by_a" '>= 10' "CRoaring $("$programs/bench/rival_roaring" version)" 'NNTS alone'
	fi
	if ! version=$(/usr/bin/python3 "$root/bench/merge/rival_scipy.py" version 2>/dev/null); then
		echo "rivals   SciPy skipped: /usr/bin/python3 has none (python3-scipy)"
	elif ! kept rivals SciPy "$n"; then
		for graph in $graphs; do
			"$bench" rows "$folder/$graph" "$scratch/${graph%.nng}.rows.npy"
		done
		in_turn kith scipy
		rm "$scratch"/*.rows.npy
		record rivals SciPy "$b_by_a" '>= 50' "SciPy $version" 'NNTS and NNTP; SciPy on one thread'
	fi
}

# The rows are recorded; the exponent is the summary's.
work_growth() {
	synthetic "${rows:-20000}" 15 256
	sizes=
	for layers in 16 32 64 128 256; do
		kept growth time "$n" layers "$layers" || sizes="$sizes $layers"
	done
	rm -f "$scratch"/growth.*
	i=0
	while [ $i -lt "$runs" ]; do
		for layers in $sizes; do
			first_layers "$layers"
			line=$(kith)
			echo "${line% *}" >>"$scratch/growth.$layers.s"
			echo "${line#* }" >>"$scratch/growth.$layers.mib"
		done
		i=$((i + 1))
	done
	for layers in $sizes; do
		a=$(median <"$scratch/growth.$layers.s") mib=$(largest <"$scratch/growth.$layers.mib")
		record growth time '' '' '' ''
	done
}

work_bits() {
	bits_of 15 '<= 30'
	bits_of "$long" '<= 10'
}

# bits_of LADDER BAR
bits_of() {
	lenet "$1"
	layers=1
	for graph in $graphs; do
		kept bits "${graph%.nng}" "$n" k "$k" || record_bits "$2" "$("$bench" bits "$folder/$graph")"
	done
}

record_bits() {
	bar=$1
	# shellcheck disable=SC2086
	set -- $2
	record bits "${graph%.nng}" "$1" "$bar" '' "rows $2 + reverse $3; distances $4 apart; random sets $5"
}

work_incremental() {
	for size in ${rows:-100000 1000000}; do
		synthetic "$size" 15 24
		replaced=$folder/012.2.nng
		[ -f "$replaced" ] || "$programs/bench/make_stack" "$n" "$k" "$layers" 1 "$folder" 12 2
		cat "$replaced" >/dev/null
		previous=
		incremental 'stack.json' ''
		incremental 'and .kpr' "--pairs $scratch/new.kpr"
		rm -f "$scratch"/*.kpr
	done
}

# incremental CASE OPTIONS
incremental() {
	! kept incremental "$1" "$n" || return 0
	forget
	if [ -z "$previous" ]; then
		asked="--pairs $scratch/previous.kpr"
		kith >/dev/null
		previous=$scratch/previous.kpr
		graphs=$(echo "$graphs" | sed 's/^012.nng$/012=012.2.nng/')
		compare_update
	fi
	asked=$2
	in_turn update kith
	record incremental "$1" "$a_by_b" '<= 0.35' 'from scratch' ''
}

update() {
	before=$asked
	asked="$asked --from $previous"
	kith
	asked=$before
}

# Is it what it is taken for? 23 layers from the store, and the same result.
compare_update() {
	asked=
	kith >/dev/null
	mv "$scratch/stack.json" "$scratch/anew.json"
	# shellcheck disable=SC2086
	said=$(cd "$folder" && "$programs/kith-merge" -t "$threads" --from "$previous" -o "$scratch/stack.json" $graphs 2>&1)
	case $said in
	*"23 of 24 layers"*) ;;
	*) fail "$folder: layers are not known again; remove it: an older make_stack made it. $said" ;;
	esac
	cmp "$scratch/anew.json" "$scratch/stack.json"
}

# The table from the results file: of each case the latest result on this machine with so many threads.
summary() {
	awk -F, -v machine="$machine" -v threads="$threads" "$verdict"'
	function line(work, name, n, layers, k, stored, decoded, kith, mib, against, seconds, figure, bar, note, commit, held) {
		held = verdict(figure, bar)
		bars += bar != ""
		passed += held == "pass"
		printf "| %-7s | %-8s | %7s | %6s | %17s | %6s | %7s | %8s | %5s | %-16s | %8s | %10s | %10s | %-11s | %s | %s |\n",
			work, name, n, layers, k, rate(stored, kith), rate(decoded, kith), kith, mib, against, seconds, figure,
			bar, held, note, commit
	}
	function rate(gigabytes, seconds) {
		return gigabytes == "" || seconds + 0 == 0 ? "" : sprintf("%.2f", gigabytes / seconds)
	}
	function exponent(i, f, points, x, y, sx, sy, sxx, sxy, where, n, k) { # least squares of log t on log L
		for (i = 1; i <= count; i++) {
			split(last[keys[i]], f, ",")
			if (f[7] != "growth")
				continue
			x = log(f[10])
			y = log(f[14])
			n = f[9]
			k = f[11]
			where = !points++ || where == f[2] ? f[2] : "several"
			sx += x
			sy += y
			sxx += x * x
			sxy += x * y
		}
		if (points == 5)
			line("growth", "exponent", n, "", k, "", "", "", "", "", "",
				sprintf("%.3f", (points * sxy - sx * sy) / (points * sxx - sx * sx)), "<= 1.3", "", where)
		else
			missing = missing " growth (no exponent: " points + 0 " of 5 sizes)"
	}
	FNR > 1 && $3 == machine && $4 == threads {
		key = $7 "," $8 "," $9 "," $10 "," $11
		if (!(key in last))
			keys[++count] = key
		last[key] = $0
		seen[$7] = 1
		date = $1
	}
	END {
		print "# kith-merge, measured\n\n" machine ", threads: " threads " (" date "). Made by bench/merge/run.sh, which says what is measured."
		print "Seconds are medians. A figure is seconds (paper), the median ratio of times, kith by decoding"
		print "(ladder, million), the rival by kith (rivals) or with pairs.kpr at hand by from scratch (incremental), the"
		print "exponent of time (growth), bits per directed edge (bits). GB/s are of records read as stored, and as"
		print "decoded, in the time of kith-merge. MiB is the peak resident size, mapped graph files included (cgroup:"
		print "the peak of what the kernel counted).\n"
		print "| work | case | n | layers | k | stored GB/s | decoded GB/s | kith s | MiB | against | its s | figure | bar | | | commit |"
		print "|---|---|--:|--:|--:|--:|--:|--:|--:|---|--:|--:|--:|---|---|---|"
		works = split("paper ladder million rivals growth bits incremental", work, " ")
		for (w = 1; w <= works; w++) {
			if (!(work[w] in seen)) {
				missing = missing " " work[w]
				continue
			}
			for (i = 1; i <= count; i++) {
				split(last[keys[i]], f, ",")
				if (f[7] == work[w])
					line(f[7], f[8], f[9], f[10], f[11], f[12], f[13], f[14], f[15], f[16], f[17], f[18], f[19],
						f[20], f[2])
			}
			if (work[w] == "growth")
				exponent()
		}
		printf "\n%d of %d bars reached.%s\n", passed, bars, missing == "" ? "" : " Not measured:" missing "."
	}' "$results"
}

[ -z "$rows$only" ] || echo "A trial: the bars are for the real thing."
printf '%-8s %-10s %7s %6s %9s %6s %-18s %9s %10s %10s\n' work case n layers 'kith s' MiB against 'its s' figure bar
for work in $works; do
	[ "$work" != summary ] || continue
	forget
	asked=
	"work_$work"
done
echo
summary >"${results%.csv}.md"
cat "${results%.csv}.md"

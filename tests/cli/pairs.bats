#!/usr/bin/env bats
# Pair stores: kith-pairs, and what kith-show and kith-check make of them.

load helper

# Four layers, the second the first again, and their stack and pairs; made once.
setup_file() {
	PATH="$KITH_BIN:${KITH_TEST_TOOLS:+$KITH_TEST_TOOLS:}$PATH"
	cd "$BATS_FILE_TMPDIR"
	local seed=0 v
	for v in I C1 P1 O; do
		mknpy -n 50 -d 6 -s $((seed == 1 ? 0 : seed)) -g $v.npy
		kith-knn -q -k 3,8 -o $v.nng $v.npy
		seed=$((seed + 1))
	done
	kith-merge -q --graph both --alpha all -o stack.json I.nng C1.nng P1.nng O.nng
	mkpairs -b 40 s.kpr I.nng C1.nng P1.nng O.nng
	mkpairs whole.kpr I.nng C1.nng P1.nng O.nng
}

setup() {
	work_folder
	cp "$BATS_FILE_TMPDIR"/*.kpr "$BATS_FILE_TMPDIR"/stack.json "$BATS_FILE_TMPDIR"/I.nng .
}

# refused CODE TEXT ARGUMENT...: kith-pairs exits with CODE, says one message with TEXT, and leaves the folder as it was.
refused() {
	fails "$1" "$2" kith-pairs "${@:3}"
}

@test "kith-merge writes the pairs that it counts" {
	cp "$BATS_FILE_TMPDIR"/*.nng .
	kith-merge -q --graph both --alpha all --pairs merged.kpr -o merged.json I.nng C1.nng P1.nng O.nng
	cmp merged.json stack.json
	kith-check merged.kpr
	kith-show merged.kpr | grep -v '^#' >merged.txt
	kith-show whole.kpr | grep -v '^#' >whole.txt
	cmp merged.txt whole.txt

	# at one k, what lies beyond it is left out
	kith-merge -q -k 3 --pairs three.kpr -o three.json I.nng C1.nng P1.nng O.nng
	kith-check three.kpr
	[ "$(kith-pairs -k 3 --all --count three.kpr)" = "$(kith-pairs -k 3 --all --count whole.kpr)" ]

	# nothing is left of a run that fails, and no input is written over
	printf x >cut.nng
	run kith-merge -q --pairs none.kpr -o none.json I.nng cut.nng
	[ "$status" -ne 0 ]
	[ ! -e none.kpr ] && [ ! -e none.kpr.part ] && [ ! -e none.json ]
	run --separate-stderr kith-merge -q --pairs I.nng -o none.json I.nng O.nng
	[ "$status" -eq 2 ]
	run --separate-stderr kith-merge -q --pairs none.json -o none.json I.nng O.nng
	[ "$status" -eq 2 ]
	run --separate-stderr kith-merge -q -m 16M --pairs none.kpr -o none.json I.nng O.nng
	[ "$status" -eq 2 ]
	[[ "$stderr" == *"-m is too small"* ]]
	[ ! -e none.kpr ]
}

@test "counts are those of stack.json, to the last unit" {
	local measure k graph alpha first last value question compared=0
	while IFS=$'\t' read -r measure k graph alpha first last value _; do
		case $measure in
		nntp) [ "$alpha" = 0 ] && question="--run $first:$last" || continue ;;
		pairs) question="--persist $first" ;;
		survivors) question="--persist $first:$last" ;;
		births) question="--born $first" ;;
		deaths) question="--dies $first" ;;
		returns) question="--gap $first:$last" ;;
		*) continue ;;
		esac
		echo "$measure, k=$k, $graph: $question"
		[ "$(kith-pairs -k "$k" --graph "$graph" $question --count s.kpr)" = "$value" ]
		compared=$((compared + 1))
	done < <(kith-show stack.json | grep -v '^#')
	[ "$compared" -ge 80 ]
}

@test "pairs as text, array and graph are the same pairs" {
	local count
	count=$(kith-pairs -k 8 --born P1 --count s.kpr)
	[ "$count" -gt 10 ]
	kith-pairs -k 8 --born P1 s.kpr >out.tsv
	kith-pairs -q -k 8 --born P1 -o file.tsv s.kpr
	cmp out.tsv file.tsv
	kith-pairs -q -k 8 --born P1 --format npy -o out.npy s.kpr
	kith-pairs -q -k 8 --born P1 --format graphml -o out.graphml s.kpr
	for python in python3 /usr/bin/python3; do
		"$python" -c 'import numpy' 2>/dev/null && break
	done
	"$python" - "$count" <<-'END'
		import sys
		import xml.etree.ElementTree as tree
		import numpy as np
		rows = [line.rstrip("\n").split("\t") for line in open("out.tsv") if line[0] != "#"]
		assert len(rows) == int(sys.argv[1]) and all(row[2] == "P1" and row[3] in ("P1", "O") for row in rows)
		array = np.load("out.npy")
		assert array.dtype == np.uint32 and array.shape == (len(rows), 2)
		assert array.tolist() == [[int(i), int(j)] for i, j, _, _ in rows]
		space = "{http://graphml.graphdrawing.org/xmlns}"
		graph = tree.parse("out.graphml").getroot().find(space + "graph")
		assert [n.get("id") for n in graph.findall(space + "node")] == [str(i) for i in range(50)]
		edges = [[e.get("source"), e.get("target")] + [d.text for d in e.findall(space + "data")]
		         for e in graph.findall(space + "edge")]
		assert edges == rows
	END
}

@test "components: every sample once, sizes that add up" {
	kith-pairs --components I:P1 --graph mutual s.kpr >out
	kith-pairs --persist I:P1 --graph mutual --format components s.kpr | grep -v '^#' >rows
	grep -v '^#' out | cmp - rows
	[ "$(grep -vc '^#' out)" -eq 50 ]
	grep -v '^#' out | awk '$2 > $1 {exit 1} {size[$2]++} END {for (c in size) print size[c]}' | sort -n | uniq -c |
		awk '{print "# " $2 "\t" $1}' >sizes
	sed -n '/^# size/,/^# node/p' out | sed '1d;$d' | cmp - sizes
	[ "$(kith-pairs --components I:P1 --graph mutual --count s.kpr)" -eq "$(grep -v '^#' out | cut -f 2 | sort -u | wc -l)" ]
}

@test "the size of the blocks changes no answer" {
	local question
	for question in --all --returns "--persist :O" "--run 0:1" "--dies C1" "--gap I:O" "--all --format components" "--components :O"; do
		kith-pairs -k 8 $question s.kpr >one
		kith-pairs -k 8 $question whole.kpr >two
		cmp one two
	done
	cmp <(kith-show s.kpr) <(kith-show whole.kpr)
}

@test "kith-show: a row for each pair, some nodes, JSON; kith-check finds nothing wrong" {
	run --separate-stderr kith-show s.kpr
	[ "$status" -eq 0 ]
	[ "${lines[0]}" = "# kith pairs" ]
	[ -z "$stderr" ]
	[ "$(kith-show s.kpr | grep -vc '^#')" -eq "$(kith-pairs -k 8 --all --count s.kpr)" ]
	kith-show --nodes 7:9 s.kpr | grep -v '^#' | cut -f 1 | sort -u | tr '\n' ' ' | grep -qx '7 8 '
	[ "$(kith-show --nodes 50: s.kpr | grep -vc '^#')" -eq 0 ]
	kith-show --format json s.kpr | python3 -c '
import json, sys
shown = json.load(sys.stdin)
assert len(shown["rows"]) == shown["pairs"] and [layer["name"] for layer in shown["layers"]] == ["I", "C1", "P1", "O"]'
	kith-check s.kpr whole.kpr
	run kith-show --nodes 3:51 s.kpr
	[ "$status" -eq 2 ]
}

# tests/data/extras.kpr.gz: as kith-merge --pairs wrote it when it still kept an extra record, from these three layers.
@test "a pair store with an extra record is read as one without" {
	local v seed=0
	gunzip -c "$BATS_TEST_DIRNAME/../data/extras.kpr.gz" >extras.kpr
	grep -q nnts extras.kpr
	for v in a b c; do
		mknpy -n 12 -d 4 -s $seed -g $v.npy
		kith-knn -q --ties index -k 2,5 -o $v.nng $v.npy # as all files were then
		seed=$((seed + 1))
	done
	kith-merge -q --pairs new.kpr -o new.json a.nng b.nng c.nng
	kith-check extras.kpr
	cmp <(kith-show extras.kpr) <(kith-show new.kpr)
	cmp <(kith-show --format json extras.kpr) <(kith-show --format json new.kpr)
	cmp <(kith-pairs -k 2 --all extras.kpr) <(kith-pairs -k 2 --all new.kpr)
	[ "$(kith-pairs -k 5 --all --graph mutual --count extras.kpr)" -gt 0 ]
}

@test "files of an older version are refused, with what to do" {
	mkold pairs s.kpr old.kpr
	run --separate-stderr kith-show old.kpr
	[ "$status" -eq 2 ]
	[ "$stderr" = "kith-show: old.kpr: format version 1, but this program reads version 2: build it again with kith-merge --pairs" ]
	mkold graph I.nng old.nng
	run --separate-stderr kith-merge -q -o x.json old.nng I.nng
	[ "$status" -eq 2 ]
	[[ "$stderr" == *"old.nng: format version 1, but this program reads version 3: build it again with kith-knn"* ]]
	[ ! -e x.json ]
}

@test "the closing report: only where the answer is a file" {
	run --separate-stderr kith-pairs --all s.kpr
	[ "$status" -eq 0 ]
	[ -z "$stderr" ]
	run --separate-stderr kith-pairs --all -o out.tsv s.kpr
	[ "$status" -eq 0 ]
	[ -z "$output" ]
	[[ "$stderr" =~ ^kith-pairs:\ all\ of\ s\.kpr\ -\>\ out\.tsv:\ [0-9]+\ pairs:\ [0-9.]+\ s,\ [0-9]+\ MB\ peak$ ]]
	run --separate-stderr kith-pairs -q --all -o out.tsv s.kpr
	[ -z "$output$stderr" ]
}

@test "wrong usage" {
	refused 2 "no file given" --all
	refused 2 "no question given" s.kpr
	refused 2 "more than one question" --all --returns s.kpr
	refused 2 "one file at a time" --all s.kpr whole.kpr
	refused 2 "-k 5: s.kpr has k=3,8" -k 5 --all s.kpr
	refused 2 "-k 0" -k 0 --all s.kpr
	refused 2 "--graph both" --graph both --all s.kpr
	refused 2 "--format yaml" --format yaml --all s.kpr
	refused 2 "-o pairs.npy" --format npy --all s.kpr
	refused 2 "--format is for pairs" --format tsv --count --all s.kpr
	refused 2 "leave it out with --components" --components L0:L1 --format tsv s.kpr
	refused 2 "--persist X:O: s.kpr has no such layers" --persist X:O s.kpr
	refused 2 "--persist 0:4: s.kpr has no such layers" --persist 0:4 s.kpr
	refused 2 "--run O:I: I comes before O" --run O:I s.kpr
	refused 2 "--born I:O: one layer" --born I:O s.kpr
	refused 2 "--gap I:C1: there is no layer between" --gap I:C1 s.kpr
	refused 2 "is the input" --all -o s.kpr s.kpr
	refused 2 "is the input" --all -o ./s.kpr s.kpr
}

@test "files that are no pair store, or cannot be read or written" {
	refused 1 "nowhere.kpr" --all nowhere.kpr
	refused 2 "I.nng: is a kith graph" --all I.nng
	refused 2 "stack.json: not a pair store" --all stack.json
	refused 1 "no/out.tsv" --all -o no/out.tsv s.kpr
	run --separate-stderr kith-merge -o out.json I.nng s.kpr
	[ "$status" -eq 2 ]
	[[ "$stderr" == *"s.kpr: is a pair store"* ]]
	echo old >out.tsv
	refused 2 "--born X" --born X -o out.tsv s.kpr
	[ "$(cat out.tsv)" = old ]
	rm out.tsv
	run bash -c 'ulimit -f 1; trap "" XFSZ; exec kith-pairs -k 8 --all -o out.tsv s.kpr'
	[ "$status" -eq 1 ]
	[[ "$output" == "kith-pairs: "*"out.tsv: cannot write: File too large" ]]
	[ ! -e out.tsv ]
	[ ! -e out.tsv.part ]
}

# says_no PROGRAM ARGUMENT...: refuses a damaged s.kpr with one message that names the file.
says_no() {
	run --separate-stderr "$@"
	echo "status $status, stderr: $stderr"
	[ "$status" -eq 1 ] || [ "$status" -eq 2 ]
	[[ "${stderr_lines[0]}" == "$1: "*s.kpr* ]]
}

@test "truncated at every 4 KiB, or grown" {
	local size cut
	cp s.kpr whole
	size=$(stat -c %s whole)
	for ((cut = 0; cut < size; cut += 4096)); do
		echo "cut to $cut of $size"
		head -c $cut whole >s.kpr
		says_no kith-check s.kpr
		says_no kith-show s.kpr
		says_no kith-pairs --all s.kpr
		if ((cut > 0)); then
			[ "$status" -eq 1 ]
		fi
	done
	cat whole whole >s.kpr
	says_no kith-pairs --all s.kpr
	{ cat whole; head -c 4096 /dev/zero; } >s.kpr
	says_no kith-check s.kpr
}

# As for graphs (bad_input.bats): what holds data must be missed; what holds none must change nothing.
@test "one flipped byte anywhere" {
	local size at caught=0 harmless=0
	cp s.kpr whole
	kith-show s.kpr >shown
	kith-pairs -k 8 --run C1:P1 s.kpr >expected
	size=$(stat -c %s whole)
	for ((at = 0; at < size; at += 512)); do
		cp whole s.kpr
		flipbyte s.kpr $((at + at / 512 * 37 % 512)) $((1 << at / 512 % 8))
		echo "flipped in $at..$((at + 511)) of $size"
		run --separate-stderr kith-check s.kpr
		if [ "$status" -eq 0 ]; then
			harmless=$((harmless + 1))
			kith-show s.kpr | cmp - shown
		else
			caught=$((caught + 1))
			says_no kith-check s.kpr
			run --separate-stderr kith-show s.kpr
			[ "$status" -lt 128 ]
		fi
		run --separate-stderr kith-pairs -q -k 8 --run C1:P1 -o out s.kpr
		if [ "$status" -eq 0 ]; then
			cmp out expected
			rm out
		else
			says_no kith-pairs -k 8 --run C1:P1 s.kpr
		fi
	done
	echo "$caught caught, $harmless harmless"
	[ "$caught" -gt 3 ]
}

#!/usr/bin/env bats
# kith-merge --from: the same results as from scratch, and what it says of where they came from.

load helper

# Five layers, and the pairs of the first four; made once.
setup_file() {
	PATH="$KITH_BIN:${KITH_TEST_TOOLS:+$KITH_TEST_TOOLS:}$PATH"
	cd "$BATS_FILE_TMPDIR"
	local seed=0 v
	for v in a b c d e; do
		mknpy -n 60 -d 6 -s $seed -g $v.npy
		kith-knn -q -k 3,8 -o $v.nng $v.npy
		seed=$((seed + 1))
	done
	kith-merge -q --pairs abcd.kpr -o abcd.json a.nng b.nng c.nng d.nng
}

setup() {
	work_folder
	cp "$BATS_FILE_TMPDIR"/*.nng "$BATS_FILE_TMPDIR"/abcd.* .
}

# came WORDS ARGUMENT...: merges from abcd.kpr and from scratch; the closing report has these words, the results are the
# same.
came() {
	local words=$1
	shift
	kith-merge -q --pairs scratch.kpr -o scratch.json "$@"
	run --separate-stderr kith-merge --from abcd.kpr --pairs new.kpr -o new.json "$@"
	echo "status $status, stderr: $stderr"
	[ "$status" -eq 0 ]
	[ -z "$output" ]
	[[ "$stderr" =~ ^kith-merge:\ .*,\ "$words":\ [0-9.]+\ s,\ [0-9]+\ MB\ peak$ ]]
	cmp scratch.json new.json
	cmp <(kith-show scratch.kpr) <(kith-show new.kpr)
	kith-check new.kpr
	rm new.json
	kith-merge -q --from abcd.kpr -o new.json "$@"
	cmp scratch.json new.json
	[ -z "$(find . -name '*.part')" ]
}

@test "appended, replaced, removed, in another order, twice, under other names" {
	came "4 of 5 layers from abcd.kpr" a.nng b.nng c.nng d.nng e.nng
	came "3 of 4 layers from abcd.kpr" a.nng b.nng e.nng d.nng
	came "3 of 3 layers from abcd.kpr" a.nng c.nng d.nng
	came "4 of 5 layers from abcd.kpr" d.nng e.nng b.nng c.nng a.nng
	came "1 of 2 layers from abcd.kpr" e.nng b.nng
	came "1 of 1 layers from abcd.kpr" b.nng
	came "4 of 4 layers from abcd.kpr" a.nng again=a.nng x=b.nng d.nng
	came "4 of 5 layers from abcd.kpr" --alpha all --graph both a.nng b.nng c.nng d.nng e.nng
	came "3 of 4 layers from abcd.kpr" -k 3 -t 1 a.nng b.nng e.nng d.nng
	came "3 of 4 layers from abcd.kpr" -k 8 --graph mutual a.nng b.nng e.nng d.nng
}

@test "a layer is known by its activations, not by its name" {
	mknpy -n 60 -d 6 -s 77 -g new.npy
	kith-knn -q -k 3,8 -o b.nng new.npy
	came "3 of 4 layers from abcd.kpr" a.nng b.nng c.nng d.nng
	kith-knn -q -k 3,8 --metric cosine -o b.nng "$BATS_FILE_TMPDIR/b.npy"
	came "3 of 4 layers from abcd.kpr" a.nng b.nng c.nng d.nng
	cp "$BATS_FILE_TMPDIR/b.npy" renamed.npy
	kith-knn -q -k 2,3,8 -o b.nng renamed.npy
	came "4 of 4 layers from abcd.kpr" a.nng b.nng c.nng d.nng
	grep -q renamed.npy new.json
}

@test "where it is of no use, all is read" {
	came "from scratch (abcd.kpr: it holds none of these layers)" e.nng
	mknpy -n 60 -d 6 -s 99 -g f.npy
	kith-knn -q -k 3,8 -o f.nng f.npy
	came "from scratch (abcd.kpr: too many layers are new)" e.nng a.nng f.nng
	kith-merge -q -k 3 --pairs abcd.kpr -o x.json a.nng b.nng
	came "from scratch (abcd.kpr: it lacks a k)" a.nng b.nng
	came "1 of 2 layers from abcd.kpr" -k 3 a.nng c.nng
	mkpairs abcd.kpr a.nng b.nng
	came "from scratch (abcd.kpr: it has no counts of neighbours: kith-merge did not write it)" a.nng b.nng
	rm abcd.kpr
	came "from scratch (abcd.kpr: there is no such file)" a.nng b.nng
	mknpy -n 50 -d 6 -g short.npy
	kith-knn -q -k 3,8 -o short.nng short.npy
	kith-merge -q --pairs abcd.kpr -o x.json short.nng
	came "from scratch (abcd.kpr: it has other samples)" a.nng b.nng
}

@test "an older version's file: a pair store is of no use, and made anew; a graph is refused" {
	mkold pairs abcd.kpr old.kpr
	mv old.kpr abcd.kpr
	came "from scratch (abcd.kpr: an older version of kith wrote it)" a.nng b.nng c.nng
	kith-merge -q --from abcd.kpr --pairs abcd.kpr -o new.json a.nng b.nng c.nng
	kith-check abcd.kpr
	mkold pairs abcd.kpr old.kpr
	run --separate-stderr kith-show old.kpr
	[ "$status" -eq 2 ]
	[ "$stderr" = "kith-show: old.kpr: format version 1, but this program reads version 2: build it again with kith-merge --pairs" ]
	mkold graph a.nng old.nng
	refused 2 "old.nng: format version 1, but this program reads version 2: build it again with kith-knn" -o x.json old.nng b.nng
}

@test "one file for --from and --pairs" {
	kith-merge -q --pairs scratch.kpr -o scratch.json a.nng e.nng c.nng
	kith-merge -q --from abcd.kpr --pairs abcd.kpr -o new.json a.nng e.nng c.nng
	cmp scratch.json new.json
	cmp <(kith-show scratch.kpr) <(kith-show abcd.kpr)
	# and again, now from that one
	run --separate-stderr kith-merge --from abcd.kpr --pairs abcd.kpr -o new.json a.nng e.nng c.nng d.nng
	[[ "$stderr" == *"3 of 4 layers from abcd.kpr"* ]]
	# where nothing comes of it, it stays
	cp abcd.kpr before.kpr
	run --separate-stderr kith-merge --from abcd.kpr --pairs abcd.kpr -o no/new.json a.nng
	[ "$status" -eq 1 ]
	printf x >cut.nng
	run --separate-stderr kith-merge --from before.kpr --pairs before.kpr -o new.json a.nng cut.nng
	[ "$status" -eq 2 ]
	kith-check before.kpr
}

# refused CODE TEXT ARGUMENT...: exits with CODE, says one message with TEXT, and leaves the folder as it was.
refused() {
	local code=$1 text=$2 before
	shift 2
	before=$(ls -A)
	run --separate-stderr kith-merge "$@"
	echo "status $status, stderr: $stderr"
	[ "$status" -eq "$code" ]
	[[ "${stderr_lines[0]}" == "kith-merge: "*"$text"* ]]
	[ -z "$output" ]
	[ "$(ls -A)" = "$before" ]
}

@test "wrong usage, and files that are no pair store" {
	refused 2 "is the input abcd.kpr itself" --from abcd.kpr -o abcd.kpr a.nng
	refused 2 "b.nng: is a kith graph" --from b.nng -o x.json a.nng
	refused 2 "abcd.json: not a pair store" --from abcd.json -o x.json a.nng
	refused 2 "leave --from out to merge from scratch" --from abcd.json -o x.json a.nng
	refused 2 "no layers given" --from abcd.kpr -o x.json
}

@test "a damaged store is an error that says what to do, or changes nothing" {
	local size at cut caught=0 harmless=0
	kith-merge -q -o scratch.json a.nng e.nng c.nng d.nng
	cp abcd.kpr whole
	size=$(stat -c %s whole)
	for ((cut = 4096; cut < size; cut += 4096)); do
		head -c $cut whole >abcd.kpr
		refused 1 "remove it to merge from scratch" --from abcd.kpr --pairs abcd.kpr -o x.json a.nng e.nng c.nng d.nng
	done
	for ((at = 0; at < size; at += 512)); do
		cp whole abcd.kpr
		flipbyte abcd.kpr $((at + at / 512 * 37 % 512)) $((1 << at / 512 % 8))
		echo "flipped in $at..$((at + 511)) of $size"
		run --separate-stderr kith-merge -q --from abcd.kpr -o x.json a.nng e.nng c.nng d.nng
		if [ "$status" -eq 0 ]; then
			harmless=$((harmless + 1))
			cmp x.json scratch.json
			rm x.json
		else
			caught=$((caught + 1))
			[ "$status" -eq 1 ] || [ "$status" -eq 2 ]
			[[ "${stderr_lines[0]}" == "kith-merge: abcd.kpr: "*"remove it to merge from scratch"* ]]
			[ ! -e x.json ]
		fi
	done
	echo "$caught caught, $harmless harmless"
	[ "$caught" -gt 3 ]
}

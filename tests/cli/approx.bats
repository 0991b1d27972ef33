#!/usr/bin/env bats
# kith-knn --engine approx: what it takes and refuses, what it says, --candidates, and ENGINE = approx of kith.mk.

load helper

setup() {
	work_folder
	export LC_ALL=C
	mknpy -n 2000 -d 12 -s 1 a.npy
	mknpy -n 2000 -d 12 -s 2 b.npy
}

# With the arguments after it, kith-knn exits with 2, and one line on stderr that holds the first.
refused() {
	fails 2 "$1" kith-knn -o out.nng "${@:2}"
	[ ! -e out.nng ]
}

@test "few samples are the exact engine's, which is as fast" {
	run --separate-stderr kith-knn --engine approx -o a.nng a.npy
	[[ "$stderr" == *"n=2000 d=12 k=15 exact ("*"), as fast as approx here: "* ]]
	[[ "$(kith-show a.nng | grep '^# engine')" == *exact* ]]
	kith-knn -q -o exact.nng a.npy
	cmp <(kith-show exact.nng | grep -v '^# command') <(kith-show a.nng | grep -v '^# command')
	[ "$(kith-knn --dry-run --engine approx a.npy | wc -l)" -eq 1 ]
	[ "$(kith-knn --dry-run a.npy | wc -l)" -eq 1 ]
	[ "$(kith-knn --dry-run --engine approx:leaf=560 a.npy | wc -l)" -eq 2 ]
}

@test "it reaches the recall asked for, and says how" {
	run --separate-stderr kith-knn --engine approx:recall=0.95,leaf=560 -o a.nng a.npy
	echo "$stderr"
	[ "$status" -eq 0 ]
	[[ "$stderr" =~ approx\ \([0-9]+\ trees\ of\ 560,\ [0-9]+\ rounds\):\ recall\ (above\ )?0\.9[5-9] ]]
	kith-check -q a.nng
	[[ "$(kith-show a.nng | grep '^# engine')" == *approx* ]]
	kith-knn -q --engine approx:recall=0.95,leaf=560 -t 1 -m 1G -o again.nng a.npy
	cmp <(kith-show a.nng | grep -v '^#') <(kith-show again.nng | grep -v '^#')
}

@test "trees and rounds as they are given, and another seed is another graph" {
	run --separate-stderr kith-knn --engine approx:trees=2,rounds=0,leaf=100,seed=7 -o a.nng a.npy
	[[ "$stderr" == *"(2 trees of 100, 0 rounds)"* ]]
	[[ "$(kith-show a.nng | grep '^# parameters')" == *"trees=2,leaf=100,rounds=0,seed=7"* ]]
	kith-knn -q --engine approx:trees=2,rounds=0,leaf=100,seed=8 -o b.nng a.npy
	! cmp -s <(kith-show a.nng | grep -v '^#') <(kith-show b.nng | grep -v '^#')
}

@test "in cells, where memory does not hold all samples' lists, or where they are asked for" {
	mknpy -n 8000 -d 12 c.npy
	run --separate-stderr kith-knn --engine approx:leaf=560,recall=0.9 -m 3M -o a.nng c.npy
	echo "$stderr"
	[[ "$stderr" =~ approx\ \([0-9]+\ cells,\ [0-9]+\ trees\ of\ 560,\ [0-9]+\ rounds\):\ recall\ 0\.9 ]]
	kith-check -q a.nng
	kith-check -q --recall 500 c.npy a.nng
	rm c.npy
	kith-knn -q --engine approx:cells=4 -o a.nng a.npy
	[[ "$(kith-show a.nng | grep '^# parameters')" == *cells=4* ]]
	kith-knn -q --engine approx:cells=4 -t 1 -m 3M -o again.nng a.npy
	cmp <(kith-show a.nng | grep -v '^#') <(kith-show again.nng | grep -v '^#')
	[ "$(ls)" = "$(printf '%s\n' a.nng a.npy again.nng b.npy)" ]
	refused "cells=200: not a number from 1 to 128" --engine approx:cells=200 a.npy
}

@test "candidates reach into cells" {
	kith-knn -q -o exact.nng a.npy
	run --separate-stderr kith-knn --engine approx:trees=1,rounds=0,cells=4 --candidates exact.nng -o a.nng a.npy
	echo "$stderr"
	local with without
	with=$(kith-show a.nng | awk '/^# recall/ { print $3 }')
	kith-knn -q --engine approx:trees=1,rounds=0,cells=4 -o a.nng a.npy
	without=$(kith-show a.nng | awk '/^# recall/ { print $3 }')
	awk "BEGIN { exit !($with > $without && $with > 0.95) }"
}

@test "one leaf for all samples: the exact graph, and still approximate" {
	kith-knn -q -o exact.nng a.npy
	kith-knn -q --engine approx:leaf=2000 -o a.nng a.npy
	cmp <(kith-show exact.nng | grep -v '^#') <(kith-show a.nng | grep -v '^#')
	[[ "$(kith-show a.nng | grep '^# engine')" == *approx* ]]
}

@test "bad options are refused with what they may be" {
	refused "recall=1: all of them, then, which is --engine exact" --engine approx:recall=1 a.npy
	refused "recall=0: not a number between 0 and 1" --engine approx:recall=0 a.npy
	refused "recall=nan" --engine approx:recall=nan a.npy
	refused "recall=0.9x" --engine approx:recall=0.9x a.npy
	refused "trees=0: not a number from 1" --engine approx:trees=0 a.npy
	refused "rounds=-1" --engine approx:rounds=-1 a.npy
	refused "forest=3: the options are recall, trees, leaf, rounds, cells and seed" --engine approx:forest=3 a.npy
	refused "expected NAME=NUMBER" --engine approx:trees a.npy
	refused "expected NAME=NUMBER" --engine approx: a.npy
	refused "k=2000, but each of its 2000 samples" --engine approx -k 2000 a.npy
	refused "this build has only the engines exact, approx, faiss" --engine approximate a.npy
	refused "-m is too small: engine approx needs at least" --engine approx:leaf=560 -m 800K a.npy
	refused "--audit" --engine approx:trees=3 --audit 0 a.npy
}

@test "candidates: measured, and refused where they cannot be" {
	kith-knn -q -o exact.nng a.npy
	run --separate-stderr kith-knn --engine approx:trees=1,rounds=0 --candidates exact.nng -o a.nng a.npy
	echo "$stderr"
	[[ "$stderr" == *"no miss found"* ]]
	[[ "$(kith-show a.nng | grep '^# parameters')" == *candidates=1* ]]
	refused "finds every neighbour without them" --candidates exact.nng a.npy
	refused "a graph without a name" --engine approx --candidates exact.nng, a.npy
	run --separate-stderr kith-knn --engine approx --candidates none.nng -o out.nng a.npy
	[ "$status" -eq 1 ]
	[[ "$stderr" == *"none.nng: cannot open"* ]]
	mknpy -n 1000 -d 3 c.npy
	refused "candidates are layers of the same samples" --engine approx --candidates exact.nng c.npy
	cp exact.nng out.nng
	run --separate-stderr kith-knn --engine approx --candidates out.nng -o out.nng a.npy
	[ "$status" -eq 2 ]
	cmp exact.nng out.nng
}

@test "odd layers: equal rows, zero rows, constant columns" {
	mknpy -n 3000 -d 3 -s 1 one.npy
	head -c 128 one.npy >same.npy
	head -c 36000 /dev/zero >>same.npy
	kith-knn -q --engine approx -k 5 -o same.nng same.npy
	kith-knn -q -k 5 -o exact.nng same.npy
	cmp <(kith-show exact.nng | grep -v '^#') <(kith-show same.nng | grep -v '^#')
	refused "row 0 is zero" --engine approx --metric cosine --zero-rows refuse same.npy
}

@test "samples that codes cannot tell apart are the exact engine's" {
	head -c 128 a.npy >near.npy
	# the last of each row's twelve floats varies in its last bits, all else is the same
	for i in $(seq 2000); do
		printf '\x00\x00\x80\x40%.0s' 1 2 3 4 5 6 7 8 9 10 11
		printf "\\x$(printf %02x $((i * 7 % 251)))\\x$(printf %02x $((i % 249)))\\x80\\x40"
	done >>near.npy
	tail -c +129 a.npy | head -c 48000 | dd of=near.npy bs=1 seek=128 conv=notrunc status=none
	run --separate-stderr kith-knn --engine approx:leaf=560 -o a.nng near.npy
	echo "$stderr"
	[[ "$stderr" == *"approx (codes cannot tell: exact"* ]]
	kith-knn -q -o exact.nng near.npy
	cmp <(kith-show exact.nng | grep -v '^#') <(kith-show a.nng | grep -v '^#')
}

@test "kith.mk: ENGINE = approx builds each layer, then again with those beside it" {
	mkdir activations
	mv a.npy b.npy activations
	cp activations/b.npy activations/c.npy
	cat >Makefile <<-END
		LAYERS = a b c
		ENGINE = approx:trees=1,rounds=0
		include $(cd "$BATS_TEST_DIRNAME/../.." && pwd)/pipeline/kith.mk
	END
	KITH_BIN=$(dirname "$(command -v kith-knn)") make -s kith 2>/dev/null
	[ -e kith/first/a.nng ]
	[[ "$(kith-show kith/b.nng | grep '^# parameters')" == *candidates=3* ]]
	[[ "$(kith-show kith/c.nng | grep '^# parameters')" == *candidates=2* ]]
	make -q kith
	KITH_BIN=$(dirname "$(command -v kith-knn)") make -s kith ENGINE=approx 2>/dev/null
	[[ "$(kith-show kith/b.nng | grep '^# engine')" == *exact* ]]
	make -s kith-clean
	[ ! -e kith ]
}

#!/usr/bin/env bats
# pipeline/kith.mk: which targets are made again, and when. In place of each program there is one that notes its call, so
# that a test reads from the log what make did, and copies its inputs, which is enough to test make's side, and quick. Behind
# those that a test names by `programs`, the ones of the folder KITH_BIN do their work.

setup() {
	root=$(cd "$BATS_TEST_DIRNAME/../.." && pwd)
	real=${KITH_BIN:+$(cd "$KITH_BIN" && pwd)}
	unset KITH_BIN LAYERS K ACTIVATIONS ACTIVATIONS_SUFFIX OUT METRIC ENGINE GRAPH ALPHA PAIRS MEM THREADS MAKEFLAGS MAKELEVEL
	cd "$BATS_TEST_TMPDIR"
	mkdir bin activations
	for name in A B C; do
		npy "$name" >"activations/$name.npy"
	done
	find activations -type f -exec touch -d '-1 hour' {} +
	for program in knn merge report; do
		stand_in "$program" >"bin/kith-$program"
	done
	chmod +x bin/*
	printf '%s\n' "LAYERS = A B C" "K = 2,5" "KITH_BIN = bin" "include $root/pipeline/kith.mk" >Makefile
	settle
}

# 24 samples of 3 bytes each, different for each name, as a .npy file without numpy's help.
npy() {
	printf '\223NUMPY\001\000v\000%-117s\n' "{'descr': '|u1', 'fortran_order': False, 'shape': (24, 3), }"
	LC_ALL=C awk -v "name=$1" 'BEGIN {
		seed = index("ABCDE", name)
		for (i = 0; i < 72; i++) { seed = (seed * 137 + 29) % 1009; printf "%c", 1 + seed % 100 }
	}'
}

# Notes "knn A.nng" and copies the inputs, or has $2 do its work; fails, or hangs half-way, where the files `fail` and
# `hang` say so.
stand_in() {
	local work=
	[ -z "$2" ] || work="exec '$2' \"\$@\""
	cat <<-END
		#!/bin/sh
		for last do [ "\$before" = -o ] && out=\$last; before=\$last; done
		call="$1 \${out##*/}"
		echo "\$call" >>"$PWD/log"
		[ -e "$PWD/fail" ] && grep -qx "\$call" "$PWD/fail" && { echo half >"\$out.part"; exit 1; }
		[ -e "$PWD/hang" ] && grep -qx "\$call" "$PWD/hang" && { echo half >"\$out.part"; exec sleep 60; }
		$work
		pairs=
		while [ "\$1" != -o ]; do [ "\$1" = --pairs ] && pairs=\$2; shift; done
		shift 2
		for file do file=\${file#*=}; cat \${file%:*}; done >"\$out.part" && mv "\$out.part" "\$out"
		[ -z "\$pairs" ] || cp "\$out" "\$pairs"
	END
}

programs() {
	local program
	for program in ${real:+"$@"}; do
		stand_in "$program" "$real/kith-$program" >"bin/kith-$program"
	done
}

# A graph's rows, without how it was made.
kith_rows() {
	"$real/kith-show" "$1" | grep -v '^#'
}

# Everything made so far is now a minute old, so that a touch makes a newer file whatever the clock's grain. But for
# activations: another time is a change.
settle() {
	find . -path ./activations -prune -o -type f -exec touch -d '-1 minute' {} +
	: >log
}

# The programs that ran since settle, sorted, in one line.
ran() {
	sort log | tr '\n' ' '
}

all="knn A.nng knn B.nng knn C.nng merge stack.json report report.html "

@test "a first make makes everything, a second nothing" {
	programs knn merge report
	run make kith
	[ "$status" -eq 0 ]
	[ "$(ran)" = "$all" ]
	for file in A.nng B.nng C.nng stack.json report.html; do
		[ -s "kith/$file" ]
	done
	make -q kith
	settle
	make kith
	[ "$(ran)" = "" ]
	make -q kith
	[ -z "$(find . -name '*.part')" ]
}

@test "make -j2 makes the same" {
	make -j2 kith
	[ "$(ran)" = "$all" ]
	make -q kith
}

@test "touching one layer's activations remakes its graph, the merge, the report, and nothing else" {
	make kith
	settle
	touch activations/B.npy
	make kith
	[ "$(ran)" = "knn B.nng merge stack.json report report.html " ]
}

@test "activations replaced by older ones are noticed, and files copied with their times are not" {
	make kith
	settle
	npy D >new.npy
	touch -d 2020-01-01 new.npy
	cp -p new.npy activations/B.npy
	run make -q kith
	[ "$status" -eq 1 ]
	TZ=Asia/Tokyo make -j2 kith
	[ "$(ran)" = "knn B.nng merge stack.json report report.html " ]
	: >log
	TZ=America/New_York make kith
	make -q kith
	[ "$(ran)" = "" ]
	# of the same size and age: another time is enough, and another size, too
	npy E >activations/C.npy
	touch -d 2020-01-02 activations/C.npy
	make kith
	[ "$(ran)" = "knn C.nng merge stack.json report report.html " ]
	cp -a . ../copy
	cd ../copy
	make -q kith
}

@test "activations that make itself makes" {
	mkdir raw
	mv activations/* raw
	printf '%s\n' 'activations/%.npy: raw/%.npy' '	cp $< $@' >>Makefile
	make -j2 kith
	[ "$(ran)" = "$all" ]
	make -q kith
	: >log
	touch raw/B.npy
	make kith
	[ "$(ran)" = "knn B.nng merge stack.json report report.html " ]
	make -q kith
}

@test "one target alone: a graph, stack.json" {
	make kith/B.nng
	[ "$(ran)" = "knn B.nng " ]
	make kith/stack.json
	[ "$(ran)" = "knn A.nng knn B.nng knn C.nng merge stack.json " ]
}

@test "settings of the graphs remake everything" {
	make kith
	cp -Rp activations more
	for setting in K=3 "K=3 METRIC=cosine" "K=3 METRIC=cosine ACTIVATIONS=more"; do
		settle
		run make -n kith $setting
		[ "$(echo "$output" | grep -c "kith-knn'")" -eq 3 ]
		[ "$(ran)" = "" ]
		make kith $setting
		[ "$(ran)" = "$all" ]
		make -q kith $setting
	done
	settle
	HOME=$PWD make kith ACTIVATIONS='~/activations' OUT='~/home' KITH_BIN='~/bin/'
	[ "$(ran)" = "$all" ]
	[ -s home/report.html ]
	HOME=/home run make -n kith/A.nng NEIGHBOURS='~/activations'
	[[ $output == *"/home/activations/A.npy: no such file"* ]]
	run make -n kith $setting ENGINE=faiss:Flat
	[ "$(echo "$output" | grep -c "kith-knn'.*--engine 'faiss:Flat'")" -eq 3 ]
}

@test "settings of the merge keep the graphs" {
	make kith
	for setting in ALPHA=1 "ALPHA=1 GRAPH=both" "ALPHA=1 GRAPH=both LAYERS=B A C" "LAYERS=C A"; do
		settle
		# The last setting's words are one argument: LAYERS holds spaces.
		case $setting in
		*LAYERS*) set -- ${setting%%LAYERS*} "LAYERS${setting#*LAYERS}" ;;
		*) set -- $setting ;;
		esac
		make kith "$@"
		[ "$(ran)" = "merge stack.json report report.html " ]
		make -q kith "$@"
	done
}

@test "a layer more: its graph, the merge, the report" {
	make kith LAYERS="A C"
	settle
	make kith
	[ "$(ran)" = "knn B.nng merge stack.json report report.html " ]
}

@test "settings that change no result remake nothing" {
	make kith
	make -q kith
	settle
	make kith MEM=512M THREADS=1
	[ "$(ran)" = "" ]
}

@test "a setting given as its default is no change" {
	make kith K=
	make -q kith K=
	settle
	make kith K=15 METRIC=l2 ENGINE=exact GRAPH=union ALPHA=0 ACTIVATIONS=activations/ OUT=kith/
	[ "$(ran)" = "" ]
}

# Merges again what make has just merged, and compares.
same_as_by_hand() {
	[ -n "$real" ] || return 0
	local layers= name
	for name; do
		layers="$layers $name=kith/$name.nng"
	done
	"$real/kith-merge" -q --pairs again.kpr -o again.json $layers
	cmp again.json kith/stack.json
	cmp <("$real/kith-show" again.kpr) <("$real/kith-show" kith/pairs.kpr)
	"$real/kith-check" kith/pairs.kpr
}

@test "PAIRS: pairs.kpr is made with stack.json, in one run" {
	programs knn merge
	make -j2 kith PAIRS=yes
	[ "$(ran)" = "$all" ]
	[ -s kith/pairs.kpr ]
	same_as_by_hand A B C
	make -q kith PAIRS=yes
	settle
	# without PAIRS it is nobody's business, and with it again it is still there
	make kith PAIRS=no
	make kith PAIRS=yes
	[ "$(ran)" = "" ]
	rm kith/pairs.kpr
	make kith PAIRS=yes
	[ "$(ran)" = "merge stack.json report report.html " ]
	make -q kith PAIRS=yes
	settle
	touch activations/B.npy
	[ "$(make -n kith PAIRS=yes | grep -c "kith-merge'")" -eq 1 ]
	[ "$(ran)" = "" ]
	make -n kith PAIRS=yes | grep -q -e '--pairs kith/pairs.kpr -o kith/stack.json'
}

@test "PAIRS: a layer replaced, added, removed; all in another order" {
	programs knn merge
	make kith PAIRS=yes
	settle
	npy D >activations/B.npy
	touch -d '-1 hour' activations/B.npy
	make kith PAIRS=yes
	[ "$(ran)" = "knn B.nng merge stack.json report report.html " ]
	same_as_by_hand A B C

	settle
	npy E >activations/E.npy
	touch -d '-1 hour' activations/E.npy
	make kith PAIRS=yes LAYERS="A B C E"
	[ "$(ran)" = "knn E.nng merge stack.json report report.html " ]
	same_as_by_hand A B C E

	settle
	make kith PAIRS=yes LAYERS="A C E"
	[ "$(ran)" = "merge stack.json report report.html " ]
	same_as_by_hand A C E

	settle
	make kith PAIRS=yes LAYERS="E A B C"
	[ "$(ran)" = "merge stack.json report report.html " ]
	same_as_by_hand E A B C
}

@test "PAIRS: activations that are the same again, and another K" {
	make kith PAIRS=yes
	settle
	touch activations/A.npy
	make kith PAIRS=yes
	[ "$(ran)" = "knn A.nng merge stack.json report report.html " ]
	settle
	make kith PAIRS=yes K=3
	[ "$(ran)" = "$all" ]
	make -q kith PAIRS=yes K=3
}

@test "PAIRS: a merge that fails or is killed stays due, and leaves what there was" {
	make kith PAIRS=yes
	cp kith/pairs.kpr before.kpr
	settle
	npy D >activations/B.npy
	echo "merge stack.json" >fail
	run make kith PAIRS=yes
	[ "$status" -ne 0 ]
	cmp kith/pairs.kpr before.kpr
	mv fail hang
	rm kith/stack.json.part
	setsid make kith PAIRS=yes &
	for i in $(seq 100); do
		[ -e kith/stack.json.part ] && break
		sleep 0.1
	done
	kill -TERM -- "-$!"
	wait "$!" && false
	cmp kith/pairs.kpr before.kpr
	rm hang
	: >log
	make kith PAIRS=yes
	run cmp -s kith/pairs.kpr before.kpr
	[ "$status" -eq 1 ]
	[ "$(ran)" = "merge stack.json report report.html " ]
}

@test "PAIRS: kith-clean, and what is neither yes nor no" {
	make kith PAIRS=yes
	make kith-clean PAIRS=yes
	[ ! -e kith ]
	run make kith PAIRS=maybe
	[ "$status" -ne 0 ]
	[[ $output == *"PAIRS: yes or no, not maybe"* ]]
}

@test "MEM and THREADS reach kith-knn and kith-merge" {
	run make -n kith MEM=512M THREADS=1
	[ "$(echo "$output" | grep -c -e '-m 512M -t 1')" -eq 4 ]
}

@test "a failed program leaves no target and the next make goes on from there" {
	echo "knn B.nng" >fail
	run make kith
	[ "$status" -ne 0 ]
	[ ! -e kith/B.nng ]
	[ ! -e kith/stack.json ]
	rm fail
	: >log
	run make kith
	[ "$status" -eq 0 ]
	case $(ran) in
	*"knn A.nng"*) false ;;
	*"knn B.nng"*) ;;
	*) false ;;
	esac
}

@test "a failed remake stays due: the old result does not pass for the new one" {
	make kith
	settle
	echo "merge stack.json" >fail
	run make kith ALPHA=1
	[ "$status" -ne 0 ]
	rm fail
	: >log
	make kith ALPHA=1
	[ "$(ran)" = "merge stack.json report report.html " ]
}

@test "an interrupted make leaves no target half-written" {
	echo "knn B.nng" >hang
	setsid make kith &
	for i in $(seq 100); do
		[ -e kith/B.nng.part ] && break
		sleep 0.1
	done
	kill -TERM -- "-$!"
	wait "$!" && false
	[ ! -e kith/B.nng ]
	rm hang
	: >log
	make kith
	case $(ran) in
	*"knn A.nng"*) false ;;
	*"knn B.nng"*) ;;
	*) false ;;
	esac
	make -q kith
}

@test "without KITH_BIN the programs are those on PATH" {
	PATH=$PWD/bin:$PATH make kith KITH_BIN=
	[ "$(ran)" = "$all" ]
}

@test "the default goal: kith in a bare makefile, the user's own where there is one" {
	run make -n
	[ "$(echo "$output" | grep -c "kith-knn'")" -eq 3 ]
	{
		printf 'mine:\n\t@echo my own goal\n'
		cat Makefile
	} >Own.mk
	run make -f Own.mk
	[ "$output" = "my own goal" ]
}

@test "kith-clean removes what was made and nothing else" {
	make kith
	touch kith/notes.txt kith/A.nng.abcdef.part kith/stack.json.part # of runs that were killed
	make kith-clean
	[ "$(ls -A kith)" = notes.txt ]
	rm kith/notes.txt
	make kith
	make kith-clean
	[ ! -e kith ]
	[ "$(ls activations)" = "$(printf 'A.npy\nB.npy\nC.npy')" ]
}

@test "OUT may be the folder itself, nested, or absolute" {
	for out in . some/where "$PWD/else"; do
		settle
		make kith OUT="$out"
		[ "$(ran)" = "$all" ]
		make -q kith OUT="$out"
	done
}

@test "unfit settings are refused with a reason" {
	run make kith LAYERS=
	[ "$status" -ne 0 ]
	[[ $output == *"set LAYERS"* ]]
	run make kith LAYERS="A B A"
	[ "$status" -ne 0 ]
	[[ $output == *"named twice"* ]]
	run make kith LAYERS="A b/c x'y"
	[ "$status" -ne 0 ]
	[[ $output == *"not /'"* ]]
	run make kith OUT="two words"
	[ "$status" -ne 0 ]
	[[ $output == *"space"* ]]
	for layers in "A B/c" "A schön" "A 层" "A -b"; do
		run make kith LAYERS="$layers"
		[ "$status" -ne 0 ]
		[[ $output == *"kith.mk: LAYERS, ACTIVATIONS_SUFFIX: names may hold letters without accents"* ]]
	done
	run make kith K="2 5"
	[ "$status" -ne 0 ]
	[[ $output == *"put commas between the values, K = 2,5"* ]]
}

@test "activations that are not there: which, and what to do" {
	for setting in "LAYERS=A Z" "LAYERS=Z A" "LAYERS=A Z B" "LAYERS=A my layer" "ACTIVATIONS=elsewhere" ACTIVATIONS_SUFFIX=.x; do
		run make kith "$setting"
		[ "$status" -eq 2 ]
		[[ $output == *"kith.mk: "*": no such file, and no rule makes it: record that layer"*"take it out of LAYERS"* ]]
		[[ $output != *"No rule"* ]]
		[ ! -e kith/stack.json ]
	done
	[[ $output == *"kith.mk: activations/"[ABC]".x: "* ]]
	run make nothing
	[ "$status" -eq 2 ]
	[[ $output == *"kith.mk: nothing: no such file, and no rule makes it"* ]]
	[[ $output != *"record that layer"* ]]
	make kith
	rm activations/B.npy
	run make kith
	[ "$status" -eq 2 ]
	[[ $output == *"kith.mk: activations/B.npy: no such file"* ]]
}

@test "K with blanks is K without" {
	make kith
	make -q kith
	settle
	make -q kith K="2, 5"
	make -q kith K=" 2 ,	5 "
	[ "$(ran)" = "" ]
}

@test "ACTIVATIONS_SUFFIX: another end of the activations' names" {
	for name in A B C; do mv activations/$name.npy activations/$name.act; done
	make kith ACTIVATIONS_SUFFIX=.act
	[ "$(ran)" = "$all" ]
	make -q kith ACTIVATIONS_SUFFIX=.act
	settle
	npy D >new
	touch -d 2020-01-01 new
	cp -p new activations/B.act
	make kith ACTIVATIONS_SUFFIX=.act
	[ "$(ran)" = "knn B.nng merge stack.json report report.html " ]
	make -q kith ACTIVATIONS_SUFFIX=.act
}

@test "ACTIVATIONS: one file for all layers" {
	programs knn
	local header='{"A":{"dtype":"U8","shape":[24,3],"data_offsets":[0,72]},"B":{"dtype":"U8","shape":[24,3],"data_offsets":[72,144]},'
	header+='"C":{"dtype":"U8","shape":[24,3],"data_offsets":[144,216]}}'
	{ printf '\360\0\0\0\0\0\0\0%-240s' "$header" && for name in A B C; do npy $name | tail -c 72; done; } >acts.safetensors
	make kith
	cp kith/B.nng old.nng
	make kith ACTIVATIONS=acts.safetensors
	[ -z "$real" ] || [ "$(kith_rows kith/B.nng)" = "$(kith_rows old.nng)" ]
	make -q kith ACTIVATIONS=acts.safetensors
	touch -d 2020-01-01 acts.safetensors
	settle
	make kith/A.nng ACTIVATIONS=acts.safetensors
	[ "$(ran)" = "knn A.nng " ]
	make kith ACTIVATIONS=acts.safetensors
	[ "$(ran)" = "$all" ]
	make -q kith ACTIVATIONS=acts.safetensors
	make kith-clean ACTIVATIONS=acts.safetensors
	[ ! -e kith ]
	[ -e acts.safetensors ]
	make kith ACTIVATIONS=acts.safetensors ENGINE=approx
	make -q kith ACTIVATIONS=acts.safetensors ENGINE=approx
	run make kith ACTIVATIONS=none.npz
	[ "$status" -eq 2 ]
	[[ $output == *"kith.mk: none.npz: no such file"* ]]
}

# Two shards of layers, 13 and 11 samples, as processes 0 and 1 of kith.record write them.
shards() {
	local name i
	for name; do
		npy "$name" >whole
		for i in 0 1; do
			printf '\223NUMPY\001\000v\000%-117s\n' "{'descr': '|u1', 'fortran_order': False, 'shape': ($((13 - 2 * i)), 3), }"
			tail -c "$((72 - 39 * i))" whole | head -c "$((39 - 6 * i))"
		done >whole.parts
		head -c 167 whole.parts >"activations/$name.npy.0-of-2"
		tail -c 161 whole.parts >"activations/$name.npy.1-of-2"
	done
	touch -d '-1 hour' activations/*-of-2
}

@test "ACTIVATIONS_SHARDS, and a pattern of files for all layers: the same graphs" {
	programs knn
	make kith
	mkdir old
	mv kith/?.nng old
	shards A B C
	make -j2 kith ACTIVATIONS_SHARDS=2
	for name in A B C; do
		[ -z "$real" ] || [ "$(kith_rows kith/$name.nng)" = "$(kith_rows old/$name.nng)" ]
	done
	make -q kith ACTIVATIONS_SHARDS=2
	settle
	touch activations/B.npy.1-of-2
	make kith/A.nng kith/B.nng kith/C.nng ACTIVATIONS_SHARDS=2
	[ "$(ran)" = "knn B.nng " ]
	rm activations/C.npy.1-of-2
	run make kith ACTIVATIONS_SHARDS=2
	[ "$status" -eq 2 ]
	[[ $output == *"kith.mk: activations/C.npy.1-of-2: no such file, and no rule makes it: record that layer"* ]]
	run make -n kith/A.nng LAYERS="A $(seq -s ' ' -f a-layer-of-a-long-name-%.0f 99)" ACTIVATIONS_SHARDS=64
	[[ $output != *"too long"* ]]
	for shards in 0 x "2 3" 2x; do
		run make kith ACTIVATIONS_SHARDS="$shards"
		[ "$status" -eq 2 ]
		[[ $output == *"kith.mk: ACTIVATIONS_SHARDS: in how many files each layer is, such as 4, not $shards"* ]]
	done

	local header='{"A":{"dtype":"U8","shape":[12,3],"data_offsets":[0,36]},"B":{"dtype":"U8","shape":[12,3],"data_offsets":[36,72]}}'
	mkdir st
	for i in 0 1; do
		printf '\270\0\0\0\0\0\0\0%-184s' "$header"
		for name in A B; do npy $name | tail -c "$((72 - 36 * i))" | head -c 36; done
	done >both
	head -c 264 both >st/shard-0-of-2-00000.safetensors
	tail -c 264 both >st/shard-1-of-2-00000.safetensors
	touch -d '-1 hour' st/*
	set -- LAYERS="A B" ACTIVATIONS="st/shard-*.safetensors"
	make kith/A.nng kith/B.nng "$@"
	for name in A B; do
		[ -z "$real" ] || [ "$(kith_rows kith/$name.nng)" = "$(kith_rows old/$name.nng)" ]
	done
	make -q kith/A.nng kith/B.nng "$@"
	for pattern in 'st/shard-?-of-2-00000.safetensors' 'st/shard-[01]-of-2-00000.safetensors' 'st/shard-*.safetensors'; do
		set -- LAYERS="A B" ACTIVATIONS="$pattern"
		make kith/A.nng kith/B.nng "$@"
		make -q kith/A.nng "$@"
		mv st/shard-1-of-2-00000.safetensors .
		run make -q kith/A.nng "$@"
		[ "$status" -eq 1 ]
		mv shard-1-of-2-00000.safetensors st
	done
	rm st/*
	run make kith "$@"
	[ "$status" -eq 2 ]
	[[ $output == *"kith.mk: st/shard-*.safetensors: no such file"* ]]
	run make kith "$@" ACTIVATIONS_SHARDS=2
	[[ $output == *"leave ACTIVATIONS_SHARDS out"* ]]
}

@test "layers and activations by kith.record's layers.mk" {
	mv activations recorded
	printf 'LAYERS = A B C\nACTIVATIONS := $(patsubst %%/,%%,$(dir $(lastword $(MAKEFILE_LIST))))\n' >recorded/layers.mk
	printf '%s\n' "include recorded/layers.mk" "K = 2,5" "KITH_BIN = bin" "include $root/pipeline/kith.mk" >Makefile
	make kith
	[ "$(ran)" = "$all" ]
	make -q kith
}

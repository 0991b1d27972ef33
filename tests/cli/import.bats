#!/usr/bin/env bats
# kith-import: neighbours that others found, from arrays to stack.json and report; and the way back. What each list means
# is property_import's; here are the command line, messages, and what is said of a recall that nobody knows.

load helper

setup() {
	work_folder
	export LC_ALL=C
	mknpy -n 300 -d 4 -s 1 a.npy
	mknpy -n 300 -d 4 -s 3 b.npy
	kith-knn -q -k 5,12 -o a.nng a.npy
	kith-knn -q -k 5,12 -o b.nng b.npy
	kith-show --format npy --indices a.i.npy --distances a.d.npy a.nng
	kith-show --format npy --indices b.i.npy b.nng
}

# What a graph is, without how it was made.
rows() {
	kith-show "$1" | grep -v '^#'
}

# array SHAPE BYTE...: a .npy of int8, row by row.
array() {
	local shape=$1
	shift
	printf '\223NUMPY\001\000v\000%-117s\n' "{'descr': '|i1', 'fortran_order': False, 'shape': ($shape), }"
	for value do
		printf "\\$(printf %o $((value & 255)))"
	done
}

# refused CODE TEXT ARGUMENT...
refused() {
	fails "$1" "$2" kith-import -o out.nng "${@:3}"
	[[ "${stderr_lines[0]}" == *"$2"* ]]
	[ ! -e out.nng ]
}

@test "there and back: arrays of a graph make the same graph" {
	kith-import -q -k 5,12 --distances a.d.npy --euclidean -o back.nng a.i.npy
	[ "$(rows back.nng)" = "$(rows a.nng)" ]
	kith-check -q back.nng
	kith-show --format npy --indices i.npy --distances d.npy back.nng
	cmp i.npy a.i.npy
	cmp d.npy a.d.npy
	kith-import -q -k 5,12 --activations a.npy -o measured.nng a.i.npy
	[ "$(rows measured.nng)" = "$(rows a.nng)" ]
}

@test "without activations recall is not known, and everything says so" {
	run --separate-stderr kith-import --source "umap 0.5" -k 5,12 -o x.nng a.i.npy
	[ "$status" -eq 0 ]
	[[ $stderr == "kith-import: a.i.npy -> x.nng: n=300 k=5,12: recall not known"* ]]
	kith-show x.nng | head -12 >x.txt
	grep -qx "$(printf '# engine\timport:umap 0.5')" x.txt
	grep -qx "$(printf '# recall\tnot known')" x.txt
	grep -qx "$(printf '# d\tnot known')" x.txt
	[[ $(kith-show --format json x.nng) == *'"recall": null'* ]]
	run --separate-stderr kith-merge --mixed --pairs p.kpr -o s.json x.nng b.nng
	[ "$status" -eq 0 ]
	[[ ${stderr_lines[0]} == "kith-merge: x.nng: recall not known"* ]]
	[[ $stderr == *"-> s.json and p.kpr: n=300 k=5,12, the recall of 1 layer not known: "* ]]
	grep -q '"dim": null.*"recall": null' s.json
	kith-check -q s.json p.kpr
	kith-show p.kpr | head -12 | grep -q "$(printf '^# 0\tx\tnot known\tl2\timport:umap 0.5\tnot known\t')"
	kith-show s.json | grep -qx "$(printf 'recall\t5\t-\t-\tx\tx\tnan\t0')"
	kith-report -q --latex t.tex -o r.html s.json
	grep -qF 'x: recall not measured' r.html
	grep -qF 'the recall of <b>x' r.html
	grep -qF 'x≈' r.html
	grep -qF 'not measured' t.tex
	run kith-check --recall 50 a.npy x.nng
	[ "$status" -eq 0 ]
	[[ $output == *"k=12: recall above 0.9"* ]]
}

@test "with activations: measured, audited, completed" {
	run --separate-stderr kith-import -k 5 --activations a.npy --audit 40 -o x.nng a.i.npy
	[ "$status" -eq 0 ]
	[[ $stderr == *": n=300 k=5: recall above 0.9"* ]]
	kith-show x.nng | head -14 | grep -qx "$(printf '# audit\tsamples\t40\tseed\t0')"
	kith-check -q --recall 20 a.npy x.nng
	kith-merge -q --mixed -o s.json x.nng b.nng
	grep -q '"engine": "import", "recall": 0.9999999999999999, "audited": 40' s.json
	# neighbours of other samples, and then none
	run --separate-stderr kith-import -k 5 --activations a.npy -o x.nng b.i.npy
	[[ $stderr =~ recall\ 0\.0 ]]
	array "300, 5" $(yes -- -1 | head -3000) | sed '1s/|i1/<i2/' >none.npy
	run --separate-stderr kith-import --activations a.npy --complete -k 5 -o x.nng none.npy
	[ "$status" -eq 0 ]
	[[ $stderr == *", 300 lists completed: "* ]]
	kith-knn -q -k 5 -o exact.nng a.npy
	[ "$(rows x.nng)" = "$(rows exact.nng)" ]
}

@test "lists with something wrong are refused by row and column" {
	array "4, 2" 1 2 0 2 0 -1 0 1 >i.npy
	refused 2 "i.npy: row 2, column 1 is -1: nobody was found there" i.npy
	array "4, 2" 1 2 0 2 0 4 0 1 >i.npy
	refused 2 "i.npy: row 2, column 1 is 4: samples are numbered from 0; if here from 1, --one-based" i.npy
	array "4, 2" 1 2 0 2 0 7 0 1 >i.npy
	refused 2 "i.npy: row 2, column 1 is 7: there is no such sample" i.npy
	array "4, 2" 1 2 0 2 3 3 0 1 >i.npy
	refused 2 "i.npy: row 2, column 1 is 3, as is column 0 of that row" i.npy
	array "4, 2" 1 2 0 1 3 0 0 1 >i.npy
	refused 2 "i.npy: row 1, column 1 is the sample itself: --self drop takes it out" --self absent i.npy
	refused 2 "i.npy: row 1 has 1 other samples, but k=2" -k 2 i.npy
	refused 2 "i.npy: k=3, but its lists have 2 columns" -k 3 i.npy
	kith-import -q --self auto -o x.nng i.npy
	kith-show x.nng | grep -qx "$(printf '# k\t1')"
	array "4, 1" 0 1 2 3 >i.npy
	refused 2 "i.npy: its lists have their own sample, and nobody else" i.npy
	array "4, 2" 2 3 1 3 1 4 1 2 >i.npy
	kith-import -q --one-based -o x.nng i.npy
	array "4, 2" 0 3 1 3 1 4 1 2 >i.npy
	refused 2 "row 0, column 0 is 0: samples are numbered from 1" --one-based i.npy
	array "4, 2" 1 2 0 2 0 3 0 1 >i.npy
	refused 2 "b.npy has 300 samples" --activations b.npy i.npy
	array "4, 2" 1 1 1 1 1 -1 1 1 >d.npy
	refused 2 "d.npy: row 2, column 1 is -1: distances are 0 or more" --distances d.npy --squared i.npy
	array "3, 2" 1 1 1 1 1 1 >d.npy
	refused 2 "d.npy: 3 rows of 2 distances, but the lists of i.npy are 4 rows of 2" --distances d.npy --squared i.npy
	array "4, 3" 1 2 3 0 2 3 0 3 1 0 1 2 >j.npy
	array "4, 2" 1 1 1 1 2 1 1 1 >d.npy
	refused 2 "d.npy: row 2, column 1 is 1, less than the one before" --distances d.npy --squared j.npy
	refused 2 "row 0, column" a.npy
	array "300, 1" $(yes 1 | head -300) >i.npy
	refused 2 "i.npy: its type, i1, has no room for the numbers of 300 samples" i.npy
	for type in u1 bfloat16; do
		head -c 1200 /dev/zero >raw
		refused 2 "raw: its type, $type, has no room for the numbers of 300 samples" --format raw --dtype $type \
			--shape 300,$([ $type = u1 ] && echo 4 || echo 2) raw
	done
	head -c 4200 /dev/zero >raw
	refused 2 "raw: its type, f2, has no room for the numbers of 2100 samples" --format raw --dtype f2 --shape 2100,1 raw
}

@test "distances that are none: similarities, infinite ones; lists that had to be sorted are counted" {
	array "4, 2" 1 2 0 2 0 3 0 1 >i.npy
	array "4, 2" 9 8 9 1 1 1 5 3 >d.npy
	refused 2 "d.npy: these look like similarities" --distances d.npy --squared i.npy
	array "4, 2" 9 8 9 1 1 2 5 3 >d.npy
	run --separate-stderr kith-import --distances d.npy --squared -o x.nng i.npy
	[ "$status" -eq 0 ]
	[[ $stderr == *", 3 lists sorted by distance: "* ]]
	{ printf '\223NUMPY\001\000v\000%-117s\n' "{'descr': '<f8', 'fortran_order': False, 'shape': (4, 2), }"
		for value in 0 0 0 0 0 0; do printf '\0\0\0\0\0\0\0\0'; done
		printf '\0\0\0\0\0\0\360\177\0\0\0\0\0\0\360\177'; } >d.npy
	refused 2 "d.npy: row 3, column 0 is inf: distances are finite" --distances d.npy --squared i.npy
}

@test "samples of zeros have no direction" {
	array "4, 2" 1 2 3 4 0 0 5 6 >z.npy
	array "4, 2" 1 2 0 2 0 3 0 1 >i.npy
	refused 2 "z.npy: row 2 is zero" --metric cosine --zero-rows refuse --activations z.npy i.npy
	kith-import -q --activations z.npy -o x.nng i.npy
	run --separate-stderr kith-import --metric cosine --activations z.npy -o x.nng i.npy
	[ "$status" -eq 0 ]
	[[ $stderr == *", 1 zero rows at similarity 0 with all others: "* ]]
	kith-check -q --recall 4 z.npy x.nng
	array "4, 2" -1 -1 -1 -1 -1 -1 -1 -1 >i.npy
	kith-import -q -k 2 --complete --metric cosine --activations z.npy -o x.nng i.npy
	kith-knn -q -k 2 --metric cosine -o exact.nng z.npy
	[ "$(rows x.nng)" = "$(rows exact.nng)" ]
}

@test "the command line" {
	refused 2 "no neighbours given"
	refused 2 "--distances a.d.npy: are they squared" --distances a.d.npy a.i.npy
	refused 2 "--distances a.d.npy: are they squared" --distances a.d.npy --squared --euclidean a.i.npy
	refused 2 "--squared: of which distances?" --squared a.i.npy
	refused 2 "--complete: without --activations" --complete a.i.npy
	refused 2 "--distances: with --activations they are measured" --distances a.d.npy --squared --activations a.npy a.i.npy
	refused 2 "--metric jaccard" --metric jaccard --activations a.npy a.i.npy
	refused 2 "--source: not a text" --source "$(printf 'a\tb')" a.i.npy
	refused 2 "--source: not a text" --source "$(printf '%0101d' 0)" a.i.npy
	refused 1 "nowhere.npy" nowhere.npy
	run kith-import -o a.i.npy a.i.npy
	[ "$status" -eq 2 ]
	run kith-import a.i.npy
	[ "$status" -eq 2 ]
	kith-import -q --near 0 -o none.nng a.i.npy
	run kith-show --format npy --distances d.npy none.nng
	[ "$status" -eq 2 ]
	[[ $output == *"keeps no distances"* ]]
	[ ! -e d.npy ]
	run kith-show --format npy a.nng
	[ "$status" -eq 2 ]
	run kith-show --indices x.npy a.nng
	[ "$status" -eq 2 ]
	run kith-show --format npy --indices x.npy a.npy
	[ "$status" -eq 2 ]
	run kith-show --format npy --indices a.nng a.nng
	[ "$status" -eq 2 ]
	run kith-show --format npy --indices x.npy --distances x.npy a.nng
	[ "$status" -eq 2 ]
	# a full disk, of which the file that is written last is too much: none of the two is there
	run bash -c 'ulimit -f 20; trap "" XFSZ; kith-show -q --format npy --indices full.i.npy --distances full.d.npy a.nng'
	[ "$status" -eq 1 ]
	[[ $output == *"full.d.npy: cannot write"* ]]
	[ -z "$(ls -A | grep full)" ]
	kith-show --format npy --nodes 3:7 --indices x.npy a.nng
	head -c 128 x.npy | grep -qF "'<i4', 'fortran_order': False, 'shape': (4, 12)"
}

@test "the bytes do not depend on threads or memory" {
	for given in "--distances a.d.npy --euclidean" "--activations a.npy"; do
		kith-import -q -t 1 $given -o x.nng a.i.npy
		mv x.nng one.nng
		kith-import -q -t 3 $given -o x.nng a.i.npy
		cmp one.nng x.nng
	done
	rows x.nng >rows
	kith-import -q -m 1M --activations a.npy -o x.nng a.i.npy
	rows x.nng | cmp - rows
}

@test "kith.mk imports NEIGHBOURS" {
	mkdir lists activations
	cp a.i.npy lists/a.npy
	cp b.i.npy lists/b.npy
	cp a.npy b.npy activations
	printf '%s\n' "LAYERS = a b" "K = 5" "NEIGHBOURS = lists" "IMPORT = --source 'it''s umap'" "KITH_BIN = $KITH_BIN" \
		"include $BATS_TEST_DIRNAME/../../pipeline/kith.mk" >Makefile
	make kith
	kith-show kith/a.nng | head -8 | grep -qx "$(printf '# engine\timport:its umap')"
	grep -q '"recall": null' kith/stack.json
	make -q kith
	make kith ACTIVATIONS=activations
	grep -q '"audited": 300' kith/stack.json
	make -q kith ACTIVATIONS=activations
	run make kith ENGINE=exact
	[ "$status" -ne 0 ]
	[[ $output == *"with NEIGHBOURS, graphs are imported"* ]]
	rm -r kith
	touch -d '-1 hour' lists/b.npy
	make kith
	cp -p lists/a.npy lists/b.npy
	run make -q kith
	[ "$status" -eq 1 ]
	# and so are the activations that measure them, whatever their names end in; all may be in one folder
	cp b.i.npy lists/b.npy
	for name in a b; do mv activations/$name.npy lists/$name.act; done
	printf '%s\n' "ACTIVATIONS = lists" "ACTIVATIONS_SUFFIX = .act" | cat - Makefile >makefile
	make kith
	make -q kith
	touch -d '-1 hour' a.npy
	cp -p a.npy lists/b.act
	run make -q kith
	[ "$status" -eq 1 ]
	run make kith
	[ "$status" -eq 0 ]
	[[ $output == *"-o kith/b.nng 'lists/b.npy'"* ]]
	[[ $output != *"-o kith/a.nng"* ]]
	make -q kith
	run make kith ACTIVATIONS="my lists"
	[ "$status" -ne 0 ]
	[[ $output == *"ACTIVATIONS, NEIGHBOURS"*"none of them may contain a space"* ]]
	# or one file for all layers
	header='{"a":{"dtype":"F32","shape":[300,4],"data_offsets":[0,4800]},"b":{"dtype":"F32","shape":[300,4],"data_offsets":[4800,9600]}}'
	{ printf '\360\0\0\0\0\0\0\0%-240s' "$header" && tail -c 4800 lists/a.act && tail -c 4800 b.npy; } >acts.safetensors
	make kith ACTIVATIONS=acts.safetensors OUT=one
	make -q kith ACTIVATIONS=acts.safetensors OUT=one
	grep -q '"audited": 300' one/stack.json
	touch -d 2020-01-01 acts.safetensors
	run make -q kith ACTIVATIONS=acts.safetensors OUT=one
	[ "$status" -eq 1 ]
	# the same file as both: a note is not taken for the activations
	run make -n kith ACTIVATIONS_SUFFIX=.npy OUT=same
	[[ $output == *"--activations 'lists/a.npy' "*" -o same/a.nng 'lists/a.npy'"* ]]
}

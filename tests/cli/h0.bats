#!/usr/bin/env bats
# kith-h0, and what kith-show and kith-check make of its files.

load helper

NETS="$BATS_TEST_DIRNAME/../golden/h0"

setup() {
	work_folder
	mknpy -n 5 -d 4 -s 1 I.npy
	mknpy -n 5 -d 3 -s 2 A.npy
	mknpy -n 3 -d 4 -s 3 w.npy
	mknpy -n 2 -d 3 -s 4 v.npy
	net >net.json
}

# net FROM TO: a network of two dense operations, edited by sed's s/FROM/TO/
net() {
	sed "s|${1:-^}|${2:-}|" <<-'END'
		{ "format": "kith-net", "version": 1,
		  "layers": [ {"name": "I", "shape": [4], "activations": "I.npy"},
		              {"name": "A", "shape": [3], "activations": "A.npy"},
		              {"name": "O", "shape": [2]} ],
		  "edges":  [ {"from": "I", "to": "A", "op": "dense", "weight": "w.npy"},
		              {"from": "A", "to": "O", "op": "dense", "weight": "v.npy"} ] }
	END
}

# refused TEXT OPTION...: kith-h0 of net.json exits with 2, says one message with TEXT, and leaves the folder as it was.
refused() {
	fails 2 "$1" kith-h0 "${@:2}" -o out.kh0 net.json
}

@test "the output is nothing that net.json names, by a pattern either" {
	cp w.npy w-1.npy
	net '"w.npy"' '"w-*.npy"' >net.json
	run --separate-stderr kith-h0 -o w-1.npy net.json
	[ "$status" -eq 2 ]
	[[ $stderr == *"which the network names"* ]]
	cmp w.npy w-1.npy
}

@test "what is wrong with net.json is said with its place" {
	net '"layers": \[' '"layers": ' >net.json && refused 'net.json: no JSON: line 3, column'
	net '"shape": \[2\]' '"shap": [2]' >net.json && refused 'layers[2]: unknown key "shap": known here are name, shape'
	net '"op": "dense", "weight": "v' '"op": "attention", "weight": "v' >net.json && refused 'edges[1]: "op" attention: none of dense, conv2d'
	net '"to": "O"' '"to": "B"' >net.json && refused 'edges[1]: "to" names no layer: B'
	net '"name": "A"' '"name": "I"' >net.json && refused 'layers[1]: name "I" is that of layers[0], too'
	net '"from": "A", "to": "O"' '"from": "O", "to": "A"' >net.json && refused 'the source O has to stand before the target A'
	net '"from": "A", "to": "O"' '"from": "A", "to": "A"' >net.json && refused 'the source A has to stand before the target A'
	net '"weight": "v.npy"' '"weight": "w.npy"' >net.json && refused 'w.npy has shape (3, 4), but dense from A to O takes (2, 3)'
	net ', "weight": "v.npy"' '' >net.json && refused 'edges[1]: lacks "weight"'
	net '"weight": "v.npy"' '"weight": "v.npy", "stride": [1, 1]' >net.json && refused 'unknown key "stride"'
	net ', "activations": "A.npy"' '' >net.json && refused 'layers[1]: A is the source of edges: it needs "activations"'
	net '"A.npy"' '"I.npy"' >net.json && refused 'I.npy has 4 values per sample, but the shape of A makes 3'
	net '"A.npy"' '"none.npy"' >net.json
	run kith-h0 -o out.kh0 net.json
	[ "$status" -eq 1 ]
	net '"version": 1' '"version": 2' >net.json && refused '"version" is not 1'
	net 'kith-net' 'kith-nut' >net.json && refused '"format" is kith-nut, not kith-net'
	net '"shape": \[2\]' '"shape": [100000, 100000]' >net.json && refused "takes (10000000000, 3)"
	printf '[]' >net.json && refused 'not an object'
	net '"name": "I"' '"name": "I:1"' >net.json && refused 'names have no colon'
	net '"name": "I"' '"name": "I\\u001b"' >net.json && refused 'or control character'
	net '"name": "I"' "\"name\": \"$(printf '%0256d' 0)\"" >net.json && refused 'edges[0]: "from" names no layer: I'
	net '"I"' "\"$(printf '%0256d' 0)\"" >net.json
	sed -i "s/\"from\": \"I\"/\"from\": \"$(printf '%0256d' 0)\"/" net.json && refused 'its name is longer than 255 bytes'
	net '"from": "I", ' '"from": "I", "from, to": 1, ' >net.json && refused 'unknown key "from, to"'
}

@test "what is wrong with arrays" {
	mknpy -n 4 -d 3 A.npy && refused 'A.npy has 4 samples, but I.npy has 5'
	mknpy -n 5 -d 3 -p 1,2,nan A.npy && refused 'A.npy: row 1, column 2 is NaN'
	mknpy -n 5 -d 3 A.npy
	mknpy -n 3 -d 4 -p 2,1,inf w.npy && refused 'w.npy: row 2, column 1 is infinite: weights have to be numbers'
	mknpy -n 3 -d 4 w.npy
	refused '--keep 0: a part' --keep 0
	refused '--keep 1.1: a part' --keep 1.1
	refused '--keep x: a part' --keep x
	refused 'more than -m 1M: give more' -m 1M
	mknpy -n 3 -d 4 -t f8 -p 0,0,1e300 w.npy
	mknpy -n 5 -d 4 -t f8 -p 2,0,1e300 I.npy
	refused 'net.json: sample 2: phi of edge 0 overflows'
}

@test "windows: the shape that they give, groups, kernels" {
	mknpy -n 2 -d 75 -S '(2, 3, 5, 5)' I.npy
	mknpy -n 4 -d 27 -S '(4, 3, 3, 3)' c.npy
	conv() {
		printf '{"format": "kith-net", "version": 1, "layers": [{"name": "I", "shape": [3, 5, 5], "activations": "I.npy"},
			{"name": "C", "shape": [%s]}], "edges": [{"from": "I", "to": "C", %s}]}' "$1" "$2" >net.json
	}
	conv '4, 4, 4' '"op": "conv2d", "weight": "c.npy"' && refused 'gives shape [4, 3, 3], not [4, 4, 4]'
	conv '4, 3, 3' '"op": "conv2d", "weight": "c.npy", "groups": 2' && refused '2 groups do not divide the 3 channels of I'
	conv '5, 3, 3' '"op": "conv2d", "weight": "c.npy"' && refused 'c.npy has shape (4, 3, 3, 3), but conv2d from I to C takes (5, 3, height, width)'
	conv '3, 2, 2' '"op": "maxpool", "stride": [2, 2]' && refused 'lacks "kernel"'
	conv '4, 2, 2' '"op": "maxpool", "kernel": [2, 2]' && refused 'a pool keeps 3 channels, not 4'
	conv '3, 2, 2' '"op": "maxpool", "kernel": [2, 2], "rule": "mean"' && refused '"rule" mean: neither all nor max'
	conv '3, 2, 2' '"op": "maxpool", "kernel": [0, 2]' && refused '"kernel" is not [height, width]'
	conv '3, 1, 1' '"op": "avgpool", "kernel": [9, 9]' && refused 'larger than the source'
	conv '4' '"op": "conv2d", "weight": "c.npy"' && refused 'conv2d joins layers of shape [channels, height, width]'
	conv '3, 5' '"op": "identity"' && refused 'joins 75 units to 15'
	conv '3, 2, 2' '"op": "maxpool", "kernel": [2, 2]'
	kith-h0 --dry-run net.json | grep -F 'maxpool from I to C: 48 edges'
	mknpy -n 2 -d 1 I.npy
	local pool='{"from": "I", "to": "P", "op": "maxpool", "kernel": [65535, 65535], "stride": [7, 7], "padding": [65535, 65535]}'
	printf '{"format": "kith-net", "version": 1, "layers": [{"name": "I", "shape": [1, 1, 1], "activations": "I.npy"},
		{"name": "P", "shape": [1, 9363, 9363]}], "edges": [%s' "$pool" >net.json
	printf ', %s' "$pool" "$pool" "$pool" "$pool" "$pool" "$pool" "$pool" "$pool" >eight
	{ cat eight eight eight && printf ']}'; } >>net.json
	refused 'the network has more than 2^63 edge ids'
}

@test "the same bytes whatever the threads and the memory; --keep 1 is no option" {
	mknpy -n 3000 -d 4 -s 1 I.npy
	mknpy -n 3000 -d 3 -s 2 A.npy
	kith-h0 -q -t 1 -o one.kh0 net.json
	mv one.kh0 expected.kh0
	kith-h0 -q -t 3 -o one.kh0 net.json
	cmp <(kith-show --edges one.kh0) <(kith-show --edges expected.kh0)
	kith-h0 -q -t 2 -m 80M -o one.kh0 net.json
	cmp <(kith-show --edges one.kh0) <(kith-show --edges expected.kh0)
	kith-h0 -q --keep 1 -o one.kh0 net.json
	cmp <(kith-show one.kh0) <(kith-show expected.kh0)
	kith-h0 -q --keep 0.5 -o one.kh0 net.json
	! cmp -s <(kith-show one.kh0) <(kith-show expected.kh0)
	kith-check one.kh0 expected.kh0
}

@test "-m counts what an HDF5 file keeps in memory" {
	mb() {
		kith-h0 --dry-run -m 1G -t 1 net.json | sed -n 's/.* s, \([0-9]*\) MB of memory.*/\1/p'
	}
	cp "$BATS_TEST_DIRNAME/../data/formats/chunked.h5" .
	mknpy -n 7 -d 6 -S '(7, 3, 2)' -t '<f8' A.npy
	printf '{"format": "kith-net", "version": 1, "layers": [{"name": "A", "shape": [6], "activations": "A.npy"},
		{"name": "B", "shape": [6]}], "edges": [{"from": "A", "to": "B", "op": "identity"}]}' >net.json
	local plain=$(mb)
	sed -i 's/A\.npy/chunked.h5:gzip/' net.json
	run kith-h0 --dry-run net.json
	[[ $output != *KITH_HDF5* ]] || skip "built without HDF5"
	[ "$(mb)" -gt "$plain" ]
}

@test "kith-show: classes, edges, generators, rows for a classifier" {
	kith-h0 -q -o c.kh0 "$NETS/conv-ties/net.json"
	kith-h0 -q --no-values -o n.kh0 "$NETS/conv-ties/net.json"
	[ "$(kith-show --nodes 0:1 c.kh0 | grep -vc '^#')" -eq "$(head -1 "$NETS/conv-ties/expected.txt" | cut -d' ' -f6)" ]
	[ "$(kith-show --nodes 0:1 --edges c.kh0 | grep -vc '^#')" -eq "$(head -1 "$NETS/conv-ties/expected.txt" | cut -d' ' -f5)" ]
	kith-show c.kh0 | grep -qE $'^0\t0\t[0-9.]+\t0\t[0-9.]+\t-\t[0-9]+\tI:[0-9]+>C:[0-9]+\t-$'
	kith-show --format json c.kh0 | python3 -m json.tool >/dev/null
	kith-show --format json --edges c.kh0 | python3 -m json.tool >/dev/null
	# what dies last of a component is outside of it; the eldest's is all of its component of the graph
	[ "$(kith-show --generator 0:0 c.kh0 | grep -vc '^#')" -gt 1 ]
	# without values the classes are the same
	cmp <(kith-show c.kh0 | grep -v '^#') <(kith-show n.kh0 | grep -v '^#')
	kith-show --format svmlight n.kh0 >one.txt
	cmp one.txt <(kith-show --format svmlight c.kh0)
	kith-show --format svmlight --weights lifetime n.kh0 | cmp - <(kith-show --format svmlight --weights lifetime c.kh0)
	mknpy -n 4 -d 1 -t '|i1' y.npy
	[ "$(kith-show --format svmlight --labels y.npy c.kh0 | cut -d' ' -f2-)" = "$(cut -d' ' -f2- one.txt)" ]
	kith-check c.kh0 n.kh0

	refuse() {
		run --separate-stderr kith-show "${@:2}"
		echo "$stderr"
		[ "$status" -eq 2 ]
		[[ "$stderr" == *"$1"* ]]
	}
	refuse 'was made with --no-values' --generator 0:0 n.kh0
	refuse 'was made with --no-values' --format svmlight --weights phi n.kh0
	refuse 'but that sample has' --generator 0:999 c.kh0
	refuse 'but there are samples 0 to 3' --generator 4:0 c.kh0
	refuse 'not SAMPLE:CLASS' --generator 4 c.kh0
	refuse 'one of them' --edges --generator 0:0 c.kh0
	refuse 'is for --format svmlight' --weights one c.kh0
	refuse 'needs a label for each of 4 samples' --format svmlight --labels I.npy c.kh0
	refuse '--edges is for files of generators' --edges I.npy
	run kith-knn -q -k 1 -o x.nng I.npy && refuse '--format svmlight is for' --format svmlight x.nng
}

# tests/data/format1.kh0.gz: as kith-h0 wrote it, in format 1, of this network.
@test "files of format 1 are read" {
	gunzip -c "$BATS_TEST_DIRNAME/../data/format1.kh0.gz" >old.kh0
	kith-h0 -q -o new.kh0 "$NETS/conv-ties/net.json"
	kith-check old.kh0
	cmp <(kith-show old.kh0) <(kith-show new.kh0)
	cmp <(kith-show --edges old.kh0) <(kith-show --edges new.kh0)
}

@test "no edges at all, silent units, one operation" {
	mknpy -n 5 -d 4 -s 1 -p 0,0,0 I.npy
	printf '{"format": "kith-net", "version": 1, "layers": [{"name": "I", "shape": [4], "activations": "Z.npy"},
		{"name": "A", "shape": [3]}], "edges": [{"from": "I", "to": "A", "op": "dense", "weight": "w.npy"}]}' >net.json
	python3 -c 'import numpy; numpy.save("Z.npy", numpy.array([[0, -0.0, 0, 0], [0, 0, 1, 0]], "f4"))' ||
		/usr/bin/python3 -c 'import numpy; numpy.save("Z.npy", numpy.array([[0, -0.0, 0, 0], [0, 0, 1, 0]], "f4"))'
	kith-h0 -q -o z.kh0 net.json
	kith-check z.kh0
	[ -z "$(kith-show --nodes 0:1 z.kh0 | grep -v '^#')" ]
	[ "$(kith-show --edges z.kh0 | grep -vc '^#')" -eq 3 ]
}

@test "damage is found or harmless, and other kinds are refused" {
	kith-h0 -q -o c.kh0 net.json
	kith-show --edges c.kh0 >expected
	local size at wrong=0
	size=$(stat -c %s c.kh0)
	for at in $(seq 5 211 "$size"); do
		cp c.kh0 d.kh0
		flipbyte d.kh0 "$at"
		if kith-check -q d.kh0 2>/dev/null; then
			kith-show --edges d.kh0 | cmp -s - expected || wrong=$((wrong + 1))
		fi
	done
	[ "$wrong" -eq 0 ]
	head -c 5000 c.kh0 >d.kh0
	run kith-check -q d.kh0
	[ "$status" -ne 0 ]
	run kith-pairs --all c.kh0
	[ "$status" -eq 2 ]
	[[ "$output" == *"is a file of generators (.kh0), not a pair store"* ]]
	run kith-merge -q -o s.json c.kh0 c.kh0
	[ "$status" -ne 0 ]
}

@test "an output that fails leaves what there was" {
	printf old >c.kh0
	run bash -c 'ulimit -f 16; trap "" XFSZ; kith-h0 -q -o c.kh0 "$1"' - "$NETS/ccff/net.json"
	[ "$status" -eq 1 ]
	[ "$(cat c.kh0)" = old ]
	[ -z "$(ls -A | grep part)" ]
	run kith-h0 -q -o net.json net.json
	[ "$status" -eq 2 ]
	net | cmp - net.json
}

#!/usr/bin/env bats
# kith-knn on generators (.kh0).

load helper

setup() {
	work_folder
	mknpy -n 300 -d 9 -s 1 I.npy
	mknpy -n 300 -d 7 -s 2 A.npy
	mknpy -n 7 -d 9 -s 3 w.npy
	mknpy -n 4 -d 7 -s 4 v.npy
	cat >net.json <<-'END'
		{ "format": "kith-net", "version": 1,
		  "layers": [ {"name": "I", "shape": [9], "activations": "I.npy"}, {"name": "A", "shape": [7], "activations": "A.npy"},
		              {"name": "O", "shape": [4]} ],
		  "edges":  [ {"from": "I", "to": "A", "op": "dense", "weight": "w.npy"},
		              {"from": "A", "to": "O", "op": "dense", "weight": "v.npy"} ] }
	END
	kith-h0 -q -o t.kh0 net.json
}

rows() {
	kith-show "$1" | grep -v '^#'
}

digest() {
	kith-show "$1" | grep '^# digest'
}

# refused TEXT ARGUMENT...: kith-knn exits with 2, says one message with TEXT, and leaves the folder as it was.
refused() {
	fails 2 "$1" kith-knn "${@:2}"
}

@test "a graph like any other: checked, shown, merged with layers" {
	kith-knn -k 5,15 --metric jaccard -o h0.nng t.kh0 2>report
	grep -q 'n=300 d=91 k=5,15 jaccard exact (sparse)' report
	kith-check -q h0.nng
	kith-show h0.nng | grep -q '^# metric	jaccard'
	kith-knn -q -k 5,15 -o I.nng I.npy
	kith-merge -q --mixed -o stack.json I.nng h0.nng
	kith-knn --dry-run --metric jaccard t.kh0 | grep -q 'exact (sparse)'
}

@test "no result depends on threads or memory; every choice of rows has a digest of its own" {
	kith-knn -q -k 15 -t 1 --metric jaccard -o one.nng t.kh0
	kith-knn -q -k 15 -t 3 -m 1500K --metric jaccard -o two.nng t.kh0
	cmp <(rows one.nng) <(rows two.nng)
	[ "$(digest one.nng)" = "$(digest two.nng)" ]
	kith-h0 -q --keep 0.5 -o keep.kh0 net.json
	{
		digest one.nng
		for options in '--weights lifetime' '--weights phi' '--weights lifetime-phi' '--classes 2' '--classes 2:lifetime' \
			'--ops I:A' '--ops A:O' '--ops A:O,I:A'; do
			kith-knn -q -k 15 $options -o some.nng t.kh0
			digest some.nng
		done
		kith-knn -q -k 15 --metric jaccard -o some.nng keep.kh0
		digest some.nng
	} | sort | uniq -d | (! grep .)
}

@test "l2 and cosine are those of the file with the zeros" {
	local metric weights
	for weights in one lifetime phi lifetime-phi; do
		kith-show --format svmlight --weights $weights t.kh0 | /usr/bin/env python3 -c '
import struct, sys
rows = []
for line in sys.stdin:
    row = [0.0] * 91
    for entry in line.split()[1:]:
        index, value = entry.split(":")
        row[int(index) - 1] = float(value)
    rows.append(struct.pack("<91d", *row))
head = "{\"descr\": \"<f8\", \"fortran_order\": False, \"shape\": (%d, 91), }" % len(rows)
head += " " * (117 - len(head)) + "\n"
sys.stdout.buffer.write(b"\x93NUMPY\1\0" + struct.pack("<H", len(head)) + head.encode() + b"".join(rows))' >dense.npy
		for metric in l2 cosine; do
			kith-knn -q -k 5,20 --metric $metric --weights $weights -o sparse.nng t.kh0
			kith-knn -q -k 5,20 --metric $metric -o dense.nng dense.npy
			cmp <(rows sparse.nng) <(rows dense.nng)
		done
	done
}

@test "options that do not fit the input are refused" {
	kith-h0 -q --no-values -o small.kh0 net.json
	refused 'I.npy: --weights is for generators' --weights one -o x.nng I.npy
	refused 'I.npy: --classes is for generators' --classes 3 -o x.nng I.npy
	refused 'I.npy: --ops is for generators' --ops I:A -o x.nng I.npy
	refused 'I.npy: --metric jaccard is for generators' --metric jaccard -o x.nng I.npy
	refused 'small.kh0: was made with --no-values' --weights phi -o x.nng small.kh0
	refused 'small.kh0: was made with --no-values' --weights lifetime-phi -o x.nng small.kh0
	refused 't.kh0: --metric jaccard is of sets' --metric jaccard --weights lifetime -o x.nng t.kh0
	refused '--ops A:I: no operation joins these layers: there are I:A, A:O' --ops I:A,A:I -o x.nng t.kh0
	refused '--ops I:: no operation' --ops I: -o x.nng t.kh0
	refused '--classes 0' --classes 0 -o x.nng t.kh0
	refused '--classes 3:age: not T, T:birth or T:lifetime' --classes 3:age -o x.nng t.kh0
	refused '--weights heavy: not a weight: one, lifetime, phi or lifetime-phi' --weights heavy -o x.nng t.kh0
	refused 'engine approx is for activations' --engine approx -o x.nng t.kh0
	refused 'options of engine exact are for activations' --plan full -o x.nng t.kh0
	refused 'more than -m gives: give more' -m 40K --metric jaccard -o x.nng t.kh0
	refused 'k=300, but each of its 300 samples has only 299 others' -k 300 -o x.nng t.kh0
	kith-knn -q -o h0.nng t.kh0
	refused 'h0.nng: is ' -o x.nng h0.nng
}

@test "samples without an edge: alike as sets, without direction for cosine" {
	mknpy -n 300 -d 9 -s 1 -z 4 I.npy
	mknpy -n 300 -d 7 -s 2 -z 4 A.npy
	kith-h0 -q -o t.kh0 net.json
	kith-knn -q --metric jaccard -o h0.nng t.kh0
	kith-check -q h0.nng
	refused 't.kh0: sample 4 has no edge that counts' --metric cosine --zero-rows refuse -o x.nng t.kh0
	kith-knn -q --metric cosine -o h0.nng t.kh0
	kith-check -q h0.nng
}

@test "a damaged file is said to be one" {
	head -c 20000 t.kh0 >cut.kh0
	run --separate-stderr kith-knn -o x.nng cut.kh0
	[ "$status" -eq 1 ]
	[[ "$stderr" == *"cut.kh0: truncated or grown"* ]]
	[ ! -e x.nng ]
}

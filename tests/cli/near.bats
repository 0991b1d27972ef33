#!/usr/bin/env bats
# The nearest ones, of which a graph keeps order and distance: how many, how exactly, and in files of old.

load helper

rows() {
	kith-show "$1" | grep -v '^#'
}

@test "--near: how many; the rows are the same" {
	local engine near
	mknpy -n 600 -d 7 layer.npy
	for engine in exact approx; do
		kith-knn -q -k 5,40 --near 100 --engine $engine -o all.nng layer.npy
		kith-show all.nng | grep -qx "# near	40	precision	single"
		rows all.nng >all
		[ "$(cut -f4 all | sort -n | head -1)" -eq 1 ]
		for near in 0 1 5 6 39 40; do
			kith-knn -q -k 5,40 --near $near --engine $engine -o some.nng layer.npy
			kith-check -q some.nng
			rows some.nng >some
			cmp <(awk -v n=$near '$4 >= 1 && $4 <= n' all) <(awk '$4 > 0' some)
			cmp <(cut -f1-3 all | sort) <(cut -f1-3 some | sort)
		done
		kith-knn -q -k 5,40 --engine $engine -o usual.nng layer.npy
		kith-show usual.nng | grep -qx "# near	32	precision	single"
	done
	kith-knn -q -k 5,40 --near 0 -o none.nng layer.npy
	kith-show none.nng | grep -qx "# near	0"
	kith-merge -q -o a.json a=none.nng b=all.nng
	kith-merge -q -o b.json a=all.nng b=all.nng
	cmp <(grep -A9 '"nnts"' a.json) <(grep -A9 '"nnts"' b.json)
	run --separate-stderr kith-knn --near many -o x.nng layer.npy
	[ "$status" -eq 2 ]
}

@test "whole numbers stay what they are, others have seven digits" {
	mknpy -n 400 -d 3 -g grid.npy
	kith-knn -q -k 9 -o grid.nng grid.npy
	[ -z "$(rows grid.nng | cut -f5 | grep -v '^[0-9]*$')" ]
	mknpy -n 400 -d 3 layer.npy
	kith-knn -q -k 9 -o layer.nng layer.npy
	[ "$(rows layer.nng | cut -f5 | awk '{ if (length($1) > most) most = length($1) } END { print most }')" -le 14 ]
}

@test "bits per edge" {
	[ -z "${KITH_SANITIZED-}" ] || skip "the same, only slower"
	mknpy -n 40000 -d 4 layer.npy
	kith-knn -q -k 15 -o layer.nng layer.npy
	kith-knn -q -k 15 --near 0 -o none.nng layer.npy
	echo "$(stat -c %s layer.nng) $(stat -c %s none.nng)"
	[ "$(($(stat -c %s layer.nng) * 8))" -le $((45 * 40000 * 15)) ]
	[ "$(($(stat -c %s none.nng) * 8))" -le $((23 * 40000 * 15)) ]
}

# tests/data/format2.nng.gz: as kith-knn -k 2,6 wrote it, in format 2, of this layer.
@test "a file of format 2, whose distances are doubles, is read" {
	gunzip -c "$BATS_TEST_DIRNAME/../data/format2.nng.gz" >old.nng
	mknpy -n 40 -d 5 -s 7 layer.npy
	kith-knn -q -k 2,6 --ties index -o new.nng layer.npy
	kith-check old.nng
	kith-show old.nng | grep -qx "# ties	index"
	kith-show old.nng | grep -qx "# near	6	precision	double"
	kith-show --format json old.nng | grep -q '"precision": "double"'
	cmp <(rows old.nng | cut -f1-4) <(rows new.nng | cut -f1-4)
	rows old.nng | cut -f5 | grep -q '^[0-9.]\{17\}'
	paste <(rows old.nng) <(rows new.nng) | awk '{ off = ($10 - $5) / $5; if (off * off > 4e-14) exit 1 }'
	kith-merge -q -o stack.json old.nng new.nng
	kith-knn -q -k 2 --engine approx --candidates old.nng -o more.nng layer.npy
	kith-check --recall layer.npy old.nng
}

#!/usr/bin/env bats
# Samples that are equally far: counted, said, and what may not be mixed.

load helper

@test "ties are counted and said: by kith-knn, kith-show, stack.json, kith-merge and the report" {
	mknpy -n 50 -e same.npy
	mknpy -n 50 -s 2 other.npy
	run --separate-stderr kith-knn -k 5,10 -o same.nng same.npy
	[ "$status" -eq 0 ]
	[[ "$stderr" == *"; k=5: 50 of 50 rows tied at the last neighbour, groups up to 49; k=10: 50 of 50 rows tied"* ]]
	run --separate-stderr kith-knn -k 5,10 -o other.nng other.npy
	[[ "$stderr" != *tied* ]]
	kith-show same.nng | grep -qx "# ties	content"
	kith-show same.nng | grep -qx "# ties	k	5	rows	50	most	49"
	kith-show other.nng | grep -qx "# ties	k	10	rows	0	most	0"
	kith-show --format json same.nng | python3 -c 'import json, sys; x = json.load(sys.stdin)
assert x["ties"] == "content" and x["tied_rows"] == [50, 50] and x["tied_most"] == [49, 49]'
	kith-check -q same.nng other.nng
	run --separate-stderr kith-merge -q -o stack.json same.nng other.nng
	[ "$status" -eq 0 ]
	[ "$stderr" = "kith-merge: same.nng: k=5: 50 of 50 rows tied at the last neighbour, groups up to 49: who is a neighbour there is not the network's choice" ]
	python3 -c 'import json; same, other = json.load(open("stack.json"))["layers"]
assert same["ties"] == "content" and same["tied_rows"] == [50, 50] and same["tied_most"] == [49, 49]
assert other["tied_rows"] == [0, 0]'
	kith-check -q stack.json
	kith-report -q -o report.html stack.json
	grep -q "<b>Ties.</b>.*<b>same</b>, by content, k=5: 50 of 50 rows tied" report.html
}

@test "by index, as it was; by content, by what the values fix" {
	mknpy -n 50 -e same.npy
	kith-knn -q -k 3 --ties index -o index.nng same.npy 2>/dev/null
	kith-show index.nng | grep -qx "# ties	index"
	[ "$(kith-show --nodes 40:41 index.nng | grep -v '^#' | cut -f2 | tr '\n' ' ')" = "0 1 2 " ]
	kith-knn -q -k 3 -t 2 -m 8M -o content.nng same.npy 2>/dev/null
	kith-knn -q -k 3 -t 1 -o again.nng same.npy 2>/dev/null
	cmp <(kith-show content.nng) <(kith-show again.nng)
	[ "$(kith-show --nodes 40:41 content.nng | grep -v '^#' | cut -f2 | tr '\n' ' ')" != "0 1 2 " ]
	run --separate-stderr kith-knn --ties random -o x.nng same.npy
	[ "$status" -eq 2 ]
	[[ "$stderr" == *"--ties random: not a tie rule: index or content"* ]]
}

@test "layers of several rules or metrics are not mixed unawares" {
	mknpy a.npy
	kith-knn -q -k 3 -o a.nng a.npy
	kith-knn -q -k 3 --ties index -o index.nng a.npy
	kith-knn -q -k 3 --metric cosine -o cosine.nng a.npy
	for other in index cosine; do
		run --separate-stderr kith-merge -q -o stack.json a.nng $other.nng
		[ "$status" -eq 2 ]
		[[ "$stderr" == "kith-merge: $other.nng: is of metric "*", but a.nng of l2 with ties by content: "*" --mixed" ]]
		[ ! -e stack.json ]
		kith-merge -q --mixed -o stack.json a.nng $other.nng
		rm stack.json
	done
	run --separate-stderr kith-merge -q -o stack.json a.nng
	[ "$status" -eq 0 ]
	[ "$stderr" = "kith-merge: one layer: there is nothing to compare it with" ]
}

@test "zero rows under cosine are at squared distance 2 from all others" {
	mknpy -n 30 -z 23 zero.npy
	run --separate-stderr kith-knn -k 29 --metric cosine -o zero.nng zero.npy
	[ "$status" -eq 0 ]
	[[ "$stderr" == *", 1 zero rows at similarity 0 with all others"* ]]
	kith-check -q zero.nng
	kith-show zero.nng | grep -qx "# zero rows	1"
	# its own distances are whole, those of others are kept as roots of 24 bits
	[ "$(kith-show zero.nng | awk '$1 == 23 {print $5}' | sort -u)" = 2 ]
	[ "$(kith-show zero.nng | awk '$2 == 23 {print $5}' | sort -u)" = 1.9999999 ]
	kith-knn -q -k 3 --metric cosine --dry-run zero.npy
	run --separate-stderr kith-knn -k 3 --zero-rows refuse --metric cosine -o x.nng zero.npy
	[ "$status" -eq 2 ]
	[[ "$stderr" == *"row 23 is zero and has no direction"* ]]
}

rows_of() { # GRAPH
	kith-show "$1" | grep -v '^#'
}

@test "zero rows with every engine, audits and candidates" {
	mknpy -n 1500 -d 12 -z 5 -Z 3 zero.npy
	local engine engines=("approx:trees=1,rounds=0,leaf=60" "approx:trees=1,rounds=0,leaf=60,cells=4")
	if kith-knn -q --dry-run --engine faiss:Flat zero.npy; then
		engines+=("faiss:IVF32,Flat;nprobe=1" "faiss:IVF32,Flat;nprobe=auto")
	fi
	kith-knn -q -k 5,20 --metric cosine -o exact.nng zero.npy
	run --separate-stderr kith-check --recall 400 zero.npy exact.nng
	[ "${lines[1]}" = "exact.nng: k=20: exact: no miss found, 400 samples" ]
	mkmiss exact.nng miss.nng
	run kith-check --recall 1500 zero.npy miss.nng
	[ "$status" -eq 1 ]
	for engine in "${engines[@]}"; do
		kith-knn -q -k 5,20 --metric cosine --engine "$engine" -o x.nng zero.npy
		kith-check -q x.nng
		kith-show x.nng | grep -qx "# zero rows	499"
		! cmp -s <(rows_of x.nng) <(rows_of exact.nng)
		cmp <(rows_of x.nng | awk '$1 == 5') <(rows_of exact.nng | awk '$1 == 5')
		kith-check --recall 100 zero.npy x.nng
		kith-knn -q -k 5,20 --metric cosine --engine "$engine" --candidates exact.nng -o x.nng zero.npy
		# who shares no cell with a sample is no candidate of its
		[[ "$engine" == *cells* ]] || cmp <(rows_of x.nng) <(rows_of exact.nng)
	done
	kith-knn -q -k 5,20 --metric cosine --engine approx --dry-run zero.npy
	run --separate-stderr kith-knn -k 5,20 --metric cosine -m 50K -o x.nng zero.npy
	[ "$status" -eq 2 ]
	[[ "$stderr" == *"-m is too small: 499 of its 1500 rows are zero, which take "*" bytes beside the engine's at k=20: give it at least "* ]]
}

#!/usr/bin/env bats
# kith-check --recall: a graph held against the true neighbours of some samples.

load helper

setup() {
	work_folder
	mknpy -n 600 -d 5 a.npy
	kith-knn -q -k 4,10 -o a.nng a.npy
}

@test "an exact graph lacks nothing, and has no audit" {
	run --separate-stderr kith-check --recall a.npy a.nng
	[ "$status" -eq 0 ]
	[ "${lines[0]}" = "a.nng: k=4: exact: no miss found, 600 samples" ]
	[ "${lines[1]}" = "a.nng: k=10: exact: no miss found, 600 samples" ]
	[ "${#lines[@]}" -eq 2 ]
	run --separate-stderr kith-check --recall 50 a.npy a.nng
	[ "${lines[1]}" = "a.nng: k=10: exact: no miss found, 50 samples" ]
	! kith-show a.nng | grep audit
	mknpy -n 200 -d 5 c.npy
	kith-knn -q --metric cosine -o c.nng c.npy
	kith-check --recall c.npy c.nng
}

@test "an exact graph that lacks a neighbour is damaged" {
	mkmiss a.nng b.nng
	kith-check -q b.nng
	run --separate-stderr kith-check --recall 5 a.npy b.nng
	[ "$status" -eq 1 ]
	[[ "$stderr" =~ ^kith-check:\ b\.nng:\ says\ that\ it\ is\ exact,\ but\ sample\ [0-9]+\ lacks ]]
	[ -z "$output" ]
}

@test "only the graph's own activations, and numbers of samples, will do" {
	mknpy -n 600 -d 5 -s 2 other.npy
	run --separate-stderr kith-check --recall other.npy a.nng
	[ "$status" -eq 2 ]
	[[ "$stderr" == *"a.nng: was not built from other.npy"* ]]
	mknpy -n 60 -d 5 small.npy
	run --separate-stderr kith-check --recall small.npy a.nng
	[ "$status" -eq 2 ]
	for arguments in a.nng "a.npy a.npy" "0 a.npy a.nng" "some a.npy a.nng" "1 a.npy a.nng b.nng" "nowhere.npy a.nng"; do
		run --separate-stderr kith-check --recall $arguments
		[ "$status" -eq 2 ] || [[ "$arguments" == nowhere* && "$status" -eq 1 ]]
		[ -z "$output" ]
		[[ "$stderr" == kith-check:* ]]
	done
	run --separate-stderr kith-knn --audit 0 -o b.nng a.npy
	[ "$status" -eq 2 ]
}

@test "an approximate graph says how much of the truth it has, and never that it is exact" {
	run --separate-stderr kith-knn -k 4,10 --engine approx:leaf=560 --audit 200 -o b.nng a.npy
	[ "$status" -eq 0 ]
	[[ "$stderr" =~ :\ recall\ (above\ 0\.[0-9]+\ \(no\ miss\ found\)|0\.[0-9]+\ \(0\.[0-9]+\ to\ 0\.[0-9]+\)) ]]
	kith-check -q b.nng
	kith-show b.nng | grep -qx "# audit	samples	200	seed	0"
	[ "$(kith-show b.nng | grep -c "^# audit	k	")" -eq 2 ]
	! kith-show b.nng | grep -q "^# recall	1$"
	kith-show --format json b.nng >b.json
	python3 -c 'import json
a = json.load(open("b.json"))["audit"]
assert a["samples"] == 200
assert all(0 < l <= r <= h < 1 for l, r, h in zip(a["low"], a["recall"], a["high"]))'
	run --separate-stderr kith-check --recall b.npy b.nng
	[ "$status" -eq 1 ]
	run --separate-stderr kith-check --recall a.npy b.nng
	[ "$status" -eq 0 ]
	[[ "${lines[1]}" =~ ^b\.nng:\ k=10:\ recall\ .*,\ 600\ samples$ ]]
}

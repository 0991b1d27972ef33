#!/usr/bin/env bats
# Approximate graphs from kith-merge on: what is said of them, and what is estimated. degrade makes them of exact ones.

load helper

setup() {
	work_folder
	export LC_ALL=C
	mknpy -n 500 -d 4 -s 1 a.npy
	cp a.npy b.npy
	mknpy -n 500 -d 4 -s 3 c.npy
	for v in a b c; do
		kith-knn -q -k 10,32 -o $v.nng $v.npy
	done
	degrade -k 10 -r 0.9 -a 200 -s 1 b.nng lossy.nng
	degrade -k 10 -r 0.995 -a 200 -s 2 c.nng good.nng
}

@test "a warning where recall is below 0.99, with -q, too; none of exact graphs" {
	run --separate-stderr kith-merge -q -o s.json a.nng lossy.nng good.nng
	[ "$status" -eq 0 ]
	[ -z "$output" ]
	echo "$stderr"
	[ "${#stderr_lines[@]}" -eq 1 ]
	[[ "$stderr" =~ ^kith-merge:\ lossy.nng:\ recall\ 0.[89][0-9]+\ \(0.[0-9]+\ to\ 0.[0-9]+\):\ NNTP\ of\ mutual\ pairs\ may\ be\ off\ by\ tens\ of\ percent$ ]]
	run --separate-stderr kith-merge -q -o s.json a.nng b.nng c.nng
	[ -z "$output$stderr" ]
}

@test "stack.json and kith-show: recall and estimates, of approximate stacks only" {
	kith-merge -q -o s.json a.nng lossy.nng good.nng 2>/dev/null
	kith-check -q s.json
	kith-show s.json >s.tsv
	# a and b are the same: of exact graphs, NNTS is 1
	awk -F'\t' '$1 == "nnts" && $5 == "a" && $6 == "lossy" { exit !($7 > 0.75 && $7 < 0.9) }' s.tsv
	awk -F'\t' '$1 == "estimate" && $5 == "a" && $6 == "lossy" { exit !($8 > 0 && $7 > 1 - 3 * $8 && $7 < 1 + 3 * $8) }' s.tsv
	awk -F'\t' '$1 == "recall" && $5 == "a" { exit $7 != 1 }' s.tsv
	awk -F'\t' '$1 == "recall" && $5 == "good" { exit !($7 > 0.98 && $7 < 1) }' s.tsv
	[ "$(grep -c '^recall_low' s.tsv)" -eq 3 ]
	[ "$(grep -c '^estimate' s.tsv)" -eq 9 ]
	[ "$(grep -o '"audited": 200' s.json | wc -l)" -eq 2 ]
	kith-show --format json s.json | cmp - s.json
	kith-merge -q -o e.json a.nng b.nng
	run ! grep -qE 'audited|recall_low|estimate' e.json
}

@test "the same bytes whatever the threads and the memory" {
	kith-merge -q -t 1 -o one.json a.nng lossy.nng good.nng 2>/dev/null
	kith-merge -q -t 3 -m 20M -o three.json a.nng lossy.nng good.nng 2>/dev/null
	cmp one.json three.json
}

@test "a graph in which the audit finds no miss is approximate" {
	degrade -k 10 -r 1 -a 200 b.nng all.nng
	run --separate-stderr kith-merge -q -o s.json a.nng all.nng
	[ -z "$stderr" ]
	kith-show s.json | grep -qx "$(printf 'recall\t10\t-\t-\tall\tall\t0.9999999999999999\t0')"
	kith-report -q --csv csv --latex t.tex -o report.html s.json
	grep -qF 'all: recall above 0.9' report.html
	grep -qF 'all≈' report.html
	grep -qF 'all$^{\approx}$' t.tex
	grep -qx 'all,1,1' csv/nnts_k10_estimate.csv
}

@test "audits of other samples, and none" {
	degrade -k 10 -r 0.995 -a 100 b.nng other.nng
	run --separate-stderr kith-merge -q -o s.json a.nng good.nng other.nng
	[ "$stderr" = "kith-merge: other.nng: audited by other samples than good: NNTS of the two cannot be estimated; audit as many of both" ]
	kith-show s.json | grep -qx "$(printf 'estimate\t10\t-\t-\tgood\tother\tnan\tnan')"
	kith-check -q s.json
	kith-report -q -o report.html s.json
	grep -qF 'Of some pairs of layers there is no estimate.' report.html
	degrade -k 10 -r 0.995 -a 0 b.nng none.nng
	run --separate-stderr kith-merge -q -o s.json a.nng none.nng
	[ "$stderr" = "kith-merge: none.nng: approximate, recall not measured, and not audited: how far NNTS and NNTP are off is not known" ]
	kith-check -q s.json
}

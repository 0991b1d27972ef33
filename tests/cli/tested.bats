#!/usr/bin/env bats
# kith-merge --null and --against, from the command line to the report.

load helper

setup() {
	work_folder
	local v seed=1
	for v in a b c; do
		mknpy -n 80 -d 5 -s $((seed++)) $v.npy
		kith-knn -q -k 4,9 -o $v.nng $v.npy
	done
	mkdir -p two
	cp a.nng two/b.nng
	cp c.nng two/c.nng
}

value() { # MEASURE K FIRST LAST FILE
	kith-show "$5" | awk -F'\t' -v m="$1" -v k="$2" -v a="$3" -v b="$4" '$1 == m && $2 == k && $5 == a && $6 == b {print $7}'
}

@test "--null gives p and thresholds, the same whatever -t and -m" {
	kith-merge -q --null 40,7 -t 1 -o s.json a.nng b.nng c.nng
	kith-merge -q --null 40,7 -t 2 -m 64M -o t.json a.nng b.nng c.nng
	cmp s.json t.json
	kith-check -q s.json
	grep -q '"null": {"relabellings": 40, "seed": 7}' s.json
	[ -n "$(value null_p 4 a b s.json)" ]
	kith-merge -q --null 40,8 -o t.json a.nng b.nng c.nng
	! cmp -s s.json t.json
}

@test "a layer against its copy is more than chance, and the page says so" {
	kith-merge -q --null 99 -o s.json a.nng b=two/b.nng
	[ "$(value null_family_p 4 a b s.json)" = 0.01 ]
	[ "$(value calibrated 4 a b s.json)" = 1 ]
	kith-report -q --csv csv -o s.html s.json
	grep -q 'id="null"' s.html
	grep -q '1 of 1 pairs are more than that' s.html
	[ -f csv/nnts_k4_null_family_p.csv ] && [ -f csv/null_max_q95.csv ]
}

@test "--jackknife gives errors of layer dynamics, the same whatever -t, and leaves the rest as it was" {
	kith-merge -q -o plain.json a.nng b.nng c.nng
	kith-merge -q --jackknife 7,3 -t 1 -o s.json a.nng b.nng c.nng
	kith-merge -q --jackknife 7,3 -t 2 -m 64M -o t.json a.nng b.nng c.nng
	cmp s.json t.json
	kith-check -q s.json
	grep -q '"jackknife": {"groups": 7, "seed": 3}' s.json
	kith-show plain.json >plain.txt
	kith-show s.json | grep -v '_stderr\|jackknife' | cmp - plain.txt
	[ -n "$(value births_stderr 4 b b s.json)" ]
	[ "$(value removal_stderr 4 a a s.json)" = nan ]
	[ -n "$(value share_stderr 9 a c s.json)" ]
	kith-report -q --csv csv --latex s.tex -o s.html s.json
	grep -q '&#177; removal score' s.html
	grep -q '&nbsp;&#177;&nbsp;' s.html
	grep -q '\$\\pm\$ births' s.tex
	[ -f csv/share_stderr_k4_union.csv ]
	head -1 csv/dynamics_k4_union.csv | grep -q births_stderr
}

@test "a report of one layer with --jackknife" {
	kith-merge -q --jackknife 5 -o s.json a.nng
	kith-report -q --csv csv -o s.html s.json
	[ -s csv/nnts_k4.csv ]
}

@test "--against takes all up to the next option, or to the end" {
	kith-merge -q --against two/b.nng two/c.nng -o s.json a.nng b.nng c.nng
	kith-merge -q -o t.json a.nng b.nng c.nng --against two/b.nng two/c.nng
	cmp s.json t.json
	kith-merge -q -o t.json --against=two/b.nng --against=two/c.nng a.nng b.nng c.nng
	cmp s.json t.json
	kith-merge -q -o t.json a.nng b.nng c.nng --agai two/b.nng two/c.nng
	cmp s.json t.json
	kith-merge -q -o t.json --against two/b.nng two/c.nng -- a.nng b.nng c.nng
	cmp s.json t.json
	kith-check -q s.json
	grep -q '"version": 2' s.json
	[ "$(value nnts 4 a b s.json)" = 1 ]
	[ "$(value nnts 4 c c s.json)" = 1 ]
	[ "$(value lost 9 c c s.json)" = 0 ]
	[ -z "$(value nntp 4 a a s.json)" ]
}

damaged() { # PYTHON TEXT: s.json, spoilt so, is refused with TEXT
	python3 -c "import json; s = json.load(open('s.json')); $1; json.dump(s, open('bad.json', 'w'))"
	run --separate-stderr kith-check bad.json
	[ "$status" -eq 1 ]
	[[ "$stderr" == *"$2"* ]]
}

@test "kith-check verifies calibrated scores, and pairs of two networks" {
	kith-merge -q --null 40 -o s.json a.nng b.nng c.nng
	damaged "s['nnts'][1]['calibrated'][0][1] += 1e-9" "nnts[1].calibrated"
	damaged "s['nnts'][0]['calibrated'][0][0] = 1" "nnts[0].calibrated"
	kith-merge -q --graph both --against two/b.nng two/c.nng -o s.json a.nng b.nng c.nng
	kith-check -q s.json
	damaged "s['matches'][0]['kept'][0] += 1" "with those of the union they are not n k"
	damaged "s['matches'][0]['layers'][0] = [0, 3]" "the layers' names differ"
	damaged "s['matches'].reverse()" "out of order"
	damaged "s['matches'] = s['matches'][:1]; s['matches'][0]['lost'][0] = 400" "cannot have so many pairs"
}

@test "one layer has no greatest of all pairs" {
	kith-merge -q --null 20 -o s.json a.nng 2>/dev/null
	kith-check -q s.json
	python3 -c "import json; t = json.load(open('s.json'))['nnts'][0]
assert all(t['null_max_' + x] is None for x in ('mean', 'sd', 'q95', 'q99'))"
}

@test "two networks in the report" {
	kith-merge -q --null 20 --against two/b.nng two/c.nng -o s.json a.nng b.nng c.nng
	kith-report -q --csv csv --svg svg --latex s.tex -o s.html s.json
	grep -q 'id="networks"' s.html
	! grep -q 'id="nntp"' s.html
	[ "$(head -1 csv/nnts_k4.csv)" = "layer,b,c" ]
	[ "$(wc -l < csv/nnts_k4.csv)" -eq 4 ]
	[ "$(head -1 csv/matches.csv)" = "k,graph,layer,kept,lost,gained" ]
	grep -q textbf s.tex
}

refused() {
	fails 2 "" "$@"
	[[ "$stderr" == kith-merge:* ]]
	[ ! -e out.json ]
}

@test "what is unfit is refused" {
	refused kith-merge --null 0 -o out.json a.nng b.nng
	refused kith-merge --null 20, -o out.json a.nng b.nng
	refused kith-merge --null x -o out.json a.nng b.nng
	refused kith-merge --against two/b.nng a.nng -o out.json
	[[ "$stderr" == *"first network"* ]]
	refused kith-merge --against two/b.nng --pairs p.kpr -o out.json a.nng
	refused kith-merge --against two/b.nng --alpha 1 -o out.json a.nng
	refused kith-merge --against two/b.nng -o out.json a.nng x=a.nng x=b.nng
	refused kith-merge --against two/b.nng -o two/b.nng a.nng
	local groups
	for groups in 0 1 x 1001 7, 7,x; do
		refused kith-merge --jackknife $groups -o out.json a.nng b.nng
		[[ "$stderr" == *"--jackknife $groups: not a number of groups"* ]]
	done
	refused kith-merge --jackknife 81 -o out.json a.nng b.nng
	[[ "$stderr" == *"n=80 samples"* ]]
	refused kith-merge --jackknife 5 -o out.json a.nng --against b.nng
	[[ "$stderr" == *"no --jackknife"* ]]
}

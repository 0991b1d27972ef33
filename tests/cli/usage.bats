#!/usr/bin/env bats
# What every program promises: --help, --version, -q, the closing report, and stdout for data alone.

load helper

setup() {
	work_folder
	programs="kith-knn kith-import kith-merge kith-h0 kith-report kith-pairs kith-show kith-check"
}

pipeline() {
	local v
	for v in a b; do
		mknpy -n 60 -d 5 $v.npy
		kith-knn -q -k 4 -o $v.nng $v.npy
	done
	kith-merge -q -o s.json a.nng b.nng
}

# by processor time, as the machine may be busy: says at least a quarter and at most four times of what two threads take
says_how_long() {
	local said taken
	said=$(kith-knn --dry-run -t 2 "$@" | sed -n '1s/.*about \([0-9.]*\) s,.*/\1/p')
	taken=$( { TIMEFORMAT='%U %S'; time kith-knn -q -t 2 -o time.nng "$@"; } 2>&1 | tail -n 1)
	echo "$*: said $said, taken $taken (of two threads)"
	awk -v said="$said" -v taken="$taken" \
		'BEGIN { split(taken, t, " "); s = (t[1] + t[2]) / 2; exit !(said <= 4 * s + 0.1 && said >= s / 4 - 0.1) }'
}

@test "kith-knn --dry-run says how long it takes" {
	mknpy -n 8000 -d 200 ordinary.npy # nothing is ruled out
	mknpy -n 8000 -d 40 -g steps.npy  # many are equally far
	mknpy -n 12000 -d 5 -g copies.npy
	mknpy -n 40000 -d 12 many.npy
	says_how_long ordinary.npy
	says_how_long --plan tree many.npy
	says_how_long -k 400 ordinary.npy
	says_how_long -m 2M ordinary.npy
	says_how_long steps.npy
	says_how_long copies.npy
	says_how_long --engine approx ordinary.npy
}

@test "kith-knn --dry-run says what it would take, and writes nothing" {
	mknpy -n 3000 -d 40 layer.npy
	run --separate-stderr kith-knn --dry-run --engine approx:leaf=900 -k 5,60 -m 64M layer.npy
	[ "$status" -eq 0 ]
	[ "${#lines[@]}" -eq 2 ]
	[[ "${lines[1]}" =~ ^layer\.npy:\ n=3000\ d=40\ k=5,60\ exact\ .*about\ [0-9.]+\ s,\ [0-9]+\ MB\ of\ memory ]]
	[[ "${lines[0]}" =~ ^layer\.npy:\ n=3000\ d=40\ k=5,60\ approx\ .*about\ [0-9.]+\ s,\ [0-9]+\ MB\ of\ memory ]]
	[ -z "$stderr" ]
	[ "$(ls)" = layer.npy ]
	[[ "$(kith-knn --dry-run --plan full layer.npy)" == *"exact (full)"* ]]
	run --separate-stderr kith-knn --dry-run -k 3000 layer.npy
	[ "$status" -eq 2 ]
	run --separate-stderr kith-knn --plan fast -o layer.nng layer.npy
	[ "$status" -eq 2 ]
	[[ "$stderr" == *"--plan fast: not a plan"* ]]
}

@test "--help goes to stdout and exits 0" {
	local program
	for program in $programs; do
		run --separate-stderr $program --help
		[ "$status" -eq 0 ]
		[[ "$output" == *"Usage: $program"* ]]
		[[ "$output" == *"--help"* ]]
		[[ "$output" == *"--version"* ]]
		[ -z "$stderr" ]
	done
}

@test "--version goes to stdout and exits 0" {
	local program
	for program in $programs; do
		run --separate-stderr $program --version
		[ "$status" -eq 0 ]
		[[ "$output" =~ ^$program\ .*[0-9]+\.[0-9]+\.[0-9]+ ]]
		[ "${#lines[@]}" -eq 1 ]
		[ -z "$stderr" ]
	done
}

@test "wrong usage exits 2, on stderr, and points to --help" {
	local program
	for program in $programs; do
		run --separate-stderr $program
		[ "$status" -eq 2 ]
		[ -z "$output" ]
		[[ "$stderr" == *"$program"*--help* ]]
	done
}

@test "--help names the defaults in force" {
	run kith-knn --help
	[[ "$output" == *15* ]]
	[[ "$output" == *l2* ]]
	[[ "$output" == *exact* ]]
}

@test "a KITH_CPU that names no processor is refused" {
	local program
	for program in $programs; do
		KITH_CPU=fast run --separate-stderr $program nothing
		[ "$status" -eq 2 ]
		[ "$stderr" = "$program: KITH_CPU=fast: not one of portable, avx2, avx512" ]
	done
}

@test "every option of --help is in the man page" {
	local program page option
	for program in $programs; do
		page=$(find "$BATS_TEST_DIRNAME/../../pipeline" -name "$program.1.in")
		for option in $($program --help | grep -oE -- '(^|[ ,])--?[A-Za-z][a-z-]*' | tr -d ' ,' | sort -u); do
			echo "$program $option"
			sed 's/\\-/-/g; s/\\f[BIRP]//g' "$page" | grep -qE -- "(^|[^a-zA-Z-])$option([^a-zA-Z-]|\$)"
		done
	done
}

@test "the closing report: program, work, time, peak memory, on stderr" {
	pipeline
	run --separate-stderr kith-knn -k 4 -o a.nng a.npy
	[ "$status" -eq 0 ]
	[ -z "$output" ]
	echo "$stderr"
	[ "${#stderr_lines[@]}" -eq 1 ]
	[[ "$stderr" =~ ^kith-knn:\ .*a\.n.*:\ [0-9.]+\ m?s,\ [0-9.]+\ [kMG]B\ peak$ ]]
	run --separate-stderr kith-merge -o s.json a.nng b.nng
	[ "$status" -eq 0 ]
	[ -z "$output" ]
	echo "$stderr"
	[[ "$stderr" =~ ^kith-merge:\ .*:\ [0-9.]+\ m?s,\ [0-9.]+\ [kMG]B\ peak$ ]]
	run --separate-stderr kith-report -o r.html s.json
	[ "$status" -eq 0 ]
	[ -z "$output" ]
	echo "$stderr"
	[[ "$stderr" =~ ^kith-report:\ .*:\ [0-9.]+\ m?s,\ [0-9.]+\ [kMG]B\ peak$ ]]
}

@test "-q says nothing" {
	pipeline
	run --separate-stderr kith-knn -q -k 4 -o a.nng a.npy
	[ "$status" -eq 0 ]
	[ -z "$output$stderr" ]
	run --separate-stderr kith-merge -q -o s.json a.nng b.nng
	[ "$status" -eq 0 ]
	[ -z "$output$stderr" ]
	run --separate-stderr kith-report -q -o r.html s.json
	[ "$status" -eq 0 ]
	[ -z "$output$stderr" ]
	run --separate-stderr kith-check -q a.nng s.json
	[ "$status" -eq 0 ]
	[ -z "$output$stderr" ]
}

@test "-q does not silence an error" {
	run --separate-stderr kith-knn -q -o out.nng nowhere.npy
	[ "$status" -eq 1 ]
	[[ "$stderr" == *nowhere.npy* ]]
}

@test "kith-show: header lines start with #, then tab-separated rows; data on stdout" {
	local file
	pipeline
	for file in a.nng s.json a.npy; do
		run --separate-stderr kith-show $file
		[ "$status" -eq 0 ]
		[[ "${lines[0]}" == "#"* ]]
		[ -z "$stderr" ]
	done
	[ "$(kith-show --nodes 3:5 a.nng | grep -vc '^#')" -lt "$(kith-show a.nng | grep -vc '^#')" ]
	kith-show a.nng | grep -v '^#' | head -1 | grep -q "$(printf '\t')"
	kith-show --format json a.nng | head -c 1 | grep -q '[[{]'
}

@test "layer names: the file's stem, or NAME=" {
	pipeline
	kith-merge -q -o s.json conv1=a.nng b.nng
	grep -q '"name": *"conv1"' s.json
	grep -q '"name": *"b"' s.json
	rm s.json
	mv b.nng $'b\tc.nng'
	run --separate-stderr kith-merge -o s.json a.nng $'b\tc.nng' # tables are cut at tabs
	[ "$status" -eq 2 ]
	[ "${stderr_lines[0]}" = "kith-merge: layer 1: its name holds a tab, a line end or the like: give it another, NAME=LAYER.nng" ]
	[ ! -e s.json ]
	kith-merge -q -o s.json a.nng b=$'b\tc.nng'
}

@test "an output name may hold spaces and lie elsewhere" {
	mkdir "some where"
	mknpy "some where/in put.npy"
	kith-knn -q -o "some where/out put.nng" "some where/in put.npy"
	kith-check -q "some where/out put.nng"
	[ "$(ls -A "some where" | wc -l)" -eq 2 ]
}

@test "an output that is a link stays one: what it points at is replaced" {
	pipeline
	mkdir elsewhere
	echo old >elsewhere/out.nng
	echo old >elsewhere/out.json
	ln -s elsewhere/out.nng elsewhere/out.json .
	kith-knn -q -k 4 -o out.nng a.npy
	kith-merge -q -o out.json a.nng b.nng
	[ -L out.nng ]
	[ -L out.json ]
	kith-check -q elsewhere/out.nng elsewhere/out.json
	[ "$(ls -A elsewhere | wc -l)" -eq 2 ]
}

@test "npy versions and types that are read" {
	local version type
	for version in 1 2 3; do
		mknpy -v $version v$version.npy
		kith-knn -q -o out.nng v$version.npy
	done
	for type in '<f2' '<f4' '<f8' '|u1' '|i1'; do
		mknpy -t "$type" t.npy
		kith-knn -q -o out.nng t.npy
	done
	mknpy -n 60 -d 12 -S '(60, 3, 2, 2)' deep.npy
	kith-knn -q -o out.nng deep.npy
	kith-check -q out.nng
}

@test "a second writer of the same file is refused" {
	mknpy -n 30 a.npy
	: >a.nng.abcdef.part
	exec 9<>a.nng.abcdef.part
	flock -x 9
	run --separate-stderr kith-knn -q -o a.nng a.npy
	exec 9>&-
	[ "$status" -eq 1 ]
	[[ "$stderr" == *a.nng* ]]
	[ ! -e a.nng ]
	kith-knn -q -o a.nng a.npy # and its part, which is nobody's now, goes
	[ "$(echo *)" = "a.nng a.npy" ]
}

@test "one signal ends a program that does not ask for it, too" {
	run timeout -s TERM -k 20 1 stubborn out
	[ "$status" -eq 124 ] # and not 137, killed
	run timeout -s INT -k 20 1 stubborn out asks
	[ "$status" -eq 124 ]
	mkfifo pipe
	run timeout -s TERM -k 20 1 kith-report -o out pipe # which waits for a writer
	[ "$status" -eq 124 ]
	[ "$(ls -A)" = pipe ]
}

@test "an interrupted run leaves nothing" {
	mknpy -n 30000 -d 200 big.npy
	timeout -s INT 0.7 kith-knn -q -t 1 -o big.nng big.npy || true
	[ "$(ls -A)" = big.npy ]
}

@test "a value too small to be squared, beside ordinary ones, costs no plan" {
	mknpy -n 20000 -d 12 -t '<f8' layer.npy
	printf '\x7e\xd8\x7b\x12\x5f\x7c\xde\x22' | dd of=layer.npy bs=8 seek=16 conv=notrunc status=none # 1e-140, the first value
	run --separate-stderr kith-knn -k 5 -o layer.nng layer.npy
	echo "$stderr"
	[[ "$stderr" == *"exact ("*")"* ]]
	[[ "$stderr" != *stream* ]]
	kith-knn -q -k 5 --engine approx:leaf=300 -o approx.nng layer.npy
}

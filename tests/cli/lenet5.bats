#!/usr/bin/env bats
# examples/lenet5/run.sh; what it runs has tests in tests/python.

load helper

@test "run.sh refuses unfit options" {
	refuses_unfit lenet5 --no-install "--limit 0" "--limit 1x" "--limit" "--seeds 0" "--seeds" "--papr" "--paper --limit 12000"
}

@test "run.sh --dry-run says what is left to do, in time and on disk, and does nothing" {
	local run_sh=$BATS_TEST_DIRNAME/../../examples/lenet5/run.sh
	mkdir data "$BATS_TEST_TMPDIR/out"
	run sh "$run_sh" --data data --out "$BATS_TEST_TMPDIR/out" --paper --dry-run
	[ "$status" -eq 0 ]
	echo "$output"
	[ "${#lines[@]}" -eq 17 ] # three trainings of five steps, the sum, and what is needed beside it
	[[ ${lines[12]} == "seed 3: graphs, k=15,100,6000,12000 "*" s "*" MB" ]]
	[[ ${lines[15]} =~ ^left\ to\ do,\ in\ all\ +([0-9]+)\ s\ +([0-9]+)\ MB$ ]]
	[ "${BASH_REMATCH[1]}" -gt 600 ]
	mkdir -p "$BATS_TEST_TMPDIR/out/kith-paper"
	touch "$BATS_TEST_TMPDIR/out/kith-paper/report.html" # done already
	run sh "$run_sh" --data data --out "$BATS_TEST_TMPDIR/out" --paper --dry-run
	[ "${#lines[@]}" -eq 16 ]
	[ -z "$(find "$BATS_TEST_TMPDIR/out" -name 'lenet5*')" ]
}

#!/usr/bin/env bats
# examples/lenet5/run.sh; what it runs has tests in tests/python.

# Everything run.sh can refuse, it refuses before it does anything.
@test "run.sh refuses unfit options" {
	run_sh=$BATS_TEST_DIRNAME/../../examples/lenet5/run.sh
	for options in "--limit 0" "--limit 1x" "--limit" "--data" "--data /nowhere" "--papr" "--paper --limit 12000"; do
		run sh "$run_sh" --no-install $options
		[ "$status" -eq 2 ]
		[ "${#lines[@]}" -eq 1 ]
		[[ $output == "run.sh: "*"${options%% *}"* ]]
	done
	run sh "$run_sh" --no-install --out "/tmp/two words"
	[ "$status" -eq 2 ]
	[[ $output == *"spaces"* ]]
	run sh "$run_sh" --help
	[ "$status" -eq 0 ]
	[[ $output == *"--no-install"* ]]
}

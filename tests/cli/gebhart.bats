#!/usr/bin/env bats
# examples/gebhart's Python: skipped where no python3 has numpy and torch.

find_python() {
	for python in python3 /usr/bin/python3; do
		"$python" -c 'import numpy, torch' 2>/dev/null && return
	done
	skip "no python3 with numpy and torch"
}

@test "netfile.py" {
	find_python
	"$python" -W error::ResourceWarning "$BATS_TEST_DIRNAME/netfile_test.py"
}

@test "from training to tables" {
	find_python
	command -v liblinear-train >/dev/null || skip "no liblinear-train"
	"$python" -W error::ResourceWarning "$BATS_TEST_DIRNAME/gebhart_test.py"
}

# Everything run.sh can refuse, it refuses before it does anything.
@test "run.sh refuses unfit options" {
	run_sh=$BATS_TEST_DIRNAME/../../examples/gebhart/run.sh
	for options in "--data" "--data /nowhere" "--sigmoidal" "--out"; do
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
	[[ $output == *"--sigmoid"* ]]
}

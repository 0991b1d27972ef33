#!/usr/bin/env bats
# examples/gebhart's Python: skipped where no python3 has numpy and torch.

load helper

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

@test "run.sh refuses unfit options" {
	refuses_unfit gebhart --sigmoid "--sigmoidal"
}

#!/usr/bin/env bats
# examples/gebhart's Python: skipped where no python3 has numpy and torch.

@test "netfile.py" {
	for python in python3 /usr/bin/python3; do
		"$python" -c 'import numpy, torch' 2>/dev/null && break
		python=''
	done
	[ -n "$python" ] || skip "no python3 with numpy and torch"
	"$python" -W error::ResourceWarning "$BATS_TEST_DIRNAME/netfile_test.py"
}

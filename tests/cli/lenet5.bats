#!/usr/bin/env bats
# examples/lenet5/run.sh; what it runs has tests in tests/python.

load helper

@test "run.sh refuses unfit options" {
	refuses_unfit lenet5 --no-install "--limit 0" "--limit 1x" "--limit" "--papr" "--paper --limit 12000"
}

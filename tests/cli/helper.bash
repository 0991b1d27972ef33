# What the command-line tests share (`load helper`): the programs on PATH, and a folder of its own for each test. A file
# with more to prepare defines a setup that begins with work_folder.

bats_require_minimum_version 1.5.0

work_folder() {
	PATH="$KITH_BIN:${KITH_TEST_TOOLS:+$KITH_TEST_TOOLS:}$PATH"
	mkdir "$BATS_TEST_TMPDIR/work" # bats keeps files of its own beside it
	cd "$BATS_TEST_TMPDIR/work"
}

setup() {
	work_folder
}

# fails CODE TEXT PROGRAM [ARGUMENT...]: it exits with CODE, and its message, which begins with the program's name, has TEXT;
# it prints nothing, and the folder is as it was.
fails() {
	local code=$1 text=$2 before
	shift 2
	before=$(find . | sort)
	run --separate-stderr "$@"
	echo "status $status, stderr: $stderr"
	[ "$status" -eq "$code" ]
	[[ "${stderr_lines[0]}" == "$1: "* ]]
	[[ "$stderr" == *"$text"* ]]
	[ -z "$output" ]
	[ "$(find . | sort)" = "$before" ]
}

# refuses_unfit EXAMPLE OPTION "OPTION..."...: what its run.sh can refuse, it refuses with 2 and one message, which names
# the first option, before it does anything; --help tells of OPTION.
refuses_unfit() {
	local run_sh=$BATS_TEST_DIRNAME/../../examples/$1/run.sh known=$2 options
	shift 2
	for options in "--data" "--data /nowhere" "--out" "$@"; do
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
	[[ $output == *"$known"* ]]
}

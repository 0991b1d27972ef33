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

#!/usr/bin/env bats
# setup.sh with stand-ins for apt-get, dpkg-query and the rest on a PATH of its own: nothing is installed here.

setup() {
	root=$(cd "$BATS_TEST_DIRNAME/../.." && pwd)
	sh=$(command -v sh)
	cd "$BATS_TEST_TMPDIR"
	sed 's: /usr/bin/python3::' "$root/setup.sh" >setup.sh # the machine's own python is none of these tests' business
	mkdir bin
	for tool in sh cat sed grep tr; do
		ln -s "$(command -v "$tool")" "bin/$tool"
	done
	: >log
	: >installed
	printf '%s\n' $libraries >libraries
	fake id 'echo 0'
	fake sleep 'echo "sleep $*" >>log'
	fake python3 'exit 1'
	fake dpkg-query '
		for p do :; done
		grep -qx "$p" installed && printf installed && exit
		echo "no packages found" >&2
		exit 1'
	fake apt-cache 'grep -qx "$2" unlisted 2>/dev/null || echo "  Candidate: 1.0-1"'
	fake apt-get '
		echo "apt-get $* ($DEBIAN_FRONTEND)" >>log
		[ -e locked ] && { /bin/rm locked; echo "E: Could not get lock" >&2; exit 100; }
		exit 0'
}

fake() {
	printf '#!%s\n%s\n' "$sh" "$2" >"bin/$1"
	chmod +x "bin/$1"
}

# Runs setup.sh seeing only bin.
run_setup() {
	run env -i PATH="$PWD/bin" "$sh" setup.sh "$@"
}

have_build() {
	cat libraries >>installed
	for tool in gcc g++ make cmake pkg-config; do
		fake "$tool" ''
	done
}

libraries="libc6-dev liblmdb-dev libzstd-dev libxxhash-dev libopenblas-openmp-dev libjansson-dev libcairo2-dev libzip-dev libhdf5-dev libfaiss-dev"
build="gcc g++ make cmake pkg-config $libraries"
install="apt-get -y -q -o DPkg::Lock::Timeout=120 install --no-install-recommends"

@test "--check names what is missing, installs nothing, exits 1" {
	run_setup --check
	[ "$status" -eq 1 ]
	[ "$output" = "setup.sh: missing: $build" ]
	[ ! -s log ]
}

@test "with all there: nothing to do, exit 0" {
	have_build
	for options in "" --check; do
		run_setup $options
		[ "$status" -eq 0 ]
		[ "$output" = "setup.sh: everything is there" ]
	done
	[ ! -s log ]
}

@test "installs what is missing and nothing else, and says so first" {
	have_build
	grep -vx liblmdb-dev libraries >installed
	run_setup
	[ "$status" -eq 0 ]
	[ "${lines[0]}" = "setup.sh: will run: apt-get install --no-install-recommends liblmdb-dev" ]
	[ "$(cat log)" = "$install liblmdb-dev (noninteractive)" ]
}

@test "--tests and --examples add their packages, each once" {
	have_build
	run_setup --check --tests
	[ "$output" = "setup.sh: missing: libcmocka-dev bats curl python3-numpy python3-pytest" ]
	run_setup --check --examples
	[ "$output" = "setup.sh: missing: python3-numpy python3-torch dataset-fashion-mnist liblinear-tools" ]
	run_setup --check --examples --tests
	[ "$output" = "setup.sh: missing: libcmocka-dev bats curl python3-numpy python3-pytest python3-torch dataset-fashion-mnist liblinear-tools" ]
	fake python3 '[ "$2" = "import numpy,torch" ]'
	run_setup --check --examples
	[ "$output" = "setup.sh: missing: dataset-fashion-mnist liblinear-tools" ]
}

@test "apt-get update only where the lists lack a package" {
	have_build
	: >installed
	echo libjansson-dev >unlisted
	run_setup
	[ "$status" -eq 0 ]
	[[ $(head -n 1 log) == *" update (noninteractive)" ]]
	[[ $(tail -n 1 log) == "$install libc6-dev"* ]]
	[ "$(wc -l <log)" -eq 2 ]
}

@test "a system without FAISS goes without it" {
	have_build
	grep -vx -e libfaiss-dev -e liblmdb-dev libraries >installed
	echo libfaiss-dev >unlisted
	run_setup
	[ "$status" -eq 0 ]
	[[ $output == *"without --engine faiss"* ]]
	[ "$(tail -n 1 log)" = "$install liblmdb-dev (noninteractive)" ]
	cp libraries installed
	sed -i /libfaiss-dev/d installed
	run_setup
	[ "$status" -eq 0 ]
	[ "$(grep -c install log)" -eq 1 ]
}

@test "a lock: waits, fetches the lists and tries once more" {
	have_build
	: >installed
	touch locked
	run_setup
	[ "$status" -eq 0 ]
	[ "$(wc -l <log)" -eq 4 ]
	[ "$(sed -n 2p log)" = "sleep 20" ]
}

@test "a failure that stays: exit 1" {
	fake apt-get 'echo "apt-get $*" >>log; exit 100'
	run_setup
	[ "$status" -eq 1 ]
	[ "$(grep -c install log)" -eq 2 ]
	[[ $output == *"could not be installed"* ]]
}

@test "not root: sudo if there is one, else the command to run" {
	fake id 'echo 1000'
	run_setup
	[ "$status" -eq 1 ]
	[[ $output == *"as root: apt-get install --no-install-recommends $build"* ]]
	[ ! -s log ]
	fake sudo 'echo sudo >>log; shift; eval "$1"; export DEBIAN_FRONTEND; shift; "$@"'
	run_setup
	[ "$status" -eq 0 ]
	[ "${lines[0]}" = "setup.sh: will run: sudo apt-get install --no-install-recommends $build" ]
	[ "$(cat log)" = "sudo
$install $build (noninteractive)" ]
}

@test "without apt: the libraries by name, exit 2" {
	rm bin/apt-get
	run_setup
	[ "$status" -eq 2 ]
	[[ $output == *LMDB* && $output == *"CMake 3.18"* && $output == *cmocka* && $output == *PyTorch* ]]
}

@test "unknown options: exit 2; --help: exit 0" {
	run_setup --chekc
	[ "$status" -eq 2 ]
	[[ $output == *--chekc* ]]
	run_setup --help
	[ "$status" -eq 0 ]
	[[ $output == *--examples* ]]
	[ ! -s log ]
}

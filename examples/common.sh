# common.sh - what the examples' run.sh share: options, and kith built. They source it, and set nothing that begins here
# but before they call what needs it.
# shellcheck shell=sh disable=SC2034  # what is set here is for them

data=/usr/share/datasets/fashion-mnist out='' install=1
root=../.. # of the checkout, from an example's folder

fail() {
	printf 'run.sh: %s\n' "$*" >&2
	exit 2
}

# value OPTION REMAINING-ARGUMENTS VALUE: checks that an option has one.
value() {
	if [ "$2" -lt 2 ] || [ -z "$3" ]; then
		fail "$1 needs a value"
	fi
}

# The folder need not exist.
absolute() {
	case $1 in
	/*) printf '%s\n' "$1" ;;
	*) printf '%s/%s\n' "$PWD" "$1" ;;
	esac
}

# common_option OPTION REMAINING-ARGUMENTS VALUE: takes an option that all of them have. Sets `words` to 2 if the value
# is the option's.
common_option() {
	case $1 in
	--data)
		value "$@"
		[ -d "$3" ] || fail "--data $3: no such folder"
		data=$(CDPATH='' cd -- "$3" && pwd)
		words=2
		;;
	--out)
		value "$@"
		out=$(absolute "$3")
		words=2
		;;
	--no-install) install='' ;;
	-h | --help)
		sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$0"
		exit 0
		;;
	*) fail "unknown option $1; --help lists them" ;;
	esac
}

# enter SUFFIX: goes to the example's folder, from where on paths are relative: make cannot hold spaces in a path, and the
# way to this folder may have some. Results go to out/NAME SUFFIX, NAME being the data's folder, unless --out says where.
enter() {
	CDPATH='' cd -- "$(dirname -- "$0")" || exit
	: "${out:=out/$(basename -- "$data" | tr -c 'A-Za-z0-9._\n-' _)$1}"
	case $out in
	*[[:space:]]*) fail "$out: make cannot hold spaces in a path; choose another with --out" ;;
	esac
}

# Installs what is missing, sets `python`, and builds kith.
build_kith() {
	[ -z "$install" ] || sh "$root/setup.sh" --examples
	find_python
	[ -f "$root/build/CMakeCache.txt" ] ||
		cmake -S "$root" -B "$root/build" -DCMAKE_BUILD_TYPE=Release -DBUILD_TESTING=OFF
	cmake --build "$root/build" --parallel "$(getconf _NPROCESSORS_ONLN)"
}

find_python() {
	for python in python3 /usr/bin/python3; do
		"$python" -c 'import numpy, torch' >/dev/null 2>&1 && return
	done
	fail "no python3 that can import numpy and torch (sh setup.sh --examples installs them)"
}

#!/usr/bin/env bats
# libkith as installed: its headers, its symbols, and the example of its use, built with pkg-config and with CMake.
# KITH_CC and KITH_CFLAGS are the compiler, and what code beside this build of the library needs.

load helper

setup_file() {
	export prefix="$BATS_FILE_TMPDIR/prefix" root="$BATS_TEST_DIRNAME/../.."
	cmake --install "$KITH_BIN" --prefix "$prefix" >/dev/null
	PKG_CONFIG_PATH=$(dirname "$(find "$prefix" -name kith.pc)")
	export PKG_CONFIG_PATH LD_LIBRARY_PATH="${PKG_CONFIG_PATH%/pkgconfig}"
}

setup() {
	work_folder
	cp "$root"/examples/api/* .
}

# Runs the example that a test has built.
try_example() {
	mknpy -n 40 -d 3 a.npy
	kith-knn -q -k 4 -o a.nng a.npy
	"$1" a.nng 7 >got
	kith-show --nodes 7:8 --format json a.nng >shown
	cat got shown
	[ "$(wc -l <got)" -eq 4 ]
	run --separate-stderr "$1" a.nng 40
	[ "$status" -eq 1 ]
	[ "$stderr" = "neighbours: a.nng: nodes 40:41 asked for, but there are 40" ]
}

@test "the example builds with pkg-config, and runs" {
	make CC="$KITH_CC" CFLAGS="-Wall -Wextra -Werror $KITH_CFLAGS" neighbours
	try_example ./neighbours
}

@test "the example builds with CMake's find_package, and runs" {
	cmake -B out -DCMAKE_C_COMPILER="$KITH_CC" -DCMAKE_C_FLAGS="$KITH_CFLAGS" -DCMAKE_PREFIX_PATH="$prefix"
	cmake --build out
	try_example out/neighbours
}

@test "the example links with the static library, and needs no shared one then" {
	flags=$(pkg-config --static --cflags --libs kith)
	"$KITH_CC" $KITH_CFLAGS -o neighbours neighbours.c ${flags/-lkith/-l:libkith.a}
	run ldd neighbours
	[[ "$output" != *libkith* ]]
	try_example ./neighbours
}

@test "libkith.so exports what the public headers declare, and nothing else" {
	for header in "$prefix"/include/kith/*.h; do
		echo "#include <kith/$(basename "$header")>"
	done >all.c
	gcc -I"$prefix/include" -aux-info declared -c -o all.o all.c
	grep -F "$prefix" declared | grep -v ' static ' | sed 's/.*[ *]\(kith_[a-z0-9_]*\) (.*/\1/' | sort -u >wanted
	nm -D --defined-only "$LD_LIBRARY_PATH/libkith.so" | sed 's/.* //' | sort >exported
	[ "$(wc -l <wanted)" -gt 50 ]
	diff wanted exported
}

@test "each public header can be included alone, and includes none that is not installed" {
	for header in "$prefix"/include/kith/*.h; do
		printf '#include <kith/%s>\nextern int one;\n' "$(basename "$header")" >one.c
		gcc -std=c17 -pedantic -Wall -Wextra -Werror -I"$prefix/include" -c -o one.o one.c
	done
}

@test "one version: of programs, man pages, pkg-config and CITATION.cff" {
	version=$(kith-show --version)
	version=${version#kith-show }
	[ "$(pkg-config --modversion kith)" = "$version" ]
	grep -qx "version: $version" "$root/CITATION.cff"
	for page in "$prefix"/share/man/man1/*.1; do
		[[ "$(head -1 "$page")" == *"\"kith $version\""* ]]
	done
	[ -e "$LD_LIBRARY_PATH/libkith.so.$version" ]
}

# The completions of a line whose last word is being typed; bash parts words at = as well.
complete_line() {
	local program=$1
	shift
	bash -c 'source "$1"; COMP_WORDS=("${@:2}"); COMP_CWORD=$(($# - 2)); _kith "$2"; printf "%s\n" "${COMPREPLY[@]}"' \
		- "$prefix/share/bash-completion/completions/$program" "$program" "$@" | paste -sd' '
}

@test "bash completes options, values and files of every installed program, as its --help has them" {
	[ "$(ls "$prefix/share/bash-completion/completions")" = "$(ls "$prefix/bin")" ]
	for program in "$prefix"/bin/*; do
		program=$(basename "$program")
		bash -c 'source "$1"; complete -p "$2"' - "$prefix/share/bash-completion/completions/$program" "$program"
		[ "$(complete_line "$program" --vers)" = --version ]
		[[ "$(complete_line "$program" -)" == *"--help"* ]]
	done
	touch a.npy b.npy a.nng b.nng
	mkdir b.dir
	[ "$(complete_line kith-knn --metr)" = --metric= ]
	[ "$(complete_line kith-knn --metric = '')" = "l2 cosine jaccard" ]
	[ "$(complete_line kith-knn --metric c)" = cosine ]
	[ "$(complete_line kith-merge --graph = m)" = mutual ]
	[ "$(complete_line kith-merge --alpha = '')" = all ]
	[ "$(complete_line kith-knn --engine =)" = "exact approx faiss:" ]
	[ "$(complete_line kith-knn -o '')" = "a.nng b.dir b.nng" ]
	[ "$(complete_line kith-knn --dry-run b)" = "b.dir b.nng b.npy" ]
	[ "$(complete_line kith-knn -m '')$(complete_line kith-knn -k 1)" = "" ]
	[ "$(complete_line kith-merge -o s.json NAME = b)" = "b.dir b.nng" ]
	[ "$(complete_line kith-report --csv '')" = b.dir ]
	[[ "$(complete_line kith-show '')" == *"a.nng a.npy"* ]]
}

@test "every installed file is in one of Debian's packages, and debian/ has this version" {
	[[ "$(head -1 "$root/debian/changelog")" == "kith ($(pkg-config --modversion kith)) "* ]]
	cd "$prefix"
	for list in "$root"/debian/*.install; do # Debian's folders, and those of other systems and other prefixes
		sed -e 's,^usr/,,' -e 's,lib/\*/,lib*/*,' -e 's,lib/python3/dist-packages,lib/python3*/*-packages,' "$list"
	done >"$BATS_TEST_TMPDIR/patterns"
	while read -r pattern; do
		find . -path "./$pattern" -o -path "./$pattern/*"
	done <"$BATS_TEST_TMPDIR/patterns" | grep -v '\.pyc$' | while read -r file; do
		[ -d "$file" ] || echo "$file"
	done | sort >"$BATS_TEST_TMPDIR/packaged"
	find . ! -type d | sort | diff - "$BATS_TEST_TMPDIR/packaged"
}

@test "functions with clones have names of their own in all files, or clang cannot link them" {
	files=$(grep -rl "KITH_CLONES static" "$root/store" "$root/pipeline")
	names=$(sed -n 's/^KITH_CLONES static [^(]*[ *]\([a-z_0-9]*\)(.*/\1/p' $files | sort)
	[ "$(wc -l <<<"$names")" -gt 20 ]
	[ -z "$(uniq -d <<<"$names")" ]
}

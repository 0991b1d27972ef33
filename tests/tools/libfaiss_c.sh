#!/bin/sh
# libfaiss_c.sh DIR - a real libfaiss_c for Debian's libfaiss, which comes without one: the C API's own sources, of the
# very version that is installed, compiled once. DIR/lib and DIR/include are then what -DKITH_FAISS_ROOT takes, and
# tests hold faiss_shim.cc against it. Exit code 77 if the sources cannot be had (no network, or not Debian's).
set -eu
root=$1
version=$(dpkg-query -W -f '${Version}' libfaiss-dev 2>/dev/null | sed 's/-[^-]*$//')
[ -n "$version" ] || exit 77
done=$root/lib/of-$version
[ ! -e "$done" ] || exit 0

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
curl -fsS --retry 2 -o "$work/faiss.tar.gz" \
	"http://deb.debian.org/debian/pool/main/f/faiss/faiss_$version.orig.tar.gz" || exit 77
mkdir "$work/source"
tar -xzf "$work/faiss.tar.gz" -C "$work/source" --strip-components 1
cd "$work"
# shellcheck disable=SC2016  # it is the inner shell that expands these
for file in AutoTune_c Index_c error_impl index_factory_c index_io_c; do
	printf '%s\n' "source/c_api/$file.cpp"
done | xargs -P "$(nproc)" -n 1 sh -c 'g++ -std=c++17 -O1 -w -fPIC -Isource -c -o "$(basename "$0" .cpp).o" "$0"'
mkdir -p "$root/lib" "$root/include"
rm -f "$root/lib/libfaiss_c.a"
ar -rcs "$root/lib/libfaiss_c.a" ./*.o
ln -sfn "$(gcc -print-file-name=libfaiss.a)" "$root/lib/libfaiss.a"
ln -sfn /usr/include/faiss "$root/include/faiss"
: >"$done"

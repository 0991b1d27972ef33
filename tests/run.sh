#!/bin/sh
# Builds kith and runs every test, then both again with the address and undefined-behaviour sanitizers. Installs what is
# missing first, so that it works on a fresh machine:  sh tests/run.sh [CMAKE OPTION...]
set -eu
cd "$(dirname "$0")/.."
sh setup.sh --tests --examples
jobs=$(nproc)

suite() {
	folder=$1
	shift
	cmake -S . -B "$folder" "$@"
	cmake --build "$folder" --parallel "$jobs"
	(cd "$folder" && ctest --output-on-failure --parallel "$jobs")
}

suite build -DCMAKE_BUILD_TYPE=Release -DBUILD_TESTING=ON "$@"
suite build-asan -DCMAKE_BUILD_TYPE=RelWithDebInfo -DBUILD_TESTING=ON -DKITH_SANITIZE=address,undefined "$@"

# What is left without FAISS and HDF5.
cmake -S . -B build-plain -DCMAKE_BUILD_TYPE=Release -DBUILD_TESTING=ON -DKITH_FAISS=OFF -DKITH_HDF5=OFF
cmake --build build-plain --parallel "$jobs" --target kith-knn mknpy test_formats
(cd build-plain && ctest --output-on-failure -R "cli_faiss|test_formats")

# The engine faiss by FAISS' own C API: faiss_shim.cc has to be its like. Built once, kept where caches are.
faiss_c=${XDG_CACHE_HOME:-${HOME:-/tmp}/.cache}/kith/libfaiss_c
mkdir -p "$faiss_c" 2>/dev/null || faiss_c=$PWD/build-faiss-c/root
status=0
sh tests/tools/libfaiss_c.sh "$faiss_c" || status=$?
case $status in
0)
	cmake -S . -B build-faiss-c -DCMAKE_BUILD_TYPE=Release -DBUILD_TESTING=ON -DKITH_FAISS=ON \
		-DKITH_FAISS_ROOT="$faiss_c"
	cmake --build build-faiss-c --parallel "$jobs" --target kith-knn test_faiss property_faiss
	(cd build-faiss-c && ctest --output-on-failure -R "(test|property)_faiss")
	sh tests/tools/same_faiss.sh build build-faiss-c
	;;
77) echo "run.sh: the sources of Debian's FAISS cannot be had here: faiss_shim.cc is not held against its C API" ;;
*) exit "$status" ;;
esac

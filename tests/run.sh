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

# What is left without FAISS.
cmake -S . -B build-plain -DCMAKE_BUILD_TYPE=Release -DBUILD_TESTING=ON -DKITH_FAISS=OFF
cmake --build build-plain --parallel "$jobs" --target kith-knn mknpy
(cd build-plain && ctest --output-on-failure -R cli_faiss)

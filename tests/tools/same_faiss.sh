#!/bin/sh
# same_faiss.sh BUILD OTHER - graphs by --engine faiss are the same bytes, whichever of two builds makes them.
set -eu
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
one=$(cd "$1" && pwd) other=$(cd "$2" && pwd)
cd "$scratch"
"$one/tests/mknpy" -n 3000 -d 24 layer.npy
for spec in Flat 'IVF32,Flat;nprobe=4' 'IVF32,Flat;nprobe=auto,recall=0.9' 'HNSW8;efSearch=16' 'PCA8,IVF16,SQ8;nprobe=8' \
	'IVF8,PQ4x4,RFlat;nprobe=4,k_factor_rf=3' LSH; do
	for build in "$one" "$other"; do
		"$build/kith-knn" -q -t 1 -k 10 --engine "faiss:$spec" -o layer.nng layer.npy
		mv layer.nng "$(basename "$build").nng"
	done
	cmp "$(basename "$one").nng" "$(basename "$other").nng"
	echo "same_faiss.sh: $spec: the same"
done

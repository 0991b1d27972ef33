#!/bin/sh
# Makes the seed inputs of the fuzz targets with the programs just built, so that they are always of the current format:
#   seeds.sh FOLDER_OF_KITH_KNN FOLDER_OF_MKNPY OUTPUT
set -eu
bin=$1 tools=$2 out=$3
for format in npz fbin fvecs h5; do
	folder=$out/$(echo $format | sed s/h5/hdf5/)
	mkdir -p "$folder"
	cp "$(dirname "$0")/../data/formats"/*."$format" "$folder"
done
rm "$out/hdf5/wide.h5" # takes a second to inflate
mkdir -p "$out/npy" "$out/source" "$out/graph" "$out/pairs" "$out/h0" "$out/net"
for type in f2 f4 f8 V2; do
	"$tools/mknpy" -n 3 -d 2 -t "<$type" "$out/npy/$type"
done
"$tools/mknpy" -n 3 -d 2 -t '|u1' "$out/npy/u1"
"$tools/mknpy" -n 3 -d 2 -t f4 "$out/npy/native"
"$tools/mknpy" -n 2 -d 12 -t '|i1' -v 2 -S '(2, 3, 2, 2)' "$out/npy/v2"
"$tools/mknpy" -n 5 -d 1 -v 3 -S '(5,)' "$out/npy/v3"
"$tools/mknpy" -n 3 -d 2 -F "$out/npy/fortran"
"$tools/mknpy" -n 3 -d 2 -p 1,1,nan "$out/npy/nan"
"$tools/mknpy" -n 3 -d 2 -t '<i8' "$out/npy/i8"
printf '1[1:,0,::-1,-5]' >"$out/source/slice"
printf '1[...,2:9:3]' >"$out/source/rest"
header='{"a":{"dtype":"F32","shape":[2,2],"data_offsets":[0,16]},"b":{"dtype":"U8","shape":[4],"data_offsets":[16,20]}}'
printf '0\157\0\0\0\0\0\0\0%sabcdefghijklmnopqrst' "$header" >"$out/source/two"
header='{"__metadata__":{"x":"y"},"a":{"dtype":"BF16","shape":[1,2,2],"data_offsets":[0,8]}}'
printf '0\124\0\0\0\0\0\0\0%sabcdefgh' "$header" >"$out/source/one"
for n in 3 40 300; do
	"$tools/mknpy" -n $n -d 4 "$out/layer.npy"
	"$bin/kith-knn" -q -k 2 -o "$out/graph/$n.nng" "$out/layer.npy"
	"$bin/kith-knn" -q -k 1,$((n - 1)) -o "$out/graph/$n.dense.nng" "$out/layer.npy"
	"$tools/mknpy" -n $n -d 4 -s 1 "$out/layer.npy"
	"$bin/kith-knn" -q -k 2 -o "$out/graph/$n.other.nng" "$out/layer.npy"
	"$tools/mkpairs" -b 100 "$out/pairs/$n.kpr" "$out/graph/$n.nng" "$out/graph/$n.other.nng"
done
gunzip -c "$(dirname "$0")/../data/extras.kpr.gz" >"$out/pairs/extras.kpr"
for net in "$(dirname "$0")"/../golden/h0/dense* "$(dirname "$0")"/../golden/h0/conv*; do
	"$bin/kith-h0" -q -o "$out/h0/${net##*/}.kh0" "$net/net.json"
	"$bin/kith-h0" -q --no-values --keep 0.25 -o "$out/h0/${net##*/}.keep.kh0" "$net/net.json"
	cp "$net/net.json" "$out/net/${net##*/}.json"
done

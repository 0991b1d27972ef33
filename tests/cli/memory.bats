#!/usr/bin/env bats
# -m is a promise: the peak stays within it plus a constant (libraries, their buffers), and the graph is the same.

load helper

CONSTANT=48 # MB

peak() { # of the closing report "...: 1.2 s, 34 MB peak" or "... peak, 56 MB with mapped files": all that there was
	sed -n 's/.*, \([0-9]*\) MB\( peak\| with mapped files\)$/\1/p'
}

@test "activations of 96 MB in 16 MB" {
	[ -z "${KITH_SANITIZED-}" ] || skip "sanitizers take memory of their own"
	local used
	mknpy -n 16000 -d 1500 -t '<f4' layer.npy
	[ "$(stat -c %s layer.npy)" -gt 96000000 ]
	# One thread: pages of mapped temporary files count until they are given back, and where one of several threads is
	# kept from the processor, the others go on touching them.
	run --separate-stderr kith-knn -k 5 -t 1 -m 16M -o small.nng layer.npy
	[ "$status" -eq 0 ]
	used=$(peak <<<"$stderr")
	echo "peak $used MB"
	[ "$used" -le $((16 + CONSTANT)) ]
	kith-knn -q -k 5 -t 2 -m 1G -o large.nng layer.npy
	cmp <(kith-show small.nng) <(kith-show large.nng)
}

@test "rows of 51 MB in 24 MB, in a mapped file" {
	[ -z "${KITH_SANITIZED-}" ] || skip "sanitizers take memory of their own"
	local used
	mknpy -n 8000 -d 12 -t '<f4' layer.npy
	run --separate-stderr kith-knn -k 15,800,1600 -t 1 -m 24M -o small.nng layer.npy
	[ "$status" -eq 0 ]
	used=$(peak <<<"$stderr")
	echo "peak $used MB"
	[ "$used" -le $((24 + CONSTANT)) ]
	kith-knn -q -k 15,800,1600 -t 2 -m 1G -o large.nng layer.npy
	cmp <(kith-show small.nng) <(kith-show large.nng)
}

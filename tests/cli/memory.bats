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

@test "kith-h0 takes no more than its dry run says, where lists of edges are sorted" {
	[ -z "${KITH_SANITIZED-}" ] || skip "sanitizers take memory of their own"
	local used foreseen
	mknpy -n 4 -d 147 -S '(4, 3, 7, 7)' I.npy
	mknpy -n 32768 -d 147 -S '(32768, 3, 7, 7)' -t '<f4' c.npy
	printf '{"format": "kith-net", "version": 1, "layers": [{"name": "I", "shape": [3, 7, 7], "activations": "I.npy"},
		{"name": "C", "shape": [32768, 1, 1]}], "edges": [{"from": "I", "to": "C", "op": "conv2d", "weight": "c.npy"}]}' >net.json
	foreseen=$(kith-h0 --dry-run -t 3 -m 1G net.json | sed -n 's/.* s, \([0-9]*\) MB of memory.*/\1/p')
	run --separate-stderr kith-h0 -t 3 -m 1G -o c.kh0 net.json
	used=$(peak <<<"$stderr")
	echo "peak $used MB, $foreseen foreseen"
	[ "$used" -le "$foreseen" ]
}

#!/usr/bin/env bats
# --engine faiss:... on the command line. A build without FAISS says how to get it; the other tests are skipped there.

load helper

setup() {
	work_folder
	mknpy -n 300 -d 6 good.npy
	run --separate-stderr kith-knn --dry-run --engine faiss:Flat good.npy
	case $BATS_TEST_DESCRIPTION in
	*"without FAISS"*) [ "$status" -ne 0 ] || skip "this build has FAISS" ;;
	*) [ "$status" -eq 0 ] || skip "this build has no FAISS" ;;
	esac
}

# refused CODE TEXT ENGINE [OPTION...]: kith-knn with that engine exits with CODE, says one line with TEXT, and leaves the
# folder as it was.
refused() {
	fails "$1" "$2" kith-knn -k 3 -o out.nng --engine "$3" "${@:4}" good.npy
	[ "${#stderr_lines[@]}" -eq 1 ]
}

rows() { # rows GRAPH: its rows as text
	kith-show --nodes 0:300 "$1" | grep -v '^#'
}

@test "without FAISS the engine says how to get it" {
	refused 2 "libfaiss-dev" faiss:IVF16,Flat
	refused 2 "KITH_FAISS=ON" "faiss:Flat;nprobe=3"
	refused 2 "faiss:IVF" faiss
}

@test "an index has to be named" {
	refused 2 "such as faiss:IVF" faiss
	refused 2 "which index" faiss:
	refused 2 "which index" "faiss:;nprobe=4"
}

@test "a factory string that FAISS refuses" {
	refused 2 "could not parse" faiss:Nonsense
	refused 2 "could not parse" faiss:IVF16,Nonsense
	refused 2 "faiss:IVF16,Nonsense" faiss:IVF16,Nonsense
	refused 2 "multiple of the number of subquantizers" faiss:PQ4
	refused 2 "PCA" faiss:PCA10,Flat
	refused 2 "cannot make that index" faiss:IVF99999999999999,Flat
	refused 2 "add_with_ids" faiss:IDMap,Flat
	refused 2 "longer than" "faiss:$(printf 'PCA6,%.0s' {1..40})Flat"
}

@test "0 of anything" {
	local factory
	for factory in IVF0,Flat PQ0 PQ3x0 HNSW0 IVF00,Flat PCA0,Flat; do
		refused 2 "0 of anything" faiss:$factory
	done
}

@test "binary and inner-product indexes" {
	refused 2 "binary" faiss:BIVF16
	refused 2 "binary" faiss:BFlat
}

@test "parameters that FAISS does not know, or that cannot be" {
	refused 2 "no parameter speed" "faiss:Flat;speed=3"
	refused 2 "no parameter nprobe" "faiss:HNSW8;nprobe=4"
	refused 2 "no parameter efSearch" "faiss:IVF4,Flat;efSearch=4"
	refused 2 "nprobe=0" "faiss:IVF4,Flat;nprobe=0"
	refused 2 "nprobe=-1" "faiss:IVF4,Flat;nprobe=-1"
	refused 2 "nprobe=1.5" "faiss:IVF4,Flat;nprobe=1.5"
	refused 2 "nprobe=x" "faiss:IVF4,Flat;nprobe=x"
	refused 2 "nprobe=nan" "faiss:IVF4,Flat;nprobe=nan"
	refused 2 "nprobe=1e99" "faiss:IVF4,Flat;nprobe=1e99"
	refused 2 "efSearch=0" "faiss:HNSW8;efSearch=0"
	refused 2 "k_factor_rf=0" "faiss:Flat,RFlat;k_factor_rf=0"
	refused 2 "nprobe is given twice" "faiss:IVF4,Flat;nprobe=1,nprobe=2"
	refused 2 "not PARAMETER=VALUE" "faiss:IVF4,Flat;"
	refused 2 "not PARAMETER=VALUE" "faiss:IVF4,Flat;nprobe"
	refused 2 "not PARAMETER=VALUE" "faiss:IVF4,Flat;nprobe="
	refused 2 "not PARAMETER=VALUE" "faiss:IVF4,Flat;=4"
}

@test "recall outside (0, 1), or with nothing to find" {
	refused 2 "recall=0" "faiss:IVF4,Flat;nprobe=auto,recall=0"
	refused 2 "recall=-0.5" "faiss:IVF4,Flat;nprobe=auto,recall=-0.5"
	refused 2 "recall=1.5" "faiss:IVF4,Flat;nprobe=auto,recall=1.5"
	refused 2 "recall=x" "faiss:IVF4,Flat;nprobe=auto,recall=x"
	refused 2 "use --engine exact" "faiss:IVF4,Flat;nprobe=auto,recall=1"
	refused 2 "neither is there" "faiss:IVF4,Flat;nprobe=2,recall=0.9"
	refused 2 "only nprobe and efSearch" "faiss:HNSW8;efConstruction=auto"
	refused 2 "one of them" "faiss:IVF4_HNSW8,Flat;nprobe=auto,efSearch=auto"
}

@test "fewer samples than centroids" {
	refused 2 "at least as large as number of clusters (4096)" faiss:IVF4096,Flat
	refused 2 "at least as large as number of clusters (1024)" faiss:PQ3x10
}

@test "k of n and more" {
	refused 2 "k=300" faiss:Flat -k 300
}

@test "-m below the least" {
	mknpy -n 3000 -d 600 good.npy
	refused 2 "-m is too small" faiss:Flat -m 1M
	refused 2 "-m is too small" faiss:IVF1024,Flat -m 2M
}

@test "NaN, and zero rows under cosine if asked to, are refused" {
	mknpy -n 300 -d 6 -p 17,4,nan good.npy
	refused 2 "good.npy: row 17, column 4 is NaN" faiss:Flat
	mknpy -n 300 -d 6 -z 23 good.npy
	refused 2 "good.npy: row 23 is zero" faiss:Flat --metric cosine --zero-rows refuse
}

@test "few samples that are no zero rows: nprobe=auto is tuned by these" {
	{ printf '\223NUMPY\001\000v\000%-117s\n' "{'descr': '|u1', 'fortran_order': False, 'shape': (3000, 4), }"
		head -c 11968 /dev/zero
		printf '%s' abcd bcda cdab dabc acbd bdca cabd dbac; } >few.npy
	kith-knn -q -k 3 --metric cosine --engine "faiss:IVF2,Flat;nprobe=auto" --audit 20 -o few.nng few.npy
	kith-check -q few.nng
}

@test "a file that is no index, is none of floats, or is not there" {
	refused 1 "nowhere.index" faiss:nowhere.index
	mkdir folder.index
	refused 2 "folder.index: is a directory" faiss:folder.index
	printf 'IBxF no index at all, but it begins like a binary one' >binary.index
	refused 2 "binary.index" faiss:binary.index
	printf 'not an index' >text.index
	refused 2 "text.index" faiss:text.index
	: >empty.index
	refused 2 "empty.index" faiss:empty.index
}

@test "few samples for an NSG, or many that are the same" {
	mknpy -n 100 -d 6 good.npy
	refused 2 "needs 200 samples" faiss:NSG16
	mknpy -n 600 -d 6 -e good.npy
	refused 2 "are the same" faiss:NSG16
}

@test "memory that FAISS cannot get is exit 1" {
	[ -z "${KITH_SANITIZED-}" ] || skip "sanitizers need more address space"
	mknpy -n 20000 -d 500 good.npy
	ulimit -v 1200000
	refused 1 "cannot allocate" faiss:HNSW20000 -m 40G -t 1
}

@test "Flat is exact, in shards too" {
	mknpy -n 9000 -d 120 good.npy
	kith-knn -q -k 5,20 -o exact.nng good.npy
	kith-knn -q -k 5,20 --engine faiss:Flat -o whole.nng good.npy
	kith-knn -k 5,20 --engine faiss:Flat -m 6M -o shards.nng good.npy 2>report
	cat report
	grep -q "faiss:Flat; [0-9]* shards" report
	kith-check -q whole.nng shards.nng
	diff <(rows exact.nng) <(rows whole.nng)
	diff <(rows exact.nng) <(rows shards.nng)
	kith-show whole.nng | grep -q '^# engine	faiss:Flat$'
}

@test "rows that FAISS cannot fill are completed, and counted" {
	kith-knn -k 20 --engine "faiss:IVF50,Flat;nprobe=1" -o ivf.nng good.npy 2>report
	cat report
	grep -q "[0-9]* rows completed" report
	kith-check -q ivf.nng
}

@test "what makes vectors alike crashes nothing" {
	local kind factory
	for kind in -e -c -g; do
		mknpy -n 300 -d 6 $kind good.npy
		for factory in Flat IVF8,Flat HNSW8 PQ3x4 SQ8 PCA2,Flat LSH; do
			kith-knn -q --engine faiss:$factory -o out.nng good.npy
			kith-check -q out.nng
		done
	done
}

@test "--dry-run names the index, and refuses what it can" {
	run kith-knn --dry-run --engine "faiss:IVF16,Flat;nprobe=4" good.npy
	[ "$status" -eq 0 ]
	[[ "$output" == *"faiss:IVF16,Flat"*"about"* ]]
	run kith-knn --dry-run --engine faiss:PQ4 good.npy
	[ "$status" -eq 2 ]
}

@test "candidates: measured beside what the index finds" {
	mknpy -n 300 -d 6 -s 2 other.npy
	kith-knn -q -k 3,6 -o exact.nng good.npy
	kith-knn -q -k 3 -o other.nng other.npy
	local engine="faiss:IVF16,Flat;nprobe=1"
	kith-knn -q -k 3,6 --engine "$engine" -o alone.nng good.npy
	kith-knn -q -k 3,6 --engine "$engine" --candidates other.nng,exact.nng -o helped.nng good.npy
	cmp <(rows exact.nng) <(rows helped.nng)
	! cmp -s <(rows exact.nng) <(rows alone.nng)
	[[ "$(kith-show helped.nng | grep '^# parameters')" == *candidates=2* ]]
}

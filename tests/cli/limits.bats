#!/usr/bin/env bats
# What the system grants less of than is asked for: threads, address space, open files, memory and time of a cgroup.

load helper

without_command() { # the header's command line names -t
	kith-show "$1" | grep -v '^# command'
}

@test "fewer threads than asked for: no program waits for those that do not come, and results are the same" {
	local limit
	mknpy -n 500 -d 20 a.npy
	mknpy -n 500 -d 30 -s 2 b.npy
	kith-knn -q -t 2 -k 5 -o a.nng a.npy
	kith-knn -q -t 2 -k 5 -o b.nng b.npy
	kith-merge -q -t 2 --pairs ab.kpr -o ab.json a.nng b.nng
	without_command a.nng >a.txt
	for limit in OMP_THREAD_LIMIT=1 OMP_THREAD_LIMIT=2 OMP_DYNAMIC=true OMP_MAX_ACTIVE_LEVELS=0 OMP_NUM_THREADS=1; do
		echo "$limit"
		env $limit timeout -s KILL 60 kith-knn --dry-run -t 4 a.npy
		env $limit timeout -s KILL 60 kith-knn -q -t 4 -k 5 -o l.nng a.npy
		without_command l.nng | cmp - a.txt
		env $limit timeout -s KILL 60 kith-knn -q -t 4 -k 5 --engine approx -o l.nng a.npy
		env $limit timeout -s KILL 60 kith-check -q --recall 100 a.npy l.nng
		env $limit timeout -s KILL 60 kith-merge -q -t 4 --pairs l.kpr -o l.json a.nng b.nng
		cmp <(kith-show l.json | grep -v '^# command') <(kith-show ab.json | grep -v '^# command')
		cmp <(kith-show l.kpr | grep -v '^# command') <(kith-show ab.kpr | grep -v '^# command')
	done
}

@test "fewer threads than asked for: FAISS, too" {
	kith-knn --engine faiss:Flat --dry-run <(:) 2>&1 | grep -q "has only the engine" && skip "built without FAISS"
	mknpy -n 3000 -d 40 a.npy
	for limit in OMP_THREAD_LIMIT=1 OMP_DYNAMIC=true; do
		env $limit timeout -s KILL 100 kith-knn -q -t 4 -k 5 --engine faiss:IVF16,Flat -o l.nng a.npy
		kith-check -q l.nng
	done
}

@test "the default of -t is what OMP_NUM_THREADS and OMP_THREAD_LIMIT allow" {
	local program
	for program in kith-knn kith-merge; do
		OMP_NUM_THREADS=1 $program --help | grep -q -- '-t 1[.;]'
		OMP_THREAD_LIMIT=1 $program --help | grep -q -- '-t 1[.;]'
		taskset -c 0 $program --help | grep -q -- '-t 1[.;]'
	done
}

@test "more layers than the soft limit of open files" {
	local layers=() i
	mknpy -n 20 -d 4 a.npy
	kith-knn -q -k 3 -o a.nng a.npy
	for i in $(seq 200); do layers+=("n$i=a.nng"); done
	[ "$(ulimit -Hn)" = unlimited ] || [ "$(ulimit -Hn)" -gt 300 ] || skip "no more than $(ulimit -Hn) files may be open"
	(ulimit -Sn 64 && kith-merge -q -o many.json "${layers[@]}")
	kith-check -q many.json
	run --separate-stderr bash -c 'ulimit -n 64; exec kith-merge -o out.json "$@"' - "${layers[@]}"
	[ "$status" -eq 1 ]
	[[ "$stderr" == "kith-merge: a.nng: cannot open: too many open files: raise the limit, ulimit -n" ]]
}

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

@test "little address space: the same graph, or a sentence, and no waiting" {
	[ -z "${KITH_SANITIZED-}" ] || skip "sanitizers take address space of their own"
	local limit refused=0 done=0
	mknpy -n 500 -d 20 a.npy
	kith-knn -q -t 2 -k 5 -o a.nng a.npy
	without_command a.nng >a.txt
	for limit in 100000 150000 200000 250000 300000 350000 400000 500000 700000 1000000 4000000; do
		run --separate-stderr bash -c "ulimit -v $limit; exec timeout -s KILL 60 kith-knn -q -t 2 -k 5 -o l.nng a.npy"
		echo "$limit: $status: $stderr"
		if [ "$status" -eq 0 ]; then
			without_command l.nng | cmp - a.txt
			done=$((done + 1))
		else
			[ "$status" -eq 1 ] || [ "$limit" -lt 150000 ] # where not even libraries are loaded
			[ "$limit" -lt 150000 ] || [[ "$stderr" == *"ulimit -v"* ]] || [[ "$stderr" == *"Thread creation failed"* ]]
			[ -z "$(find . -name '*.part')" ]
			[ "$limit" -lt 500000 ]
			refused=$((refused + 1))
		fi
	done
	[ "$refused" -gt 0 ] && [ "$done" -gt 2 ]
	run bash -c 'ulimit -v 400000; exec timeout -s KILL 60 kith-knn -q -t 2 --engine faiss:IVF4,Flat -o l.nng a.npy'
	[ "$status" -eq 1 ] || [[ "$output" == *"has only the engine"* ]]
}

# A cgroup of version 1 for this test, if this is a machine that lets us: its folder in $group.
make_group() { # CONTROLLER
	group=/sys/fs/cgroup/$1/kith-test-$$
	mkdir "$group" 2>/dev/null || skip "no cgroups of version 1 for $1 that we may make"
}

teardown() {
	[ -z "${group-}" ] || rmdir "$group" || true
}

within() { # COMMAND...
	sh -c 'echo $$ >"$0/cgroup.procs" && exec "$@"' "$group" "$@"
}

@test "a memory cgroup: the default of -m is half of it, and the work ends well" {
	[ -z "${KITH_SANITIZED-}" ] || skip "sanitizers take memory of their own"
	make_group memory
	echo 100M >"$group/memory.limit_in_bytes" || skip "no limits of memory"
	within kith-knn --help | grep -q -- '-m 50M'
	within kith-merge --help | grep -q -- '-m 50M'
	mknpy -n 6000 -d 2000 a.npy # 48 MB
	within kith-knn -q -k 5 -o a.nng a.npy
	within kith-merge -q -o a.json a.nng b=a.nng
	within kith-check -q a.nng a.npy
}

@test "a CPU quota: the default of -t is as many cores, rounded up" {
	make_group cpu
	echo 100000 >"$group/cpu.cfs_period_us" && echo 80000 >"$group/cpu.cfs_quota_us" || skip "no quotas"
	within kith-knn --help | grep -q -- '-t 1[.;]'
	within kith-merge --help | grep -q -- '-t 1[.;]'
}

#!/usr/bin/env bats
# Inputs that are written to while a program reads them: refused, and nothing is left behind.

load helper

setup() {
	work_folder
	mknpy -n 6000 -d 40 a.npy
	kith-knn -q -k 10 -o a.nng a.npy
	kith-merge -q --pairs p.kpr -o s.json a.nng b=a.nng
}

teardown() {
	[ -z "$writer" ] || kill "$writer" 2>/dev/null || :
}

# Somebody else writes to FILE again and again: the same bytes, which only its time tells.
write_to() {
	while :; do
		touch "$1"
		sleep 0.002
	done &
	writer=$!
}

# refused_change FILE PROGRAM ARGUMENT...: where the program may be done before anybody wrote, it is run again.
refused_change() {
	local file=$1 before try
	shift
	before=$(ls -A)
	write_to "$file"
	for try in $(seq 50); do
		rm -f out.*
		run --separate-stderr "$@"
		[ "$status" -eq 0 ] || break
	done
	kill "$writer"
	wait "$writer" || :
	echo "status $status, stderr: $stderr"
	[ "$status" -eq 1 ]
	[ "$stderr" = "$1: $file: changed while it was read: run this again when nothing writes to it" ]
	[ "$(ls -A)" = "$before" ]
}

@test "kith-knn, and it stops at once" {
	refused_change a.npy kith-knn -q -o out.nng a.npy
	refused_change a.npy kith-knn -q --engine approx -o out.nng a.npy
	refused_change a.nng kith-knn -q --engine approx --candidates a.nng -o out.nng a.npy
}

@test "kith-merge, and its pair store" {
	refused_change a.nng kith-merge -q -o out.json a.nng b=a.nng
	refused_change a.nng kith-merge -q --pairs out.kpr -o out.json a.nng b=a.nng
}

@test "kith-pairs, kith-show, kith-check" {
	refused_change p.kpr kith-pairs --all -o out.tsv p.kpr
	refused_change a.nng kith-check a.nng
	refused_change a.npy kith-check --recall a.npy a.nng
	refused_change a.nng kith-check --recall a.npy a.nng
	refused_change p.kpr kith-check p.kpr
	for file in a.npy a.nng p.kpr; do
		write_to $file
		for try in $(seq 50); do
			run --separate-stderr kith-show $file
			[ "$status" -eq 0 ] || break
		done
		kill "$writer"
		[ "$status" -eq 1 ]
		[[ "$stderr" == *"$file: changed while it was read"* ]]
	done
}

#!/usr/bin/env bats
# Bad input: a clear message, the right exit code, and no file that was not there before.

load helper

setup() {
	work_folder
	mknpy -n 50 -d 6 good.npy
}

# The same for wrong usage, where a pointer to --help may follow.
unfit() {
	fails 2 "$@"
}

graphs() { # graphs K NAME...: builds NAME.nng, one after the other with seeds 1, 2, ...
	local k=$1 seed=0 name
	shift
	for name; do
		seed=$((seed + 1))
		mknpy -n 50 -d 6 -s $seed $name.npy
		kith-knn -q -k $k -o $name.nng $name.npy
	done
}

@test "no such activations" {
	fails 1 "nowhere.npy" kith-knn -o out.nng nowhere.npy
}

@test "activations are a folder" {
	mkdir folder.npy
	unfit "folder.npy" kith-knn -o out.nng folder.npy
}

@test "a truncated npy, wherever it ends" {
	local size cut
	size=$(stat -c %s good.npy)
	for cut in 0 1 5 9 11 60 127 128 129 700 $((size - 1)); do
		head -c $cut good.npy >cut.npy
		unfit "cut.npy" kith-knn -o out.nng cut.npy
	done
}

@test "an npy that goes on" {
	cp good.npy long.npy
	printf x >>long.npy
	unfit "long.npy" kith-knn -o out.nng long.npy
}

@test "not an npy at all" {
	printf 'layer,a,b\n1,2,3\n' >table.npy
	unfit "table.npy" kith-knn -o out.nng table.npy
}

@test "element types that are not read" {
	local type
	for type in '<c8' '<c16' '<f16' '|O' '<U4' '|S4' '<M8[s]'; do
		mknpy -t "$type" wrong.npy
		unfit "wrong.npy" kith-knn -o out.nng wrong.npy
		[[ "$stderr" == *"$type"* ]]
	done
}

@test "an npy version from the future" {
	mknpy -v 9 future.npy
	unfit "future.npy" kith-knn -o out.nng future.npy
}

@test "NaN and infinities, by row and column" {
	local type
	for type in '<f2' '<f4' '<f8'; do
		mknpy -t $type -p 17,4,nan -p 30,0,nan bad.npy
		unfit "bad.npy: row 17, column 4" kith-knn -o out.nng bad.npy
		[[ "$stderr" == *NaN* ]]
		mknpy -t $type -p 49,5,-inf bad.npy
		unfit "bad.npy: row 49, column 5" kith-knn -o out.nng bad.npy
		unfit "bad.npy: row 49, column 5" kith-knn --metric cosine -o out.nng bad.npy
	done
	mknpy -n 2000 -d 40 -p 3,4,nan bad.npy
	unfit "bad.npy: row 3, column 4" kith-knn --dry-run bad.npy
}

@test "no samples, no columns, no dimensions" {
	mknpy -n 0 empty.npy
	unfit "empty.npy" kith-knn -o out.nng empty.npy
	mknpy -d 0 empty.npy
	unfit "empty.npy" kith-knn -o out.nng empty.npy
	mknpy -n 1 -d 1 -S '()' scalar.npy
	unfit "scalar.npy" kith-knn -o out.nng scalar.npy
}

@test "k that cannot be: as large as n, 0, negative, twice, not a number" {
	local k
	unfit "good.npy" kith-knn -k 50 -o out.nng good.npy
	[[ "$stderr" == *50* ]]
	unfit "good.npy" kith-knn -k 3,51 -o out.nng good.npy
	for k in 0 0,3 -3 3,3 3,5,3 3x x '' , 3, ,3 '3 5' 1.5 99999999999999999999; do
		unfit "" kith-knn -k "$k" -o out.nng good.npy
	done
	unfit "" kith-knn -k 1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16 -o out.nng good.npy
}

@test "one sample has no neighbours" {
	mknpy -n 1 one.npy
	unfit "one.npy" kith-knn -k 1 -o out.nng one.npy
}

@test "a zero row has no direction" {
	mknpy -z 23 zero.npy
	unfit "zero.npy: row 23 is zero and has no direction" kith-knn --metric cosine --zero-rows refuse -o out.nng zero.npy
	[[ "$stderr" == *"drop the same samples from every layer, or use --metric l2"* ]]
	kith-knn -q -o out.nng zero.npy
}

@test "several zero rows are counted" {
	python3 -c 'b = bytearray(open("good.npy", "rb").read()); b[128 + 7 * 24:128 + 9 * 24] = bytes(48); b[-24:] = bytes(24)
open("zero.npy", "wb").write(b)'
	unfit "zero.npy: row 7 is zero (and so are 2 more of 50)" kith-knn --metric cosine --zero-rows refuse -m 1M -o out.nng zero.npy
}

@test "values whose squares leave a double's range" {
	mknpy -t '<f8' -p 17,4,1e154 -p 30,0,2e154 large.npy
	unfit "large.npy: row 17, column 4 is 1e+154: squared distances leave a double's range" \
		kith-knn -o out.nng large.npy
	[[ "$stderr" == *"save x * 2.0**-513, "* ]]
	kith-knn -q --metric cosine -o out.nng large.npy
	rm out.nng
	python3 - <<-'END'
	import struct
	b = open("large.npy", "rb").read()
	x = [v * 1e-170 if abs(v) < 1e9 else 0 for v in struct.unpack("<300d", b[128:])]
	open("small.npy", "wb").write(b[:128] + struct.pack("<300d", *x))
	x = [v * 2.0 ** 560 for v in x]
	open("good.npy", "wb").write(b[:128] + struct.pack("<300d", *x))
	x = [v * 2.0 ** -560 for v in x[:-1]] + [1.0]
	open("mixed.npy", "wb").write(b[:128] + struct.pack("<300d", *x))
	END
	unfit "and no value is larger: squared distances leave a double's range" kith-knn -o out.nng small.npy
	# one value of 1: the others' differences count all the same
	kith-knn -q -k 5 -o mixed.nng mixed.npy
	kith-knn -q -k 6 -o good.nng good.npy
	[ "$(kith-show mixed.nng | grep -v '^#\|^49	\|	49	' | awk '$4 < 5 {print $1, $2}')" = \
		"$(kith-show good.nng | grep -v '^#\|^49	\|	49	' | awk '{print $1, $2}' |
			awk '{n[$1]++} n[$1] < 5')" ]
}

@test "samples that are repeated, and rows that were never written" {
	python3 -c 'b = open("good.npy", "rb").read(); open("part.npy", "wb").write(b[:128 + 40 * 24] + bytes(240))'
	run --separate-stderr kith-knn -q -o part.nng part.npy
	[ "$status" -eq 0 ]
	[ "$stderr" = "kith-knn: part.npy: 10 of 50 samples are the same as another; 10 are all zeros: was the file written to its end?" ]
	run --separate-stderr kith-knn -o part.nng part.npy
	[[ "${stderr_lines[1]}" == *", 10 samples repeated (10 zero)"* ]]
	mknpy -e equal.npy
	run --separate-stderr kith-knn -q -o equal.nng equal.npy
	[ "$stderr" = "kith-knn: equal.npy: 50 of 50 samples are the same as another" ]
	run --separate-stderr kith-knn -q -o good.nng good.npy
	[ -z "$stderr" ]
}

@test "bfloat16 as numpy.save leaves it is read" {
	mknpy -t '|V2' half.npy
	kith-knn -q -k 3 -o half.nng half.npy
	# the upper halves of floats, and so the graph of those floats
	python3 - <<-'END'
	b = open("half.npy", "rb").read()
	rows = b[128:]
	floats = b"".join(b"\0\0" + rows[i:i + 2] for i in range(0, len(rows), 2))
	open("whole.npy", "wb").write(b[:128].replace(b"|V2", b"<f4") + floats)
	END
	kith-knn -q -k 3 -o whole.nng whole.npy
	cmp <(kith-show half.nng | grep -v '^# [dic]') <(kith-show whole.nng | grep -v '^# [dic]')
	run --separate-stderr kith-knn -o half.nng half.npy
	[[ "$stderr" == *", bfloat16: "* ]]
	kith-show half.npy | grep -qx '# dtype	bfloat16'
	cmp <(kith-show half.npy | grep -v '^#') <(kith-show whole.npy | grep -v '^#')
}

@test "unknown metric, engine, option; missing arguments" {
	unfit "" kith-knn --metric taxi -o out.nng good.npy
	unfit "" kith-knn --engine magic -o out.nng good.npy
	unfit "" kith-knn --no-such-option -o out.nng good.npy
	unfit "" kith-knn good.npy
	unfit "" kith-knn -o out.nng
	unfit "" kith-knn -o out.nng good.npy good.npy
	unfit "" kith-merge good.nng
	unfit "" kith-merge -o out.json
	unfit "" kith-merge --no-such-option -o out.json good.nng
	unfit "" kith-report out.json
	unfit "" kith-report --no-such-option -o out.html out.json
	unfit "" kith-show
	unfit "" kith-show --no-such-option good.npy
	unfit "" kith-check
	unfit "" kith-check --no-such-option good.npy
}

@test "memory and threads that cannot be" {
	local value
	for value in 0 -1 x 4Q '' 1e 99999999999999G; do
		unfit "" kith-knn -m "$value" -o out.nng good.npy
	done
	for value in 0 -1 x '' 1.5; do
		unfit "" kith-knn -t "$value" -o out.nng good.npy
	done
}

@test "an output that cannot be written" {
	fails 1 "nowhere/out.nng" kith-knn -o nowhere/out.nng good.npy
	mkdir taken
	unfit "taken" kith-knn -o taken good.npy
	fails 1 "good.npy" kith-knn -o good.npy/out.nng good.npy
	graphs 3 a b
	fails 1 "nowhere/out.json" kith-merge -o nowhere/out.json a.nng b.nng
	unfit "taken" kith-merge -o taken a.nng b.nng
	mkfifo pipe
	unfit "pipe" kith-knn -o pipe good.npy
	unfit "pipe" kith-merge -o pipe a.nng b.nng
}

@test "links and files that are named as unfinished outputs are left alone" {
	local output
	graphs 3 a b
	cp a.nng before
	for output in out.nng out.json; do
		ln -s a.nng $output.part
		ln a.nng $output.abcdef.part
		ln -s a.nng $output.bcdefg.part
	done
	kith-knn -q -o out.nng good.npy
	kith-merge -q -o out.json a.nng b.nng
	cmp a.nng before
	kith-check -q out.nng out.json
	[ -f out.nng ] && [ ! -L out.nng ] && [ -f out.json ] && [ ! -L out.json ]
	[ "$(stat -c %h out.nng out.json a.nng | tr '\n' ' ')" = "1 1 3 " ]
}

@test "an output that is one of the inputs" {
	graphs 3 a b
	cp a.nng before
	cp good.npy before.npy
	ln -s good.npy same.npy
	run --separate-stderr kith-knn -o good.npy good.npy
	[ "$status" -eq 2 ]
	run --separate-stderr kith-knn -o same.npy good.npy
	[ "$status" -eq 2 ]
	[[ "$stderr" == *same.npy* ]]
	cmp good.npy before.npy
	run --separate-stderr kith-merge -o b.nng a.nng b.nng
	[ "$status" -eq 2 ]
	[[ "$stderr" == *b.nng* ]]
	kith-check -q a.nng b.nng
	cmp a.nng before
}

@test "an older output outlives a failure" {
	graphs 3 a
	cp a.nng before
	mknpy -p 0,0,nan bad.npy
	unfit "bad.npy" kith-knn -o a.nng bad.npy
	cmp a.nng before
}

@test "layers that disagree in n, or lack a k" {
	graphs 3,7 a b
	mknpy -n 51 c.npy
	kith-knn -q -k 3,7 -o c.nng c.npy
	unfit "c.nng" kith-merge -o out.json a.nng b.nng c.nng
	unfit "c.nng" kith-merge -o out.json a.nng c.nng nowhere.nng # the first that is wrong, in whatever way
	mknpy -n 50 -s 9 d.npy
	kith-knn -q -k 3,8 -o d.nng d.npy
	unfit "d.nng" kith-merge -k 7 -o out.json a.nng b.nng d.nng
	kith-knn -q -k 4 -o e.nng d.npy
	unfit "" kith-merge -o out.json a.nng e.nng
	unfit "" kith-merge -k 3,3 -o out.json a.nng b.nng
	unfit "" kith-merge -k 0 -o out.json a.nng b.nng
	unfit "" kith-merge -k x -o out.json a.nng b.nng
	unfit "" kith-merge --alpha -1 -o out.json a.nng b.nng
	unfit "" kith-merge --alpha x -o out.json a.nng b.nng
	unfit "" kith-merge --graph neither -o out.json a.nng b.nng
	unfit "" kith-merge -m x -o out.json a.nng b.nng
	unfit "" kith-merge -t 0 -o out.json a.nng b.nng
}

@test "a '=' in a folder's name is no NAME=, but a misspelt NAME=LAYER.nng is one" {
	graphs 3 a b
	mkdir lr=0.1,seed=3
	cp a.nng lr=0.1,seed=3/conv1.nng
	cp a.nng x=y.nng
	kith-merge -q -o s.json lr=0.1,seed=3/conv1.nng ./lr=0.1,seed=3/conv1.nng x=y.nng z=x=y.nng w=lr=0.1,seed=3/conv1.nng
	[ "$(python3 -c 'import json; print(*(l["name"] for l in json.load(open("s.json"))["layers"]))')" = \
		"conv1 conv1 x=y z w" ]
	rm s.json
	fails 1 "c.nng" kith-merge -o out.json a.nng fc=c.nng
	fails 1 "lr=0.2/conv1.nng" kith-merge -o out.json a.nng ./lr=0.2/conv1.nng
}

@test "a layer that is no graph" {
	graphs 3 a
	fails 1 "nowhere.nng" kith-merge -o out.json a.nng nowhere.nng
	unfit "good.npy" kith-merge -o out.json a.nng good.npy
	head -c 100000 /dev/zero >zero.nng
	run --separate-stderr kith-merge -o out.json a.nng zero.nng
	[ "$status" -eq 1 ] || [ "$status" -eq 2 ]
	[[ "$stderr" == *zero.nng* ]]
	[ ! -e out.json ]
}

@test "kith-show asks for nodes that are not there" {
	local nodes
	graphs 3 a
	for nodes in 0:51 50:51 7:3 x 3 -1:2 5:x; do
		unfit "" kith-show --nodes "$nodes" a.nng
	done
	unfit "" kith-show --format yaml a.nng
}

# says_no PROGRAM ARGUMENT...: refuses a damaged b.nng: exit 1 (or 2, if what is left does not look like a graph at all),
# one message that names the file.
says_no() {
	run --separate-stderr "$@"
	echo "status $status, stderr: $stderr"
	[ "$status" -eq 1 ] || [ "$status" -eq 2 ]
	[[ "${stderr_lines[0]}" == "$1: "*b.nng* ]]
	[ ! -e out.json ]
	[ ! -e out.json.part ]
}

@test "a store truncated at every 4 KiB, or grown" {
	local size cut
	graphs 3,7,20 a b
	cp b.nng whole
	size=$(stat -c %s whole)
	for ((cut = 0; cut < size; cut += 4096)); do
		echo "cut to $cut of $size"
		head -c $cut whole >b.nng
		says_no kith-check b.nng
		says_no kith-merge -o out.json a.nng b.nng
		says_no kith-show b.nng
		if ((cut > 0)); then
			[ "$status" -eq 1 ]
		fi
	done
	cat whole whole >b.nng
	says_no kith-merge -o out.json a.nng b.nng
	{ cat whole; head -c 4096 /dev/zero; } >b.nng
	says_no kith-check b.nng
}

# One byte in each 512 is changed, at a place that walks through the stretch. What holds data must be missed; what holds
# none (the slack of a page) must change nothing.
@test "one flipped byte anywhere in a store" {
	local size at caught=0 harmless=0
	graphs 3,7,20 a b
	cp b.nng whole
	kith-show b.nng >shown
	kith-merge -q -o expected.json a.nng b.nng
	size=$(stat -c %s whole)
	for ((at = 0; at < size; at += 512)); do
		cp whole b.nng
		flipbyte b.nng $((at + at / 512 * 37 % 512)) $((1 << at / 512 % 8))
		echo "flipped in $at..$((at + 511)) of $size"
		run --separate-stderr kith-check b.nng
		if [ "$status" -eq 0 ]; then
			harmless=$((harmless + 1))
			kith-show b.nng | cmp - shown
			kith-merge -q -o out.json a.nng b.nng
			cmp out.json expected.json
			rm out.json
		else
			caught=$((caught + 1))
			says_no kith-check b.nng
			run --separate-stderr kith-merge -q -o out.json a.nng b.nng
			echo "merge: status $status, $stderr"
			if [ "$status" -eq 0 ]; then # damage in a part that merge does not read
				cmp out.json expected.json
				rm out.json
			else
				says_no kith-merge -q -o out.json a.nng b.nng
			fi
			run --separate-stderr kith-show b.nng
			[ "$status" -lt 128 ]
		fi
	done
	echo "$caught caught, $harmless harmless"
	[ "$caught" -gt 3 ]
}

@test "every byte of a small value" {
	local at caught=0
	mknpy -n 6 -d 2 b.npy
	kith-knn -q -k 2 -o b.nng b.npy
	cp b.nng whole
	# Wherever the files of two different inputs differ, a value (or its checksum) lies.
	mknpy -n 6 -d 2 -s 77 other.npy
	kith-knn -q -k 2 -o other.nng other.npy
	for at in $(cmp -l b.nng other.nng | awk 'NR % 7 == 1 {print $1 - 1}'); do
		cp whole b.nng
		flipbyte b.nng $at 16
		says_no kith-check b.nng
		caught=$((caught + 1))
	done
	[ "$caught" -gt 5 ]
}

@test "stack.json that is none" {
	unfit "good.npy" kith-report -o out.html good.npy
	fails 1 "nowhere.json" kith-report -o out.html nowhere.json
	graphs 3 a b
	kith-merge -q -o s.json a.nng b.nng
	head -c $(($(stat -c %s s.json) / 2)) s.json >half.json
	run --separate-stderr kith-report -o out.html half.json
	[ "$status" -eq 1 ] || [ "$status" -eq 2 ]
	[[ "$stderr" == *half.json* ]]
	[ ! -e out.html ]
	unfit "a.nng: is a graph or a pair store, not a stack.json" kith-report -o out.html a.nng
	kith-report -q -o whole.html <(cat s.json) # what cannot be read twice is read
}

@test "outputs that cannot be, or are one file, are noticed before the work" {
	graphs 3 a b
	cp a.nng p.kpr
	kith-merge -q --pairs p.kpr -o s.json a.nng b.nng
	cp p.kpr before.kpr
	fails 1 "nowhere/s.json: cannot open its directory" kith-merge --pairs p.kpr -o nowhere/s.json b.nng a.nng
	cmp p.kpr before.kpr
	unfit "--pairs a.nng: is the input a.nng itself" kith-merge --pairs a.nng -o out.json a.nng b.nng
	unfit "--latex out.x: is the output of -o, too" kith-report --latex out.x -o out.x s.json
	unfit "an argument is empty" kith-knn -o "" a.npy
	unfit "an argument is empty" kith-merge -o out.json a.nng ""
	unfit "an argument is empty" kith-report --csv "" -o out.html s.json
}

@test "a pipe is no input, and nobody waits for it" {
	local command
	graphs 3 a
	mkfifo pipe
	while read -r command; do
		run timeout -s KILL 20 $command
		echo "$command: $status: $output"
		[ "$status" -eq 2 ]
		[ "$output" = "${command%% *}: pipe: a pipe: kith reads a file more than once: save it first" ]
	done <<-END
		kith-knn -o out.nng pipe
		kith-knn --dry-run pipe
		kith-knn --engine approx --candidates pipe -o out.nng good.npy
		kith-merge -o out.json a.nng pipe
		kith-pairs --persist A:B pipe
		kith-show pipe
		kith-check pipe
		kith-check --recall pipe a.nng
		kith-check --recall good.npy pipe
	END
	unfit "/dev/fd/63: a pipe" kith-show <(cat good.npy)
	unfit "/dev/null: not a regular file" kith-check /dev/null
}

@test "activations that are no numbers are null in JSON" {
	mknpy -n 2 -d 2 x.npy
	python3 - <<-'END'
	import struct
	b = bytearray(open("x.npy", "rb").read())
	b[-4:] = struct.pack("<f", float("nan"))
	open("x.npy", "wb").write(b)
	END
	kith-show --format json x.npy | python3 -c 'import json, sys; assert json.load(sys.stdin)["rows"][1][1] is None'
}

@test "kith-check: any kind of file, and all of them are looked at" {
	graphs 3 a b
	kith-merge -q -o s.json a.nng b.nng
	kith-check a.nng b.nng s.json a.npy
	cp a.nng broken.nng
	flipbyte broken.nng 5000 255
	head -c 20000 b.nng >short.nng
	run --separate-stderr kith-check short.nng a.nng nowhere.nng
	[ "$status" -eq 1 ]
	[[ "$stderr" == *short.nng* ]]
	[[ "$stderr" == *nowhere.nng* ]]
}

#!/usr/bin/env bats
# Activations in every format: the same array is the same graph, and the same digest, however it is saved and cut.

load helper

# tests/data/arrays.tar.gz: as tests/data/arrays.py wrote it.
setup() {
	work_folder
	tar xzf "$BATS_TEST_DIRNAME/../data/arrays.tar.gz"
}

shown() { # shown ARGUMENT...: the graph of these, as text, without the line that says from which format it is
	kith-knn -q -k 5 -o out.nng "$@"
	kith-show out.nng | grep -v "^# made from"
}

@test "one array, one graph, in every format" {
	local f
	shown plain.npy >want
	for f in fortran.npy big.npy 'whole.npy:[:,2,1]' 'whole.npy:[:,-1,-1,:]' some.safetensors:x \
		'some.safetensors:whole:[:,2,1]' 'part-*.npy' 'part-*.safetensors' 'part-*.safetensors:h' \
		'plain.npy:[:]' 'part-*.npy:[0:40,...]'; do
		shown "$f" | diff want - || { echo "$f"; false; }
	done
	shown --dtype f4 --shape 40,3,2,6 'raw.bin:[:,2,1]' | diff want -
	shown --dtype float32 --shape -1,3,2,6 'raw.bin:[:,2,1]' | diff want -
	shown --format raw --dtype '>f4' --shape 40,6 --offset 6 raw-big.bin | diff want -
	printf "%s\n" part-?.npy part-??.npy >list.txt
	shown @list.txt | diff want -
	sed 's/npy/safetensors:h/' list.txt >list2.txt
	shown @list2.txt | diff want -
}

@test "one array, one graph but for the digest, of every type" {
	local f
	shown plain.npy | grep -v digest >want
	for f in little-f2 little-f8 big-f8 i1 little-i2 big-i2 little-i4 little-i8 big-i8; do
		shown $f.npy | grep -v digest | diff want - || { echo $f; false; }
	done
	shown bool-f4.npy | grep -v digest >want
	shown bool.npy | grep -v digest | diff want -
}

@test "bfloat16 in disguise" {
	shown bf16-V2.npy >want
	shown --dtype bf16 bf16-i2.npy | diff want -
	shown --dtype bf16 bf16-u2.npy | diff want -
	shown some.safetensors:b | diff want -
	shown plain.npy | grep -v digest >values
	grep -v digest want | diff values -
}

@test "a graph says from which format it was made" {
	kith-knn -q -k 5 -o a.nng plain.npy
	kith-knn -q -k 5 -o b.nng some.safetensors:x
	! kith-show a.nng | grep "made from"
	kith-show b.nng | grep -P "^# made from\tsafetensors$"
	kith-show --format json b.nng | grep '"made from": "safetensors"'
}

@test "--list, and -v of what is read" {
	[ "$(kith-show --list some.safetensors)" = "$(printf '%s\n' $'# name\ttype\tshape\tbytes' $'other\tU8\t3\t3' \
		$'x\tF32\t40,6\t960' $'whole\tF32\t40,3,2,6\t5760' $'b\tBF16\t40,6\t480' $'eight\tF8_E4M3\t4,2\t8')" ]
	[ "$(kith-show --list fortran.npy | tail -1)" = $'-\tf4\t40,6\t960' ]
	run --separate-stderr kith-knn -q -v -k 5 -o out.nng 'part-*.npy'
	[ "$status" -eq 0 ]
	[[ ${stderr_lines[1]} =~ ^"kith-knn: file 2 of "[0-9]+": part-1.npy"$ ]]
	kith-show --list 'part-*.npy' | sed -n '2,$s/:.*//p' >want
	sed 's/.*: //' <<<"$stderr" | diff want -
	mv out.nng said.nng
	kith-knn -q -k 5 -o out.nng 'part-*.npy'
	cmp said.nng out.nng
	kith-show --format npy --indices i.npy out.nng
	printf '%s\n' i.npy i.npy >i.txt
	fails 2 "kith-import: file 2 of 2: i.npy" kith-import -v --activations plain.npy -o bad.nng @i.txt
	[ "${#stderr_lines[@]}" -eq 3 ]
	[ -z "$(kith-knn -q -v -k 5 -o out.nng plain.npy 2>&1)" ]
	[ "$(kith-show --list 'part-*.npy' | cut -f 1 | sed -n '3p;4p;$p' | xargs)" = "part-1.npy:- part-2.npy:- part-11.npy:-" ]
	kith-show --list --format json some.safetensors | grep '"name": "b", "dtype": "BF16", "shape": \[40, 6\], "bytes": 480'
	kith-show --list --dtype f4 --shape -1,36 raw.bin | grep -P "^-\tf4\t40,36\t5760$"
}

@test "kith-show, kith-check and --recall take every name" {
	kith-show plain.npy | grep -v "^#" >want
	kith-show 'whole.npy:[:,2,1]' | grep -v "^#" | diff want -
	kith-show --dtype f4 --shape 40,3,2,6 'raw.bin:[:,2,1]' | grep -v "^#" | diff want -
	kith-check plain.npy 'part-*.npy' some.safetensors:x 'whole.npy:[:,0]'
	kith-check --dtype f4 --shape 40,36 raw.bin
	kith-knn -q -k 5 -o g.nng plain.npy
	kith-check --recall 20 'part-*.safetensors:h' g.nng
	kith-check --dtype '>f4' --shape 40,6 --offset 6 --recall 20 raw-big.bin g.nng
}

@test "little memory, several threads" {
	local f
	mknpy -n 3000 -d 40 big.npy
	kith-knn -q -k 5 -o want.nng big.npy
	kith-show want.nng >want
	/usr/bin/env "${KITH_PYTHON:-/usr/bin/python3}" - <<-'END'
	import struct
	whole = open("big.npy", "rb").read()
	rows = whole[-3000 * 160:]
	columns = [struct.unpack("<3000f", rows[4 * t::160][:0] + b"".join(rows[160 * i + 4 * t:160 * i + 4 * t + 4] for i in range(3000))) for t in range(40)]
	head = b"{'descr': '>f4', 'fortran_order': True, 'shape': (3000, 40), }\n"
	open("turned.npy", "wb").write(b"\x93NUMPY\1\0" + struct.pack("<H", len(head)) + head + b"".join(struct.pack(">3000f", *c) for c in columns))
	END
	for f in "-m 8M -t 3" "-m 8M -t 1 --plan stream" "-t 2"; do
		kith-knn -q -k 5 $f -o got.nng turned.npy
		kith-show got.nng | diff want -
	done
}

# refused TEXT ARGUMENT...: kith-knn exits with 2, says TEXT, and leaves nothing.
refused() {
	fails 2 "$1" kith-knn -k 5 -o bad.nng "${@:2}"
	[ "${#stderr_lines[@]}" -le 2 ]
	[ ! -e bad.nng ]
}

@test "what is refused, and how" {
	refused "has 5 arrays: name one, as in some.safetensors:other" some.safetensors
	refused 'has no array "y"' some.safetensors:y
	refused "FP8" some.safetensors:eight
	refused "raw values: say what they are" raw.bin
	refused "--shape is for raw files" --shape 40,6 plain.npy
	refused "only i2 and u2" --dtype bf16 plain.npy
	refused "--format rar: not one of npy, safetensors, " --format rar plain.npy
	refused "no file has such a name" 'nothing-*.npy'
	refused "index 3 is beyond dimension 1, which has 3" 'whole.npy:[:,3]'
	cp bool.npy part-5.npy
	refused "part-5.npy: values of type b1, but those of part-0.npy before it are f4" 'part-*.npy'
	mkfifo pipe
	refused "a pipe" pipe
	refused "is a directory" .
	run --separate-stderr kith-knn -k 5 -o part-3.npy 'part-*.npy'
	[ "$status" -eq 2 ]
	[[ $stderr == *"is one of the files of"* ]]
	rm part-5.npy
	ls part-*.npy >list.txt
	run --separate-stderr kith-knn -k 5 -o list.txt @list.txt
	[ "$status" -eq 2 ]
	[[ $stderr == *"is one of the files of"* ]]
	run --separate-stderr kith-show --list some.safetensors:x
	[ "$status" -eq 2 ]
	[[ $stderr == *'leave out ":x"'* ]]
	refused 'has no array "a??[2J"' $'some.safetensors:a\n\e[2J'
}

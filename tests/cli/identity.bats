#!/usr/bin/env bats
# The same bits whatever the threads, the memory and the history.

load helper

# What kith-show says, but for the command line, in which the runs do differ.
shown() {
	kith-show "$1" | grep -v '^# command'
}

@test "kith-knn: one thread and two, little memory and much" {
	local metric type t m
	for metric in l2 cosine; do
		for type in '<f4' '<f8' '|i1'; do
			mknpy -n 3000 -d 40 -t "$type" layer.npy
			kith-knn -q --metric $metric -k 5,60 -t 1 -m 1G -o layer.nng layer.npy
			shown layer.nng >expected
			[ "$(grep -vc '^#' expected)" -ge 3000 ]
			for t in 1 2; do
				for m in 16M 64M; do
					kith-knn -q --metric $metric -k 5,60 -t $t -m $m -o layer.nng layer.npy
					shown layer.nng | cmp - expected
				done
			done
		done
	done
}

@test "kith-knn: every plan, whatever its numbers" {
	local plan numbers
	mknpy -n 3000 -d 40 layer.npy
	kith-knn -q -k 5,60 -o layer.nng layer.npy
	shown layer.nng >expected
	for plan in sketch screen full stream; do
		for numbers in '' '--dims 7' '--dims 40 --coarse 40' '--dims 20 --coarse 3 --probes 2'; do
			kith-knn -q -k 5,60 --plan $plan $numbers -o layer.nng layer.npy
			shown layer.nng | cmp - expected
		done
	done
}

@test "kith-knn: plan tree and a sample outside the floats' range" {
	mknpy -n 8449 -d 4 -t '<f8' -p 1,0,35184372088832 layer.npy
	kith-knn -q -k 5 --plan full -o layer.nng layer.npy
	shown layer.nng >expected
	kith-knn -q -k 5 --plan tree -o layer.nng layer.npy
	shown layer.nng | cmp - expected
}

@test "kith-knn: ties by the thousand" {
	mknpy -n 2500 -d 3 -g layer.npy # 64 different rows
	kith-knn -q -k 1,50,300 -t 1 -m 1G -o layer.nng layer.npy
	shown layer.nng >expected
	kith-knn -q -k 1,50,300 -t 2 -m 16M -o layer.nng layer.npy
	shown layer.nng | cmp - expected
}

@test "kith-knn: the same bytes whatever the threads" {
	local t options
	mknpy -n 5000 -d 12 layer.npy
	for options in '-k 15' '-k 3,40,400' '-k 15 --near 0' '-k 4,30 -m 6M' '-k 15 --engine approx:trees=2,rounds=1'; do
		for t in 1 2 7; do
			kith-knn -q -t $t $options -o layer.nng layer.npy
			[ "$t" -ne 1 ] || cp layer.nng before
			cmp layer.nng before
		done
	done
}

@test "kith-knn: the same command writes the same bytes" {
	mknpy -n 700 -d 9 layer.npy
	kith-knn -q -k 4,30 -t 2 -o layer.nng layer.npy
	cp layer.nng before
	kith-knn -q -k 4,30 -t 2 -o layer.nng layer.npy
	cmp layer.nng before
}

@test "kith-merge: stack.json is the same file for any threads and memory" {
	local v t m
	for v in 1 2 3 4 5; do
		mknpy -n 2000 -d 8 -s $((v / 2)) l$v.npy # pairs of equal layers
		kith-knn -q -k 3,40 -o l$v.nng l$v.npy
	done
	kith-merge -q --alpha all --graph both -t 1 -m 1G -o expected.json l[1-5].nng
	for t in 1 2; do
		for m in 16M 100M 2G; do
			kith-merge -q --alpha all --graph both -t $t -m $m -o out.json l[1-5].nng
			cmp out.json expected.json
		done
	done
}

@test "kith-merge: a ladder in one graph gives what single graphs give" {
	local v k
	for v in 1 2 3; do
		mknpy -n 500 -d 4 -s $v l$v.npy
		kith-knn -q -k 2,9,33 -o l$v.nng l$v.npy
		for k in 2 9 33; do
			kith-knn -q -k $k -o l$v.$k.nng l$v.npy
		done
	done
	for k in 2 9 33; do
		kith-merge -q --graph both --alpha all -k $k -o all.json a=l1.nng b=l2.nng c=l3.nng
		kith-merge -q --graph both --alpha all -o one.json a=l1.$k.nng b=l2.$k.nng c=l3.$k.nng
		cmp <(sed 's/l\([123]\)\.[0-9]*\.nng/l\1.nng/g; s/-k [0-9,]*//g' one.json) \
			<(sed 's/-k [0-9,]*//g' all.json)
	done
}

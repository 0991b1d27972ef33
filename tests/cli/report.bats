#!/usr/bin/env bats
# kith-report from the outside: what it writes, what it says, what it leaves behind. KITH_BIN names the programs' folder.

load helper

setup() {
	work_folder
	export LC_ALL=C
	stack >stack.json
}

# Three layers, k = 15 at alpha 0 and 1. By hand: 455,000 pairs are in layer a only, 122,000 in a and b, 6,990 in all
# three, 427,000 in b only, 550,000 in c only; at alpha 1, 10,000 that were in a and then in c only are joined.
stack() { # stack [RECALL ENGINE]
	cat <<-END
	{ "format": "kith-stack", "version": 1, "made_by": "kith-merge 0.1.0", "n": 60000,
	  "layers": [
	    {"name": "a<&>\"", "dim": 784, "metric": "l2", "engine": "exact", "recall": 1, "digest": "xxh3:00000000000000aa",
	     "input": "a.npy", "command": "kith-knn -o a.nng a.npy"},
	    {"name": "b,1", "dim": 3456, "metric": "l2", "engine": "${2-exact}", "recall": ${1-1}, "digest": "xxh3:00000000000000bb"},
	    {"name": "c_2", "dim": 10, "metric": "cosine", "engine": "exact", "recall": 1, "digest": "xxh3:00000000000000cc"}
	  ],
	  "nnts": [
	    {"k": 15, "mean": [[1, 0.61, 0.1], [0.61, 1, 0.305], [0.1, 0.305, 1]],
	     "stderr": [[0, 0.001, 0.002], [0.001, 0, 0.0005], [0.002, 0.0005, 0]]}
	  ],
	  "nntp": [
	    {"k": 15, "graph": "union", "alpha": 0,
	     "count": [[455000, 122000, 6990], [0, 427000, 0], [0, 0, 550000]], "pairs": [583990, 555990, 556990]},
	    {"k": 15, "graph": "union", "alpha": 1,
	     "count": [[445000, 122000, 16990], [0, 427000, 0], [0, 0, 540000]], "pairs": [583990, 555990, 556990]}
	  ]
	}
	END
}

# The command fails with this exit code and this text on one line of stderr, and leaves the folder as it was.
refused() { # refused CODE TEXT COMMAND...
	fails "$@"
	[[ "${stderr_lines[0]}" == "kith-report: "*"$2"* ]]
}

@test "one page, one closing line, nothing on stdout" {
	run --separate-stderr kith-report -o report.html stack.json
	[ "$status" -eq 0 ]
	[ -z "$output" ]
	[[ "$stderr" =~ ^kith-report:\ stack.json\ -\>\ report.html:\ n=60000\ layers=3\ k=15:\ [0-9.]+\ s,\ [0-9]+\ MB\ peak$ ]]
	[ "$(ls)" = "$(printf 'report.html\nstack.json')" ]
	grep -q '^<!DOCTYPE html>' report.html
	grep -q '</html>$' report.html
}

@test "-q says nothing" {
	run --separate-stderr kith-report -q -o report.html stack.json
	[ "$status" -eq 0 ]
	[ -z "$output$stderr" ]
}

@test "the page: Table 1's numbers, escaped names, provenance, no outside" {
	kith-report -q -o report.html stack.json
	for text in '>455</td>' '>122</td>' '>6.99</td>' '<td>0</td>' '>17.0</td>' '60,000 samples' 'a&lt;&amp;&gt;&quot;' \
		'xxh3:00000000000000aa' 'kith-knn -o a.nng a.npy' '<td>3,456</td>' 'arXiv:2012.03793' '<caption>NNTP, k = 15' \
		'<th scope="row">' '<th scope="col">' 'pairs present'; do
		echo "$text"
		grep -qF -- "$text" report.html
	done
	run ! grep -qE '<script|<link|src=|@import|@font-face' report.html
	run ! grep -qF 'a<&' report.html
	run ! grep -qF 'Approximate' report.html
}

@test "approximate layers are marked" {
	stack 0.953 faiss:HNSW32 >approximate.json
	kith-report -q --latex t.tex -o report.html approximate.json
	grep -qF '<b>Approximate.</b>' report.html
	grep -qF 'b,1: recall 0.9530' report.html
	grep -qF 'Without audits of the same samples' report.html
	grep -qF '<th scope="row">b,1≈</th>' report.html
	grep -qF 'b,1$^{\approx}$' t.tex
	stack 1 faiss:HNSW32 >found-all.json # says who?
	kith-report -q --latex t.tex -o report.html found-all.json
	grep -qF 'b,1: recall not measured' report.html
	grep -qF 'b,1$^{\approx}$ & not measured' t.tex
}

@test "--csv: exact counts, full doubles, quoted names" {
	kith-report -q --csv csv -o report.html stack.json
	[ "$(ls csv | tr '\n' ' ')" = "dynamics_k15_union.csv expected.csv nntp_k15_union_alpha0.csv nntp_k15_union_alpha1.csv\
 nnts_k15.csv nnts_k15_corrected.csv nnts_k15_stderr.csv pairs.csv returns_k15_union.csv share_k15_union.csv\
 survival_k15_union.csv " ]
	diff csv/nntp_k15_union_alpha1.csv - <<-'END'
	layer,"a<&>""","b,1",c_2
	"a<&>""",445000,122000,16990
	"b,1",0,427000,0
	c_2,0,0,540000
	END
	diff csv/nnts_k15.csv - <<-'END'
	layer,"a<&>""","b,1",c_2
	"a<&>""",1,0.61,0.1
	"b,1",0.61,1,0.305
	c_2,0.1,0.305,1
	END
	diff csv/nnts_k15_stderr.csv - <<-'END'
	layer,"a<&>""","b,1",c_2
	"a<&>""",0,0.001,0.002
	"b,1",0.001,0,0.0005
	c_2,0.002,0.0005,0
	END
	diff csv/pairs.csv - <<-'END'
	k,graph,"a<&>""","b,1",c_2
	15,union,583990,555990,556990
	END
}

# By hand from the tables above: 128,990 of the pairs in a are in b, too, 6,990 of those in b are in c; 10,000 of those that
# die at a return after a gap of one.
@test "layer dynamics, from a stack that has none of it" {
	kith-report -q --csv csv --latex t.tex -o report.html stack.json
	diff csv/dynamics_k15_union.csv - <<-'END'
	layer,pairs,births,deaths,survivors,removal
	"a<&>""",583990,583990,455000,128990,
	"b,1",555990,427000,549000,6990,0.12758780996844676
	c_2,556990,550000,556990,,0.006320129476758379
	END
	diff csv/survival_k15_union.csv - <<-'END'
	layer,"a<&>""","b,1",c_2
	"a<&>""",583990,128990,6990
	"b,1",0,427000,0
	c_2,0,0,550000
	END
	diff csv/share_k15_union.csv - <<-'END'
	layer,"a<&>""","b,1",c_2
	"a<&>""",0.7791229301871607,0.20890768677545848,0.011969383037380777
	"b,1",0,1,0
	c_2,0,0,1
	END
	diff csv/returns_k15_union.csv - <<-'END'
	layer,1
	"a<&>""",10000
	"b,1",0
	c_2,0
	END
	for text in '<h2 id="dynamics">' '<b>b,1</b> changes least who is whose neighbour (removal score 0.13), <b>c_2</b> most (0.01).' \
		'Of the pairs born in <b>a&lt;&amp;&gt;&quot;</b>, 21&nbsp;% die exactly at <b>b,1</b>' \
		'<td>584</td><td>584</td><td>455</td><td>129</td><td></td></tr>' 'id="flow_k15_union-title"' 'id="survival_k15_union-title"'; do
		echo "$text"
		grep -qF -- "$text" report.html
	done
	grep -qF 'b,1 & 556 & 427 & 549 & 6.99 & 0.128 \\' t.tex
}

@test "chance, correction and overlap; an overlap that the stack lacks is not made up" {
	kith-report -q --csv csv -o report.html stack.json
	run ! grep -qF 'Overlap, k = 15' report.html
	for text in 'Chance alone gives 0.000129 at k&nbsp;=&nbsp;15.' 'NNTS corrected for chance, k = 15'; do
		echo "$text"
		grep -qF "$text" report.html
	done
	diff csv/expected.csv - <<-'END'
	k,expected
	15,0.00012932758857126707
	END
	grep -qx '"b,1",0.6099495557166197,1,0.30491010570012994' csv/nnts_k15_corrected.csv
	for v in 1 2; do
		mknpy -n 300 -d 4 -s $v l$v.npy
		kith-knn -q -k 5,299 -o l$v.nng l$v.npy
	done
	kith-merge -q --alpha all --graph both -o new.json l1.nng l2.nng
	kith-check -q new.json
	kith-report -q --csv new -o report.html new.json
	[ "$(ls new | grep nnts | tr '\n' ' ')" = "nnts_k299.csv nnts_k299_overlap.csv nnts_k299_overlap_stderr.csv\
 nnts_k299_stderr.csv nnts_k5.csv nnts_k5_corrected.csv nnts_k5_overlap.csv nnts_k5_overlap_stderr.csv nnts_k5_stderr.csv " ]
	grep -qF 'Overlap, k = 299' report.html
	run ! grep -qF 'NNTS corrected for chance, k = 299' report.html # all sets are equal
	sed 's/"births": \[/&1/' new.json >wrong.json
	run kith-check -q wrong.json
	[ "$status" -eq 1 ]
	[[ "$output" == *"dynamics[0].births: entry 0 does not follow from nntp"* ]]
	sed 's/"expected": 0/&1/' new.json >wrong.json
	run kith-check -q wrong.json
	[ "$status" -ne 0 ]
}

@test "--svg: every figure as SVG and as PNG" {
	kith-report -q --svg figures -o report.html stack.json
	[ "$(ls figures | tr '\n' ' ')" = "flow_k15_union.png flow_k15_union.svg nntp_k15_union_alpha0.png nntp_k15_union_alpha0.svg\
 nntp_k15_union_alpha1.png nntp_k15_union_alpha1.svg nnts.png nnts.svg survival_k15_union.png survival_k15_union.svg " ]
	for figure in figures/*.png; do
		[ "$(head -c 8 "$figure" | od -An -tx1 | tr -d ' \n')" = 89504e470d0a1a0a ]
	done
	for figure in figures/*.svg; do
		head -n 1 "$figure" | grep -q '^<?xml '
		tail -n 1 "$figure" | grep -q '</svg>$'
	done
}

@test "--latex: one table each, shaded, names escaped" {
	kith-report -q --latex nntp.tex -o report.html stack.json
	[ "$(grep -c '^\\begin{table}' nntp.tex)" -eq 3 ] # and layer dynamics
	grep -qF 'a\textless{}\&\textgreater{}\textquotedbl{}' nntp.tex
	grep -qF 'c\_2 &  &  & \cellcolor{kithshade!85}\color{white}550 \\' nntp.tex
	grep -qF '% ' nntp.tex
	grep -qF '\usepackage{booktabs}' nntp.tex
}

@test "the same stack gives the same bytes, whatever else is asked for" {
	kith-report -q --csv c1 --svg s1 --latex 1.tex -o 1.html stack.json
	kith-report -q --csv c2 --svg s2 --latex 2.tex -o 2.html stack.json
	kith-report -q -o 3.html stack.json
	diff -r c1 c2
	diff -r s1 s2
	cmp 1.tex 2.tex
	cmp 1.html 2.html
	cmp 1.html 3.html
}

@test "folders that exist are used, files are replaced" {
	mkdir csv
	echo old >csv/pairs.csv
	echo old >report.html
	kith-report -q --csv csv -o report.html stack.json
	grep -q '^k,graph' csv/pairs.csv
	grep -q '^<!DOCTYPE' report.html
	[ "$(find . -name '*.part')" = "" ]
}

@test "wrong usage" {
	refused 2 "no stack given" kith-report
	refused 2 "no stack given" kith-report -o report.html
	refused 2 "no output given" kith-report stack.json
	refused 2 "one STACK.json at a time" kith-report -o report.html stack.json stack.json
	refused 2 "is the input" kith-report -o stack.json stack.json
	refused 2 "is the input" kith-report --latex ./stack.json -o report.html stack.json
	diff stack.json <(stack)
}

@test "input that is no stack: exit code 2; a damaged stack: 1" {
	echo "hello" >text
	refused 2 "text: line 1, column" kith-report -o report.html text
	echo '{"format": "kith-stack", "version": 9}' >new.json
	refused 2 "new.json: version 9; this kith reads version 2" kith-report -o report.html new.json
	head -c 300 stack.json >half.json
	refused 2 "half.json: line" kith-report -o report.html half.json
	refused 2 ".: is a directory" kith-report -o report.html .
	refused 1 "none.json: cannot open: No such file" kith-report -o report.html none.json
	stack | sed 's/122000/122001/' >wrong.json
	refused 1 "wrong.json: NNTP(alpha=0,k=15,union): its runs cover layer 0" kith-report -o report.html wrong.json
	stack | sed 's/\[1, 0.61, 0.1\]/[1, 0.61]/' >short.json
	refused 1 "short.json: nnts[0].mean: row 0 has 2 numbers, 3 layers" kith-report --csv csv -o report.html short.json
}

@test "outputs that cannot be written" {
	refused 1 "no/report.html" kith-report --csv csv -o no/report.html stack.json
	mkdir folder
	refused 2 "folder: cannot write: it is a directory" kith-report -o folder stack.json
	echo >plain
	refused 2 "plain: is not a directory" kith-report --csv plain -o report.html stack.json
	refused 1 "no/csv" kith-report --csv no/csv -o report.html stack.json
	refused 1 "no/t.tex" kith-report --latex no/t.tex -o report.html stack.json
	# a file system that is full half-way: 8 blocks of 1 KiB hold no page
	run bash -c 'ulimit -f 8; trap "" XFSZ; exec kith-report -o report.html stack.json'
	[ "$status" -eq 1 ]
	[[ "$output" == "kith-report: "*"report.html: cannot write: File too large" ]]
	[ ! -e report.html ]
	[ -z "$(find . -name '*.part')" ]
}

@test "a page that another run is writing is left to it" {
	exec 8>>report.html.abcdef.part
	flock 8
	run --separate-stderr kith-report -o report.html stack.json
	[ "$status" -eq 1 ]
	[[ "$stderr" == *"report.html: another program is writing this file"* ]]
	[ -e report.html.abcdef.part ]
	exec 8>&-
	kith-report -q -o report.html stack.json
	[ -e report.html ]
	[ -z "$(find . -name '*.part')" ]
}

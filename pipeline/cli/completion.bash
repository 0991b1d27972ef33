# bash completion of kith's programs: options, their values and the files that they take, from what --help says of them.
# Installed under the name of every program, where bash-completion finds it; for those of a build folder:
#     . pipeline/cli/completion.bash

# The words that a metavariable consists of: union, mutual and both of "union|mutual|both", all of "A|all".
_kith_words() {
	[[ $1 == *'|'* && $1 != *'['* ]] && tr '|' '\n' <<<"$1" | grep -x '[a-z][a-z0-9:-]*'
}

# Files that a metavariable names by their ends, as LAYER.nng does, any file if it names none; and folders. Activations are
# in files of many ends.
_kith_files() {
	local end ends=''
	[[ $1 == *ACTIVATIONS* ]] || ends=$(grep -oE '\.[a-z0-9]+' <<<"$1")
	[[ $1 == DIR ]] || for end in ${ends:-''}; do
		compgen -f -X "!*$end" -- "$2"
	done
	compgen -d -- "$2"
}

_kith() {
	local help what='' IFS=$' \t\n' word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]}
	help=$("$1" --help 2>/dev/null) || return
	COMPREPLY=()
	# bash parts words at =, too: --graph = union
	if [[ $word == = ]]; then
		word=''
	elif [[ $before == = ]]; then
		before=${COMP_WORDS[COMP_CWORD - 2]}
	fi
	case $before in
	--[a-z]*) what=$(grep -oE -- "^ +(-[A-Za-z], )?$before(\[)?=[^ ]+" <<<"$help") ;;
	-[A-Za-z]) what=$(grep -oE -- "^ +$before [^ ]+" <<<"$help") ;;
	esac
	what=${what##*[ =]}
	if [[ -z $what && $word == -* ]]; then
		what=$(grep -oE '^ +(-., )?-[-A-Za-z0-9]+=?' <<<"$help")
		mapfile -t COMPREPLY < <(compgen -W "${what//,/ }" -- "$word")
		[[ ${#COMPREPLY[@]} -eq 1 && ${COMPREPLY[0]} == *= ]] && compopt -o nospace 2>/dev/null
		return
	fi
	case $what in
	'') # what the program works on, as the first line has it
		what=${help%%$'\n'*}
		what=${what#*\]}
		;;
	NAME\[:SPEC\]) what='exact|approx|faiss:' ;;
	esac
	if [[ $what =~ \.[a-z]|DIR|FILE|OUT|ACTIVATIONS ]]; then
		compopt -o filenames 2>/dev/null
		mapfile -t COMPREPLY < <(_kith_files "$what" "$word" | sort -u)
	else
		mapfile -t COMPREPLY < <(compgen -W "$(_kith_words "$what")" -- "$word")
	fi
}

case ${BASH_SOURCE[0]##*/} in
kith-*) complete -F _kith "${BASH_SOURCE[0]##*/}" ;;
*) complete -F _kith kith-check kith-h0 kith-import kith-knn kith-merge kith-pairs kith-report kith-show ;;
esac

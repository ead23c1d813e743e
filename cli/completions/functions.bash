# Offers those of the words $2 that begin with $1.
_casync_words() {
    mapfile -t COMPREPLY < <(compgen -W "$2" -- "$1")
}

# Offers folders (-d) or files (-f) that begin with $2; only those ending in $3... if there are any.
_casync_names() {
    local kind=$1 begin=$2 name ending
    local -a all=() fit=()
    shift 2
    # What is typed may be quoted; readline quotes what is offered.
    begin=${begin#[\'\"]}
    begin=${begin//\\/}
    mapfile -t all < <(compgen "$kind" -- "$begin")
    for name in "${all[@]}"; do
        if [[ -d $name ]]; then
            fit+=("$name")
            continue
        fi
        for ending; do
            [[ $name == ?*"$ending" ]] && fit+=("$name")
        done
    done
    COMPREPLY=("${all[@]}")
    (($# > 0 && ${#fit[@]} > 0)) && COMPREPLY=("${fit[@]}")
    compopt -o filenames 2>/dev/null
}

_casync() {
    local -a words=()
    local i word current option='' verb='' count=0 only_words=0 prefix=''
    # readline may have cut --option=value at the equals sign.
    for ((i = 0; i <= COMP_CWORD; i++)); do
        word=${COMP_WORDS[i]}
        if ((i > 1)) && [[ $word == = && ${words[-1]} == --* && ${words[-1]} != *=* ]]; then
            words[-1]+='='
        elif ((i > 1)) && [[ ${words[-1]} == --*= && ${COMP_WORDS[i - 1]} == = ]]; then
            words[-1]+=$word
        else
            words+=("$word")
        fi
    done
    COMPREPLY=()
    current=${words[-1]}
    for word in "${words[@]:1:${#words[@]}-2}"; do
        if [[ -n $option ]]; then
            option=''
        elif ((only_words)) || [[ $word != -?* ]]; then
            if [[ -z $verb ]]; then verb=$word; else ((count += 1)); fi
        elif [[ $word == -- ]]; then
            only_words=1
        elif [[ " $_casync_with_value " == *" $word "* ]]; then
            option=$word
        fi
    done
    if [[ -n $option ]]; then
        _casync_value "$option" "$current"
    elif ((!only_words)) && [[ $current == --*=* ]]; then
        option=${current%%=*}
        _casync_value "$option" "${current#*=}"
        # Where readline does not cut at the equals sign, the whole word is replaced.
        [[ $COMP_WORDBREAKS == *=* ]] || COMPREPLY=("${COMPREPLY[@]/#/$option=}")
    elif ((!only_words)) && [[ $current == -* ]]; then
        _casync_words "$current" "$_casync_options"
    elif [[ -z $verb ]]; then
        _casync_words "$current" "$_casync_commands"
    else
        _casync_operand "$verb" "$count" "$current"
    fi
}

complete -F _casync casync

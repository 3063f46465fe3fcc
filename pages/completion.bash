# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
#
# Completion of PROGRAM for bash, with and without the package bash-completion. The tables are made
# from those of the program when it is built.

# _PROGRAM_level LEVEL sets what may stand behind the words of LEVEL: words, args (kinds of
# arguments), options. _PROGRAM_option OPTION sets an option's name, kind and choices. Both fail for
# what there is not.
# TABLES

# Sets cur, head and before: the word at the cursor up to it, as the program would see it; its part
# that bash has cut off before; the words before it. Bash cuts at = and : too, and what stands
# together in the line is one word here.
_PROGRAM_words() {
    local line=${COMP_LINE:0:COMP_POINT} i word rest all=()
    head=
    for ((i = 0; i <= COMP_CWORD; i++)); do
        word=${COMP_WORDS[i]}
        rest=${line#"${line%%[![:space:]]*}"}
        if ((i == COMP_CWORD)); then
            word=${word:0:${#rest}}
        fi
        if ((i > 0)) && [[ $rest == "$line" ]]; then
            head=${all[-1]}
            all[-1]+=$word
            if [[ $word != *[!=:]* ]]; then
                head=${all[-1]}
            fi
        else
            head=
            all+=("$word")
        fi
        line=${rest#"$word"}
    done
    cur=${all[-1]}
    before=("${all[@]:1:${#all[@]}-2}")
}

# Reads the words before the cursor. Sets pending: the kind of the value that comes next; given:
# names of options that stand there; count: arguments; over: whether "--" ended the options.
_PROGRAM_read() {
    local word level='' i
    _PROGRAM_level ''
    for word in "${before[@]}"; do
        if [[ -n $pending ]]; then
            pending=
        elif [[ -z $over && $word == -- ]]; then
            over=yes
        elif [[ -z $over && $word == --?* ]]; then
            _PROGRAM_option "${word%%=*}" || continue
            given+="$name "
            if [[ $kind != flag && $word != *=* ]]; then
                pending=$kind
            fi
        elif [[ -z $over && $word == -?* ]]; then
            for ((i = 1; i < ${#word}; i++)); do
                _PROGRAM_option "-${word:i:1}" || break
                given+="$name "
                if [[ $kind != flag ]]; then
                    ((i + 1 < ${#word})) || pending=$kind
                    break
                fi
            done
        elif ((${#words[@]} > 0)); then
            level+=${level:+ }$word
            _PROGRAM_level "$level" || return 1
        else
            count=$((count + 1))
        fi
    done
}

# _PROGRAM_offer PREFIX WORD...: those that begin as cur does.
_PROGRAM_offer() {
    local prefix=$1 word
    for word in "${@:2}"; do
        if [[ $prefix$word == "$cur"* ]]; then
            word=$prefix$word
            COMPREPLY+=("${word#"$head"}")
        fi
    done
}

# _PROGRAM_value KIND PREFIX: a path is for readline, which knows about quotes and ~.
_PROGRAM_value() {
    case $1 in
    choice) _PROGRAM_offer "$2" "${choices[@]}" ;;
    path) compopt -o default ;;
    esac
}

# What may stand here and does not yet.
_PROGRAM_options() {
    local option
    for option in "${options[@]}"; do
        _PROGRAM_option "$option"
        if [[ $kind == list || $given != *" $name "* ]]; then
            _PROGRAM_offer '' "$option"
        fi
    done
}

_PROGRAM() {
    local cur head before words args options name kind choices pending='' given=' ' over='' count=0
    COMPREPLY=()
    _PROGRAM_words
    _PROGRAM_read || return 0
    if [[ -n $pending ]]; then
        _PROGRAM_value "$pending" ''
    elif [[ -z $over && $cur == --*=* ]]; then
        if _PROGRAM_option "${cur%%=*}"; then
            _PROGRAM_value "$kind" "${cur%%=*}="
        fi
    elif [[ -z $over && $cur == -* ]]; then
        _PROGRAM_options
    elif ((${#words[@]} > 0)); then
        _PROGRAM_offer '' "${words[@]}"
    elif ((count < ${#args[@]})); then
        _PROGRAM_value "${args[count]}" ''
    elif [[ -z $over ]]; then
        _PROGRAM_options
    fi
}

complete -F _PROGRAM PROGRAM

#compdef PROGRAM
# SPDX-License-Identifier: Apache-2.0
#
# Completion of PROGRAM for zsh. The tables are made from those of the program when it is built.

# _PROGRAM_level LEVEL sets what may stand behind the words of LEVEL: next ("word:meaning"), args,
# options (names); and every: the names of all options. _PROGRAM_option NAME sets spec: what
# _arguments wants to know of an option.
# TABLES

# At each level of commands the options that all commands have are offered; the others are known, so
# that they may stand before the command, and hidden.
_PROGRAM() {
    local curcontext=$curcontext level='' state line name
    local -a next args options every spec specs
    typeset -A opt_args
    integer ret=1
    while _PROGRAM_level "$level"; do
        specs=()
        for name in $options; do
            _PROGRAM_option $name
            specs+=($spec)
        done
        if (( ! $#next )); then
            _arguments -s -S : $specs $args
            return
        fi
        for name in ${every:|options}; do
            _PROGRAM_option $name
            specs+=('!'$^spec)
        done
        state=
        _arguments -C -s -S -A '-*' : $specs '1: :->word' '*:: :->rest' && ret=0
        case $state in
        word)
            _describe -t commands command next && ret=0
            return ret
            ;;
        rest) level+=${level:+ }$words[1] ;;
        *) return ret ;;
        esac
    done
    return 1
}

_PROGRAM "$@"

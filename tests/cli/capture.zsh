# SPDX-License-Identifier: Apache-2.0
#
# For an interactive zsh: ^X completes the line and writes what was offered, one a line, to $CAPTURED,
# and DONE at the end. $FUNCTIONS is the folder with the functions to test.
fpath=($FUNCTIONS $fpath)
autoload -Uz compinit
compinit -u -D

# What the completion functions add; calls that only ask (-O, -A, -D) add nothing.
compadd() {
    local -a found
    if [[ "${(j: :)@[1,(i)(-|--)]}" == *-[OAD]\ * ]]; then
        builtin compadd "$@"
        return
    fi
    builtin compadd -O found "$@"
    (( $#found )) && print -rl -- $found >> $CAPTURED
    builtin compadd "$@"
}

capture() {
    _main_complete
    compstate[list]='' # shows nothing: it would ask before a long list, and take the next line for yes or no
    print DONE >> $CAPTURED
}
zle -C capture list-choices capture
bindkey '^X' capture
print READY >> $CAPTURED

# shellcheck shell=bash
# Completion of rimbalzo for bash. It asks the program for its commands and options, so it knows those of
# the version that is installed.

# _rimbalzo_help PROGRAM [COMMAND]: its help, without a line break inside an option's description.
_rimbalzo_help() {
    ARGP_HELP_FMT=rmargin=200 "$@" --help 2>/dev/null
}

_rimbalzo() {
    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]}
    local program=${COMP_WORDS[0]} command=${COMP_WORDS[1]} help value words
    COMPREPLY=()
    if ((COMP_CWORD == 1)); then
        words=$(_rimbalzo_help "$program" | sed -n 's/^  \([a-z][a-z-]*\)  *[^ ].*/\1/p')
        mapfile -t COMPREPLY < <(compgen -W "$words --help --version" -- "$word")
        return
    fi
    # --output=json arrives as three words.
    if [ "$word" = = ]; then
        word=
    elif [ "$before" = = ]; then
        before=${COMP_WORDS[COMP_CWORD - 2]}
    fi
    help=$(_rimbalzo_help "$program" "$command")
    case $before in
    --?*) value=$(sed -n "s/^ \{2,6\}\(-., \)\{0,1\}$before=\([A-Z]*\).*/\2/p" <<<"$help") ;;
    -[a-zA-Z]) value=$(sed -n "s/^  $before, --[a-z-]*=\([A-Z]*\).*/\1/p" <<<"$help") ;;
    *) value= ;;
    esac
    case $value in
    "") ;;
    FORMAT)
        # "table, json or tsv: …"
        words=$(sed -n "s/^ .*${before}[=,].*FORMAT  *\([^:]*\).*/\1/p" <<<"$help" | sed 's/, / /g; s/ or / /')
        mapfile -t COMPREPLY < <(compgen -W "$words" -- "$word")
        return
        ;;
    FILE | DIR)
        compopt -o default
        return
        ;;
    *) return ;;
    esac
    if [[ $word == -* ]]; then
        words=$(sed -n 's/^ \{2,6\}\(-., \)\{0,1\}\(--[a-z][a-z-]*=\{0,1\}\).*/\2/p' <<<"$help")
        mapfile -t COMPREPLY < <(compgen -W "$words" -- "$word")
        if [[ ${COMPREPLY[0]} == *= ]]; then
            compopt -o nospace
        fi
        return
    fi
    words=$(sed -n 's/^\(Usage:\|  or: \) .*\[OPTION\.\.\.\] \([a-z|]*\).*/\2/p' <<<"$help" | tr '|' ' ')
    if [ -n "$words" ]; then
        mapfile -t COMPREPLY < <(compgen -W "$words" -- "$word")
    elif [[ $help == *"[OPTION...] "*FILE* ]]; then
        compopt -o default
    fi
}
complete -F _rimbalzo rimbalzo

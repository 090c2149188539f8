# Completion of rimbalzo for fish. It asks the program for its commands and options, so it knows those of
# the version that is installed.

function __rimbalzo_commands
    ARGP_HELP_FMT=rmargin=200 rimbalzo --help 2>/dev/null | string replace -rf '^  ([a-z][a-z-]*) +(\S.*)$' '$1\t$2'
end

# The words a command wants first: plan, apply and check of topics.
function __rimbalzo_words
    set -l words (commandline -opc)
    ARGP_HELP_FMT=rmargin=200 rimbalzo $words[2] --help 2>/dev/null |
        string replace -rf '^(?:Usage:|  or: ) .*\[OPTION\.\.\.\] ([a-z|]+)(?: .*|)$' '$1' | string split '|'
end

# Options with their descriptions, for the command that is being written.
function __rimbalzo_options
    set -l words (commandline -opc)
    ARGP_HELP_FMT=rmargin=200 rimbalzo $words[2] --help 2>/dev/null |
        string replace -rf '^  (?:-\S, |    )(--[a-z-]+=?)\S*  +(\S.*)$' '$1\t$2'
end

# What -o takes: "table, json or tsv: …"
function __rimbalzo_formats
    set -l words (commandline -opc)
    ARGP_HELP_FMT=rmargin=200 rimbalzo $words[2] --help 2>/dev/null |
        string replace -rf '^  -o, --output=FORMAT +([^:]*).*$' '$1' | string replace ' or ' ', ' | string split ', '
end

function __rimbalzo_has_command
    test (count (commandline -opc)) -gt 1
end

function __rimbalzo_takes_files
    set -l words (commandline -opc)
    ARGP_HELP_FMT=rmargin=200 rimbalzo $words[2] --help 2>/dev/null | string match -rq '\[OPTION\.\.\.\] .*FILE'
end

complete -c rimbalzo -f
complete -c rimbalzo -n 'not __rimbalzo_has_command' -a '(__rimbalzo_commands)'
complete -c rimbalzo -n __rimbalzo_has_command -a '(__rimbalzo_words)'
complete -c rimbalzo -n '__rimbalzo_has_command; and string match -q -- "-*" (commandline -ct)' -a '(__rimbalzo_options)'
complete -c rimbalzo -n '__rimbalzo_has_command; and __rimbalzo_takes_files' -F
complete -c rimbalzo -n __rimbalzo_has_command -s o -l output -x -a '(__rimbalzo_formats)'
complete -c rimbalzo -n __rimbalzo_has_command -s c -l config -r -F

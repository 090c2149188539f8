#!/usr/bin/env python3
"""deploy/completions: in each shell, every command, a command's words, its options and their values."""

import os
import re

from support import binary, commands, main, need, path, rimbalzo, run

PATH = os.path.dirname(binary()) + os.pathsep + os.environ["PATH"]
WORDS = {"topics": ["apply", "check", "plan"], "config": ["check", "defaults", "show"], "dlq": ["ls", "redrive", "show"],
         "report": ["domains", "frequent", "hygiene"]}

BASH = r"""
compopt() { :; }
source "$1"
shift
COMP_WORDS=("$@")
COMP_CWORD=$(($# - 1))
_rimbalzo
printf '%s\n' "${COMPREPLY[@]}"
"""

# zsh's own completion system, driven through a pseudo terminal by zpty. Typing begins when the prompt is there: before
# that the terminal is not the line editor's, and Ctrl-U takes back what was typed. Neither word that is waited for is in
# the echo of what is typed.
ZSH = r"""
zmodload zsh/zpty
zpty completer zsh -f -i
{
    zpty -w completer "PROMPT=; PS2=; fpath=(${1:h} \$fpath); autoload -Uz compinit; compinit -u -D"
    zpty -w completer 'zstyle ":completion:*" list-prompt ""; zstyle ":completion:*" menu no'
    zpty -w completer 'compadd() { local -a found; if [[ ${@[1,(i)(-|--)]} != *-(O|A|D)\ * ]]; then builtin compadd -O found "$@"; print -l TOLD:$^found; fi; builtin compadd "$@" }'
    zpty -w completer 'PROMPT=RE""ADY'
    zpty -r completer line '*READY*'
    zpty -w -n completer "$2"$'\t'
    zpty -w completer $'\C-u\nprint DO""NE'
    zpty -r completer text '*DONE*'
    print -r -- $text
} always { zpty -d completer }
"""


def bash_replies(*words):
    need("bash")
    done = run("bash", "--norc", "-c", BASH, "bash", path("deploy", "completions", "rimbalzo.bash"), *words,
               env={"PATH": PATH})
    return sorted(done.stdout.split())


def bash_completes():
    assert bash_replies("rimbalzo", "") == sorted([*commands(), "--help", "--version"])
    assert bash_replies("rimbalzo", "to") == ["topics"]
    for command, words in WORDS.items():
        assert bash_replies("rimbalzo", command, "") == words
    assert bash_replies("rimbalzo", "topics", "--o") == ["--output="]
    assert bash_replies("rimbalzo", "topics", "check", "--y") == ["--yes"]
    assert bash_replies("rimbalzo", "topics", "--output", "=", "js") == ["json", "jsonl"]
    assert bash_replies("rimbalzo", "topics", "-o", "t") == ["table", "tsv"]
    assert bash_replies("rimbalzo", "report", "-o", "") == ["csv", "html", "json", "jsonl", "table", "tsv"]
    assert bash_replies("rimbalzo", "ingest", "--output", "=", "") == ["avro", "jsonl"]
    assert bash_replies("rimbalzo", "ingest", "--from", "=", "s") == ["sendgrid", "ses", "sisimai"]
    assert bash_replies("rimbalzo", "worker", "--threads", "=", "") == []


def every_option_of_every_command_is_completed_by_bash():
    for command in commands():
        told = set(re.findall(r"--[a-z][a-z-]*=?", " ".join(
            line[:30] for line in rimbalzo(command, "--help").stdout.splitlines() if re.match(r"^ +(-\S, )?--", line))))
        assert "--help" in told, command
        assert set(bash_replies("rimbalzo", command, "--")) == told, command


def fish_completes():
    need("fish")

    def replies(text):
        done = run("fish", "--no-config", "-c", f"source {path('deploy', 'completions', 'rimbalzo.fish')}; "
                   f"complete -C '{text}'", env={"PATH": PATH, "HOME": "/nonexistent"})
        return [line.split("\t")[0] for line in done.stdout.splitlines()]

    assert sorted(replies("rimbalzo ")) == sorted(commands())
    assert replies("rimbalzo to") == ["topics"]
    for command, words in WORDS.items():
        assert sorted(replies(f"rimbalzo {command} ")) == words
    assert "--yes" in replies("rimbalzo topics --y")
    assert sorted(replies("rimbalzo topics -o j")) in (["-ojson", "-ojsonl"], ["json", "jsonl"])
    assert sorted(replies("rimbalzo report --output=")) == [f"--output={name}" for name in (
        "csv", "html", "json", "jsonl", "table", "tsv")]
    assert sorted(replies("rimbalzo topics --output=j")) == ["--output=json", "--output=jsonl"]


def zsh_completes():
    need("zsh")

    def replies(text):
        done = run("zsh", "-f", "-c", ZSH, "zsh", path("deploy", "completions", "_rimbalzo"), text,
                   env={"PATH": PATH, "TERM": "dumb"})
        return set(re.findall(r"TOLD:([^\s]+)", done.stdout))

    assert set(commands()) <= replies("rimbalzo "), replies("rimbalzo ")
    for command, words in WORDS.items():
        assert set(words) <= replies(f"rimbalzo {command} "), (command, replies(f"rimbalzo {command} "))
    assert any(reply.startswith("--yes") for reply in replies("rimbalzo topics --")), replies("rimbalzo topics --")
    assert {"json", "jsonl"} <= replies("rimbalzo topics -o ")
    assert {"csv", "html"} <= replies("rimbalzo report -o ")


def the_program_prints_its_completions():
    for shell, name in (("bash", "rimbalzo.bash"), ("zsh", "_rimbalzo"), ("fish", "rimbalzo.fish")):
        with open(path("deploy", "completions", name), encoding="utf-8") as file:
            assert rimbalzo("completion", shell).stdout == file.read()
    rimbalzo("completion", "ksh", expect=64)
    rimbalzo("completion", expect=64)


if __name__ == "__main__":
    main(bash_completes, every_option_of_every_command_is_completed_by_bash, fish_completes, zsh_completes,
         the_program_prints_its_completions)

"""`lagotto completion SHELL` comes in; a script that completes command lines in it goes out.

The script calls `lagotto` again with the words of the line, and ASKED set. That answers one
candidate a line, with a tab and what it is behind it, and says nothing else: no fault may disturb
someone who types. It reads the command's own options and the catalogue of the hub, no more.
"""

import os
import shlex
import sys
from typing import Any

import typer

from lagotto.cli.output import print_line
from lagotto.core.errors import UsageError
from lagotto.core.registry import suggest

ASKED = "LAGOTTO_COMPLETE"
"""Environment variable that makes `lagotto` answer candidates: "line" for the line so far as one
word, "words" for its words, the last one unfinished."""

_BASH = """\
# Completion of lagotto in bash: eval "$(lagotto completion bash)"
_lagotto_complete() {
    local line
    COMPREPLY=()
    while IFS=$'\\t' read -r line _; do
        COMPREPLY+=("$line")
    done < <(LAGOTTO_COMPLETE=line "$1" "${COMP_LINE:0:COMP_POINT}" 2>/dev/null)
    if [[ ${#COMPREPLY[@]} -eq 1 && ${COMPREPLY[0]} == *: ]]; then compopt -o nospace; fi
}
complete -o bashdefault -o default -F _lagotto_complete lagotto
"""

_ZSH = """\
#compdef lagotto
# Completion of lagotto in zsh: eval "$(lagotto completion zsh)", after compinit
_lagotto() {
    local line word
    local -a given described ending
    given=("${(@)words[2,CURRENT]}")
    for line in "${(@f)$(LAGOTTO_COMPLETE=words $words[1] "${given[@]}" 2>/dev/null)}"; do
        [[ -n $line ]] || continue
        word=${line%%$'\\t'*}
        [[ $word == *: ]] && ending=(-S '')
        described+=("${word//:/\\\\:}:${line#*$'\\t'}")
    done
    if (( $#described )); then
        _describe -V lagotto described "${ending[@]}"
    else
        _files
    fi
}
if [[ $funcstack[1] == _lagotto ]]; then _lagotto "$@"; else compdef _lagotto lagotto; fi
"""

_FISH = """\
# Completion of lagotto in fish: lagotto completion fish | source
function __lagotto_complete
    set -l words (commandline -opc) (commandline -ct)
    set -l found (LAGOTTO_COMPLETE=words $words[1] $words[2..] 2>/dev/null)
    if test (count $found) -gt 0
        printf '%s\\n' $found
    else
        __fish_complete_path (commandline -ct)
    end
end
complete -c lagotto -f -a '(__lagotto_complete)'
"""

SHELL_SCRIPTS = {"bash": _BASH, "zsh": _ZSH, "fish": _FISH}


def completion(
    shell: str | None = typer.Argument(
        None, metavar="[SHELL]", help="bash, zsh or fish. [default: the shell of $SHELL]"
    ),
) -> None:
    """Print a script that completes commands, options and the names of a hub's models.

    For bash and zsh, put the line  eval "$(lagotto completion SHELL)"  into the shell's start file,
    for fish  lagotto completion fish | source .

    Example: lagotto completion bash
    """
    name = shell or os.path.basename(os.environ.get("SHELL", ""))
    if name not in SHELL_SCRIPTS:
        known = sorted(SHELL_SCRIPTS)
        raise UsageError(
            f"shell {name!r} is not known; give one of {', '.join(known)}.{suggest(name, known)}"
        )
    for line in SHELL_SCRIPTS[name].splitlines():
        print_line(line)


def answer_shell(command: Any, words: list[str], form: str) -> None:
    """Writes the candidates for a line of a shell; nothing if anything is wrong.

    Args:
        command: The command line's root.
        words: What the script gave: the line as one word, or its words.
        form: The value of ASKED: "line" or "words".
    """
    from lagotto.cli.terminal.candidates import find_candidates

    try:
        if form == "line":
            words, kept = _split(words[0])
        else:
            kept = ""
        *before, current = words
        lines = [
            f"{item.word.removeprefix(kept)}\t{_plain(item.help)}"
            for item in find_candidates(command, before, current)
            if item.word.isprintable()
        ]
        sys.stdout.write("".join(f"{line}\n" for line in lines))
        sys.stdout.flush()
    except Exception:  # a shell would show it in the middle of the line that is typed
        return


def _split(line: str) -> tuple[list[str], str]:
    """The words of a line after the program's name, and what bash keeps of the last one.

    Bash breaks words at `:` and `=`, and replaces only what is behind the last of them.
    """
    words = _words(line)
    current = "" if line[-1:].isspace() else words.pop()
    kept = current[: max(current.rfind(mark) for mark in ":=") + 1]
    return [*words[1:], current], kept


def _words(line: str) -> list[str]:
    """The words of a line; a quote that is still open is closed."""
    for end in ("", '"', "'"):
        try:
            return shlex.split(line + end)
        except ValueError:
            continue
    return line.split()


def _plain(text: str) -> str:
    return " ".join(text.split())

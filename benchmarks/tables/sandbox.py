"""Tables of what a worker reaches and of the system calls that it may make."""

from collections import Counter

from lagotto.jobs.sandbox.system_calls import ALLOWED, LIMITED, NOT_THERE, call_numbers
from tables.form import read_result, table

_KINDS = {
    "needed": "what a worker needs",
    "network": "network",
    "processes": "other processes",
    "files": "files outside its folders",
    "terminal": "the user's terminal",
    "sharing": "shared memory, queues, keys",
    "powers": "powers of root, kernel interfaces",
}
_SYSTEMS = {
    (): "as it is",
    ("landlock",): "without Landlock",
    ("seccomp",): "without seccomp",
    ("landlock", "seccomp"): "without both",
}


def worker_reach() -> str:
    """How many probes of each kind were reached, by user and by what the system has."""
    found = read_result("reliability_sandbox")
    kind_of = {probe["name"]: probe["kind"] for probe in found["probes"]}
    tried = Counter(kind_of.values())
    runs = found["runs"]
    reached = [Counter(kind_of[name] for name in run["reached"]) for run in runs]
    names = {"root": "root", "ordinary": "a user"}
    header = [f"{names[run['user']]}, {_SYSTEMS[tuple(run['without'])]}" for run in runs]
    rows = [
        [words, str(tried[kind]), *(str(count[kind]) for count in reached)]
        for kind, words in _KINDS.items()
    ]
    return table(["reached", "tried", *header], rows)


def system_calls() -> str:
    """Each allowed system call with its reason."""
    rows = [[_names(calls.text), calls.reason] for calls in ALLOWED]
    rows += [[_names(call.text), f"only if it {call.reason}"] for call in LIMITED]
    rows.append([_names(NOT_THERE.text), f"as if the kernel had none: {NOT_THERE.reason}"])
    return table(["system calls", "why"], rows)


def _names(text: str) -> str:
    return ", ".join(f"`{name}`" for name in call_numbers(text))


TABLES = (worker_reach, system_calls)

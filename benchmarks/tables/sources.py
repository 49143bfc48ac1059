"""Tables of remote sources."""

from tables.form import read_result, table


def crawl() -> str:
    """A crawl with faults and kills against one without."""
    found = read_result("reliability_crawl")
    faults = ", ".join(f"{kind} {count}" for kind, count in found["passing_faults"].items())
    rows = [
        ["repositories", str(found["models"])],
        [
            "of these broken for good",
            f"{found['broken_for_good']}, in {found['kinds_broken_for_good']} ways",
        ],
        ["requests", str(found["requests"])],
        ["of these failed in passing", f"{sum(found['passing_faults'].values())} ({faults})"],
        ["kills", str(found["kills"])],
        ["models done", str(found["done"])],
        ["copies of these", str(found["copies"])],
        ["failed, with a reason", str(found["failed_with_reason"])],
        ["weights of a done model fetched again", str(found["fetched_again"])],
        ["differences from the undisturbed hubs", str(found["differences"])],
    ]
    return table(["a crawl", "count"], rows)


TABLES = (crawl,)

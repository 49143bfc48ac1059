"""Names beside behaviour: as good as a keyword search where they are right, no worse where wrong.

    python benchmarks/quality/names.py --assets DIR --json > benchmarks/results/quality_names.json

All models of DIR/hub on the captioned photos (or --hub), every text of truth.json, under three
kinds of label lists: as published, shifted by one in every model, and permuted (seeded). The truth
stays what the outputs really are. Rules: keyword search, behaviour alone, both fused without an
audit of the lists, and both as `lagotto search` does it. Texts are split as in rules.py: "chosen
on" are those with an even first byte of the sha256.
"""

import argparse
import json
import sys
import tempfile
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import numpy as np

import lagotto
from lagotto.encoders.registry import load_encoder
from lagotto.evaluation.retrieval.logit_table import LogitTable, hub_table
from lagotto.evaluation.retrieval.queries import Queries, text_questions
from lagotto.evaluation.retrieval.ranks import rank_logits
from lagotto.evaluation.retrieval.rules import LabelTrustFunction as Believe
from lagotto.evaluation.retrieval.rules import rules_of, trust_all
from lagotto.evaluation.retrieval.truth import read_truth
from lagotto.hub.hub import Hub
from lagotto.hub.labels.audit import audit_model
from lagotto.hub.labels.encode import LabelEncoder
from lagotto.hub.labels.trust import trust_levels
from lagotto.hub.store.records import AuditRecord

K = 50


def relabelled(table: LogitTable, how: str, seed: int) -> LogitTable:
    """The table with every model's list of labels shifted or permuted."""
    rng = np.random.default_rng(seed)
    lists = np.split(np.array(table.labels, dtype=object), table.firsts[1:].tolist())
    orders = {
        "as published": lambda part: part,
        "shifted by one": lambda part: np.roll(part, 1),
        "permuted": lambda part: part[rng.permutation(len(part))],
    }
    labels = np.concatenate([orders[how](part) for part in lists])
    return replace(table, labels=tuple(labels.tolist()))


def audited(hub: Hub, table: LogitTable, reader: LabelEncoder) -> tuple[Believe, dict[str, str]]:
    """What `lagotto search` believes of the lists in a table, and the verdicts."""
    believed, verdicts = {}, {}
    ends = [*table.firsts[1:].tolist(), len(table.labels)]
    for model, first, end in zip(table.models, table.firsts.tolist(), ends, strict=True):
        labels = [str(label) for label in table.labels[first:end]]
        audit = audit_model(hub.reader, hub.reader.responses_of(model), labels, reader=reader)
        verdicts[model] = audit.verdict
        doubted = tuple(finding.logit for finding in audit.findings)
        believed[model] = trust_levels(AuditRecord("", audit.verdict, doubted), len(labels))
        print(f"  {model}: {audit.verdict}", file=sys.stderr)
    return (lambda model, logit: float(believed[model][logit])), verdicts


def half(asked: Queries, odd: bool) -> Queries:
    digests = [sha256(name.encode()).digest()[0] % 2 == 1 for name in asked.names]
    return asked.take([place for place, is_odd in enumerate(digests) if is_odd == odd])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--assets", type=Path, required=True)
    parser.add_argument("--hub", type=Path, help="a hub already made")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    encoder = str(options.assets / "encoder" / "photo-lit")
    result: dict[str, object] = {"seed": options.seed, "lagotto": lagotto.__version__, "k": K}
    rows, lists = [], {}
    with tempfile.TemporaryDirectory() as folder:
        if options.hub:
            hub = Hub.open(options.hub, encoder)
        else:
            photos = options.assets / "photos"
            hub = Hub.create(Path(folder) / "hub", [photos / "flickr8k", photos / "coco"], encoder)
            hub.add([options.assets / "hub"])
        table = hub_table(hub)
        truth = read_truth(options.assets / "hub" / "truth.json")
        questions = text_questions(table, truth, load_encoder(encoder)).questions
        reader = LabelEncoder(hub.reader)
        for how in ("as published", "shifted by one", "permuted"):
            named = relabelled(table, how, options.seed)
            print(how, file=sys.stderr)
            trust, lists[how] = audited(hub, named, reader)
            plain = {rule.name: rule for rule in rules_of(named, K, trust=trust_all)}
            rules = {
                "keyword": plain["keyword"],
                "behaviour": plain["behaviour"],
                "fused, lists not audited": plain["default"],
                "fused": rules_of(named, K, trust=trust)[0],
            }
            for asked in questions:
                for part, odd in (("chosen on", False), ("reported", True)):
                    some = half(asked, odd)
                    for name, rule in rules.items():
                        found = rank_logits(rule.score(some), some.correct, some.asking, named)
                        rows.append(
                            {
                                "labels": how,
                                "kind": asked.kind,
                                "half": part,
                                "rule": name,
                                "queries": len(some),
                                "top1": round(float(found.top1.mean()), 4),
                                "top5": round(float(found.top5.mean()), 4),
                            }
                        )
                        print(rows[-1], file=sys.stderr)
    result |= {"rows": rows, "verdicts": lists}
    print(json.dumps(result, indent=1) if options.json else result)


if __name__ == "__main__":
    main()

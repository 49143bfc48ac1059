r"""Which labels are said to be unknown: names of classes, the same in other languages, nonsense.

    python benchmarks/quality/label_checks.py --assets DIR --json \\
        > benchmarks/results/quality_label_checks.json

Known are the names of all classes of the six labelled sets. Names that are words of the package's
vocabulary are never called unknown, and do not count here. Words are split into halves by a hash:
the threshold was chosen on half 0, half 1 is reported. The rule before: a cosine under 0.45 with
the nearest background word.
"""

import argparse
import hashlib
import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np

from lagotto.core.text.names import name_phrase
from lagotto.core.vectors import unit_rows
from lagotto.encoders.background.words import embed_background, embed_words
from lagotto.encoders.registry import load_encoder
from lagotto.zeroshot.rejection.label_checks import unfamiliar
from lagotto.zeroshot.rejection.nouns import background_phrases
from provenance import provenance

SETS = (
    *("imagenet100x5", "cats-dogs", "flowers5", "grocery43", "cifar10"),
    "imagenet1k-sample",
)
BEFORE = 0.45
NONSENSE = 180
STARTS = ("b", "d", "f", "g", "k", "l", "m", "n", "p", "r", "s", "t", "v", "z")
STARTS += ("br", "st", "tr", "gl", "sch", "kn", "bl")
VOWELS = ("a", "e", "i", "o", "u", "oo", "ai", "ee")
ENDS = ("", "n", "r", "k", "x", "p", "l", "st", "nk")
TRANSLATED = """
Hammerhai Katze Hund Pferd Vogel Fahrrad Flugzeug Schmetterling Eichhörnchen Regenschirm
Kühlschrank Zahnbürste Löwenzahn Schildkröte Apfel Banane Zitrone Brot Stuhl Tisch Lampe Fenster
Brücke Kirche Schiff Geige Klavier Trommel Erdbeere Kirsche chien chat cheval oiseau vélo avion
papillon écureuil parapluie frigo tortue pomme citron pain chaise pont église bateau violon
fraise cerise poisson requin lapin mouton vache cochon grenouille fourmi abeille perro gato
caballo pájaro bicicleta avión mariposa ardilla paraguas nevera tortuga manzana limón pan silla
puente iglesia barco violín fresa cereza pez tiburón conejo oveja vaca cerdo rana hormiga abeja
cane gatto cavallo uccello farfalla scoiattolo ombrello tartaruga mela sedia ponte chiesa nave
fragola ciliegia squalo coniglio pecora mucca maiale formica hond paard fiets vliegtuig vlinder
eekhoorn paraplu schildpad stoel brug kerk schip aardbei kers haai konijn schaap koe varken
kikker mier koira kissa hevonen lintu polkupyörä lentokone perhonen orava sateenvarjo kilpikonna
omena tuoli silta kirkko laiva mansikka kirsikka hai jänis lammas pies kot koń ptak rower
samolot motyl wiewiórka parasol żółw jabłko krzesło most kościół statek truskawka wiśnia rekin
królik owca köpek kedi at kuş bisiklet uçak kelebek sincap şemsiye kaplumbağa elma sandalye
köprü kilise gemi çilek kiraz tavşan koyun собака кошка лошадь птица велосипед самолёт бабочка
белка зонт черепаха яблоко стул мост церковь корабль 犬 猫 馬 鳥 自転車 飛行機 蝶 傘 亀 林檎
""".split()  # noqa: SIM905
"""Common nouns in German, French, Spanish, Italian, Dutch, Finnish, Polish, Turkish, Russian and
Japanese."""


def nonsense() -> list[str]:
    """Words that can be spoken, and words that cannot."""
    rng, words = np.random.default_rng(3), []
    for number in range(NONSENSE):
        if number % 3:
            syllables = [rng.choice(STARTS) + rng.choice(VOWELS) for _ in range(rng.integers(2, 4))]
            words.append("".join(syllables) + str(rng.choice(ENDS)))
        else:
            letters = rng.choice(list("abcdefghijklmnopqrstuvwxyz"), rng.integers(5, 10))
            words.append("".join(letters))
    return words


def known_labels(photos: Path) -> list[str]:
    """The names of all classes of the labelled sets."""
    return sorted(
        {
            json.loads(line)["label"]
            for name in SETS
            for line in (photos / name / "labels.jsonl").read_text("utf-8").splitlines()
        }
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--assets", type=Path, required=True)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    encoder = load_encoder(str(options.assets / "encoder" / "photo-lit"))
    background = embed_background(encoder)
    mean, known = background.mean(axis=0), background_phrases()
    rows, counts = {}, {}
    for kind, every in (
        ("names of classes", known_labels(options.assets / "photos")),
        ("in another language", TRANSLATED),
        ("nonsense", nonsense()),
    ):
        words = [word for word in every if name_phrase(word) not in known]
        half = np.array([hashlib.sha256(word.encode()).digest()[0] % 2 for word in words])
        prompts = embed_words(encoder, words)
        nearest = (unit_rows(prompts - mean) @ unit_rows(background - mean).T).max(axis=1)
        found = unfamiliar(words, prompts, background, encoder)
        counts[kind] = {"words": len(every), "outside_the_vocabulary": len(words)}
        for rule, flags in (("before", nearest < BEFORE), ("now", found)):
            shares = [round(float(flags[half == number].mean()), 4) for number in (0, 1)]
            row = {"chosen_half": shares[0], "reported_half": shares[1]}
            rows.setdefault(rule, {})[kind] = row
    result = {
        "what": "share of labels that are said to be unknown, without a caption store",
        "counts": counts,
        "rules": rows,
        **provenance(),
    }
    print(json.dumps(result, indent=1) if options.json else result)


if __name__ == "__main__":
    main()

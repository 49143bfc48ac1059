"""Lists of class names in the forms in which people publish them: each name at its place."""

import contextlib
import json
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lagotto.core.errors import UsageError
from lagotto.core.parsing.name_list import (
    LIST_ENDINGS,
    MAX_LIST_BYTES,
    NameList,
    parse_name_list,
    read_name_list,
)

ABC = ("ant", "bee", "cat")
TENCH = ("tench, Tinca tinca", "goldfish")


def read(data: str | bytes, ending: str = ".txt") -> NameList:
    return parse_name_list(data.encode() if isinstance(data, str) else data, ending, "the list")


def refused(data: str | bytes, ending: str = ".txt") -> str:
    with pytest.raises(UsageError) as caught:
        read(data, ending)
    message = str(caught.value)
    assert message.startswith("the list ")
    assert "\n" not in message
    return message


@pytest.mark.parametrize(
    "text",
    [
        "ant\nbee\ncat",
        "ant\r\nbee\r\ncat\r\n\r\n",
        "ant\rbee\rcat",
        "\ufeffant\nbee\ncat\n \n",
        "# the classes\nant\nbee\ncat",
        "\n# the classes\n#\n# in order\n\nant\nbee\ncat",
        "label\n\nant\nbee\ncat",
        "label\nant\nbee\ncat",
        "classes:\nant\nbee\ncat",
        "names:\n  ant\n  bee\n  cat",
        "- ant\n- bee\n- cat",
        "ant, bee, cat",
        "ant;bee;cat",
        '"ant",\n"bee",\n"cat"',
        '["ant", "bee", "cat"]',
        '[\n  "ant",\n  "bee",\n  "cat",\n]\n',
        "['ant', 'bee', 'cat']",
        "CLASSES = ('ant', 'bee', 'cat')",
        "class_names: list[str] = [\n    'ant',\n    'bee',\n    'cat',\n]",
        "n01440764 ant\nn01443537 bee\nn01484850 cat",
        "n01440764\tant\nn01443537\tbee\nn01484850\tcat",
        "n01440764-ant\nn01443537-bee\nn01484850-cat",
        "ant (n01440764)\nbee (n01443537)\ncat (n01484850)",
        "/m/01 ant\n/m/02 bee\n/m/03 cat",
        "/a/ant\n/b/bee\n/c/cat",
        "array(['ant', 'bee',\n       'cat'], dtype='<U3')",
        "dict_keys(['ant', 'bee', 'cat'])",
        "| name |\n|------|\n| ant |\n| bee |\n| cat |",
        "ant\t120\nbee\t98\ncat\t7",
    ],
)
def test_a_list_in_the_order_of_its_outputs(text: str) -> None:
    found = read(text)
    assert (found.names, found.first) == (ABC, None)
    assert found.for_outputs(3) == ABC
    assert found.for_outputs(5) is None


@pytest.mark.parametrize(
    "text",
    [
        "0 ant\n1 bee\n2 cat",
        "2 cat\n0 ant\n1 bee",
        "0: ant\n1: bee\n2: cat",
        "1:bee\n2:cat\n0:ant",
        "0,ant\n2,cat\n1,bee",
        "0;ant\n1;bee\n2;cat",
        "0|ant\n1|bee\n2|cat",
        "0\tant\n1\tbee\n2\tcat",
        "0. ant\n1. bee\n2. cat",
        "0) ant\n1) bee\n2) cat",
        "[0] ant\n[1] bee\n[2] cat",
        "0 - ant\n1 - bee\n2 - cat",
        "0-ant\n1-bee\n2-cat",
        "0 => ant\n1 => bee\n2 => cat",
        "000 ant\n001 bee\n002 cat",
        "0  ant\n1  bee\n2  cat",
        "ant 0\nbee 1\ncat 2",
        "cat: 2\nant: 0\nbee: 1",
        "ant,0\nbee,1\ncat,2",
        "ant=0\nbee=1\ncat=2",
        "ant -> 0\nbee -> 1\ncat -> 2",
        "id name\n0 ant\n1 bee\n2 cat",
        "0: 'ant',\n1: 'bee',\n2: 'cat',",
        "{0: 'ant', 1: \"bee\", 2: 'cat'}",
        '"0": "ant",\n"1": "bee",\n"2": "cat"',
        "0 n01440764 ant\n1 n01443537 bee\n2 n01484850 cat",
        "n01440764 0 ant\nn01484850 2 cat\nn01443537 1 bee",
        "names:\n  0: ant\n  1: bee\n  2: cat",
        "/a/ant 0\n/b/bee 1\n/c/cat 2",
        "class 0: ant\nclass 1: bee\nclass 2: cat",
        "label_0=ant\nlabel_2=cat\nlabel_1=bee",
        "ant (0)\nbee (1)\ncat (2)",
        "OrderedDict([('cat', 2), ('ant', 0), ('bee', 1)])",
        "| id | name |\n|---:|------|\n| 0 | ant |\n| 2 | cat |\n| 1 | bee |",
    ],
)
def test_the_number_places_the_name(text: str) -> None:
    found = read(text)
    assert (found.names, found.first) == (ABC, 0)
    assert found.for_outputs(3) == ABC


def test_a_numbered_list_that_was_sorted_by_name() -> None:
    names = ["koala", "dog", "ant", "zebra", "cow", "bee", "fox", "gnu"]
    lines = sorted((f"{i} {name}" for i, name in enumerate(names)), key=lambda line: line[2:])
    found = read("\n".join(lines))
    assert found.for_outputs(8) == tuple(names)
    assert "placed by their numbers, not by the order in the file" in found.notes


def test_numbers_from_1_fit_what_they_fit() -> None:
    found = read("3 cat\n1 ant\n2 bee")
    assert (found.names, found.first) == (ABC, 1)
    assert found.for_outputs(3) == ABC
    assert found.for_outputs(4) == (None, *ABC)
    assert found.for_outputs(5) is None
    assert "numbered from 1" in found.notes
    assert read("1 001.Black_Albatross\n2 002.Sooty_Albatross").names == (
        "Black_Albatross",
        "Sooty_Albatross",
    )


def test_gaps_stay_unnamed() -> None:
    found = read("0: ant\n3: cat\n1:\n")
    assert found.names == ("ant", None, None, "cat")
    assert found.present == ("ant", "cat")
    assert found.for_outputs(2) is None
    assert found.for_outputs(3) is None
    assert "1 number in between without a name" in found.notes
    assert read("0  person\n1  bike\n89  hair drier").names[89] == "hair drier"
    assert read("???\nperson\nbike").names == (None, "person", "bike")


def test_an_empty_line_is_an_output_without_a_name() -> None:
    found = read("ant\n\ncat\n\n")
    assert found.for_outputs(3) == ("ant", None, "cat")
    assert found.for_outputs(2) is None
    assert found.present == ("ant", "cat")


@pytest.mark.parametrize(
    "names",
    [
        ["7 up", "18 wheeler", "3 musketeers"],
        ["7up", "3D printer", "4x4"],
        ["1 euro coin", "2 euro coin"],
        ["10 cent", "20 cent", "50 cent"],
        ["2-wheeler", "3-wheeler", "4-wheeler"],
        ["16:9 screen", "4:3 screen"],
        ["1,000 dollars", "5,000 dollars"],
        ["1.5 litre bottle", "0.5 litre bottle"],
        ["Boeing 737", "Boeing 747"],
        ["crane (1)", "crane (2)"],
        ["crane (bird, grey)", "dog (pet, small)"],
        ["class 0", "class 1"],
        ["0", "1", "2", "3"],
        ["n95 mask", "surgical mask"],
        ["n95 mask", "n95 respirator"],
        ["tench, Tinca tinca", "cock, rooster"],
        ["#hashtag", "cat"],
        ["(other)", "cat"],
        ["St. Bernard", "poodle"],
        ["tv/monitor", "a: b"],
    ],
)
def test_numbers_and_signs_that_belong_to_the_names(names: list[str]) -> None:
    assert read("\n".join(names)).names == tuple(names)
    assert read(json.dumps(names), ".json").names == tuple(names)


def test_a_heading_may_be_a_name() -> None:
    found = read("name\naddress\ndate")
    assert found.names == ("address", "date")
    assert found.notes == ("the first line, 'name', seems to be a heading",)
    assert found.for_outputs(2) == ("address", "date")
    assert found.for_outputs(3) == ("name", "address", "date")


def test_numbers_that_were_kept_in_the_names_are_noted() -> None:
    (note,) = read("7 up\n18 wheeler").notes
    assert "kept as parts of the names" in note
    (note,) = read("cat 120\ndog 98").notes
    assert "numbers behind were kept" in note
    assert read("0\n1\n2").notes == ()


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("id,name\n0,ant\n1,bee\n2,cat", ABC),
        ("name,id\ncat,2\nant,0\nbee,1", ABC),
        ("0,ant\n1,bee\n2,cat", ABC),
        ("ant,0\nbee,1\ncat,2", ABC),
        ("index;label\n0;ant\n1;bee\n2;cat", ABC),
        ("\ufeffClassId,SignName\r\n0,ant\r\n1,bee\r\n2,cat\r\n", ABC),
        (",name\n0,ant\n1,bee\n2,cat", ABC),
        ("label,name\n0,ant\n1,bee\n2,cat", ABC),
        ("sep=;\nid;name\n0;ant\n1;bee\n2;cat", ABC),
        ("id\tname\n0\tant\n1\tbee\n2\tcat", ABC),
        ("index,mid,display_name\n0,/m/09,ant\n1,/m/05,bee\n2,/m/04,cat", ABC),
        ("/m/09,ant\n/m/05,bee\n/m/04,cat", ABC),
        ("name,supercategory\nant,insect\nbee,insect\ncat,mammal", ABC),
        ("id,name\n0.0,ant\n1.0,bee\n2.0,cat", ABC),
        ("name\nant\nbee\ncat", ABC),
        ("ant\nbee\ncat", ABC),
        ("ant,bee,cat", ABC),
        ("0 ant\n1 bee\n2 cat", ABC),
        ('id,name\n0,"tench, Tinca tinca"\n1,goldfish', TENCH),
        ("id,name\n0,tench, Tinca tinca\n1,goldfish", TENCH),
        ("0,tench, Tinca tinca\n1,goldfish", TENCH),
        ('"0","tench, Tinca tinca"\n"1","goldfish"', TENCH),
        ("id,label\n0,0\n1,1", ("0", "1")),
        ("id,name\n0,ant\n1,\n2,cat", ("ant", None, "cat")),
        ("id,name\n1,ant\n3,cat", ("ant", None, "cat")),
    ],
)
def test_tables(text: str, names: tuple[str | None, ...]) -> None:
    assert read(text, ".csv").names == names


@pytest.mark.parametrize(
    ("text", "names", "joined"),
    [
        ('id,name\n0,"cat\nhouse"\n1,dog\n', ("cat house", "dog"), 1),
        ('name\n"cat\nhouse"\n"dog"\n', ("cat house", "dog"), 1),
        ('id;name;n\n0;"cat\n\nbig\nhouse";3\n1;dog;4\n', ("cat big house", "dog"), 1),
        ('id,name\n0,"say ""hi""\nnow"\n1,dog\n', ('say "hi" now', "dog"), 1),
        ('name,id\n"c\nd, e",1\n"a, b",0\n', ("a, b", "c d, e"), 1),
        ('id,name\n0,5" pipe\n1,"dog"\n', ('5" pipe', "dog"), 0),
        ('id,name\n0,"cat\n1,dog\n2,cow\n', ("cat", "dog", "cow"), 0),  # nothing closes it
        ('0,"cat\n1,"dog\n', ("cat", "dog"), 0),
    ],
)
def test_a_quoted_cell_may_span_lines(text: str, names: tuple[str, ...], joined: int) -> None:
    found = read(text, ".csv")
    assert found.names == names
    assert sum("put on one line" in note for note in found.notes) == joined


def test_looking_for_open_quotes_takes_linear_time() -> None:
    hostile = ',"' * 40_000 + "\n" + '"" ,' * 20_000 + "\n1,x\n"
    started = time.process_time()
    with contextlib.suppress(UsageError):
        read(hostile, ".csv")
    assert time.process_time() - started < 5


def test_a_tsv_has_no_quoting_unless_its_fields_are_quoted() -> None:
    assert read('id\tname\n0\t"ant\n1\tbee', ".tsv").names == ('"ant', "bee")
    assert read('id\tname\n0\t"ant"\n1\t"bee"', ".tsv").names == ("ant", "bee")


@pytest.mark.parametrize(
    ("value", "names"),
    [
        (["ant", "bee", "cat"], ABC),
        (["0: ant", "1: bee", "2: cat"], ABC),
        ({"0": "ant", "1": "bee", "2": "cat"}, ABC),
        ({"2": "cat", "0": "ant", "1": "bee"}, ABC),
        ({"00": "ant", "01": "bee", "02": "cat"}, ABC),
        ({"0": ["n01440764", "ant"], "1": ["n01443537", "bee"], "2": ["n01484850", "cat"]}, ABC),
        ({"0": {"name": "ant"}, "1": {"name": "bee"}, "2": {"name": "cat"}}, ABC),
        ({"cat": 2, "ant": 0, "bee": 1}, ABC),
        ({"cat": "2", "ant": "0", "bee": "1"}, ABC),
        ({'"cat"': 2, '"ant"': 0, '"bee"': 1}, ABC),
        ({"c0": "ant", "c1": "bee", "c2": "cat"}, ABC),
        ({"LABEL_1": "bee", "LABEL_0": "ant", "LABEL_2": "cat"}, ABC),
        ({"n01440764": "ant", "n01443537": "bee", "n01484850": "cat"}, ABC),
        ([{"name": "ant"}, {"name": "bee"}, {"name": "cat"}], ABC),
        ([{"id": 2, "name": "cat"}, {"id": 0, "name": "ant"}, {"id": 1, "name": "bee"}], ABC),
        ([{"0": "ant"}, {"1": "bee"}, {"2": "cat"}], ABC),
        ([["n01440764", "ant"], ["n01443537", "bee"], ["n01484850", "cat"]], ABC),
        ([[1, "bee"], [0, "ant"], [2, "cat"]], ABC),
        ({"nc": 3, "names": ["ant", "bee", "cat"], "train": "images"}, ABC),
        ({"model": {"labels": ["ant", "bee", "cat"]}, "version": 2}, ABC),
        ({"id2label": {"0": "ant", "1": "bee"}, "label2id": {"bee": 1, "ant": 0}}, ABC[:2]),
        ({"class_to_idx": {"bee": 1, "ant": 0}}, ABC[:2]),
        (
            {"default": {"features": {"label": {"num_classes": 2, "names": ["ant", "bee"]}}}},
            ABC[:2],
        ),
        (
            {"categories": [{"id": 1, "name": "ant"}, {"id": 3, "name": "cat"}]},
            ("ant", None, "cat"),
        ),
        ({"cat": {"id": 2}, "ant": {"id": 0}, "bee": {"id": 1}}, ABC),
        (
            {"names": ["a", "b"], "tags": [{"id": 7, "name": "b"}, {"id": 3, "name": "a"}]},
            ("a", "b"),
        ),
        ({"labels": [0, 1, 0], "classes": ["ant", "bee", "cat"]}, ABC),
        ({"7": 0, "3": 1}, ("7", "3")),
        ([0, 1, 2], ("0", "1", "2")),
        ({"0": None, "1": "bee"}, (None, "bee")),
    ],
)
def test_json(value: object, names: tuple[str | None, ...]) -> None:
    assert read(json.dumps(value), ".json").names == names
    assert read(json.dumps(value, indent=2), ".json").names == names
    if not isinstance(value, list) or isinstance(value[0], str):
        assert read(json.dumps(value), ".txt").names == names


def test_json_lines() -> None:
    assert read('"ant"\n"bee"\n"cat"\n', ".jsonl").names == ABC
    rows = [{"id": 1, "name": "bee"}, {"id": 0, "name": "ant"}, {"id": 2, "name": "cat"}]
    assert read("\n".join(map(json.dumps, rows)), ".jsonl").names == ABC
    assert "line 2 is not JSON" in refused('"ant"\n{', ".jsonl")


@pytest.mark.parametrize(
    "text",
    [
        "names: [ant, bee, cat]",
        "names: ['ant',\n  'bee',  # the second\n  \"cat\"]\nnc: 3",
        "nc: 3\nnames:\n- ant\n- bee\n- cat\n",
        "# data\npath: ../x\nnames:\n  - ant\n  - bee\n  - 'cat'\n",
        "names:\n  0: ant\n  1: bee  # two\n  2: cat\ndownload: |\n  import os\n  names: x\n",
        "names: {0: ant, 1: bee, 2: cat}",
        "names:\n  cat: 2\n  ant: 0\n  bee: 1\n",
        "- ant\n- bee\n- cat\n",
        "0: ant\n2: cat\n1: bee\n",
        "---\nlabels:\n  - id: 1\n    name: bee\n  - id: 0\n    name: ant\n"
        "  - {id: 2, name: cat}\n",
        "info:\n  features:\n  - name: image\n    dtype: image\n  - name: label\n    dtype:\n"
        "      class_label:\n        names:\n          '0': ant\n          '1': bee\n"
        "          '2': cat\n",
    ],
)
def test_yaml(text: str) -> None:
    assert read(text, ".yaml").names == ABC
    assert read(text.replace("\n", "\r\n"), ".yml").names == ABC


def test_yaml_words_stay_as_they_are_written() -> None:
    assert read("names: [no, yes, 1.0, null]", ".yaml").names == ("no", "yes", "1.0", None)


def test_label_maps() -> None:
    text = """
    # a comment
    item { id: 2 name: "/m/02" display_name: "bee's nest" }
    item {
      name: 'ant'
      id: 1
    }"""
    for ending in (".pbtxt", ".txt"):
        found = read(text, ending)
        assert (found.names, found.first) == (("ant", "bee's nest"), 1)


@pytest.mark.parametrize(
    ("data", "notes"),
    [
        ("ant\nbée".encode("utf-16"), ("saved as UTF-16",)),
        ("ant\nbée".encode("utf-16-le"), ("saved as UTF-16",)),
        ("ant\nbée".encode("utf-16-be"), ("saved as UTF-16",)),
        ("ant\nbée".encode("utf-32"), ("saved as UTF-32",)),
        ("ant\nbée".encode("utf-8-sig"), ()),
        ("ant\nbée".encode("cp1252"), ("not UTF-8: read as Windows-1252 (Latin-1)",)),
    ],
)
def test_encodings(data: bytes, notes: tuple[str, ...]) -> None:
    found = read(data)
    assert (found.names, found.notes) == (("ant", "bée"), notes)


@pytest.mark.parametrize(
    ("data", "ending", "words"),
    [
        ("", ".txt", ["empty"]),
        ("\n \n", ".txt", ["holds no name"]),
        ("0: ant\n0: bee", ".txt", ["number 0", "'ant'", "'bee'"]),
        ("0 ant\n1 bee\n1 cat\n2 dog\n3 eel", ".txt", ["number 1", "'bee'", "'cat'"]),
        ("0: a\n1: b\nc\n3: d\n4: e\n5: f", ".txt", ["no number", "'c'"]),
        ("200000: ant\n1: bee", ".txt", ["200000"]),
        ("{0: 'ant',\n1: 'bee'", ".txt", ["cut short"]),
        ("names: [ant, bee", ".txt", ["cut short"]),
        ("names:\n  0: ant\n  0: bee", ".txt", ["number 0"]),
        ('[\n"ant",\n"bee"', ".txt", ["cut short"]),
        ("['ant' 'bee']", ".txt", ["comma"]),
        ("{'ant', 'bee'}", ".txt", ["colon"]),
        ("classes = 4\nnames = data/obj.names\ntrain = x", ".txt", ["settings"]),
        ("[labels]\n0=ant\n1=bee", ".txt", ["after its last bracket"]),
        ('{"labels": ["a", "b", "a"], "class_names": ["a", "b"]}', ".json", ["'class_names'"]),
        ("a/1.jpg\nb/2.jpg", ".txt", ["picture files"]),
        ("a/1.JPEG 65\nb/2.JPEG 970", ".txt", ["picture files"]),
        ("<labels><label>a</label></labels>", ".txt", ["XML"]),
        ("<!DOCTYPE html><html><title>Sign in</title>", ".txt", ["web page"]),
        ("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n", ".txt", ["Git LFS"]),
        (b"\x89PNG\r\n\x1a\n\0\0", ".txt", ["PNG picture"]),
        (b"ab\0\0cd\0", ".txt", ["zero bytes"]),
        ("кошка\nсобака".encode("cp1251"), ".txt", ["save it as UTF-8"]),
        ("cat is кот\ndog is собака".encode("cp1251"), ".txt", ["save it as UTF-8"]),
        ("a" * 3000, ".txt", ["no name"]),
        ('{"0": "ant", "0": "bee"}', ".json", ["number 0"]),
        ('{"ant": 0, "bee": 0}', ".json", ["number 0"]),
        ('{"-1": "none", "0": "ant"}', ".json", ["-1"]),
        ('{"100001": "ant"}', ".json", ["100001"]),
        ('{"ant": "Ameise"}', ".json", ["'ant'", "no list of names"]),
        (
            '{"labels": {"0": "a", "1": "b"}, "label2id": {"a": 1, "b": 0}}',
            ".json",
            ["otherwise"],
        ),
        ("[1, 2]", ".json", ["no list of names"]),
        ("[true, false]", ".json", ["no list of names"]),
        ("{", ".json", ["not JSON"]),
        ("[" * 100_000, ".json", ["nested too deeply"]),
        ("a,b\nc,d", ".csv", ["which column", "'name'"]),
        ("image,label\na.jpg,cat\nb.jpg,dog\nc.jpg,cat", ".csv", ["labelled pictures"]),
        ("id,name\n0,ant\n0,bee", ".csv", ["number 0"]),
        ("id,name\n0,ant\n1,bee,cat,dog", ".csv", []),
        ("names: &x [a]", ".yaml", ["anchor"]),
        ("names: 'a", ".yaml", ["quote"]),
        ("item { name: 'a' }", ".pbtxt", ["no id"]),
    ],
)
def test_what_is_no_list_is_refused_by_name(
    data: str | bytes, ending: str, words: list[str]
) -> None:
    if words:
        message = refused(data, ending)
        assert all(word in message for word in words), message
    else:  # the last column of a heading holds the names
        assert read(data, ending).names == ("ant", "bee, cat, dog")


def test_files(tmp_path: Path) -> None:
    file = tmp_path / "classes.TXT"
    file.write_text("0 ant\n1 bee")
    assert read_name_list(file).names == ("ant", "bee")
    (tmp_path / "labels").write_text("ant\nbee")
    assert read_name_list(tmp_path / "labels").names == ("ant", "bee")
    for name, said in (("labels.pkl", "'.pkl'"), ("labels.xlsx", "'.xlsx'"), ("a.png", "'.png'")):
        (tmp_path / name).write_bytes(b"x")
        with pytest.raises(UsageError, match=said):
            read_name_list(tmp_path / name)
    with pytest.raises(UsageError, match="is a folder"):
        read_name_list(tmp_path)
    for name in ("absent.txt", "a" * 5000, "zero\0.txt"):
        with pytest.raises(UsageError, match="cannot be read"):
            read_name_list(tmp_path / name)
    file.write_bytes(b"a" * (MAX_LIST_BYTES + 1))
    with pytest.raises(UsageError, match="larger than 8 MB"):
        read_name_list(file)


@settings(max_examples=300, deadline=None)
@given(
    st.text("0123 :,;\t\n\"'[]{}()-#=n/ab", max_size=60) | st.text(max_size=40),
    st.sampled_from(LIST_ENDINGS),
)
def test_no_text_is_more_than_refused(text: str, ending: str) -> None:
    try:
        found = parse_name_list(text.encode("utf-8", "replace"), ending, "the list")
    except UsageError as error:
        assert "\n" not in str(error)  # noqa: PT017
        return
    assert any(found.names)
    assert all(name is None or name == name.strip() != "" for name in found.names)


@given(st.lists(st.text("abcxyz ", min_size=1).filter(str.strip), min_size=1, max_size=12))
def test_every_form_gives_the_same_names(names: list[str]) -> None:
    names = ["x" + " ".join(name.split()) for name in names]
    numbered = [f"{i}: {name}" for i, name in enumerate(names)]
    table = "id,name\n" + "".join(f'{i},"{name}"\n' for i, name in enumerate(names))
    yaml = "names:\n" + "".join(f"  {i}: {name}\n" for i, name in enumerate(names))
    expected = tuple(names)
    assert read("\n".join(reversed(numbered))).names == expected
    assert read(json.dumps(names), ".json").names == expected
    assert read(str(dict(enumerate(names)))).names == expected
    assert read(yaml, ".yaml").names == expected
    if len(set(names)) == len(names):
        assert read(table, ".csv").names == expected

"""Recipe, image and citation say what pyproject.toml says."""

import re
import shlex
import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

import lagotto

ROOT = Path(__file__).resolve().parents[2]
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
SETUPTOOLS = tomllib.loads((ROOT / "pyproject.toml").read_text())["build-system"]["requires"]
LOWEST_PYTHON = PROJECT["requires-python"].removeprefix(">=")


def spaced(requirement: str) -> str:
    """A requirement as conda writes it: `numpy >=2.0`."""
    return re.sub(r"^([\w.-]+)(?=[<>=])", r"\1 ", requirement)


def test_the_package_has_the_version_of_the_project() -> None:
    assert lagotto.__version__ == PROJECT["version"]


# ------------------------------------------------------------------------------------ conda-forge


@pytest.fixture(scope="module")
def recipe() -> dict[str, Any]:
    """recipe/recipe.yaml, with the names of its context filled in."""
    text = (ROOT / "recipe" / "recipe.yaml").read_text()
    context = yaml.safe_load(text)["context"]
    filled = re.sub(r"\$\{\{ (\w+) \}\}", lambda name: context.get(name[1], name[0]), text)
    content = yaml.safe_load(filled)
    assert isinstance(content, dict)
    return content


def test_the_recipe_names_the_same_release(recipe: dict[str, Any]) -> None:
    assert recipe["schema_version"] == 1
    assert recipe["package"] == {"name": PROJECT["name"], "version": PROJECT["version"]}
    about = recipe["about"]
    assert about["summary"] == PROJECT["description"]
    assert about["license"] == PROJECT["license"]
    assert about["license_file"] == PROJECT["license-files"]
    assert all((ROOT / file).is_file() for file in about["license_file"])
    assert recipe["context"]["python_min"] == LOWEST_PYTHON
    assert isinstance(recipe["build"]["number"], int)


def test_the_recipe_installs_what_the_project_needs(recipe: dict[str, Any]) -> None:
    run, host = recipe["requirements"]["run"], recipe["requirements"]["host"]
    assert run[0] == f"python >={LOWEST_PYTHON}"
    assert run[1:] == [spaced(each) for each in PROJECT["dependencies"]]
    assert host == [f"python {LOWEST_PYTHON}.*", "pip", *map(spaced, SETUPTOOLS)]
    assert recipe["build"]["noarch"] == "python"
    scripts = [f"{name} = {place}" for name, place in PROJECT["scripts"].items()]
    assert recipe["build"]["python"]["entry_points"] == scripts


def test_the_recipe_tests_with_commands_that_there_are(recipe: dict[str, Any]) -> None:
    checks = [line for test in recipe["tests"] for line in test.get("script", [])]
    assert "lagotto doctor --quiet" in checks
    assert all(shlex.split(line)[0] in PROJECT["scripts"] for line in checks)


# ------------------------------------------------------------------------------------- the image


def instructions() -> list[tuple[str, str]]:
    """The instructions of the Dockerfile, continued lines joined."""
    text = (ROOT / "Dockerfile").read_text()
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    joined = "\n".join(lines).replace("\\\n", " ")
    pairs = [line.split(maxsplit=1) for line in joined.splitlines() if line.strip()]
    return [(word, " ".join(rest.split())) for word, rest in pairs]


def given(instruction: str) -> list[str]:
    return [rest for word, rest in instructions() if word == instruction]


KNOWN = {
    *("ARG", "FROM", "COPY", "RUN", "LABEL", "ENV", "USER", "WORKDIR", "ENTRYPOINT", "CMD"),
}


def test_the_dockerfile_is_one() -> None:
    words = [word for word, _ in instructions()]
    assert set(words) <= KNOWN
    assert words[0] in ("ARG", "FROM")
    assert words.count("ENTRYPOINT") == words.count("CMD") == words.count("USER") == 1


def test_the_image_is_of_this_release() -> None:
    (python,) = (rest.removeprefix("PYTHON=") for rest in given("ARG"))
    numbers = [tuple(map(int, text.split("."))) for text in (LOWEST_PYTHON, python)]
    assert numbers[0] <= numbers[1]
    assert all(rest.startswith("python:${PYTHON}-slim") for rest in given("FROM"))
    (label,) = given("LABEL")
    labels = dict(pair.split("=", 1) for pair in shlex.split(label))
    assert labels == {
        "org.opencontainers.image.title": PROJECT["name"],
        "org.opencontainers.image.version": PROJECT["version"],
        "org.opencontainers.image.licenses": PROJECT["license"],
    }
    (entry,) = given("ENTRYPOINT")
    assert entry == f'["{next(iter(PROJECT["scripts"]))}"]'
    assert given("USER") == ["lagotto"]  # models of strangers are not run by root
    (extras,) = re.findall(r"/source\[([\w,-]+)\]", " ".join(given("RUN")))
    assert set(extras.split(",")) <= set(PROJECT["optional-dependencies"])


def test_the_image_is_built_from_all_that_the_build_needs() -> None:
    copied = [rest.split() for rest in given("COPY") if not rest.startswith("--from")]
    sources = [source for *files, _ in copied for source in files]
    assert all((ROOT / source).exists() for source in sources)
    needed = ["pyproject.toml", PROJECT["readme"], *PROJECT["license-files"]]
    for file in needed:
        assert any(file == source or file.startswith(f"{source}/") for source in sources), file
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    assert lines[0] == "*"
    assert sorted(line[1:] for line in lines if line.startswith("!")) == sorted(sources)


@pytest.mark.fresh
@pytest.mark.usefixtures("package_index")
def test_the_image_is_built_where_an_engine_runs() -> None:
    engine = shutil.which("docker") or shutil.which("podman")
    if engine is None or subprocess.run([engine, "info"], capture_output=True).returncode:
        pytest.skip("no engine for images runs here")
    subprocess.run([engine, "build", "--tag", "lagotto-test", str(ROOT)], check=True)
    subprocess.run([engine, "run", "--rm", "lagotto-test", "doctor", "--quiet"], check=True)


# ------------------------------------------------------------------------------------- citation

CITATION_KEYS = {
    *("abstract", "authors", "cff-version", "commit", "contact", "date-released", "doi"),
    *("identifiers", "keywords", "license", "license-url", "message", "preferred-citation"),
    *("references", "repository", "repository-artifact", "repository-code", "title", "type"),
    *("url", "version"),
}
PERSON_KEYS = {
    *("address", "affiliation", "alias", "city", "country", "email", "family-names", "fax"),
    *("given-names", "name-particle", "name-suffix", "orcid", "post-code", "region", "tel"),
    "website",
}
ENTITY_KEYS = {
    *("address", "alias", "city", "country", "date-end", "date-start", "email", "fax"),
    *("location", "name", "orcid", "post-code", "region", "tel", "website"),
}


def check_authors(authors: list[dict[str, str]]) -> None:
    """Each is a person, or an entity, which has a name."""
    assert authors
    for author in authors:
        keys = set(author)
        assert keys <= ENTITY_KEYS if "name" in keys else keys and keys <= PERSON_KEYS


def test_the_citation_has_the_fields_of_its_format() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert set(citation) <= CITATION_KEYS
    assert {"cff-version", "message", "title", "authors"} <= set(citation)
    assert citation["cff-version"] == "1.2.0"
    assert citation["type"] == "software"
    check_authors(citation["authors"])
    for reference in citation["references"]:
        assert {"type", "title", "authors"} <= set(reference)
        check_authors(reference["authors"])
        assert isinstance(reference["year"], int)
        for identifier in reference["identifiers"]:
            assert identifier["type"] in ("doi", "url", "swh", "other")
            assert isinstance(identifier["value"], str)


def test_the_citation_is_of_this_release_and_of_the_papers_of_the_docs() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert str(citation["version"]) == PROJECT["version"]
    assert citation["license"] == PROJECT["license"]
    assert citation["keywords"] == PROJECT["keywords"]
    assert [each["name"] for each in citation["authors"]] == [
        each["name"] for each in PROJECT["authors"]
    ]
    cited = {each["identifiers"][0]["value"] for each in citation["references"]}
    named = re.findall(r"arxiv\.org/abs/([\d.]+)", (ROOT / "README.md").read_text())
    assert cited == {f"arXiv:{number}" for number in named}

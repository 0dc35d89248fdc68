"""Each link of the documentation leads to a file or a heading of this repository; each test that it cites exists."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("client/*/*.md"), *(ROOT / "docs").rglob("*.md")])
FENCE = re.compile(r"^(```|~~~).*?^\1", re.MULTILINE | re.DOTALL)
CODE = re.compile(r"`[^`\n]*`")
LINK = re.compile(r"\[(?:[^\[\]]|\[[^\]]*\])*\]\(([^)\s]+)\)")
IMAGE = re.compile(r"""\b(src|srcset)=["']([^"']+)["']""")  # of the HTML tags img and source
VARIABLE = re.compile(r'\benv\.\w+\(\s*"([A-Z_]+)"')  # that the settings read from the environment
HEADING = re.compile(r"^#{1,6} (.+)$", re.MULTILINE)
BLOCK = re.compile(r"\n\s*\n|\n(?=\s*(?:[-*] |\||\d+\. ))")  # between paragraphs, list items and rows of tables
CITED = re.compile(
    r"""`(?:
        (?P<file>(?:tests|benchmarks)/[\w/.]*\.py|(?:\w+/)*test_\w+\.py)(?:::(?P<name>\w+))?  # a file, or a test in it
        |::(?P<more>\w+)                                              # another test in the file that was named before
        |(?P<bare>(?:…|test)_\w+)                                     # a test without its file
    )`""",
    re.VERBOSE,
)


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub and MyST make them."""
    text = FENCE.sub("", page.read_text())
    titles = (re.sub(r"[`*]|\]\([^)]*\)|\[", "", title).strip().lower() for title in HEADING.findall(text))
    return {re.sub(r"[^\w\- ]", "", title).replace(" ", "-") for title in titles}


def links(page: Path) -> list[str]:
    """The targets of a page's links and images."""
    text = CODE.sub("", FENCE.sub("", page.read_text()))
    found = LINK.findall(text)
    for attribute, value in IMAGE.findall(text):
        # A srcset holds one or more addresses, each perhaps with a width or a density.
        found += [one.split()[0] for one in value.split(",")] if attribute == "srcset" else [value]
    return found


def broken(page: Path) -> list[str]:
    """The links of a page that lead nowhere."""
    found = []
    for link in links(page):
        path, _, anchor = link.partition("#")
        if re.match(r"[a-z]+:", link):
            continue
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            found.append(link)
    return found


def missing_tests(page: Path) -> list[str]:
    """The tests that a page cites and that do not exist.

    A file is cited by its path from the root of the repository, a test as `path::test_name`, or as `::test_name` after
    a file that the same paragraph, list item or row has named.
    """
    found = []
    for block in BLOCK.split(FENCE.sub("", page.read_text())):
        file = ""
        for cited in CITED.finditer(block):
            file, name = cited["file"] or file, cited["name"] or cited["more"]
            path = ROOT / file
            if cited["bare"] or not path.is_file() or (name and f"def {name}(" not in path.read_text()):
                found.append(cited[0].strip("`"))
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_its_links_lead_somewhere(page: Path) -> None:
    assert broken(page) == []


@pytest.mark.parametrize("link", ["gone.md", "page.md#no-heading", "#nor-this"])
def test_control_a_broken_link_is_found(tmp_path: Path, link: str) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"# The `page` itself\n\n[here](#the-page-itself) [there](page.md) [x]({link}) `[code](gone)`\n")
    assert broken(page) == [link]


@pytest.mark.parametrize(
    "tag", ['<img src="gone.png">', '<source srcset="gone.png">', '<source srcset="page.md 1x, gone.png 2x">']
)
def test_control_a_missing_image_is_found(tmp_path: Path, tag: str) -> None:
    page = tmp_path / "page.md"
    page.write_text(f'<picture>\n  {tag}\n  <img src="page.md">\n</picture>\n')
    assert broken(page) == ["gone.png"]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_each_test_that_it_cites_exists(page: Path) -> None:
    assert missing_tests(page) == []


@pytest.mark.parametrize(
    "wrong",
    [
        "tests/test_gone.py",
        "tests/test_docs.py::test_gone",
        "test_docs.py::test_its_links_lead_somewhere",
        "test_its_links_lead_somewhere",
        "::test_gone",
    ],
)
def test_control_a_wrong_citation_is_found(tmp_path: Path, wrong: str) -> None:
    page = tmp_path / "page.md"
    right = "`tests/test_docs.py::test_its_links_lead_somewhere`, `::test_control_a_broken_link_is_found`"
    page.write_text(f"{right}, `tests/conftest.py`, `tests/test_docs.py`, `{wrong}`\n")
    assert missing_tests(page) == [wrong]


@pytest.mark.parametrize("between", ["\n\n", "\n- ", "\n| "])
def test_control_a_file_counts_only_for_its_own_paragraph_item_or_row(tmp_path: Path, between: str) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"- `tests/test_docs.py`{between}`::test_its_links_lead_somewhere`\n")
    assert missing_tests(page) == ["::test_its_links_lead_somewhere"]


def test_each_variable_that_the_settings_read_has_one_row() -> None:
    read = {
        name for path in (ROOT / "agentsite" / "settings").glob("*.py") for name in VARIABLE.findall(path.read_text())
    }
    assert len(read) > 50
    page = (ROOT / "docs" / "reference" / "settings.md").read_text()
    rows = [name for row in re.findall(r"^\| (`.*?) \|", page, re.MULTILINE) for name in re.findall(r"`(\w+)`", row)]
    assert {name: rows.count(name) for name in read} == dict.fromkeys(read, 1)

"""The translations: complete, compiled, true to what they translate. `make messages` mends most of what fails here."""

import gettext
from pathlib import Path
from typing import Any

import polib
import pytest

from scripts import messages

PATHS = list(messages.paths())
EACH = pytest.mark.parametrize("path", PATHS, ids=lambda path: f"{path.parent.parent.name}-{path.stem}")


def catalogue(*entries: polib.POEntry) -> polib.POFile:
    made = polib.POFile()
    made.metadata = {"Plural-Forms": "nplurals=1; plural=0;"}
    made.extend(entries)
    return made


def said(text: str, plural: str = "") -> messages.Found:
    return {("", text, plural): {"somewhere.py"}}


def python(source: str) -> list[messages.Message]:
    return list(messages.of_python(source))


@EACH
def test_every_message_is_translated_and_keeps_its_placeholders(path: Path) -> None:
    found = messages.collect(path)
    assert len(found) > 5
    assert messages.mistakes(messages.opened(path), found) == []


@EACH
def test_the_compiled_catalogue_is_the_one_that_is_read(path: Path) -> None:
    with path.with_suffix(".mo").open("rb") as file:
        compiled = gettext.GNUTranslations(file)
    texts: dict[Any, str] = {key: text for key, text in compiled._catalog.items() if key}  # type: ignore[attr-defined]
    written: dict[Any, str] = {}
    for entry in messages.opened(path).translated_entries():
        if entry.msgid_plural:
            written |= {(entry.msgid, number): text for number, text in entry.msgstr_plural.items()}
        else:
            written[entry.msgid] = entry.msgstr
    assert texts == written


def test_there_is_a_catalogue_for_every_language_but_english() -> None:
    assert {path.parent.parent.name for path in PATHS} == {"zh_Hans"}


@pytest.mark.parametrize(
    ("entry", "mistake"),
    [
        (polib.POEntry(msgid="Send"), "not translated: 'Send'"),
        (polib.POEntry(msgid="Send", msgstr="发送", flags=["fuzzy"]), "not translated: 'Send'"),
        (polib.POEntry(msgid="Sent", msgstr="发送"), "not in the catalogue: 'Send'"),
    ],
)
def test_a_message_without_its_translation_is_found(entry: polib.POEntry, mistake: str) -> None:
    assert mistake in messages.mistakes(catalogue(entry), said("Send"))


@pytest.mark.parametrize(
    ("text", "translated"),
    [
        ("%(n)s left", "剩余 %(m)s 项"),
        ("%d left", "剩余"),
        ("by <strong>%(name)s</strong>", "由 %(name)s"),
        ("{}: {}", "{}"),
        ("left ", "剩余"),
    ],
)
def test_a_translation_that_would_lose_something_is_found(text: str, translated: str) -> None:
    entry = polib.POEntry(msgid=text, msgstr=translated)
    assert len(messages.mistakes(catalogue(entry), said(text))) == 1


def test_each_form_of_a_plural_is_looked_at() -> None:
    entry = polib.POEntry(msgid="%(n)s day", msgid_plural="%(n)s days", msgstr_plural={0: "天"})
    assert messages.mistakes(catalogue(entry), said("%(n)s day", "%(n)s days")) != []


def test_what_the_code_says_is_found() -> None:
    source = 'gettext("one" " text"); ngettext("%d day", "%d days", n); pgettext("month", "May"); gettext(name)'
    assert python(source) == [("", "one text", ""), ("", "%d day", "%d days"), ("month", "May", "")]


def test_what_a_template_says_is_found() -> None:
    source = """{% load i18n %}<p title="{% translate "50%" %}">{{ x|default:_("no (one)") }}
    {% blocktranslate count n=n %}{{ n }} day{% plural %}{{ n }} days{% endblocktranslate %}</p>"""
    wanted = {("", "50%%", ""), ("", "no (one)", ""), ("", "%(n)s day", "%(n)s days")}
    assert set(messages.of_template(source)) == wanted


def test_what_a_script_says_is_found() -> None:
    source = (
        """interpolate(gettext('It\\'s %s'), [x]); ngettext("%s day", '%s days', n); notgettext("x"); gettext(name)"""
    )
    assert list(messages.of_script(source)) == [("", "It's %s", ""), ("", "%s day", "%s days")]


def test_what_an_error_says_by_default_is_found() -> None:
    source = 'class Conflict(AgentsiteError):\n    default_detail = gettext_noop("No.")'
    assert python(source) == [("", "No.", "")]


def test_merging_adds_what_is_new_and_sets_aside_what_is_said_no_more() -> None:
    kept = catalogue(polib.POEntry(msgid="Old", msgstr="旧"), polib.POEntry(msgid="Send", msgstr="发送"))
    messages.merge(kept, said("Send") | said("New"))
    assert {entry.msgid: (entry.msgstr, bool(entry.obsolete)) for entry in kept} == {
        "Send": ("发送", False),
        "New": ("", False),
        "Old": ("旧", True),
    }

"""What of a page is English: its visible texts, and the attributes that are shown or read out."""

import re
from html.parser import HTMLParser

from typing_extensions import override

ATTRIBUTES: tuple[str, ...] = (
    "title",
    "placeholder",
    "aria-label",
    "alt",
    "label",
    "data-text",
    "data-all",
    "data-one",
    "data-stopped",
)
ATTRIBUTES += ("data-approve_one", "data-approve_many", "data-left_out", "data-draft", "data-remove")  # for scripts
BUTTONS = ("submit", "button", "reset")
SILENT = ("script", "style", "svg")
VOID = ("area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "wbr")
WORD = re.compile(r"[A-Za-z]{2,}(?:['’][a-z]+)?")
# Ids, digests, and what is masked.
HEX = re.compile(r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b|\b[0-9a-f]{8}…|\b[0-9a-f]{32,64}\b|\w+\*{4,}")
# What a program, a standard or a person calls something in every language.
NAMES = {
    *("Agentsite", "API", "CSV", "JSON", "Lines", "ID", "UTC", "Celery", "Unix", "NUL", "LDAP", "Mac", "Control"),
    *("Command", "Ctrl", "Enter", "English", "Webhook", "id"),
    *("False", "True"),  # Django's pictures of yes and no have these names in every language
    # Words of the policy's own little language, which is written as it is read (reviews.policy.conditions).
    *("requester", "reviewers", "group", "user", "session", "Finance", "ab", "example", "com"),
}


class Reader(HTMLParser):
    """Collects what a reader of the page gets to see or hear."""

    def __init__(self, left_out: tuple[str, ...] = ()) -> None:
        super().__init__()
        self.texts: list[str] = []
        self.left_out = left_out  # classes and ids of elements that hold data
        self.open: list[bool] = []  # of each open element: whether it says nothing

    @override
    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        marks = {*values.get("class", "").split(), values.get("id", "")}
        silent = tag in SILENT or bool(marks & set(self.left_out)) or any(self.open)
        if tag not in VOID:
            self.open.append(silent)
        if silent and tag != "svg":
            return
        self.texts += [values[name] for name in ATTRIBUTES if name in values]
        if tag == "input" and values.get("type") in BUTTONS:
            self.texts.append(values.get("value", ""))

    @override
    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.handle_endtag(tag)

    @override
    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID and self.open:
            self.open.pop()

    @override
    def handle_data(self, data: str) -> None:
        if not any(self.open) and data.strip():
            self.texts.append(data.strip())


def english(html: str, *names: str, left_out: tuple[str, ...] = ()) -> list[str]:
    """The texts of the page that hold an English word, but for those names, each once."""
    reader = Reader(left_out)
    reader.feed(html)
    known = NAMES | {word for name in names for word in WORD.findall(name)}
    return list(dict.fromkeys(text for text in reader.texts if not set(WORD.findall(HEX.sub("", text))) <= known))

"""Update of the interface's message catalogues: collects the messages, merges them into each .po and compiles a .mo.

`make messages` runs it. No gettext is needed: Python's own parser reads the code, Django's the templates, polib writes.
"""

import ast
import os
import re
from collections.abc import Iterable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import django
import polib
from django.apps import apps
from django.conf import settings
from django.contrib import admin
from django.http import HttpRequest
from django.utils.translation import override, to_locale
from django.utils.translation.template import templatize

from agentsite.console.foreign import SHOWN, unmarked

ROOT = Path(__file__).resolve().parent.parent
ROOMS = ("core", "memory", "agents", "reviews", "notifications", "agentsite", "demo", "devserver")
LOCALES = ROOT / "agentsite" / "locale"
DJANGO = Path(django.__file__).parent
# Functions by how many of their arguments are messages; `pgettext` has a context before them.
SINGLE, PLURAL = ("_", "gettext", "gettext_lazy", "gettext_noop"), ("ngettext", "ngettext_lazy")
WITH_CONTEXT = ("pgettext", "pgettext_lazy", "npgettext", "npgettext_lazy")
CALL = re.compile(r"(?<![\w.])(_|n?p?gettext)\(")
_TEXT = r"""('(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*")"""
SCRIPT_CALL = re.compile(rf"\bn?gettext\(\s*{_TEXT}(?:,\s*{_TEXT})?")
SCRIPTS = "djangojs"  # the catalogue of the admin's scripts
# Modules with visible texts, of packages that have no catalogues.
FOREIGN = (
    "django_otp.forms",
    "django_celery_results.admin",
    "django_celery_results.apps",
    "rest_framework_api_key.models",
)
FOREIGN_MODELS = ("django_celery_results.TaskResult",)
PLACEHOLDER = re.compile(r"%(?:\(\w+\))?[a-z%]|\{\w*\}|</?[a-z]+|href=\"[^\"]*\"")

Message = tuple[str, str, str]  # context, text, plural; "" where there is none
Found = dict[Message, set[str]]  # with the places where it occurs


def collect(path: Path) -> Found:
    """Return every message that this catalogue needs. Django must be set up."""
    found = left_by_django(path.parent.parent.name, path.stem)
    if path.stem != SCRIPTS:  # our own scripts get their texts from the templates
        _collect_ours(found)
    return found


def _collect_ours(found: Found) -> None:
    files = sorted(path for room in ROOMS for path in (ROOT / room).rglob("*.py") if "migrations" not in path.parts)
    sources = {str(path.relative_to(ROOT)): path.read_text() for path in files}
    sources |= {name: Path(str(_spec(name).origin)).read_text() for name in FOREIGN}
    for name, source in sources.items():
        _note(found, name, of_python(source))
    for room in ROOMS:
        for path in sorted((ROOT / room).rglob("templates/**/*.html")):
            _note(found, str(path.relative_to(ROOT)), of_template(path.read_text()))
    _note(found, "agentsite/console/foreign.py", foreign())


def of_python(source: str) -> Iterator[Message]:
    """Yield the messages that the code marks with a gettext function."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and (message := _of_call(node)):
            yield message


def of_template(source: str) -> Iterator[Message]:
    """Yield the messages of a Django template."""
    for line in templatize(source).splitlines():
        for start in CALL.finditer(line):
            yield from _first_call(line[start.start() :])


def of_script(source: str) -> Iterator[Message]:
    """Yield the messages of a script."""
    for found in SCRIPT_CALL.finditer(source):
        texts = [str(ast.literal_eval(text)) for text in found.groups() if text]
        yield "", texts[0], texts[1] if len(texts) > 1 else ""


READERS = {"django": {".py": of_python, ".html": of_template}, "djangojs": {".js": of_script}}


def foreign() -> Iterator[Message]:
    """Yield the texts of other packages' models that those packages do not translate."""
    with override(settings.LANGUAGE_CODE):
        texts = [str(getattr(holder, name)) for holder, name in unmarked()]
        for model in map(apps.get_model, (*SHOWN, *FOREIGN_MODELS)):
            if not model.__module__.startswith(ROOMS):
                fieldsets = admin.site.get_model_admin(model).get_fieldsets(HttpRequest())
                texts += [str(name or "") for name, _options in fieldsets]
        for model in map(apps.get_model, FOREIGN_MODELS):
            for field in model._meta.local_fields:
                texts += [str(field.verbose_name), str(field.help_text)]
    return (("", text, "") for text in texts if text)


def left_by_django(locale: str, domain: str) -> Found:
    """Return the messages of Django's admin that this version of Django does not translate to the language."""
    theirs = [polib.mofile(str(path)) for path in DJANGO.glob(f"**/locale/{locale}/LC_MESSAGES/{domain}.mo")]
    known = {key_of(entry)[:2] for catalogue in theirs for entry in catalogue}
    found: Found = {}
    for part in ("contrib/admin", "contrib/auth"):
        for path in sorted((DJANGO / part).rglob("*.*")):
            read = READERS[domain].get(path.suffix)
            if read is not None and not {"migrations", "vendor"} & set(path.parts):
                _note(found, f"django/{path.relative_to(DJANGO)}", read(path.read_text()))
    return {key: places for key, places in found.items() if key[:2] not in known}


def merge(catalogue: polib.POFile, found: Found) -> None:
    """Add new messages, mark those no longer in the code as obsolete, and note where each one occurs."""
    known = {key_of(entry): entry for entry in catalogue}
    for key, entry in known.items():
        entry.obsolete = key not in found
        entry.occurrences = [(place, "") for place in sorted(found.get(key, ()))]
    for context, text, plural in found.keys() - known.keys():
        entry = polib.POEntry(msgctxt=context or None, msgid=text, msgid_plural=plural)
        entry.msgstr_plural = dict.fromkeys(range(forms_of(catalogue)), "") if plural else {}
        entry.occurrences = [(place, "") for place in sorted(found[context, text, plural])]
        catalogue.append(entry)
    catalogue.sort(key=lambda entry: (entry.obsolete, entry.occurrences[:1], entry.msgid))


def key_of(entry: polib.POEntry) -> Message:
    """Return the key that makes an entry the translation of a message."""
    return entry.msgctxt or "", entry.msgid, entry.msgid_plural or ""


def forms_of(catalogue: polib.POFile) -> int:
    """Return how many plural forms the language has."""
    return int(re.findall(r"nplurals=(\d)", catalogue.metadata["Plural-Forms"])[0])


def texts_of(entry: polib.POEntry) -> list[str]:
    """Return the translations of an entry, one per plural form."""
    return list(entry.msgstr_plural.values()) if entry.msgid_plural else [entry.msgstr]


def mistakes(catalogue: polib.POFile, found: Found) -> list[str]:
    """Return what is wrong with a catalogue, one line each."""
    live = {key_of(entry): entry for entry in catalogue if not entry.obsolete}
    lines = [f"not in the catalogue: {key[1]!r}" for key in found.keys() - live.keys()]
    lines += [f"the code does not say it: {key[1]!r}" for key in live.keys() - found.keys()]
    for entry in live.values():
        if entry.fuzzy or not all(texts_of(entry)) or not texts_of(entry):
            lines.append(f"not translated: {entry.msgid!r}")
        for text in filter(None, texts_of(entry)):
            wanted = {tuple(placeholders(one)) for one in (entry.msgid, entry.msgid_plural) if one}
            if tuple(placeholders(text)) not in wanted:
                lines.append(f"other placeholders: {entry.msgid!r} and {text!r}")
            if (entry.msgid[0].isspace(), entry.msgid[-1].isspace()) != (text[0].isspace(), text[-1].isspace()):
                lines.append(f"other blanks at the ends: {entry.msgid!r} and {text!r}")
    return sorted(lines)


def placeholders(text: str) -> list[str]:
    """Return the placeholders and tags of a text, sorted because each language has its own word order."""
    return sorted(PLACEHOLDER.findall(text))


def paths() -> Iterator[Path]:
    """Yield the catalogues of every language in the settings except English, the language of the code."""
    for code, _name in settings.LANGUAGES:
        if code != settings.LANGUAGE_CODE:
            yield from (LOCALES / to_locale(code) / "LC_MESSAGES" / f"{domain}.po" for domain in READERS)


def opened(path: Path) -> polib.POFile:
    """Return the catalogue, or an empty one with the plural forms that Django has for the language."""
    if path.exists():
        return polib.pofile(str(path), wrapwidth=120)
    locale = path.parent.parent.name
    theirs = polib.mofile(str(DJANGO / "conf" / "locale" / locale / "LC_MESSAGES" / "django.mo"))
    made = polib.POFile(wrapwidth=120)
    made.metadata = {
        "Language": locale,
        "MIME-Version": "1.0",
        "Content-Type": "text/plain; charset=utf-8",
        "Content-Transfer-Encoding": "8bit",
        "Plural-Forms": theirs.metadata.get("Plural-Forms", "nplurals=2; plural=(n != 1);"),
    }
    return made


def main() -> None:
    """Update every catalogue and print what is left to do."""
    for path in paths():
        found, catalogue = collect(path), opened(path)
        merge(catalogue, found)
        path.parent.mkdir(parents=True, exist_ok=True)
        catalogue.save(str(path))
        catalogue.save_as_mofile(str(path.with_suffix(".mo")))
        left = mistakes(catalogue, found)
        print(f"{path.relative_to(ROOT)}: {len(found)} messages, {len(left)} to look at", *left, sep="\n  ")


def _note(found: Found, place: str, messages: Iterable[Message]) -> None:
    for message in messages:
        found.setdefault(message, set()).add(place)


def _of_call(node: ast.Call) -> Message | None:
    """Return the message of a call of a gettext function, or None if it is another function or has no literal."""
    name = getattr(node.func, "id", getattr(node.func, "attr", ""))
    texts = [arg.value for arg in node.args if isinstance(arg, ast.Constant) and isinstance(arg.value, str)]
    if name in SINGLE and texts:
        return "", texts[0], ""
    if name in PLURAL and len(texts) > 1:
        return "", texts[0], texts[1]
    if name in WITH_CONTEXT and len(texts) > 1:
        return texts[0], texts[1], texts[2] if name.startswith("n") else ""
    return None


def _first_call(text: str) -> Iterator[Message]:
    """Yield the messages of the call at the start of the text. The parser finds its end: texts may have brackets."""
    for end in (place.end() for place in re.finditer(r"\)", text)):
        try:
            tree = ast.parse(text[:end], mode="eval")
        except SyntaxError:
            continue
        yield from filter(None, map(_of_call, (node for node in ast.walk(tree) if isinstance(node, ast.Call))))
        return


def _spec(name: str) -> Any:
    spec = find_spec(name)
    assert spec is not None, f"{name} is gone: look what its package says now"
    return spec


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "agentsite.settings")
    django.setup()
    main()

"""The documentation as a site: `make docs`. The pages are Markdown and read as well without it."""

import re
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from core.version import VERSION  # noqa: E402

project = "Agentsite"
copyright = "the Agentsite contributors"
version = release = VERSION
root_doc = "README"
extensions = ["myst_parser", "sphinxcontrib.mermaid"]
source_suffix = {".md": "markdown"}
exclude_patterns = ["images", "api-intro.md", "**/api-intro.md"]
myst_fence_as_directive = ["mermaid"]
myst_heading_anchors = 4
myst_enable_extensions = ["deflist"]
html_theme = "furo"
html_title = f"Agentsite {VERSION}"
nitpicky = True
suppress_warnings = ["myst.xref_missing"]  # links to files of the repository; tests/test_docs.py follows every link

# The index lists every page for readers of the repository; the site's sidebar is made of its headings.
HEADING = re.compile(r"^## (.+)$", re.MULTILINE)
PAGE = re.compile(r"\]\(((?!\.\.|https?:)[\w/-]+)\.md\)")


def toctrees(index: str) -> str:
    """Return hidden toctrees, one for each heading of the index, with the pages that it lists."""
    _, *parts = HEADING.split(index)
    trees = []
    for title, text in zip(parts[::2], parts[1::2], strict=True):
        if pages := PAGE.findall(text):
            trees.append("\n".join(["```{toctree}", ":hidden:", f":caption: {title}", "", *pages, "```"]))
    return "\n\n".join(trees)


def add_toctrees(app: Any, docname: str, source: list[str]) -> None:
    """Add the sidebar to the index, once Sphinx has read it."""
    if docname == root_doc:
        source[0] += "\n\n" + toctrees(source[0])


def setup(app: Any) -> None:
    """Connect the handlers above; Sphinx calls this."""
    app.connect("source-read", add_toctrees)

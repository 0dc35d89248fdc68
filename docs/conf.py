"""The documentation as a site: `make docs`. The pages are Markdown and read as well without it."""

import re
import shutil
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
mermaid_height = "auto"  # not 500 pixels, whatever is drawn
mermaid_fullscreen_button = "+"  # many machines have no character for the usual sign
html_theme = "furo"
html_title = f"Agentsite {VERSION}"
html_static_path = ["_static"]
html_css_files = ["site.css"]
nitpicky = True
suppress_warnings = ["myst.xref_missing"]  # links to files of the repository; tests/test_docs.py follows every link

# The index lists every page for readers of the repository; the site's sidebar is made of its headings.
HEADING = re.compile(r"^## (.+)$", re.MULTILINE)
PAGE = re.compile(r"\]\(((?!\.\.|https?:)[\w/-]+)\.md\)")

# A picture for each of the two looks, as repositories display it. The site copies only images that Sphinx knows of, and
# its reader can switch the look.
PICTURE = re.compile(
    r"""<picture>\s*<source\s[^>]*?srcset="(?P<dark>[^"]+)">\s*<img\ssrc="(?P<light>[^"]+)"[^>]*?alt="(?P<alt>[^"]+)">
    \s*</picture>""",
    re.VERBOSE,
)


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


def images(picture: re.Match[str]) -> str:
    """Return the directives of a picture's two images; Furo shows the one of the look that is on."""
    return "\n\n".join(
        f"```{{image}} {picture[look]}\n:class: only-{look}\n:alt: {picture['alt']}\n```" for look in ("light", "dark")
    )


def add_images(app: Any, docname: str, source: list[str]) -> None:
    """Replace each picture by images of Sphinx; the build fails if one is missing."""
    source[0] = PICTURE.sub(images, source[0])


def add_index(app: Any, exception: Exception | None) -> None:
    """Let the site's address lead to its first page: web servers look for index.html."""
    if exception is None and app.builder.name == "html":
        shutil.copyfile(app.outdir / f"{root_doc}.html", app.outdir / "index.html")


def setup(app: Any) -> None:
    """Connect the handlers above; Sphinx calls this."""
    app.connect("source-read", add_toctrees)
    app.connect("source-read", add_images)
    app.connect("build-finished", add_index)

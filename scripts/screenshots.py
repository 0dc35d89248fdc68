"""Screenshots of the documentation: `make screenshots` writes docs/images/.

    python scripts/screenshots.py [--only queue] [--to docs/images] [--data var/demo]

Fills its own data folder with the demo, serves it without workers, so that nothing changes in the meantime, and takes
the screenshots with Chromium. Check what has changed before you commit it.
"""

import argparse
import io
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

ROOT = Path(__file__).resolve().parent.parent
LARGEST = 120 * 1024  # bytes of one picture
COLOURS = (256, 128, 64, 32)  # fewer until it is small enough
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
ARGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]
REST = 900  # milliseconds: keys and buttons of the desk do not react for 700 ms
WIDE, NARROW = (1280, 860), (390, 844)
TALL = 1200


@dataclass(frozen=True)
class Look:
    """Browser settings for a screenshot."""

    name: str
    scheme: str = "light"
    size: tuple[int, int] = WIDE
    locale: str = "en-GB"
    language: str = "en"


LIGHT, DARK = Look("light"), Look("dark", scheme="dark")
PHONE = Look("phone", size=NARROW)
CHINESE = Look("chinese", locale="zh-CN", language="zh-hans")
QUEUE = "/admin/reviews/review/"


def queue(page: Page) -> None:
    """Open the list of pending reviews, with the cursor on the second row."""
    page.goto(QUEUE)
    page.wait_for_timeout(REST)
    page.keyboard.press("j")
    page.keyboard.press("j")


def review(page: Page) -> None:
    """Open a refund with the conversation that led to it, and type a smaller amount. Tall, so that the changes show."""
    if page.viewport_size and page.viewport_size["width"] == WIDE[0]:
        page.set_viewport_size({"width": WIDE[0], "height": TALL})
    _open(page, f"{QUEUE}?q=A-1042&tool=issue_refund")
    page.wait_for_timeout(REST)
    page.get_by_label("amount", exact=False).first.fill("59.90")
    page.get_by_label("note", exact=False).first.fill("Photo in the e-mail of Monday. The lid is whole: 5.00 less.")
    page.get_by_label("note", exact=False).first.blur()
    page.wait_for_selector(".call [data-preview=edited]:visible")
    page.evaluate("window.scrollTo(0, 0)")


def bulk(page: Page) -> None:
    """Select several refunds and begin to approve them at once."""
    page.goto(f"{QUEUE}?tool=issue_refund&risk=medium")
    page.wait_for_timeout(REST)
    for place in range(3):
        page.locator("#result_list tbody input.action-select").nth(place).check()
    page.locator('button[name="action"][value="approve_selected"], button:has-text("Approve selected")').first.click()
    page.wait_for_selector(".bulk-list")


def decided(page: Page) -> None:
    """Open an announcement that was approved with changes."""
    _open(page, f"{QUEUE}?status=decided&q=Uploads")


def dashboard(page: Page) -> None:
    """Open the admin's first page."""
    page.goto("/admin/")


def rule(page: Page) -> None:
    """Open a policy rule on the amount of a refund."""
    page.goto("/admin/reviews/policyrule/")
    page.locator("#result_list a", has_text="Refunds above 500").first.click()


def console(page: Page) -> None:
    """Open a session in which a refund waits for its review."""
    _open(page, f"{QUEUE}?q=A-1042&tool=issue_refund")
    page.locator(".review-facts a").first.click()
    page.locator("a", has_text="console").or_(page.locator("a", has_text="控制台")).first.click()
    page.locator(".review-card .card-buttons").first.wait_for()


SHOTS: list[tuple[Callable[[Page], None], tuple[Look, ...]]] = [
    (queue, (LIGHT, DARK, PHONE, CHINESE)),
    (review, (LIGHT, DARK, PHONE, CHINESE)),
    *((shot, (LIGHT, DARK)) for shot in (bulk, decided, dashboard, rule)),
    (console, (LIGHT, PHONE)),
]


def main() -> None:
    """Fill the folder, serve it, take and write the screenshots."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", default="", help="one page: queue, review, bulk, decided, dashboard, rule or console")
    parser.add_argument("--to", type=Path, default=ROOT / "docs" / "images")
    parser.add_argument("--data", type=Path, help="a folder that `make demo` has filled, to try things out quickly")
    options = parser.parse_args()
    options.to.mkdir(parents=True, exist_ok=True)
    with _folder(options.data) as data, _service(data) as url:
        password = json.loads((data / "first-run.json").read_text())["admin_password"]
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGS)
            pages: dict[Look, Page] = {}
            # Page by page and not look by look, because opening a review claims it, which the queue would show.
            for shot, looks in SHOTS:
                for look in looks if options.only in ("", shot.__name__) else ():
                    page = pages.get(look) or pages.setdefault(look, _logged_in(browser, url, password, look))
                    page.set_viewport_size({"width": look.size[0], "height": look.size[1]})
                    shot(page)
                    page.wait_for_load_state()
                    page.wait_for_timeout(REST)
                    target = options.to / f"{shot.__name__}-{look.name}.png"
                    target.write_bytes(_small(page.screenshot(animations="disabled")))
                    print(f"{target.name}: {target.stat().st_size // 1024} KB")
            browser.close()


@contextmanager
def _folder(given: Path | None) -> Iterator[Path]:
    if given is not None:
        yield given.resolve()
    else:
        with tempfile.TemporaryDirectory(prefix="agentsite-screenshots-") as made:
            yield Path(made)


@contextmanager
def _service(data: Path) -> Iterator[str]:
    """Serve the filled data folder. Yields the address."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    ours = ("PATH", "HOME", "LANG", "LC_ALL", "VIRTUAL_ENV")
    env = {name: os.environ[name] for name in ours if name in os.environ}
    env |= {"DEBUG": "true", "AGENTSITE_DATA": str(data), "AGENT_TOOLS": "demo.tools", "PORT": str(port)}
    env |= {"LOG_LEVEL": "WARNING", "PREVIEW_SECONDS": "60"}  # the first preview imports the tools
    for command in ("migrate", "seed_demo"):
        subprocess.run([sys.executable, "manage.py", command, "-v0"], cwd=ROOT, env=env, check=True)
    bind = f"127.0.0.1:{port}"
    command_line = [sys.executable, "-m", "gunicorn", "agentsite.wsgi", "--bind", bind, "--threads", "8"]
    command_line += ["--log-level", "warning", "--no-control-socket"]
    server = subprocess.Popen(command_line, cwd=ROOT, env=env, stdout=subprocess.DEVNULL)
    try:
        _wait(f"http://{bind}/health")
        yield f"http://{bind}"
    finally:
        server.terminate()
        server.wait(20)


def _wait(url: str) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            with urllib.request.urlopen(url, timeout=2):
                return
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.3)


def _logged_in(browser: Browser, url: str, password: str, look: Look) -> Page:
    scheme: Any = look.scheme
    width, height = look.size
    page = browser.new_context(
        base_url=url,
        color_scheme=scheme,
        viewport={"width": width, "height": height},
        locale=look.locale,
        extra_http_headers={"Accept-Language": look.language},
        reduced_motion="reduce",
    ).new_page()
    page.goto("/admin/login/")
    page.fill("#id_username", "admin")
    page.fill("#id_password", password)
    page.click("input[type=submit]")
    return page


def _open(page: Page, address: str) -> None:
    """Open the first row of a list."""
    page.goto(address)
    page.locator("#result_list tbody th a, #result_list tbody td a").first.click()


def _small(png: bytes) -> bytes:
    """Return the picture with a palette, with few enough colours to be small enough. Raises ValueError."""
    picture = Image.open(io.BytesIO(png)).convert("RGB")
    for colours in COLOURS:
        out = io.BytesIO()
        picture.quantize(colours, dither=Image.Dither.NONE).save(out, "PNG", optimize=True)
        if out.tell() <= LARGEST:
            return out.getvalue()
    raise ValueError(f"The picture has more than {LARGEST} bytes however few its colours are.")


if __name__ == "__main__":
    main()

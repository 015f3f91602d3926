"""Log in to served dashboards with a real browser, and say what every chart shows, as JSON.

Run with the interpreter of `.venv-superset`; Chromium comes from the machine. Used by the tests,
and by `make dashboards-pictures` for the pictures in docs/img/.
"""

import argparse
import json
import shutil
import sys
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, sync_playwright

# What a chart shows, seen from inside the page.
CHARTS = """
() => [...document.querySelectorAll('.dashboard-component-chart-holder')]
  .filter(holder => holder.querySelector('[data-test="chart-container"], .chart-container, .slice_container'))
  .map(holder => {
    const box = holder.querySelector('.slice_container') || holder;
    const canvas = box.querySelector('canvas');
    const text = (box.innerText || '').trim();
    const alert = holder.querySelector('[role="alert"], .ant-alert-error, [data-test="error-message"]');
    return {
      name: (holder.querySelector('[data-test="editable-title"]')?.innerText
        || holder.querySelector('.header-title')?.innerText || '').trim(),
      loading: !!holder.querySelector('.loading, [data-test="loading-indicator"], .ant-spin'),
      error: alert ? alert.innerText.trim() : '',
      empty: !!holder.querySelector('.ant-empty, [data-test="empty-state"]'),
      drawn: !!canvas && canvas.width > 0,
      rows: box.querySelectorAll('tbody tr').length,
      text: text.slice(0, 4000),
    };
  })
"""
WIDTH = 1400
HEIGHT = """() => 24 + Math.ceil(Math.max(
    ...[...document.querySelectorAll('.grid-row')].map(row => row.getBoundingClientRect().bottom)))"""
# Lines grow for a second: a picture is taken when no canvas has changed since the last look.
STILL = """() => {
  const now = [...document.querySelectorAll('canvas')].map(canvas => canvas.toDataURL()).join();
  const still = now === window.insighteraSeen;
  window.insighteraSeen = now;
  return still;
}"""
READY = (
    "() => { const found = (" + CHARTS + ")(); return found.length >= {n} "
    "&& found.every(c => !c.loading && (c.error || c.empty || c.drawn || c.rows || c.text)); }"
)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--url", required=True)
    parser.add_argument("--user", required=True)
    parser.add_argument("--password", required=True)
    parser.add_argument("--pictures", type=Path, help="folder for a picture of each dashboard")
    parser.add_argument("dashboards", nargs="+", metavar="SLUG=CHARTS")
    chosen = parser.parse_args()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium(), args=["--no-sandbox", "--disable-dev-shm-usage"]
        )
        page = _page(browser)
        report: dict[str, Any] = {"login": log_in(page, chosen)}
        if not report["login"]:
            for each in chosen.dashboards:
                slug, charts = each.split("=")
                report[slug] = look(page, chosen, slug, int(charts))
        browser.close()
    json.dump(report, sys.stdout)


def chromium() -> str | None:
    """Debian's Chromium, or None for the one that `playwright install` brings."""
    return shutil.which("chromium") or shutil.which("chromium-browser")


def _page(browser: Browser) -> Page:
    page = browser.new_page(viewport={"width": WIDTH, "height": 1000}, locale="en-GB")
    page.set_default_timeout(90_000)
    return page


def log_in(page: Page, chosen: argparse.Namespace) -> str:
    """Fill in the login form; what it says against it, empty where it let us in."""
    page.goto(f"{chosen.url}/login/", wait_until="domcontentloaded")
    page.fill('input[name="username"], [data-test="username-input"]', chosen.user)
    page.fill('input[name="password"], [data-test="password-input"]', chosen.password)
    page.press('input[name="password"], [data-test="password-input"]', "Enter")
    page.wait_for_function(
        """() => !location.pathname.startsWith('/login')
            || document.querySelector('.ant-message-notice, .alert, [role="alert"], [data-test="toast-container"] *')"""
    )
    if "/login" not in page.url:
        return ""
    return page.inner_text("body").strip() or "no word"


def look(page: Page, chosen: argparse.Namespace, slug: str, charts: int) -> Any:
    """Open one dashboard, wait until its charts stand, and say what each shows."""
    page.set_viewport_size({"width": WIDTH, "height": 1000})
    page.goto(f"{chosen.url}/superset/dashboard/{slug}/", wait_until="domcontentloaded")
    page.wait_for_selector(".dashboard-component-chart-holder")
    # Charts below the fold are drawn when they are scrolled to; as tall as the page, there is no fold.
    height = int(page.evaluate(HEIGHT))
    page.set_viewport_size({"width": WIDTH, "height": height})
    page.wait_for_function(READY.replace("{n}", str(charts)))
    if chosen.pictures:
        page.wait_for_function(STILL, polling=700)
        chosen.pictures.mkdir(parents=True, exist_ok=True)
        page.screenshot(path=str(chosen.pictures / f"{slug}.png"))
    return page.evaluate(CHARTS)


if __name__ == "__main__":
    main()

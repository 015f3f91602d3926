"""The documentation as a folder of static pages: dbt's lineage, the glossary, a model card per use case.

No page needs a server or a network: open `index.html` from the disk.
"""

import html
import json
import re
import shutil
from pathlib import Path

from markdown_it import MarkdownIt

from ml import registry
from ml.core import settings
from ml.core.errors import InsighteraError
from ml.features.store import AUDIT

DBT_PAGE = "static_index.html"  # what `dbt docs generate --static` writes
MANIFEST = "{manifest:"  # what the page has before its copy of the manifest
CARD, PICTURES = (
    "model_card.md",
    {
        "roc.png": "ROC curve",
        "precision_recall.png": "Precision and recall",
        "calibration.png": "Calibration",
        "importances.png": "Importance of features",
    },
)
STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; color: #1c2430; max-width: 62rem; margin: 0 auto; padding: 0 1.5rem 4rem }
nav { border-bottom: 1px solid #d5dbe3; padding: 1rem 0; margin-bottom: 1.5rem; display: flex; gap: 1.2rem; flex-wrap: wrap }
nav a, a { color: #0b5cad; text-decoration: none } a:hover { text-decoration: underline }
table { border-collapse: collapse; display: block; overflow-x: auto; margin: 1rem 0 }
th, td { border: 1px solid #d5dbe3; padding: .3rem .6rem; text-align: left; vertical-align: top; overflow-wrap: anywhere }
th { background: #f2f5f9 } code, pre { background: #f2f5f9; border-radius: 3px; padding: .1em .3em; font-size: .92em }
pre { padding: .8rem; overflow-x: auto } .pictures { display: grid; grid-template-columns: repeat(auto-fit, minmax(24rem, 1fr)) }
figure { margin: 0 0 1rem } img { max-width: 100% } .none { background: #fff6df; padding: .8rem 1rem; border-left: 4px solid #e0a800 }
"""


def write(use_cases: list[str], dbt_target: Path, out: Path) -> list[Path]:
    """Write the site into the folder `out`, replacing it; the pages.

    `use_cases`: their names. `dbt_target`: dbt's target folder, which must hold the static page.
    A use case without a champion gets a page that says so. Raises InsighteraError without the page.
    """
    lineage = dbt_target / DBT_PAGE
    if not lineage.is_file():
        raise InsighteraError(
            f"{lineage} is missing. Run `make docs`: it has dbt write it (`dbt docs generate --static`)."
        )
    beside = out.with_name(f"{out.name}.new")
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir(parents=True)
    page_of_dbt = described(lineage.read_text(encoding="utf-8"))
    (beside / "lineage.html").write_text(page_of_dbt, encoding="utf-8")
    documents = sorted((settings.PROJECT / "docs").glob("*.md"))
    links = {"index.html": "Home", "lineage.html": "Models and lineage"}
    links |= {f"{name}.html": f"Model card: {name.replace('_', ' ')}" for name in use_cases}
    links |= {f"{page.stem}.html": _title(page) for page in documents}
    for page in documents:
        body = _html(page.read_text(encoding="utf-8"))
        (beside / f"{page.stem}.html").write_text(
            _page(_title(page), body, links), encoding="utf-8"
        )
    pictures = settings.PROJECT / "docs" / "img"
    if pictures.is_dir():
        shutil.copytree(pictures, beside / "img")
    for name in use_cases:
        body = _card(name, beside)
        (beside / f"{name}.html").write_text(_page(name, body, links), encoding="utf-8")
    (beside / "index.html").write_text(_page("INSIGHTERA", _home(links), links), encoding="utf-8")
    shutil.rmtree(out, ignore_errors=True)
    beside.replace(out)
    return sorted(out.glob("*.html"))


def described(page: str) -> str:
    """dbt's page, in which every feature table also has the columns that its YAML need not repeat.

    Raises InsighteraError where the page holds no manifest as dbt writes it.
    """
    before, marker, rest = page.partition(MANIFEST)
    try:
        manifest, length = json.JSONDecoder().raw_decode(rest)
        nodes = manifest["nodes"].values()
    except (ValueError, KeyError) as error:
        raise InsighteraError(
            f"{DBT_PAGE} has no manifest after `{MANIFEST}`. Run `make docs`: it has dbt write it anew."
        ) from error
    audit = {
        name: {"name": name, "data_type": column["type"].lower(), "meta": {}, "tags": []}
        | {"description": column["description"]}
        for name, column in AUDIT.items()
    }
    for node in nodes:
        if node.get("config", {}).get("materialized") == "feature_table":
            node["columns"] |= audit
    return before + marker + json.dumps(manifest) + rest[length:]


def use_cases() -> list[str]:
    """Names of the project's use cases, from the label models' files."""
    labels = settings.PROJECT / "models" / "labels"
    return sorted(path.stem.removeprefix("label_") for path in labels.glob("label_*.yml"))


def _card(name: str, folder: Path) -> str:
    """The champion's card with its pictures, which are written into `folder`."""
    champion = registry.champion_entry(name)
    if champion is None:
        return (
            f"<h1>{html.escape(name)}</h1><p class='none'>No champion yet in "
            f"{html.escape(str(settings.home()))}. A build trains one once enough labels have "
            "matured: <code>make build</code>, then <code>make docs</code> again.</p>"
        )
    card = registry.document(champion, CARD).decode()
    shown = []
    for file, words in PICTURES.items():
        target = f"{name}_{file}"
        (folder / target).write_bytes(registry.document(champion, file))
        shown.append(
            f"<figure><img src='{target}' alt='{words} of version {champion.version}'></figure>"
        )
    version = f"<p>Champion: version {html.escape(champion.version)}.</p>"
    curves = f"<h2 id='curves'>Curves</h2><div class='pictures'>{''.join(shown)}</div>"
    return version + _html(card) + curves


def _home(links: dict[str, str]) -> str:
    items = "".join(
        f"<li><a href='{page}'>{html.escape(words)}</a></li>"
        for page, words in links.items()
        if page != "index.html"
    )
    return (
        "<h1>INSIGHTERA</h1><p>From raw extracts to star schema, leak-proof features, registered "
        f"models, audited predictions and dashboards.</p><ul>{items}</ul>"
    )


def _html(text: str) -> str:
    """Markdown as HTML; links to pages of `docs/` lead to those of the site, other files are named."""
    rendered: str = MarkdownIt("commonmark").enable("table").render(text)
    rendered = re.sub(r'<a href="\.\./([^"]+)">(.*?)</a>', r"\2 (<code>\1</code>)", rendered)
    return re.sub(r'href="([\w-]+)\.md(#[\w-]+)?"', r'href="\1.html\2"', rendered)


def _title(page: Path) -> str:
    """The page's first heading."""
    found = re.search(r"^# (.+)$", page.read_text(encoding="utf-8"), re.M)
    return found.group(1) if found else page.stem


def _page(title: str, body: str, links: dict[str, str]) -> str:
    nav = "".join(f"<a href='{page}'>{html.escape(words)}</a>" for page, words in links.items())
    return (
        "<!doctype html><html lang='en'><meta charset='utf-8'>"
        "<meta name='viewport' content='width=device-width'>"
        f"<title>{html.escape(title)}</title><style>{STYLE}</style><nav>{nav}</nav>{body}</html>\n"
    )

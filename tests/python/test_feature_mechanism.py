"""What a feature table has without writing it: its audit columns, and the test of its versions."""

import shutil
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest
from conftest import PROJECT, UNTESTED, University, run_dbt

from ml.features.store import AUDIT

pytestmark = pytest.mark.slow

NAME = "features_mahasiswa_entrance"
SQL = """
select
    mahasiswa.nim,
    mahasiswa.jalur_masuk as entrance,
    {{{{ day_start(day_number('mahasiswa.valid_from') ~ ' + {days}') }}}} as valid_from,
    mahasiswa.valid_from as feature_timestamp,
    mahasiswa.loaded_at
from {{{{ ref('dim_mahasiswa') }}}} as mahasiswa
inner join {{{{ feature_scope() }}}} as scope on mahasiswa.nim = scope.nim
"""
YAML = """
models:
  - name: features_mahasiswa_entrance
    description: One row per student and version of the way in.
    config:
      meta:
        feature_table:
          entity_keys: [nim]
          inputs: [{fact: dim_mahasiswa, recorded_at: valid_from}]
    columns:
      - {name: nim, description: Student number., data_type: varchar}
      - {name: entrance, description: Way in., data_type: varchar}
"""
REPEATED = "      - {name: valid_to, description: Its end., data_type: timestamp}\n"

Build = Callable[..., CompletedProcess[str]]


@pytest.fixture(scope="module")
def here(small_raw: Path, tmp_path_factory: pytest.TempPathFactory) -> University:
    """What the new table reads, built."""
    folder = tmp_path_factory.mktemp("mechanism")
    home = University(folder / "home", small_raw, folder / "target")
    home.build("--select", "+dim_mahasiswa", *UNTESTED)
    return home


@pytest.fixture
def build(here: University, tmp_path: Path) -> Build:
    """Builds a new feature table in a copy of the project."""
    project = tmp_path / "project"
    project.mkdir()
    for path in PROJECT.iterdir():
        if not path.name.startswith(".") and path.name not in ("models", "target", "logs", "var"):
            (project / path.name).symlink_to(path)
    shutil.copytree(PROJECT / "models", project / "models")
    folder = project / "models" / "features" / "mahasiswa"

    def built(sql: str, yaml: str = YAML) -> CompletedProcess[str]:
        (folder / f"{NAME}.sql").write_text(sql)
        (folder / f"{NAME}.yml").write_text(yaml)
        return run_dbt(project, here.env(), "build", "--select", NAME)

    return built


def tables(here: University) -> list[tuple]:
    return here.query("select table_name from duckdb_tables() where schema_name = 'features'")


def test_a_feature_table_is_tested_although_its_yaml_names_no_test(
    build: Build, here: University
) -> None:
    """A row that counts on the day of its recording is seen, and the table is not there; counted from
    the day after, it is, with the audit columns behind its own."""
    refused = build(SQL.format(days=0))
    assert refused.returncode == 1, refused.stdout
    assert f"{NAME} is not whole" in refused.stdout
    assert "known before it was valid" in refused.stdout
    assert (NAME,) not in tables(here)

    made = build(SQL.format(days=1))
    assert made.returncode == 0, made.stdout
    described = here.query(f"describe features.{NAME}")
    assert [(name, kind) for name, kind, *_ in described] == [
        ("nim", "VARCHAR"),
        ("entrance", "VARCHAR"),
        *((name, column["type"]) for name, column in AUDIT.items()),
    ]


def test_a_yaml_that_repeats_an_audit_column_is_refused(build: Build) -> None:
    refused = build(SQL.format(days=1), YAML + REPEATED)
    assert refused.returncode == 1
    assert "Leave out of the YAML what every feature table has: valid_to" in refused.stdout

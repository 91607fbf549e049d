"""The dashboards of Grafana and the configuration of Prometheus, as files that either reads as they are.

They are in dashboards/ beside the sources of an editable installation, in this folder in a wheel. Grafana itself edits
them; a test holds every expression against the metrics that are declared in gauges.py.
"""

from pathlib import Path

from ovlab.files.whole_file import write_text
from ovlab.specs.errors import InputError

_PACKAGED = Path(__file__).parent / "dashboards"
_SOURCES = Path(__file__).resolve().parents[3] / "dashboards"


def dashboard_files() -> dict[str, str]:
    """The content of each, by its path in the folder dashboards/. Raises InputError where neither place has them."""
    for folder in (_PACKAGED, _SOURCES):
        if (folder / "prometheus.yml").is_file():
            paths = [folder / "prometheus.yml", *sorted(folder.glob("grafana/*.json"))]
            return {path.relative_to(folder).as_posix(): path.read_text() for path in paths}
    raise InputError(f"the dashboards are neither in {_PACKAGED} nor in {_SOURCES}; install logoseg again.")


def write_files(folder: Path) -> list[Path]:
    """Write them all below `folder`; returns their paths."""
    written = {folder / name: content for name, content in dashboard_files().items()}
    for path, content in written.items():
        write_text(path, content)
    return list(written)

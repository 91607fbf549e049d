from ovlab.benchmarks.start_speed import by_package, own_milliseconds

REPORT = """\
import time: self [us] | cumulative | imported package
import time:       250 |        250 |   numba.core
a warning of somebody | else
import time:      1500 |       1750 | numba
import time:       500 |        500 | ovlab
"""


def test_import_report_is_read_by_the_own_time_of_each_module() -> None:
    assert own_milliseconds(REPORT) == {"numba.core": 0.25, "numba": 1.5, "ovlab": 0.5}


def test_modules_are_added_to_their_package() -> None:
    assert by_package(own_milliseconds(REPORT)) == {"numba": 1.75, "ovlab": 0.5}

"""ovlab.specs.wording: one line, whatever there is to say, and one way to write a number."""

import pytest

from ovlab.specs.wording import clock, duration, first_names, gap_text, one_line, percent, points, shown, thousands


def test_one_line_joins_what_an_error_says() -> None:
    assert one_line(ValueError("first\n  second\t third ")) == "first second third"


def test_one_line_shows_no_password() -> None:
    assert one_line(OSError('no answer from "http://me:marker@host:1/a"')) == 'no answer from "http://host:1/a"'


def test_one_line_of_an_error_without_words_is_its_type() -> None:
    assert one_line(MemoryError()) == "MemoryError"


def test_first_names_says_how_many_more_there_are() -> None:
    assert first_names(["a", "b", "c"]) == "a, b, c"
    assert first_names(["a", "b", "c", "d"]) == "a, b, c and 1 more"
    assert first_names(["a", "b", "c", "d"], most=2) == "a, b and 2 more"


def test_first_names_of_nothing_is_none() -> None:
    assert first_names([]) == "none"


@pytest.mark.parametrize(
    ("seconds", "expected"), [(0.0, "0.0 s"), (59.9, "59.9 s"), (90.0, "1.5 min"), (3600.0, "1.00 h"), (9e4, "25.00 h")]
)
def test_duration_is_in_the_largest_unit_that_fits(seconds: float, expected: str) -> None:
    assert duration(seconds) == expected


@pytest.mark.parametrize(
    ("seconds", "expected"), [(0.4, "0:00:00"), (59.6, "0:01:00"), (3599.0, "0:59:59"), (90061.0, "25:01:01")]
)
def test_clock_counts_whole_seconds_and_never_days(seconds: float, expected: str) -> None:
    assert clock(seconds) == expected


def test_percent_begins_from_a_fraction() -> None:
    assert percent(0.12345) == "12.3"
    assert percent(0.12345, 2) == "12.35"
    assert percent(1.0) == "100.0"
    assert (percent(None), percent(None, nothing="—")) == ("-", "—")


def test_points_carry_their_sign() -> None:
    assert (points(0.0123), points(-0.0123, 2), points(0.0)) == ("+1.2", "-1.23", "+0.0")


def test_gap_is_told_in_points_where_all_its_parts_are_known() -> None:
    scores = {"miou": 0.5, "hallucination_gap": -0.012, "confusion_gap": 0.3, "boundary_gap": 0.212}

    assert gap_text(scores) == "of the gap of 50.0 points, hallucination -1.2, confusion 30.0, boundaries 21.2"
    assert gap_text({**scores, "boundary_gap": None}) == gap_text({"miou": 0.5}) == ""


def test_thousands_are_parted_by_commas() -> None:
    assert (thousands(999), thousands(1234567)) == ("999", "1,234,567")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("http://me:secret@host:5000/path", "http://host:5000/path"),
        (
            "failed at https://token@host and postgresql+psycopg2://a:b@c/d",
            "failed at https://host and postgresql+psycopg2://c/d",
        ),
        ("sqlite:////a@b/mlflow.db", "sqlite:////a@b/mlflow.db"),
        ("http://me:p%40ss@host", "http://host"),
    ],
)
def test_addresses_are_shown_without_names_and_passwords(text: str, expected: str) -> None:
    assert shown(text) == expected


@pytest.mark.parametrize("user", ["bob:marker", "bob:mar/ker", "bob:mar ker", "bob:mar@ker", "bob"])
def test_shown_address_has_no_user_whatever_the_password_holds(user: str) -> None:
    found = shown(f"http://{user}@127.0.0.1:9/mlflow?token=marker does not answer")

    assert found == "http://127.0.0.1:9/mlflow does not answer"

"""ovlab.report.marks: who is best, who is second, and who does not compete."""

from ovlab.report.marks import comparable, marks_among


def never(first: str, second: str) -> bool:
    return False


def test_best_and_second_of_four() -> None:
    assert marks_among({"a": 1.0, "b": 4.0, "c": 3.0, "d": 2.0}, never) == {"b": "best", "c": "second"}


def test_ties_share_the_mark_and_second_comes_after_them() -> None:
    def is_near(first: str, second: str) -> bool:
        return {first, second} <= {"a", "b"} or {first, second} <= {"c", "d"}

    marks = marks_among({"d": 1.0, "a": 4.0, "c": 2.0, "b": 3.9, "e": 0.0}, is_near)

    assert marks == {"a": "best", "b": "best", "c": "second", "d": "second"}


def test_tie_is_with_the_leader_and_not_with_whoever_ties_with_the_leader() -> None:
    def is_next(first: str, second: str) -> bool:
        return abs(ord(first) - ord(second)) == 1

    assert marks_among({"a": 4.0, "b": 3.0, "c": 2.0, "d": 1.0}, is_next) == {
        "a": "best",
        "b": "best",
        "c": "second",
        "d": "second",
    }


def test_two_cells_have_a_best_and_no_second() -> None:
    assert marks_among({"a": 1.0, "b": 2.0}, never) == {"b": "best"}


def test_one_cell_has_no_mark() -> None:
    assert marks_among({"a": 1.0}, never) == {}
    assert marks_among({}, never) == {}


def test_cells_with_a_remark_do_not_compete_with_others() -> None:
    legacy = frozenset({"another denominator"})

    assert comparable({"a": frozenset(), "b": legacy, "c": frozenset()}) == ["a", "c"]
    assert comparable({"a": legacy, "b": legacy}) == ["a", "b"]
    assert comparable({"a": legacy, "b": frozenset({"grey"})}) == []
    assert comparable({}) == []

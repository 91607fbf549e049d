"""ovlab.specs.wording: one line, whatever there is to say."""

from ovlab.specs.wording import first_names, one_line


def test_one_line_joins_what_an_error_says() -> None:
    assert one_line(ValueError("first\n  second\t third ")) == "first second third"


def test_one_line_of_an_error_without_words_is_its_type() -> None:
    assert one_line(MemoryError()) == "MemoryError"


def test_first_names_says_how_many_more_there_are() -> None:
    assert first_names(["a", "b", "c"]) == "a, b, c"
    assert first_names(["a", "b", "c", "d"]) == "a, b, c and 1 more"
    assert first_names(["a", "b", "c", "d"], most=2) == "a, b and 2 more"


def test_first_names_of_nothing_is_none() -> None:
    assert first_names([]) == "none"

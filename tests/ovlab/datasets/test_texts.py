"""Names as the tokenizer of CLIP reads them."""

from itertools import combinations

import open_clip

from ovlab.datasets.texts import alike, of_shared_texts, pieces
from ovlab.datasets.vocabulary import VOCABULARIES, load_vocabulary, synonyms

FORMS = (
    *("tree", "Tree", " tree ", "TREE", "trees", "t ree"),
    *("road sign", "road  sign", "Road\tSign", "road\u00a0sign", "road&nbsp;sign", "road-sign", "roadsign"),
    *("rock & soil", "rock &amp; soil", "rock &amp;amp; soil", "rock and soil"),
    *("50 % shadow", "50% shadow", "5 0 % shadow", "50 shadow"),
    *("café", "cafe\u0301", "cafÃ©", "cafe", "CAFÉ"),
    *("man's", "man 's", "man\u2019s", "mans"),
    *("ﬁsh", "fish", "ｆｉｓｈ", "天空", "天 空"),
    *("&nbsp;", "\u3000", "<end_of_text>", "<END_OF_TEXT>", "end_of_text"),
)


def test_pieces_are_equal_exactly_where_the_tokens_of_open_clip_are() -> None:
    encode = open_clip.SimpleTokenizer().encode
    entries = [entry for vocabulary in VOCABULARIES for entry in load_vocabulary(vocabulary).entries]
    named = {name for entry in entries for name in synonyms(entry)}
    tokens = {text: encode(text) for text in FORMS}

    for one, other in combinations(FORMS, 2):
        assert (pieces(one) == pieces(other)) == (tokens[one] == tokens[other]), (one, other)
    assert len({pieces(name) for name in named}) == len({tuple(encode(name)) for name in named})


def test_alike_names_the_first_two_texts_that_are_one() -> None:
    assert alike(["sky", "tree", "road", "Tree", "SKY"]) == ("tree", "Tree")
    assert alike(["sky", "tree"]) is None


def test_first_names_of_a_847_that_are_shared() -> None:
    """CAT-Seg asks for the first synonym alone: nine names stand for nineteen classes."""
    first = [synonyms(entry)[0] for entry in load_vocabulary("a-847").entries]

    shared = of_shared_texts(first)

    assert len(shared) == 19
    assert sorted(set(shared)) == (
        ["bag", "basket", "control panel", "grill", "patio", "pier", "pipe", "pot", "screen"]
    )
    assert of_shared_texts(load_vocabulary("a-150").entries) == ()

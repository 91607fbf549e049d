"""Prompt templates, as data. `{}` stands for the class name."""


def is_template(text: str) -> bool:
    """Whether it has one place for the class name, and no other braces that mean something."""
    try:
        text.format("")
    except (AttributeError, LookupError, ValueError):
        return False
    return "{}" in text


# Section 3.2 of the paper.
PAPER = ("A photo of a {} in the scene",)

# The fourteen of ViLD, over which SAN, EBSeg and FC-CLIP average.
VILD = (
    "a photo of a {}.",
    "This is a photo of a {}",
    "There is a {} in the scene",
    "There is the {} in the scene",
    "a photo of a {} in the scene",
    "a photo of a small {}.",
    "a photo of a medium {}.",
    "a photo of a large {}.",
    "This is a photo of a small {}.",
    "This is a photo of a medium {}.",
    "This is a photo of a large {}.",
    "There is a small {} in the scene.",
    "There is a medium {} in the scene.",
    "There is a large {} in the scene.",
)

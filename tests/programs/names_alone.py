"""What a data set of a test says of itself, where it is asked for no more than its class names and samples."""

from ovlab.datasets.label_space import LabelSpace, plain_labels


class NamesAlone:
    class_names: tuple[str, ...]
    seen = None
    shapes = None
    digest = "d" * 64

    def label_pixels(self) -> None:
        return None

    def label_space(self, synonyms: str) -> LabelSpace:
        return plain_labels(self.class_names)

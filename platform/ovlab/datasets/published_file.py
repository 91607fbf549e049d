"""A file of a data set that anyone may fetch, and what was published of it."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, kw_only=True, slots=True)
class PublishedFile:
    """licence: whose terms hold for it, in words. num_bytes, checksum ("sha256:..." or "md5:..."): None where none is
    published. into: the folder, below that of the data set, in which it is unpacked, or lies. split: the only one that
    needs it. remark: what it may be mistaken for."""

    url: str
    licence: str
    num_bytes: int | None = None
    checksum: str | None = None
    into: str = ""
    split: Literal["train", "val"] | None = None
    remark: str = ""

    @property
    def name(self) -> str:
        return self.url.rpartition("/")[2]

    @property
    def is_archive(self) -> bool:
        return self.name.endswith((".zip", ".tar"))

    def __str__(self) -> str:
        """The step by hand, as `ovlab data list` prints it."""
        size = "" if self.num_bytes is None else f" ({self.num_bytes / 1e6:,.0f} MB)"
        remark = f" ({self.remark})" if self.remark else ""
        where = f"DIR/{self.into}".rstrip("/")
        return f"{'Unpack' if self.is_archive else 'Put'} {self.url}{size}{remark} into {where}."

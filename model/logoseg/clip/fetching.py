"""Released weights by name: a tag of open_clip, or a repository of the Hugging Face hub in open_clip's layout."""

from functools import cache
from http.client import HTTPException
from pathlib import Path

import open_clip

from logoseg.clip.pretrained_tag import tags
from logoseg.model_error import ModelError
from logoseg.weights_file import first_line

HUB = "hf-hub:"


@cache
def fetched(model: str, name: str) -> Path:
    """The file of `name`, a tag of open_clip's `model` or "hf-hub:OWNER/NAME", from open_clip's cache or its address.

    From the address itself where there is one, not from a copy at the hub: only there do OpenAI's files keep the sha256
    by which they are known. Raises ModelError for a tag that the model has not, and for what cannot be fetched.
    """
    if name.startswith(HUB):
        source = {"hf_hub": f"{name.removeprefix(HUB)}/"}
    else:
        source = open_clip.get_pretrained_cfg(model, name)
    if not source:
        raise ModelError(f"{name}: no such file, and no tag of {model}, of which open_clip has {tags(model)}.")
    try:
        return Path(open_clip.download_pretrained(source, prefer_hf_hub=False))
    except (OSError, HTTPException, RuntimeError, ValueError) as error:
        raise ModelError(f"{name}: not fetched ({first_line(error)}). {_remedy(source)}") from None


def _remedy(source: dict[str, str]) -> str:
    if source.get("url"):
        return f"Download {source['url']} elsewhere, and give the file or put it into ~/.cache/clip."
    return f"Download {source['hf_hub'].rstrip('/')} of the Hugging Face hub elsewhere, and give the file."

"""The small CLIPs that come with the package; clip_weights/README.md is their model card. No torch here."""

from pathlib import Path

from logoseg.config import ClipConfig

CLIP_WEIGHTS = Path(__file__).parent / "clip_weights"


def shipped_clip(config: ClipConfig) -> Path | None:
    """The file of weights in open_clip's format that comes with the package for `config.name`, if there is one."""
    path = CLIP_WEIGHTS / f"{config.name}.safetensors"
    return path if path.is_file() else None

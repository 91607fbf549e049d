"""What there is of a prepared split."""

from typing import TYPE_CHECKING, Any

from ovlab.specs.wording import thousands

if TYPE_CHECKING:
    from ovlab.datasets.manifest import Manifest


def facts(uri: str, manifest: "Manifest") -> dict[str, Any]:
    """What a manifest says of the split at `uri`, for JSON."""
    return {
        "uri": uri,
        "name": manifest.identity.name,
        "split": manifest.identity.split,
        "num_samples": manifest.num_samples,
        "num_expected_samples": manifest.identity.num_expected_samples,
        "num_bad_samples": manifest.num_bad_samples,
        "num_classes": len(manifest.identity.class_names),
        "num_shards": len(manifest.shards),
        "num_bytes": sum(shard.num_bytes for shard in manifest.shards),
        "content_digest": manifest.content_digest,
    }


def amount(of: dict[str, Any]) -> str:
    """The sizes among the facts, in one line."""
    counts = f"{thousands(of['num_samples'])} of {thousands(of['num_expected_samples'])} samples"
    bad = f", {thousands(of['num_bad_samples'])} bad ones listed in bad.jsonl" if of["num_bad_samples"] else ""
    return f"{counts}{bad}, {thousands(of['num_shards'])} shards, {of['num_bytes'] / 2**20:,.1f} MiB"

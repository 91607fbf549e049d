"""The tags of a tracked run, by the names under which the tracking server shows and finds them."""

from collections.abc import Mapping

from ovlab.tracking.provenance import Provenance

RUN = "ovlab.run"
PARENT = "ovlab.parent"
CHILDREN = "ovlab.children"
ATTEMPT = "ovlab.attempt"
HEARTBEAT = "ovlab.heartbeat"
REASON = "ovlab.reason"
REAPED = "ovlab.reaped"
PARAMS_CONFLICT = "ovlab.params_conflict"
# Of Provenance.tags.
COMMIT = "ovlab.commit"
COMMAND = "ovlab.command"


def run_tags(
    *,
    kind: str,
    fingerprint: str,
    provenance: Provenance,
    data_digests: Mapping[str, str] | None = None,
    protocols: Mapping[str, str] | None = None,
) -> dict[str, str]:
    """What every run says of itself. `kind` is "table" or "training"; `data_digests` and `protocols`, the protocol
    hashes of its evaluations, are by the name of the data set."""
    return {
        "ovlab.kind": kind,
        "ovlab.fingerprint": fingerprint,
        **provenance.tags(),
        **{f"ovlab.data.{name}": digest for name, digest in (data_digests or {}).items()},
        **{f"ovlab.protocol.{name}": digest for name, digest in (protocols or {}).items()},
    }

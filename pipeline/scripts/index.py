"""An index of images, with annotations."""

import hashlib
import json
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path

from pipeline.scripts.registry import TAG_EXISTS, config, crane

IMAGE = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"


def push_index(reference: str, digests: Iterable[str], annotations: Mapping[str, str]) -> str:
    """Join images of a repository in an index, and push it under a tag, unless the tag exists and is immutable.

    Returns the digest of the index.

    `crane index append` cannot annotate an index, so it is made as an OCI layout. crane pushes of that only the index:
    it asks for each image first, and the registry has it.
    Source: https://github.com/opencontainers/image-spec/blob/main/image-layout.md
    """
    repository = reference.rpartition(":")[0]
    with tempfile.TemporaryDirectory() as folder:
        layout = Path(folder)
        blobs = layout / "blobs" / "sha256"
        blobs.mkdir(parents=True)
        children = []
        for digest in digests:
            image = f"{repository}@{digest}"
            manifest = crane("manifest", image, exact=True).encode()
            (blobs / digest.rpartition(":")[2]).write_bytes(manifest)
            platform = {key: value for key, value in config(image).items() if key in ("architecture", "os", "variant")}
            media_type = json.loads(manifest).get("mediaType", IMAGE)
            child = {"mediaType": media_type, "digest": digest, "size": len(manifest), "platform": platform}
            children.append(child)
        index = {"schemaVersion": 2, "mediaType": INDEX, "manifests": children, "annotations": dict(annotations)}
        content = json.dumps(index).encode()
        (layout / "index.json").write_bytes(content)
        (layout / "oci-layout").write_text(json.dumps({"imageLayoutVersion": "1.0.0"}))
        crane("push", folder, reference, "--index", unless=TAG_EXISTS)
    return f"sha256:{hashlib.sha256(content).hexdigest()}"

"""Image manifests to push, without layers behind them."""

import hashlib
import json

IMAGE = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"


def image(size: int = 100) -> str:
    """A manifest; another size makes another image."""
    config = {"digest": f"sha256:{'0' * 64}", "size": 10}
    layers = [{"digest": f"sha256:{size:064}", "size": size}]
    return json.dumps({"schemaVersion": 2, "mediaType": IMAGE, "config": config, "layers": layers})


def index(*manifests: str) -> str:
    children = [{"digest": digest(manifest), "size": len(manifest)} for manifest in manifests]
    return json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": children})


def digest(manifest: str) -> str:
    return f"sha256:{hashlib.sha256(manifest.encode()).hexdigest()}"

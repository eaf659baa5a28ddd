"""`swath doctor`: what this machine and this installation can do."""

from __future__ import annotations

import os
import platform
import shutil
from importlib import metadata, util
from typing import Any

from swath import __version__

#: A module of each extra of pyproject.toml that tells whether it is installed.
_EXTRAS = {
    "torch": "torch",
    "parquet": "pyarrow",
    "zonal": "exactextract",
    "remote": "pystac_client",
    "dask": "distributed",
    "methane": "h5py",
    "sky": "astropy",
    "studio": "fastapi",
    "transformers": "transformers",
    "clip": "open_clip",
    "instances": "pycocotools",
    "netcdf": "h5netcdf",
    "causal": "econml",
}


def diagnose() -> dict[str, Any]:
    """Facts by name, as plain values."""
    import rasterio

    facts: dict[str, Any] = {
        "swath": __version__,
        "python": platform.python_version(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "free disk here": f"{shutil.disk_usage('.').free / 1e9:.1f} GB",
        "GDAL": rasterio.__gdal_version__,
    }
    for extra, module in _EXTRAS.items():
        found = util.find_spec(module) is not None
        facts[f"extra {extra}"] = "installed" if found else f"missing: pip install 'swath[{extra}]'"
    if util.find_spec("torch") is None:
        return facts
    import torch

    facts["torch"] = torch.__version__
    facts["torch threads"] = torch.get_num_threads()
    facts["bf16 in hardware"] = (
        bool(torch.cpu._is_avx512_bf16_supported()) if hasattr(torch.cpu, "_is_avx512_bf16_supported") else False
    )
    facts["GPUs"] = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())] or "none"
    try:
        import torchvision.ops

        torchvision.ops.nms(torch.zeros(1, 4), torch.zeros(1), 0.5)
        facts["torchvision"] = metadata.version("torchvision")
    except (ImportError, RuntimeError) as error:
        facts["torchvision"] = f"does not work with this torch: {error}"
    return facts

"""Swath: published systems for satellite imagery on common foundations."""

import lazy_loader as _lazy

__version__ = "0.1.0"

__getattr__, __dir__, __all__ = _lazy.attach(
    __name__,
    submod_attrs={"registry": ["create", "card", "names"], "api": ["load", "load_data", "open"]},
)

"""Truths of a world as files."""

from __future__ import annotations

from collections.abc import Callable

TRUTHS: dict[str, Callable[..., object]] = {}

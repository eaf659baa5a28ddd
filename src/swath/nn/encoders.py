"""Networks of timm by name, with one error where there is none of that name, or it does not suit."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from swath.errors import ConfigError


@contextmanager
def timm_network(name: str, use: str, fix: str | None = None) -> Iterator[None]:
    """Within, a network of timm is made for some use.

    Args:
        name: Its name in timm.
        use: What for, for the message: `a U-Net`.
        fix: Advice where it does not suit.

    Raises:
        ConfigError: If timm has no such network, or timm, smp or torch refuse what is made of it.
    """
    import timm

    if not timm.is_model(name):
        close = ", ".join(timm.list_models(f"*{name.split('.')[0].rstrip('0123456789')}*")[:8])
        fix = f"Perhaps one of: {close}" if close else "See `timm.list_models()`"
        raise ConfigError("timm has no such encoder", got=name, fix=fix)
    try:
        yield
    except ConfigError:
        raise
    except (TypeError, ValueError, NotImplementedError, RuntimeError, AssertionError, AttributeError) as error:
        raise ConfigError(f"The encoder {name} does not suit {use}", got=error, fix=fix) from error

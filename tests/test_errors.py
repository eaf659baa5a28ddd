import pytest

from swath import errors
from swath.errors import SwathError


def test_message_names_both_sides_and_the_cure() -> None:
    error = errors.BandError(
        "Band B04 of a.tif is in another unit", got="dn", expected="reflectance", fix="Give `unit:`"
    )
    assert str(error) == "Band B04 of a.tif is in another unit: got dn; expected reflectance. Give `unit:`."


def test_message_without_particulars_is_a_sentence() -> None:
    assert str(SwathError("There is no run")) == "There is no run."


@pytest.mark.parametrize(
    ("kind", "builtin"),
    [
        (errors.InputError, ValueError),
        (errors.ReadError, OSError),
        (errors.WriteError, OSError),
        (errors.UnknownNameError, LookupError),
        (errors.RunError, RuntimeError),
    ],
)
def test_each_error_is_also_a_builtin(kind: type[Exception], builtin: type[Exception]) -> None:
    assert issubclass(kind, SwathError)
    assert issubclass(kind, builtin)


def test_missing_extra_says_how_to_install() -> None:
    error = errors.MissingExtraError("exactextract", "zonal")
    assert isinstance(error, ImportError)
    assert "pip install 'swath[zonal]'" in str(error)

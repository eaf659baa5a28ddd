"""OAM-TCD with outlines of crowns and groups; see `swath.data.readers.oam_tcd`."""

from swath.data.readers.oam_tcd import read_oam_tcd_instances

__all__ = ["read_oam_tcd_instances"]

"""Pictures of the sky: mosaics, detection, photometry and catalogues of sources in many bands.

Convention: arrays are `[row, col]`, rows run north; `x` is a column and `y` a row, `(0, 0)` is the middle of the first
pixel. Fluxes are in microjansky, magnitudes AB: m = 23.9 - 2.5 log10(flux). A point spread is an odd stamp whose sum is
one and whose middle lies on the middle pixel.
"""

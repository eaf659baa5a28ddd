"""Causal effects with images: units, chips, propensities, estimators, heterogeneity, ranking and transport."""

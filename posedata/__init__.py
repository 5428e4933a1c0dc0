"""Shared vocabulary: skeletons, cameras, the pose store, importers, metrics, synthetic people, figures.

Imports no other room. Nothing is re-exported here: import from the module that is named by the concept.
"""

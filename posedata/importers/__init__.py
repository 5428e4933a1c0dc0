"""Readers of data sets as they are downloaded, each into a pose store."""

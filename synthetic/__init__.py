"""People made by the package: their motions (`acting`) and images of them (`rendering`)."""

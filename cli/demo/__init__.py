"""`evolift demo`: what each part of the package gains, on real poses, in minutes and on one page.

`command` runs the parts, `plan` says how much each does, `report` writes the page; each other module is one part.
"""

"""Joint-angle limits: from the literature, fitted, and published; and reports on how poses keep them."""

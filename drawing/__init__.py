"""Figures and pages: skeletons on pictures, stick figures, charts, pages that work offline."""

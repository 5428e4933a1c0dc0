"""Figures and pages: skeletons on images, stick figures, charts, pages that work offline."""

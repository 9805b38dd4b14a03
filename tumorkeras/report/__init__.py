"""The report: one self-contained HTML file that shows a whole job."""

from tumorkeras.report.page import write_report

__all__ = ["write_report"]

"""The report: one self-contained HTML file that shows a whole job."""

from tumorkeras.report.content import Content
from tumorkeras.report.page import write_report

__all__ = ["Content", "write_report"]

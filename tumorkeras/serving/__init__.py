"""SavedModels that TF Serving loads as they are: written, checked by themselves, published whole."""

from tumorkeras.serving.export import export
from tumorkeras.serving.verify import ExportReport, verify_export

__all__ = ["ExportReport", "export", "verify_export"]

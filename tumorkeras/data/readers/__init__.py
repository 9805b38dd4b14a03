"""Files to arrays with their meaning: images, volumes and videos, their spacing, and what they say of themselves."""

from tumorkeras.data.readers.formats import Reading
from tumorkeras.data.readers.registry import format_of, is_readable, read

__all__ = ["Reading", "format_of", "is_readable", "read"]

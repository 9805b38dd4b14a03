"""SavedModels that TF Serving loads as they are: written, checked by themselves, published whole; and asked there.

Import from the modules: :mod:`~tumorkeras.serving.client` starts no TensorFlow, the others do.
"""

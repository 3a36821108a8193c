"""Models of other formats become model folders: `cllm import`."""

from cllm.convert.gguf_import import Imported, import_gguf

__all__ = ["Imported", "import_gguf"]

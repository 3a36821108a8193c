"""Texts of many kinds become a data set, a folder of tokens to train on, as by `cllm prepare`::

    from cllm.prepare import prepare

    prepare(["books", "notes.jsonl.gz"], "dataset", tokenizer="bpe:8192")

`cllm.token_files` reads it.
"""

from cllm.prepare.work import prepare

__all__ = ["prepare"]

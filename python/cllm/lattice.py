"""The lattice of tokens, as arrays: rings, symmetry groups, kissing neighbours.

Token t = r V + g sits on ring r, in symmetry group g; V is the symmetry, 12 unless it is given. It
has one kissing neighbour in each of V directions: the first is radial, the same group of the ring
before (of ring 1 for ring 0); the others are its ring mates, going round. A mate past the end of
the vocabulary is taken from the ring before. With `lattice` a run trains E and w, and its model has
the embedding E' that effective_embedding() makes of them::

    import cllm.lattice

    tensors = trainer.parameters()
    E, w = tensors["transformer.wte.weight"], tensors["lattice.w"]
    assert numpy.allclose(cllm.lattice.effective_embedding(E, w),
                          saved["transformer.wte.weight"], atol=1e-6)
"""

from typing import Any

import numpy
from numpy.typing import ArrayLike, NDArray

from cllm import _cllm
from cllm._cllm import InputError, ModelConfig

__all__ = ["effective_embedding", "groups", "neighbours", "neighbours_of", "rings"]

SYMMETRY = ModelConfig().symmetry  # unless another is given


def _tokens(vocab: int, symmetry: int) -> NDArray[numpy.int32]:
    for name, value in (("vocab", vocab), ("symmetry", symmetry)):
        if value < 1:
            raise InputError(f"{name}: too small: got {value}, expected at least 1")
    return numpy.arange(vocab, dtype=numpy.int32)


def groups(vocab: int, symmetry: int = SYMMETRY) -> NDArray[numpy.int32]:
    """The symmetry group of every token: its place on its ring."""
    return _tokens(vocab, symmetry) % symmetry


def rings(vocab: int, symmetry: int = SYMMETRY) -> NDArray[numpy.int32]:
    """The ring of every token."""
    return _tokens(vocab, symmetry) // symmetry


def neighbours(vocab: int, symmetry: int = SYMMETRY) -> NDArray[numpy.int32]:
    """The kissing neighbours of every token: [vocab, symmetry], by direction."""
    return _cllm.kissing_neighbours(vocab, symmetry)


def neighbours_of(token: int, vocab: int, symmetry: int = SYMMETRY) -> NDArray[numpy.int32]:
    """Those of one token: [symmetry], by direction."""
    return _cllm.kissing_neighbours_of(token, vocab, symmetry)


def _real(name: str, values: ArrayLike) -> NDArray[Any]:
    """An array of floating-point numbers, into which parts of numbers can be added."""
    array = numpy.asarray(values)
    if array.dtype.kind in "biu":
        return array.astype(numpy.float32)
    if array.dtype.kind != "f":
        raise InputError(f"{name}: not an array of numbers: got {array.dtype}, expected float32 or "
                         "another real type")
    return array


def effective_embedding(embedding: ArrayLike, w: ArrayLike) -> NDArray[Any]:
    """E'[t] = E[t] + the sum over directions d of w[d] E[n_d(t)].

    Args:
        embedding: E, a row for each token; whole numbers are taken as float32.
        w: A coefficient for each direction; their number is the symmetry.
    """
    rows, factors = _real("embedding", embedding), _real("w", w)
    if rows.ndim != 2 or factors.ndim != 1:
        raise InputError(f"embedding, w: got shapes {list(rows.shape)} and {list(factors.shape)}, "
                         "expected [vocab, dim] and [symmetry]")
    folded = rows.copy()
    for direction, others in enumerate(neighbours(len(rows), len(factors)).T):
        folded += factors[direction] * rows[others]
    return folded

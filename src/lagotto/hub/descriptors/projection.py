"""Descriptors come in; the direction of each logit in the encoder's space goes out.

A descriptor says how a logit answers the probes, and the encoder says where the probes are. Ridge
regression of the one on the other gives a direction a logit. The logit responds to concepts that
lie in this direction, as measured on *all* probes, also on those that show a concept only in part.
It needs no label and no training.
"""

import numpy as np
from jaxtyping import Float, Float32

RIDGE = 5.0
"""Ridge penalty, in mean variances of the probe embeddings along an axis.

Blocks hold what was made with it: another value needs another block version."""


def projector(probes: Float32[np.ndarray, "probes dim"]) -> Float32[np.ndarray, "dim probes"]:
    """The matrix that takes a descriptor to its direction: (C + RIDGE v I)^-1 Xc^T / probes.

    Xc are the centred unit embeddings of the probes, C is their covariance, v its mean diagonal.
    """
    centred = probes.astype(np.float64) - probes.mean(axis=0, dtype=np.float64)
    covariance = centred.T @ centred / len(centred)
    size = len(covariance)
    penalty = RIDGE * max(float(np.trace(covariance)) / size, 1e-12)
    solved = np.linalg.solve(covariance + penalty * np.eye(size), centred.T / len(centred))
    return solved.astype(np.float32)


def project(
    matrix: Float32[np.ndarray, "dim probes"], descriptors: Float[np.ndarray, "probes logits"]
) -> Float32[np.ndarray, "logits dim"]:
    """The direction of each logit in the encoder's space."""
    return np.ascontiguousarray((matrix @ descriptors.astype(np.float32)).T)

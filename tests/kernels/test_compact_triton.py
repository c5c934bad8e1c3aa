"""The Triton kernels, in Triton's interpreter: the numbers of the dense product."""

import os
import subprocess
import sys
from importlib.util import find_spec

import pytest

CODE = """
import torch
from kanzoo.kernels import compact, compact_triton

for rows, size, inputs, more, out in [(5, 4, 3, 6, 130), (7, 1, 2, 0, 8), (3, 6, 4, 2, 128)]:
    generator = torch.Generator().manual_seed(rows)
    first = torch.randint(0, more + 1, (rows, inputs), generator=generator)
    values = torch.randn(rows, size, inputs, generator=generator, requires_grad=True)
    coeff = torch.randn(inputs, size + more, out, generator=generator, requires_grad=True)
    gradient = torch.randn(rows, out, generator=generator)
    y = compact.dense(first, values, coeff)
    torch.testing.assert_close(compact_triton.forward(first, values.detach(), coeff.detach()), y.detach())
    found = compact_triton.backward(first, values.detach(), coeff.detach(), gradient)
    for mine, other in zip(found, torch.autograd.grad(y, (values, coeff), gradient)):
        torch.testing.assert_close(mine, other, rtol=1e-4, atol=1e-4)
    wild = first.clone()
    wild[0] = 10**9
    torch.testing.assert_close(
        compact_triton.forward(wild, values.detach(), coeff.detach()), compact.dense(wild.clamp(0, more), values, coeff).detach()
    )
assert compact_triton.forward(first[:0], values[:0].detach(), coeff.detach()).shape == (0, out)
print("equal")
"""


@pytest.mark.slow
@pytest.mark.skipif(find_spec("triton") is None, reason="needs Triton")
def test_equals_the_dense_product_in_the_interpreter() -> None:
    done = subprocess.run(
        [sys.executable, "-c", CODE], env=os.environ | {"TRITON_INTERPRET": "1"}, capture_output=True, text=True, check=False
    )
    assert done.stdout.strip() == "equal", done.stderr[-2000:]

import pytest
import torch
from torch import nn

from kanzoo.layers import KANAttention, KANLinear, TransformerBlock
from kanzoo.layers.factory import KANLayers, PlainLayers
from kanzoo_bases.chebyshev import Chebyshev


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def normal(*shape, seed=1):
    return torch.randn(shape, generator=generator(seed), dtype=torch.float64)


def linear_layers():
    return PlainLayers(activation=nn.Identity, generator=generator())


def theirs(layer, features, heads):
    """Return torch's attention with the weights of a layer whose factory makes linear layers."""
    with torch.random.fork_rng(devices=[]):
        plain = nn.MultiheadAttention(features, heads, batch_first=True).double()
    with torch.no_grad():
        plain.in_proj_weight.copy_(layer.projection[1].weight)
        plain.in_proj_bias.copy_(layer.projection[1].bias)
        plain.out_proj.weight.copy_(layer.output[1].weight)
        plain.out_proj.bias.copy_(layer.output[1].bias)
    return plain


@pytest.mark.parametrize("heads", [1, 2, 4])
@pytest.mark.parametrize("causal", [False, True])
def test_equals_torch_when_the_factory_makes_linear_layers(heads, causal):
    layer, x = KANAttention(linear_layers(), 8, heads, causal=causal).double(), normal(3, 7, 8)
    mask = torch.ones(7, 7, dtype=torch.bool).triu(1) if causal else None
    expected, _ = theirs(layer, 8, heads)(x, x, x, attn_mask=mask)
    torch.testing.assert_close(layer(x), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("causal", [False, True])
def test_block_equals_torch_when_the_factory_makes_ordinary_layers(causal):
    block = TransformerBlock(PlainLayers(generator=generator()), 8, 2, hidden_features=12, causal=causal).double()
    with torch.random.fork_rng(devices=[]):
        plain = nn.TransformerEncoderLayer(8, 2, 12, 0.0, nn.functional.silu, batch_first=True, norm_first=True).double()
    with torch.no_grad():
        for norm, values in ((block.attention_norm, (1.5, 0.1)), (block.net_norm, (0.5, -0.2))):
            norm.weight.fill_(values[0])
            norm.bias.fill_(values[1])
    plain.self_attn = theirs(block.attention, 8, 2)
    plain.linear1, plain.linear2 = block.net[0], block.net[1][1]
    plain.norm1, plain.norm2 = block.attention_norm, block.net_norm
    x = normal(3, 7, 8)
    mask = torch.ones(7, 7, dtype=torch.bool).triu(1) if causal else None
    torch.testing.assert_close(block(x), plain(x, src_mask=mask), rtol=0, atol=1e-12)


@pytest.mark.parametrize("kind", [KANAttention, TransformerBlock])
def test_any_leading_dimensions(kind):
    layer, x = kind(KANLayers(Chebyshev, generator=generator()), 8, 2).double(), normal(3, 2, 7, 8)
    expected = torch.stack([torch.stack([layer(series) for series in part]) for part in x])
    torch.testing.assert_close(layer(x), expected)


@pytest.mark.parametrize("kind", [KANAttention, TransformerBlock])
def test_causal_elements_do_not_see_what_follows(kind):
    x, changed = normal(2, 6, 8), normal(2, 6, 8)
    changed[:, 4, 2] += 1
    for causal in (True, False):
        layer = kind(KANLayers(Chebyshev, generator=generator()), 8, 2, causal=causal).double()
        difference = (layer(changed) - layer(x)).abs().amax((0, 2))
        assert (difference[4:] > 1e-3).all()
        assert ((difference[:4] < 1e-12) if causal else (difference[:4] > 1e-6)).all()


@pytest.mark.parametrize("kind", [KANAttention, TransformerBlock])
def test_what_is_permuted_is_permuted(kind):
    layer, x, order = kind(KANLayers(Chebyshev, generator=generator()), 8, 2).double(), normal(2, 6, 8), [3, 1, 5, 0, 2, 4]
    torch.testing.assert_close(layer(x[:, order]), layer(x)[:, order])


def test_factories_of_a_block():
    layers = KANLayers(Chebyshev, generator=generator(), width=0.5)
    block = TransformerBlock(layers, 8, 2)
    assert [part.out_features for part in block.net] == [16, 8]
    assert all(isinstance(part, KANLinear) for part in block.net)
    assert not any(isinstance(part, KANLinear) for part in block.attention.modules())
    block = TransformerBlock(layers, 8, 2, projections=layers)
    assert isinstance(block.attention.projection, KANLinear)
    assert isinstance(block.attention.output, KANLinear)


@pytest.mark.parametrize(("features", "heads"), [(8, 3), (8, 0), (0, 1)])
def test_heads_are_checked(features, heads):
    with pytest.raises(ValueError, match=f"heads must be a divisor of features, got {heads} and {features}"):
        KANAttention(KANLayers(Chebyshev), features, heads)


def test_hidden_width_is_checked():
    with pytest.raises(ValueError, match="hidden_features must be >= 1, got 0"):
        TransformerBlock(KANLayers(Chebyshev), 8, 2, hidden_features=0)

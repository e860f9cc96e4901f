"""The native rasterizer against its torch twin, and at the edges."""

import pytest
import torch

from recon import _core, ops
from recon.errors import ReconError
from recon.ops import reference
from recon.ops.reference.rasterize import rasterize as twin
from tests.ops.rasterize_cases import (
    EVERYTHING,
    Case,
    assert_same_gradient,
    gradients,
    pictures,
    random_case,
    render,
)

SETTINGS = [
    {"outputs": ("color",)},
    {"outputs": ("color", "depth")},
    {"outputs": EVERYTHING},
    {"outputs": EVERYTHING, "antialiased": True},
    {"outputs": EVERYTHING, "absolute_gradients": True},
    {"outputs": ("color",), "sh_degree": 1},
]


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
@pytest.mark.parametrize("seed", [0, 1])
def test_values_and_gradients_equal_the_twin(settings, seed):
    case = random_case(seed=seed)
    images, got = gradients(ops.rasterize, case, **settings)
    expected_images, expected = gradients(twin, case.to(torch.float64), **settings)
    for name, image in images.items():
        # Normals and depths are quotients by weights down to 1/255.
        torch.testing.assert_close(image.double(), expected_images[name], atol=5e-5, rtol=0, msg=name)
    for name, gradient in got.items():
        assert_same_gradient(gradient, expected[name], name)


@pytest.mark.parametrize("sh_bases", [1, 4, 9, 16])
def test_every_degree_of_spherical_harmonics(sh_bases):
    case = random_case(seed=5, sh_bases=sh_bases)
    images, got = gradients(ops.rasterize, case)
    expected_images, expected = gradients(twin, case.to(torch.float64))
    torch.testing.assert_close(images["color"].double(), expected_images["color"], atol=1e-5, rtol=0)
    for name in ("sh", "means", "world_to_camera"):
        assert_same_gradient(got[name], expected[name], name)


def test_plain_colors_and_no_background():
    case = random_case(seed=2)
    for name in ("sh", "background", "features", "screen_offsets"):
        del case.tensors[name]
    # Plain colours are taken as they are, below 0 and above 1 too.
    case.tensors["colors"] = 2 * torch.rand(200, 3) - 0.5
    images, got = gradients(ops.rasterize, case)
    expected_images, expected = gradients(twin, case.to(torch.float64))
    torch.testing.assert_close(images["color"].double(), expected_images["color"], atol=1e-5, rtol=0)
    for name, gradient in got.items():
        assert_same_gradient(gradient, expected[name], name)


def test_radii_and_contributions_equal_the_twin():
    case = random_case(count=300, seed=4)
    got = render(ops.rasterize, case, outputs=("contribution",))
    expected = render(twin, case.to(torch.float64))
    torch.testing.assert_close(got.radii.double(), expected.radii, atol=1e-4, rtol=1e-5)
    torch.testing.assert_close(got.contribution.double(), expected.contribution, atol=1e-3, rtol=1e-4)
    torch.testing.assert_close(render(ops.rasterize, case).contribution, got.contribution)
    assert (got.radii == 0).any() and (got.radii > 0).any()


@pytest.mark.parametrize("width, height", [(1, 1), (3, 50), (16, 16), (17, 15), (64, 48)])
def test_any_picture_size(width, height):
    case = random_case(width=width, height=height, seed=6)
    images, got = gradients(ops.rasterize, case, outputs=EVERYTHING)
    expected_images, expected = gradients(twin, case.to(torch.float64), outputs=EVERYTHING)
    for name, image in images.items():
        torch.testing.assert_close(image.double(), expected_images[name], atol=5e-5, rtol=0, msg=name)
    for name in ("means", "scales", "opacities", "sh", "world_to_camera", "intrinsics"):
        assert_same_gradient(got[name], expected[name], name)


def test_many_layers_saturate_and_stop_like_the_twin():
    case = random_case(count=1500, width=24, height=20, seed=8)
    case.tensors["opacities"] = case.tensors["opacities"] * 0.5 + 0.5
    images, got = gradients(ops.rasterize, case, outputs=("color", "depth"))
    expected_images, expected = gradients(twin, case.to(torch.float64), outputs=("color", "depth"))
    assert images["alpha"].min() > 0.999  # every pixel met the stop rule
    torch.testing.assert_close(images["color"].double(), expected_images["color"], atol=2e-4, rtol=0)
    for name in ("means", "sh", "opacities"):
        # A pixel that stops one Gaussian earlier or later moves a weight of 1e-4.
        assert_same_gradient(got[name], expected[name], name, tolerance=2e-3)


def test_thread_count_does_not_change_a_bit():
    case = random_case(count=5000, width=150, height=110, seed=9)
    case.tensors["scales"] *= 0.3
    before = ops.device_info().threads
    results = []
    try:
        for threads in (1, 2, 3, 4):
            ops.set_threads(threads)
            results.append(gradients(ops.rasterize, case, outputs=EVERYTHING))
    finally:
        ops.set_threads(before)
    for images, grads in results[1:]:
        for name, image in images.items():
            assert torch.equal(image, results[0][0][name]), name
        for name, gradient in grads.items():
            assert torch.equal(gradient, results[0][1][name]), name


@pytest.mark.parametrize("name", ["baseline", "avx2", "avx512"])
def test_instruction_sets_agree(name, use_instruction_set):
    use_instruction_set(name)
    case = random_case(seed=10)
    images, got = gradients(ops.rasterize, case, outputs=EVERYTHING)
    expected_images, expected = gradients(twin, case.to(torch.float64), outputs=EVERYTHING)
    for key, image in images.items():
        torch.testing.assert_close(image.double(), expected_images[key], atol=5e-5, rtol=0, msg=key)
    for key, gradient in got.items():
        assert_same_gradient(gradient, expected[key], key)


def test_nothing_to_draw_gives_the_background_and_zero_gradients():
    empty = random_case(count=0)
    behind = random_case(count=20)
    behind.tensors["world_to_camera"] = torch.eye(4)
    behind.tensors["means"] = torch.rand(20, 3) - torch.tensor([0.5, 0.5, 3.0])
    transparent = random_case(count=20)
    transparent.tensors["opacities"] = torch.zeros(20)
    for case in (empty, behind, transparent):
        images, grads = gradients(ops.rasterize, case, outputs=EVERYTHING)
        assert torch.equal(images["color"], case.tensors["background"].expand(case.height, case.width, 3))
        for name in ("alpha", "depth", "median_depth", "normal", "features"):
            assert images[name].eq(0).all(), name
        for name, gradient in grads.items():
            assert gradient.eq(0).all() or name == "background", name
        assert render(ops.rasterize, case).radii.eq(0).all()


def test_huge_gaussians_cover_the_picture():
    case = random_case(count=3, width=70, height=50)
    case.tensors["means"] = torch.tensor([[0.0, 0, 1], [0.2, 0, 2], [0, 0.1, 3]])
    case.tensors["world_to_camera"] = torch.eye(4)
    case.tensors["scales"] = torch.tensor([[1e4, 1e4, 1e4], [1e3, 1.0, 1e-3], [50.0, 50.0, 50.0]])
    images, grads = gradients(ops.rasterize, case)
    expected, _ = gradients(twin, case.to(torch.float64))
    torch.testing.assert_close(images["color"].double(), expected["color"], atol=1e-3, rtol=0)
    assert images["alpha"].min() > 0
    assert all(torch.isfinite(gradient).all() for gradient in grads.values())


@pytest.mark.parametrize("name", ["means", "quaternions", "scales", "opacities", "sh"])
@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_gaussians_that_are_not_finite_are_not_drawn(name, value):
    case = random_case(count=60, seed=11)
    broken = Case({key: tensor.clone() for key, tensor in case.tensors.items()}, case.width, case.height)
    broken.tensors[name].view(60, -1)[7:40, 0] = value
    kept = torch.cat([torch.arange(7), torch.arange(40, 60)])
    without = Case(
        {k: v[kept] if len(v) == 60 else v for k, v in case.tensors.items()}, case.width, case.height
    )
    images, grads = gradients(ops.rasterize, broken)
    expected, _ = gradients(ops.rasterize, without)
    torch.testing.assert_close(images["color"], expected["color"])
    for key, gradient in grads.items():
        assert torch.isfinite(gradient).all(), key
    assert grads["means"][7:40].eq(0).all()


def test_strided_inputs_are_read_as_tensors():
    case = random_case(seed=12)
    strided = {
        name: torch.stack([tensor, torch.full_like(tensor, torch.nan)], -1)[..., 0]
        for name, tensor in case.tensors.items()
    }
    expected = pictures(render(ops.rasterize, case, outputs=EVERYTHING))
    got = pictures(render(ops.rasterize, Case(strided, case.width, case.height), outputs=EVERYTHING))
    for name, image in expected.items():
        assert torch.equal(got[name], image), name


def test_backward_twice_gives_the_same_and_double_backward_is_refused():
    case = random_case(seed=13)
    means = case.tensors["means"].requires_grad_()
    loss = render(ops.rasterize, case).color.square().sum()
    first = torch.autograd.grad(loss, means, retain_graph=True, create_graph=False)[0]
    second = torch.autograd.grad(loss, means, retain_graph=True, create_graph=True)[0]
    assert torch.equal(first, second)
    with pytest.raises(RuntimeError, match=r"not have been used in the graph|once_differentiable"):
        torch.autograd.grad(second.sum(), means)


def test_several_views_may_be_open_at_once():
    cases = [random_case(seed=seed) for seed in range(6)]
    alone = [gradients(ops.rasterize, case)[1]["means"] for case in cases]
    leaves = [case.tensors["means"].requires_grad_() for case in cases]
    rendered = [gradients_later(case) for case in cases]
    for leaf, backward, expected in zip(leaves, rendered, alone, strict=True):
        backward()
        assert torch.equal(leaf.grad, expected)


def gradients_later(case):
    from tests.ops.rasterize_cases import upstream_gradients

    images = pictures(render(ops.rasterize, case))
    upstream = upstream_gradients(images)
    tensors = {name: image for name, image in images.items() if image.requires_grad}
    return lambda: torch.autograd.backward(
        list(tensors.values()), [upstream[name].to(image) for name, image in tensors.items()]
    )


def library_arguments(case, outputs=EVERYTHING):
    t = case.tensors
    tensors = [t[k] for k in ("means", "quaternions", "scales", "opacities", "sh")] + [None]
    tensors += [t[k] for k in ("features", "background", "world_to_camera", "intrinsics", "screen_offsets")]
    flags = [name in outputs for name in ("depth", "median_depth", "normal", "contribution")]
    return (*tensors, case.width, case.height, 2, *flags, False, False, 0.01)


def test_registered_op_passes_torchs_checks():
    case = random_case(count=30, seed=14)
    leaves = Case({k: v.requires_grad_() for k, v in case.tensors.items()}, case.width, case.height)
    torch.library.opcheck(torch.ops.recon.rasterize.default, library_arguments(leaves))


def test_compiled_equals_eager():
    case = random_case(seed=15)

    def loss(means, sh):
        tensors = {**case.tensors, "means": means, "sh": sh}
        result = render(ops.rasterize, Case(tensors, case.width, case.height), outputs=("color", "depth"))
        return result.color.square().sum() + result.depth.sum()

    results = []
    for function in (loss, torch.compile(loss, backend="aot_eager", fullgraph=True)):
        leaves = [case.tensors[name].clone().requires_grad_() for name in ("means", "sh")]
        function(*leaves).backward()
        results.append([leaf.grad for leaf in leaves])
    for eager, compiled in zip(*results, strict=True):
        assert torch.equal(eager, compiled)


@pytest.mark.parametrize(
    "change, message",
    [
        ({"means": torch.zeros(200, 2)}, r"means must have shape \[200, 3\], got \[200, 2\]"),
        ({"quaternions": torch.zeros(199, 4)}, r"quaternions must have shape \[200, 4\], got \[199, 4\]"),
        ({"scales": torch.zeros(200)}, r"scales must have shape \[200, 3\], got \[200\]"),
        ({"opacities": torch.zeros(200, 1)}, r"opacities must have shape \[200\], got \[200, 1\]"),
        ({"sh": torch.zeros(200, 5, 3)}, r"sh must have shape \[200, 1\|4\|9\|16, 3\], got \[200, 5, 3\]"),
        ({"colors": torch.zeros(200, 4)}, r"colors must have shape \[200, 3\]"),
        ({"features": torch.zeros(3, 5)}, r"features must have shape \[200, C\], got \[3, 5\]"),
        ({"background": torch.zeros(4)}, r"background must have shape \[3\]"),
        ({"world_to_camera": torch.eye(3)}, r"world_to_camera must have shape \[4, 4\], got \[3, 3\]"),
        ({"intrinsics": torch.eye(3)}, r"intrinsics must have shape \[4\], got \[3, 3\]"),
        ({"screen_offsets": torch.zeros(200, 3)}, r"screen_offsets must have shape \[200, 2\]"),
        ({"means": torch.zeros(200, 3, dtype=torch.float64)}, "means must be float32, got torch.float64"),
        ({"sh": torch.zeros(200, 4, 3, device="meta")}, "sh is on meta, but means are on cpu"),
        ({"sh": None}, "give either sh"),
        ({"outputs": ("colour",)}, "unknown output 'colour'"),
        ({"features": None, "outputs": ("features",)}, "no features="),
        ({"sh_degree": 3}, "sh_degree must be between 0 and 2"),
        ({"width": 0}, "at least one pixel, got width=0"),
    ],
    ids=str,
)
def test_wrong_arguments_get_a_sentence(change, message):
    case = random_case()
    change = dict(change)
    width = change.pop("width", case.width)
    settings = {name: change.pop(name) for name in ("outputs", "sh_degree") if name in change}
    with pytest.raises(ReconError, match=message):
        render(ops.rasterize, Case({**case.tensors, **change}, width, case.height), **settings)


def test_native_module_tells_what_it_runs_on():
    info = ops.device_info()
    assert info.instruction_set == _core.instruction_set()
    assert info.threads >= 1
    assert (info.cuda is None) == (info.cuda_problem is not None)
    with pytest.raises(ReconError, match="at least 1, got 0"):
        ops.set_threads(0)
    assert reference.__doc__

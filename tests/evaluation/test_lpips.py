import numpy as np
import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import save_file

from recon.errors import ReconError
from recon.evaluation.lpips import LPIPS, WEIGHTS_NOT_INSTALLED, load_lpips, models_folder, weight_files

INDICES = {"alex": (0, 3, 6, 8, 10), "vgg": (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28)}
CHANNELS = {
    "alex": (3, 64, 192, 384, 256, 256),
    "vgg": (3, 64, 64, 128, 128, 256, 256, 256, 512, 512, 512, 512, 512, 512),
}
TAPPED = {"alex": (64, 192, 384, 256, 256), "vgg": (64, 128, 256, 512, 512)}


def random_state(backbone, seed=0):
    """Weights of the right shapes under torchvision's and the reference implementation's names."""
    generator = torch.Generator().manual_seed(seed)
    kernels = {0: 11, 3: 5} if backbone == "alex" else {}
    features = {}
    channels = CHANNELS[backbone]
    for inputs, outputs, index in zip(channels[:-1], channels[1:], INDICES[backbone], strict=True):
        size = kernels.get(index, 3)
        weight = (
            torch.randn(outputs, inputs, size, size, generator=generator)
            * (2 / (inputs * size * size)) ** 0.5
        )
        features[f"features.{index}.weight"] = weight
        features[f"features.{index}.bias"] = 0.1 * torch.randn(outputs, generator=generator)
    linear = {
        f"lin{k}.model.1.weight": torch.rand(1, n, 1, 1, generator=generator)
        for k, n in enumerate(TAPPED[backbone])
    }
    return features, linear


def expected_distance(backbone, features, linear, image, truth):
    """LPIPS written out layer by layer from the published architecture, with functional calls only."""
    shift = torch.tensor([-0.030, -0.088, -0.188]).view(1, 3, 1, 1)
    scale = torch.tensor([0.458, 0.448, 0.450]).view(1, 3, 1, 1)

    def conv(x, index, **settings):
        return F.relu(
            F.conv2d(x, features[f"features.{index}.weight"], features[f"features.{index}.bias"], **settings)
        )

    def stages(x):
        x = (2 * x - 1 - shift) / scale
        if backbone == "alex":
            x1 = conv(x, 0, stride=4, padding=2)
            x2 = conv(F.max_pool2d(x1, 3, 2), 3, padding=2)
            x3 = conv(F.max_pool2d(x2, 3, 2), 6, padding=1)
            x4 = conv(x3, 8, padding=1)
            return [x1, x2, x3, x4, conv(x4, 10, padding=1)]
        outputs = []
        for block in ((0, 2), (5, 7), (10, 12, 14), (17, 19, 21), (24, 26, 28)):
            if outputs:
                x = F.max_pool2d(x, 2)
            for index in block:
                x = conv(x, index, padding=1)
            outputs.append(x)
        return outputs

    total = 0.0
    for k, (a, b) in enumerate(zip(stages(image), stages(truth), strict=True)):
        a, b = a / (a.norm(dim=1, keepdim=True) + 1e-10), b / (b.norm(dim=1, keepdim=True) + 1e-10)
        total = total + F.conv2d((a - b) ** 2, linear[f"lin{k}.model.1.weight"]).mean()
    return float(total)


def pictures(size=64):
    generator = np.random.default_rng(1)
    truth = generator.random((size, size + 8, 3), dtype=np.float32)
    image = np.clip(truth + 0.2 * generator.standard_normal(truth.shape), 0, 1).astype(np.float32)
    return image, truth


def install(folder, backbone, layout, features, linear):
    place = folder / "lpips"
    place.mkdir(parents=True, exist_ok=True)
    if layout == "pair":
        names = {"alex": "alexnet-owt-7be5be79.pth", "vgg": "vgg16-397923af.pth"}
        torch.save({**features, "classifier.1.weight": torch.zeros(2, 2)}, place / names[backbone])
        torch.save(linear, place / f"{backbone}.pth")
    elif layout == "safetensors":
        save_file({**features, **linear}, place / f"lpips_{backbone}.safetensors")
    else:  # the saved state of the reference implementation's module
        state = {name.replace("features.", "net.slice1."): value for name, value in features.items()}
        state.update({name.replace("lin", "lins.", 1): value for name, value in linear.items()})
        state.update(linear)
        state["scaling_layer.shift"] = torch.zeros(1, 3, 1, 1)
        torch.save(state, place / f"lpips_{backbone}.pth")


@pytest.mark.parametrize("layout", ["pair", "safetensors", "state"])
def test_alex_from_every_layout_matches_the_architecture_written_out(tmp_path, layout):
    features, linear = random_state("alex")
    install(tmp_path, "alex", layout, features, linear)
    image, truth = pictures()
    model = load_lpips("alex", folder=tmp_path)
    a, b = (torch.from_numpy(x).movedim(-1, 0)[None] for x in (image, truth))
    expected = expected_distance("alex", features, linear, a, b)
    assert expected > 0.01
    assert model.compare(image, truth) == pytest.approx(expected, rel=1e-5)
    assert model.compare(truth, truth) == 0.0


def test_vgg_matches_the_architecture_written_out(tmp_path):
    features, linear = random_state("vgg")
    install(tmp_path, "vgg", "safetensors", features, linear)
    image, truth = pictures(32)
    a, b = (torch.from_numpy(x).movedim(-1, 0)[None] for x in (image, truth))
    expected = expected_distance("vgg", features, linear, a, b)
    assert load_lpips("vgg", folder=tmp_path).compare(image, truth) == pytest.approx(expected, rel=1e-5)


def test_batches_and_gradients():
    model = LPIPS("alex")
    with torch.no_grad():
        for weight in model.weights:
            weight.fill_(1.0)
    image = torch.rand(2, 3, 40, 50, requires_grad=True)
    truth = torch.rand(2, 3, 40, 50)
    distance = model(image, truth)
    assert distance.shape == (2,)
    distance.sum().backward()
    assert image.grad.abs().sum() > 0
    assert distance[1].item() == pytest.approx(model(image[1:], truth[1:]).item(), rel=1e-5)


def test_absent_weights_are_none_and_have_a_phrase(tmp_path, monkeypatch):
    assert load_lpips("alex", folder=tmp_path) is None
    monkeypatch.setenv("RECON_MODELS", str(tmp_path))
    assert models_folder() == tmp_path
    assert load_lpips("vgg") is None
    assert WEIGHTS_NOT_INSTALLED == "weights not installed"


def test_half_of_a_pair_is_absent(tmp_path):
    features, linear = random_state("alex")
    install(tmp_path, "alex", "pair", features, linear)
    (tmp_path / "lpips" / "alex.pth").unlink()
    assert weight_files("alex", tmp_path) is None


def test_smallest_sizes(tmp_path):
    features, linear = random_state("alex")
    install(tmp_path, "alex", "safetensors", features, linear)
    model = load_lpips("alex", folder=tmp_path)
    picture = np.random.default_rng(0).random((31, 31, 3), dtype=np.float32)
    assert model.accepts(31, 31) and np.isfinite(model.compare(picture, picture[::-1].copy()))
    assert not model.accepts(30, 100)
    with pytest.raises(ReconError, match="at least 31 pixels a side"):
        model.compare(picture[:30], picture[:30])


def test_wrong_files_are_named(tmp_path):
    features, linear = random_state("alex")
    del features["features.8.weight"]
    install(tmp_path, "alex", "safetensors", features, linear)
    with pytest.raises(ReconError, match=r"lpips_alex.safetensors.*convolutions.8.weight is missing"):
        load_lpips("alex", folder=tmp_path)

    features, linear = random_state("alex")
    features["features.8.weight"] = torch.zeros(3, 3)
    install(tmp_path, "alex", "safetensors", features, linear)
    with pytest.raises(ReconError, match=r"expected convolutions.8.weight of shape .*found \(3, 3\)"):
        load_lpips("alex", folder=tmp_path)

    (tmp_path / "lpips" / "lpips_alex.safetensors").write_bytes(b"not a weight file")
    with pytest.raises(ReconError, match="cannot be read"):
        load_lpips("alex", folder=tmp_path)

    with pytest.raises(ReconError, match='"alex" and "vgg"'):
        load_lpips("squeeze", folder=tmp_path)


def test_code_in_a_weight_file_is_not_run(tmp_path):
    """A pickle that would write a file when it is loaded without weights_only."""
    import pickle

    class Payload:
        def __reduce__(self):
            return (open, (str(tmp_path / "owned"), "w"))

    place = tmp_path / "lpips"
    place.mkdir()
    (place / "lpips_alex.pth").write_bytes(pickle.dumps({"weights.0": Payload()}))
    with pytest.raises(ReconError, match="cannot be read"):
        load_lpips("alex", folder=tmp_path)
    assert not (tmp_path / "owned").exists()

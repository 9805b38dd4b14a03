import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from model_check import check_models
from scipy.linalg import subspace_angles
from scipy.ndimage import gaussian_filter
from sklearn.decomposition import PCA

from tumorkeras.errors import ModelError
from tumorkeras.layers import Standardize, TiedConv, TiedDense
from tumorkeras.models import build_autoencoder, decoder_of, encoder_of, target_of
from tumorkeras.spec import Activation, DataSpec

ACTIVATIONS = Activation.__args__
STEPS = [{"step": "rescale", "scale": 0.1}, {"step": "lee_filter", "size": 3}, {"step": "standardize"}]


def images(n, shape, seed=0):
    return np.random.default_rng(seed).random((n, *shape), dtype=np.float32)


def kernels(model):
    return [weight for weight in model.trainable_variables if weight.name == "kernel"]


def fit(model, x, steps, learning_rate):
    """Full batches, the learning rate falling to zero; the last loss of the reconstruction."""
    rate = keras.optimizers.schedules.CosineDecay(learning_rate, steps)
    model.compile(keras.optimizers.Adam(rate), loss="mse")
    y = np.asarray(target_of(model)(x))
    model.fit(tf.data.Dataset.from_tensors((x, y)).repeat(steps), steps_per_epoch=steps, shuffle=False, verbose=0)
    return float(np.mean(np.square(model(x, training=False) - y)))


@pytest.mark.slow
def test_every_form_trains_saves_and_loads(tmp_path):
    builders = {
        name: lambda name=name: build_autoencoder((9, 8, 1), filters=(3, 4), activation=name) for name in ACTIVATIONS
    }
    volume = (6, 12, 13, 2)
    builders |= {
        "untied": lambda: build_autoencoder((9, 8, 1), filters=(3, 4), bottleneck=5, tied=False, activation="elu"),
        "volume": lambda: build_autoencoder(volume, filters=(4, 4), bottleneck=5, padding="valid", pool=(1, 2, 2)),
        "volume_maxout": lambda: build_autoencoder(volume, filters=(3,), bottleneck=5, activation="maxout"),
        "everything": lambda: build_autoencoder(
            (9, 8, 1),
            filters=(4,),
            weight_decay=0.1,
            sparsity=0.1,
            noise=0.1,
            preprocessing=STEPS,
            activation="elu",
        ),
    }
    check_models(builders, tmp_path)


@settings(max_examples=20, deadline=None)
@given(
    shape=st.lists(st.integers(19, 23), min_size=2, max_size=3),
    filters=st.lists(st.integers(1, 3), min_size=1, max_size=2),
    pool=st.sampled_from([None, 1, 2, 3]),
    padding=st.sampled_from(["same", "valid"]),
    kernel_size=st.sampled_from([1, 2, 3]),
    tied=st.booleans(),
)
def test_the_reconstruction_has_the_shape_of_the_input(shape, filters, pool, padding, kernel_size, tied):
    model = build_autoencoder(
        (*shape, 2), filters=filters, pool=pool, padding=padding, kernel_size=kernel_size, tied=tied
    )
    assert model.output_shape == (None, *shape, 2)
    assert model.output_names == ["reconstruction"]


def test_by_hand_parameters_of_the_default():
    # Kernels 3*3*1*8, 3*3*8*16, 3*3*16*32; encoder biases 8+16+32; decoder biases 1+8+16.
    assert build_autoencoder((16, 16, 1)).count_params() == 72 + 1152 + 4608 + 56 + 25


@pytest.mark.parametrize("activation", ["relu", "maxout"])
@pytest.mark.parametrize("bottleneck", [None, 5])
def test_the_untied_twin_has_exactly_the_kernels_more(bottleneck, activation):
    options = {"filters": (3, 4), "bottleneck": bottleneck, "activation": activation}
    tied = build_autoencoder((8, 9, 8, 1), **options)
    untied = build_autoencoder((8, 9, 8, 1), tied=False, **options)
    assert len(kernels(tied)) == 2 + (bottleneck is not None)
    extra = sum(int(np.prod(kernel.shape)) for kernel in kernels(tied))
    assert untied.count_params() - tied.count_params() == extra
    assert [layer.name for layer in untied.layers if layer.name.startswith("conv_")] == ["conv_1", "conv_2"]
    assert untied.get_layer("conv_2").kernel.shape == tied.get_layer("conv_2").kernel.shape


def test_tied_and_untied_agree_when_their_kernels_do():
    tied = build_autoencoder((9, 8, 1), filters=(3, 4), bottleneck=5, activation="tanh")
    untied = build_autoencoder((9, 8, 1), filters=(3, 4), bottleneck=5, activation="tanh", tied=False)
    for name in ("conv_1", "conv_2", "bottleneck"):
        layer = tied.get_layer(name)
        untied.get_layer(name).set_weights([layer.kernel, layer.bias])
        kernel = np.transpose(layer.kernel) if name == "bottleneck" else layer.kernel
        untied.get_layer(f"decoder_{name}").set_weights([kernel, layer.decoder_bias])
    x = images(2, (9, 8, 1))
    np.testing.assert_allclose(tied(x), untied(x), atol=1e-6)


@pytest.mark.parametrize(("tied", "moves"), [(True, True), (False, False)])
def test_a_changed_encoder_kernel_changes_the_decoder_on_fixed_features(tied, moves):
    model = build_autoencoder((8, 8, 1), filters=(3, 4), bottleneck=5, activation="tanh", tied=tied)
    decoder, features = decoder_of(model), images(2, (5,))
    for name in ("conv_1", "conv_2", "bottleneck"):
        before = np.asarray(decoder(features))
        kernel = model.get_layer(name).kernel
        kernel.assign(kernel + 0.1)
        assert (np.abs(decoder(features) - before).max() > 1e-4) == moves, name


def test_the_gradient_reaches_a_kernel_through_both_uses():
    """The part through the encoder and the part through the decoder are both there, and add up."""
    model = build_autoencoder((8, 8, 1), filters=(3, 4), bottleneck=5, activation="tanh")
    encoder, decoder, x = encoder_of(model), decoder_of(model), images(4, (8, 8, 1))
    tied = [kernel.value for kernel in kernels(model)]
    with tf.GradientTape(persistent=True) as tape:
        features = encoder(x)
        total = tf.reduce_mean(tf.square(model(x) - x))
        fixed = tf.stop_gradient(features)
        tape.watch(fixed)
        through_decoder = tf.reduce_mean(tf.square(decoder(fixed) - x))
        pull = tf.stop_gradient(tape.gradient(through_decoder, fixed))
        through_encoder = tf.reduce_sum(features * pull)
    parts = [tape.gradient(loss, tied) for loss in (through_encoder, through_decoder, total)]
    for encoded, decoded, whole in zip(*parts, strict=True):
        assert np.abs(encoded).max() > 1e-6
        assert np.abs(decoded).max() > 1e-6
        np.testing.assert_allclose(encoded + decoded, whole, rtol=1e-3, atol=1e-6)


def test_a_linear_tied_autoencoder_learns_the_principal_components():
    """One linear layer over the whole input has PCA's subspace as its optimum (Baldi and Hornik, 1989)."""
    keras.utils.set_random_seed(0)
    rng = np.random.default_rng(0)
    axes, _ = np.linalg.qr(rng.normal(size=(36, 36)))
    scales = np.concatenate([[3.0, 2.0, 1.5], np.full(33, 0.3)])
    x = rng.normal(size=(400, 36)) * scales @ axes.T
    x = (x - x.mean(axis=0)).astype("float32")
    model = build_autoencoder((6, 6, 1), filters=(3,), kernel_size=6, padding="valid", pool=None, activation="linear")
    fit(model, x.reshape(-1, 6, 6, 1), steps=600, learning_rate=0.02)
    learned = np.asarray(model.get_layer("conv_1").kernel).reshape(36, 3)
    principal = PCA(3).fit(x).components_.T
    assert np.degrees(subspace_angles(learned, principal).max()) < 1


@pytest.mark.slow
@pytest.mark.parametrize("activation", ["relu", "maxout"])
@pytest.mark.parametrize("shape", [(12, 12, 1), (6, 8, 8, 1)])
def test_it_learns_eight_samples_by_heart(shape, activation):
    keras.utils.set_random_seed(0)
    x = np.stack([gaussian_filter(image, [1.0] * (len(shape) - 1) + [0]) for image in images(8, shape)])
    model = build_autoencoder(
        shape, filters=(8,), bottleneck=16, activation=activation, preprocessing=[{"step": "standardize"}]
    )
    y = np.asarray(target_of(model)(x))
    error = fit(model, x, steps=300, learning_rate=0.003)
    # Against giving the mean image for all eight.
    assert error < 0.1 * np.var(y - y.mean(axis=0))


def test_weight_decay_counts_a_tied_kernel_once():
    for tied in (True, False):
        model = build_autoencoder((8, 8, 1), filters=(3, 4), bottleneck=5, weight_decay=0.01, tied=tied)
        assert len(kernels(model)) == (3 if tied else 6)
        expected = 0.01 * sum(np.sum(np.square(kernel)) for kernel in kernels(model))
        model(images(2, (8, 8, 1)))
        assert float(sum(model.losses)) == pytest.approx(expected, rel=1e-5)


def test_sparsity_is_the_absolute_code_averaged_over_the_batch():
    model = build_autoencoder((8, 8, 1), filters=(3,), sparsity=0.01)
    for batch in (1, 4):
        x = images(batch, (8, 8, 1))
        model(x)
        expected = 0.01 * np.abs(encoder_of(model)(x)).sum() / batch
        assert float(sum(model.losses)) == pytest.approx(expected, rel=1e-5)


def test_sparsity_empties_a_code_larger_than_the_input():
    x = images(16, (6, 6, 1))
    active = {}
    for sparsity in (0.0, 1e-3):
        keras.utils.set_random_seed(0)
        model = build_autoencoder((6, 6, 1), filters=(4,), pool=None, sparsity=sparsity)
        assert encoder_of(model).output_shape == (None, 144)  # h = 4 n
        fit(model, x, steps=150, learning_rate=0.02)
        active[sparsity] = np.mean(encoder_of(model)(x) > 1e-3)
    assert active[1e-3] < 0.8 * active[0.0]


def test_noise_is_added_in_training_only_and_never_to_the_target():
    model, x = build_autoencoder((8, 8, 1), filters=(3,), noise=0.5), images(2, (8, 8, 1))
    clean = np.asarray(model(x, training=False))
    np.testing.assert_array_equal(model(x, training=False), clean)
    assert np.abs(model(x, training=True) - clean).max() > 1e-3
    np.testing.assert_array_equal(target_of(model)(x, training=True), x)


def test_the_target_is_the_preprocessed_input():
    x = images(2, (8, 8, 1)) * 255
    steps = [{"step": "rescale", "scale": 2.0, "offset": 1.0}, {"step": "standardize"}]
    model = build_autoencoder((8, 8, 1), filters=(3,), preprocessing=steps)
    np.testing.assert_allclose(target_of(model)(x), Standardize()(x), atol=1e-5)
    np.testing.assert_allclose(decoder_of(model)(encoder_of(model)(x)), model(x), atol=1e-6)


def test_preprocessing_takes_the_sections_of_a_spec():
    spec = DataSpec.from_dict({"name": "a", "input": {"shape": [101, 8, 8, 1]}, "source": {"kind": "simulation"}})
    spec = DataSpec.from_dict({**spec.to_dict(), "preprocessing": STEPS})
    model = build_autoencoder(spec.input.shape, filters=(3,), preprocessing=spec.preprocessing)
    names = [layer.name for layer in model.layers]
    assert names[1:5] == ["rescale_1", "lee_filter_2", "standardize_3", "target"]


def test_mixed_precision_gives_float32_features_and_reconstruction():
    keras.config.set_dtype_policy("mixed_float16")
    try:
        model = build_autoencoder((9, 8, 1), filters=(3, 4), bottleneck=5, preprocessing=STEPS, sparsity=0.1)
    finally:
        keras.config.set_dtype_policy("float32")
    x = images(2, (9, 8, 1))
    assert model.get_layer("conv_1").compute_dtype == "float16"
    for part in (model, encoder_of(model), target_of(model)):
        assert part(x).dtype == "float32"
        assert np.isfinite(part(x)).all()


def test_layers_are_tied_by_default_and_named_for_transfer():
    model = build_autoencoder((8, 8, 1), filters=(3, 4), bottleneck=5)
    assert isinstance(model.get_layer("conv_1"), TiedConv)
    assert isinstance(model.get_layer("bottleneck"), TiedDense)
    assert model.get_layer("conv_2").kernel.shape == (3, 3, 3, 4)
    assert model.get_layer("conv_2").bias.shape == (4,)


@pytest.mark.parametrize(
    ("arguments", "faults"),
    [
        ({"input_shape": (8, 8)}, ["2 axes"]),
        ({"input_shape": (8, None, 1)}, ["not a positive integer"]),
        ({"input_shape": (4, 8, 8, 1)}, ["axis 0 has 4 pixels, 1 left at block 3, which needs 2"]),
        ({"input_shape": (9, 5, 1), "padding": "valid"}, ["axis 0 has 9", "axis 1 has 5"]),
        (
            {"padding": "full", "pool": 0, "kernel_size": (3, 3, 3)},
            ["kernel_size", "pool", "padding: 'full'"],
        ),
        ({"filters": ()}, ["filters"]),
        ({"filters": 8}, ["filters"]),
        (
            {
                "bottleneck": 0,
                "activation": "rellu",
                "weight_decay": -1,
                "sparsity": float("nan"),
                "noise": -0.1,
            },
            ["bottleneck", "activation: 'rellu'", "weight_decay: -1", "sparsity: nan", "noise: -0.1"],
        ),
    ],
)
def test_everything_wrong_is_said_at_once(arguments, faults):
    with pytest.raises(ModelError) as error:
        build_autoencoder(**{"input_shape": (16, 16, 1), **arguments})
    assert len(error.value.faults) == len(faults)
    for found, expected in zip(error.value.faults, faults, strict=True):
        assert expected in found


def test_wrong_preprocessing_steps_are_named():
    steps = [{"step": "blur"}, {"step": "lee_filter", "size": 0}, {"step": "standardize", "mean": 3}]
    with pytest.raises(ModelError) as error:
        build_autoencoder((16, 16, 1), preprocessing=steps)
    assert [fault[:20] for fault in error.value.faults] == [f"preprocessing step {n}" for n in (1, 2, 3)]


def test_parts_of_a_model_without_them():
    plain = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2, name="only")], name="plain")
    for part in (encoder_of, decoder_of, target_of):
        with pytest.raises(ModelError, match=r"model 'plain': has no layer named .* its layers are only"):
            part(plain)

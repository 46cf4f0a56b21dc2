"""Every source through ``load_data``."""

import io
import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from profiles.errors import ConfigError, DataError
from toolchain.frontend import DataSpec, InputSpec
from toolchain.frontend.data import data_fingerprint, load_data
from toolchain.frontend.data import stores as stores_module

RGB = InputSpec((1, 3, 8, 8))
FEATURES = InputSpec((1, 4), "NC")


def load(source, spec=RGB, **settings):
    return load_data(DataSpec(source, **settings), spec)


def everything(data):
    """All samples of each part with their labels, in order."""
    return [
        (part.batch(np.arange(len(part))).tobytes(), part.labels.tolist())
        for part in (data.train, data.calibration, data.test)
    ]


def png(seed, colour=0):
    pixels = np.random.default_rng(seed).integers(0, 80, (8, 8, 3), np.uint8)
    pixels[..., colour] += 150
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def write_parquet(path, rows, *, image="img", label="label", binary=False, metadata=None):
    images = [content if binary else {"bytes": content, "path": None} for content, _ in rows]
    kind = pa.binary() if binary else pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    columns = {image: pa.array(images, kind), label: pa.array([value for _, value in rows])}
    table = pa.table(columns).replace_schema_metadata(metadata)
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path)


def rows_of(count, first=0, names=(0, 1)):
    return [(png(first + i, i % 2), names[i % 2]) for i in range(count)]


# digits ---------------------------------------------------------------------------------------------------


def test_digits():
    data = load("digits", InputSpec((1, 1, 28, 28)))
    assert (len(data.train) + len(data.test), len(data.calibration)) == (1797, 128)
    assert data.classes == tuple("0123456789")
    assert not data.mirrored
    batch = data.train.batch(np.arange(100))
    assert batch.shape == (100, 1, 28, 28)
    assert (batch.min(), batch.max()) == (0.0, 1.0)
    assert np.bincount(data.calibration.labels).tolist() == [13] * 8 + [12] * 2
    assert set(data.calibration.rows) <= set(data.train.rows)
    assert not set(data.train.rows) & set(data.test.rows)


def test_digits_as_features_and_in_colour():
    assert load("digits", InputSpec((1, 64), "NC")).test.batch(np.arange(2)).shape == (2, 64)
    colour = load("digits", RGB).test.batch(np.arange(2))
    np.testing.assert_array_equal(colour[:, 0], colour[:, 2])


def test_the_seed_moves_samples_between_the_parts():
    first, second = (load("digits", InputSpec((1, 1, 8, 8)), seed=seed) for seed in (0, 1))
    assert first.digest != second.digest
    assert set(first.test.rows) != set(second.test.rows)
    assert first.digest == load("digits", InputSpec((1, 1, 8, 8)), seed=0).digest


def test_limits_keep_classes_even():
    data = load("digits", InputSpec((1, 1, 8, 8)), max_train=50, max_test=20)
    assert np.bincount(data.train.labels).tolist() == [5] * 10
    assert np.bincount(data.test.labels).tolist() == [2] * 10
    assert data.notes == ("only 50 of the 128 calibration samples asked for exist",)


# parquet --------------------------------------------------------------------------------------------------


def test_parquet_of_one_file_is_split(tmp_path):
    write_parquet(tmp_path / "data.parquet", rows_of(40))
    data = load(f"parquet:{tmp_path}", calibration=6)
    assert (len(data.train), len(data.test), len(data.calibration)) == (32, 8, 6)
    assert data.classes == ("0", "1")
    assert data.train.batch(np.arange(3)).shape == (3, 3, 8, 8)


def test_parquet_rows_and_files_in_any_order_give_the_same_data(tmp_path):
    rows = rows_of(40)
    write_parquet(tmp_path / "a" / "data.parquet", rows)
    write_parquet(tmp_path / "b" / "part-1.parquet", rows[:7:-1])
    write_parquet(tmp_path / "b" / "part-2.parquet", rows[7::-1])
    a, b = (load(f"parquet:{tmp_path / name}", calibration=6) for name in "ab")
    assert everything(a) == everything(b)
    assert a.digest == b.digest


def test_parquet_test_files_are_set_aside(tmp_path):
    rows = rows_of(30)
    write_parquet(tmp_path / "train-00000-of-00001.parquet", rows[:20])
    write_parquet(tmp_path / "test.parquet", rows[18:])
    write_parquet(tmp_path / "validation.parquet", rows[:4])
    data = load(f"parquet:{tmp_path}", calibration=6)
    assert (len(data.train), len(data.test)) == (18, 12)
    assert data.notes == (
        "passed over: validation.parquet",
        "2 training samples were left out because they are also tested",
    )


def test_parquet_columns_can_be_given_or_recognised(tmp_path):
    names = ("cat", "dog")
    write_parquet(tmp_path / "a.parquet", rows_of(10, names=names), image="photo", label="species", binary=True)
    data = load(f"parquet:{tmp_path / 'a.parquet'}", label_column="species", calibration=2)
    assert data.classes == names
    with pytest.raises(ConfigError, match="label_column must name a column") as caught:
        load(f"parquet:{tmp_path}")
    assert caught.value.allowed == "photo, species"
    with pytest.raises(ConfigError, match="did you mean 'species'"):
        load(f"parquet:{tmp_path}", label_column="specie")
    with pytest.raises(ConfigError, match="must hold bytes"):
        load(f"parquet:{tmp_path}", label_column="species", image_column="species")


def test_parquet_class_names_from_the_metadata(tmp_path):
    features = {"info": {"features": {"label": {"names": ["cat", "dog"], "_type": "ClassLabel"}}}}
    write_parquet(tmp_path / "a.parquet", rows_of(10), metadata={"huggingface": json.dumps(features)})
    assert load(f"parquet:{tmp_path}", calibration=2).classes == ("cat", "dog")


def test_parquet_with_an_undecodable_image_names_the_row(tmp_path):
    rows = rows_of(20)
    rows[13] = (b"this is no image", 1)
    write_parquet(tmp_path / "a.parquet", rows)
    data = load(f"parquet:{tmp_path}", calibration=2)
    with pytest.raises(DataError, match=r"row 13 of a\.parquet"):
        data.train.prefetch()
        data.test.prefetch()


def test_parquet_rows_without_bytes(tmp_path):
    rows = rows_of(4)
    rows[2] = (None, 0)
    write_parquet(tmp_path / "a.parquet", rows)
    with pytest.raises(DataError, match=r"row 2 of a\.parquet"):
        load(f"parquet:{tmp_path}")


def test_corrupt_parquet(tmp_path):
    (tmp_path / "a.parquet").write_bytes(b"PAR1 no more")
    with pytest.raises(DataError, match="cannot be read"):
        load(f"parquet:{tmp_path}")


# folder ---------------------------------------------------------------------------------------------------


def test_folders_of_classes(tmp_path, make_images):
    make_images(tmp_path / "x", count=10)
    (tmp_path / "x" / "cat" / "readme.txt").write_text("not an image")
    data = load(f"folder:{tmp_path / 'x'}", calibration=4)
    assert (len(data.train), len(data.test), data.classes) == (16, 4, ("cat", "dog"))
    assert data.notes == ("1 files that are not images were passed over",)
    assert data.train.batch(np.arange(2)).shape == (2, 3, 8, 8), "40x30 images are resized"


def test_folders_of_any_name_and_order_give_the_same_data(tmp_path, make_images):
    make_images(tmp_path / "a", count=10)
    for number, file in enumerate(sorted((tmp_path / "a").rglob("*.png"), reverse=True)):
        target = tmp_path / "b" / file.parent.name / f"deeper{number % 3}" / f"{number:03}.PNG"
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(file.read_bytes())
    a, b = (load(f"folder:{tmp_path / name}", calibration=4) for name in "ab")
    assert everything(a) == everything(b)


def test_folders_train_and_test(tmp_path, make_images):
    make_images(tmp_path / "train", count=8)
    make_images(tmp_path / "test", count=3, seed=1)
    data = load(f"folder:{tmp_path}", calibration=4)
    assert (len(data.train), len(data.test), data.classes) == (16, 6, ("cat", "dog"))
    assert {data.test.store.name(int(row)).split("/")[0] for row in data.test.rows} == {"test"}


def test_folders_that_do_not_fit(tmp_path, make_images):
    with pytest.raises(DataError, match="no images in class folders"):
        load(f"folder:{tmp_path}")
    make_images(tmp_path / "only", classes=("cat",))
    with pytest.raises(DataError, match="at least two classes"):
        load(f"folder:{tmp_path / 'only'}")
    make_images(tmp_path / "half" / "test")
    with pytest.raises(DataError, match="no folder 'train'"):
        load(f"folder:{tmp_path / 'half'}")
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="needs a folder"):
        load(f"folder:{tmp_path / 'file'}")


def test_files_that_cannot_be_opened(tmp_path, make_images, monkeypatch):
    make_images(tmp_path)

    def refuse(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("pathlib.Path.read_bytes", refuse)
    with pytest.raises(DataError, match=r"cat/0\.png: Permission denied"):
        load(f"folder:{tmp_path}")


def test_images_are_decoded_again_when_they_do_not_fit_into_memory(tmp_path, make_images, monkeypatch):
    make_images(tmp_path)
    kept = everything(load(f"folder:{tmp_path}", calibration=4))
    monkeypatch.setattr(stores_module, "KEEP_LIMIT", 100)
    data = load(f"folder:{tmp_path}", calibration=4)
    assert not data.train.store.keeps
    assert everything(data) == kept


# npz ------------------------------------------------------------------------------------------------------


def save(path, **arrays):
    np.savez(path, **arrays)
    return f"npz:{path}"


def features(count=20, dtype=np.float64):
    return np.random.default_rng(0).normal(size=(count, 4)).astype(dtype), np.arange(count) % 2


def test_npz_of_features(tmp_path):
    x, y = features()
    data = load(save(tmp_path / "d.npz", x=x, y=y), FEATURES, calibration=4)
    row = int(data.train.rows[0])
    np.testing.assert_array_equal(data.train.batch(np.array([0]))[0], x[row].astype(np.float32))
    assert data.train.labels[0] == y[row]


def test_npz_rows_in_any_order_give_the_same_data(tmp_path):
    x, y = features()
    order = np.random.default_rng(3).permutation(len(x))
    a = load(save(tmp_path / "a.npz", x=x, y=y), FEATURES, calibration=4)
    b = load(save(tmp_path / "b.npz", x=x[order], y=y[order]), FEATURES, calibration=4)
    assert everything(a) == everything(b)


def test_npz_images_fit_either_layout_and_split_alike(tmp_path):
    x = np.random.default_rng(0).integers(0, 256, (20, 8, 8, 3), np.uint8)
    source = save(tmp_path / "d.npz", x=x, y=np.arange(20) % 2)
    first, last = load(source, RGB), load(source, InputSpec((1, 8, 8, 3), "NHWC"))
    assert first.train.rows.tolist() == last.train.rows.tolist()
    np.testing.assert_array_equal(
        first.train.raw(np.arange(3)).transpose(0, 2, 3, 1), last.train.raw(np.arange(3)), "uint8 is kept"
    )
    grey = save(tmp_path / "g.npz", x=x[..., 0], y=np.arange(20) % 2)
    assert load(grey, InputSpec((1, 1, 8, 8))).train.raw(np.arange(3)).shape == (3, 1, 8, 8)


def test_npz_with_its_own_test_part_and_text_labels(tmp_path):
    x, y = features()
    names = np.array(["no", "yes"])[y]
    source = save(tmp_path / "d.npz", x=x[:12], y=names[:12], x_test=x[12:], y_test=names[12:])
    data = load(source, FEATURES, calibration=4)
    assert (len(data.train), len(data.test), data.classes) == (12, 8, ("no", "yes"))


def test_npz_without_labels(tmp_path):
    data = load(save(tmp_path / "d.npz", x=features()[0]), FEATURES, calibration=4)
    assert not data.labelled
    assert (data.train.labels, data.classes) == (None, ())


def bad_npz():
    x, y = features()
    broken = x.copy()
    broken[7, 2] = np.nan
    huge = x.copy()
    huge[3, 0] = 1e300
    return {
        "NaN": ({"x": broken, "y": y}, r"x\[7\] of d\.npz holds NaN"),
        "too large for float32": ({"x": huge, "y": y}, r"x\[3\] of d\.npz"),
        "NaN in test": ({"x": x, "y": y, "x_test": broken, "y_test": y}, r"x_test\[7\]"),
        "shape": ({"x": x[:, :3], "y": y}, "shape of the model's input"),
        "labels": ({"x": x, "y": y[:-1]}, "one label per sample"),
        "no x": ({"data": x, "y": y}, "no array 'x'"),
        "one class": ({"x": x, "y": y * 0}, "at least two classes"),
        "empty": ({"x": x[:0], "y": y[:0]}, "empty"),
        "negative": ({"x": x, "y": y - 1}, "out of range"),
        "text": ({"x": np.array([["a"] * 4] * 20), "y": y}, "real numbers"),
        "complex": ({"x": x * 1j, "y": y}, "real numbers"),
        "objects": ({"x": np.array([{}] * 20), "y": y}, "cannot be read"),
        "half labels": ({"x": x, "y": y, "x_test": x}, "both labels or neither"),
        "one sample": ({"x": x[:1]}, "both the training and the test part"),
    }


@pytest.mark.parametrize("case", bad_npz())
def test_bad_npz(tmp_path, case):
    arrays, words = bad_npz()[case]
    with pytest.raises(DataError, match=words):
        load(save(tmp_path / "d.npz", **arrays), FEATURES)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 cut", b"plain text"])
def test_corrupt_npz(tmp_path, content):
    (tmp_path / "d.npz").write_bytes(content)
    with pytest.raises(DataError, match="cannot be read"):
        load(f"npz:{tmp_path / 'd.npz'}", FEATURES)


def test_a_single_array_is_no_npz(tmp_path):
    np.save(tmp_path / "d.npy", np.zeros(3))
    with pytest.raises(DataError, match="npz archive"):
        load(f"npz:{tmp_path / 'd.npy'}", FEATURES)


# random ---------------------------------------------------------------------------------------------------


def test_random_has_no_labels():
    data = load("random", samples=10, calibration=5)
    assert (len(data.train), len(data.test), len(data.calibration)) == (10, 10, 5)
    assert not data.labelled
    assert data.train.raw(np.arange(2)).dtype == np.uint8
    assert data.digest == load("random", samples=10, calibration=5).digest
    assert load("random", FEATURES, samples=4).test.batch(np.arange(2)).std() > 0


# sources and fingerprints ---------------------------------------------------------------------------------


@pytest.mark.parametrize("source", ["digit", "digits:x", "npz", "npz:", "random:3", "", "csv:file"])
def test_sources_of_no_known_form(source):
    with pytest.raises(ConfigError, match="parquet:PATH"):
        load(source)


@pytest.mark.parametrize("source", ["npz:none.npz", "parquet:none", "folder:none"])
def test_missing_files(source, tmp_path):
    with pytest.raises(DataError, match="does not exist"):
        load_data(DataSpec(source, root=tmp_path), RGB)


def test_fingerprints_follow_contents_and_settings_but_not_the_place(tmp_path, make_images):
    first = make_images(tmp_path / "a")
    second = make_images(tmp_path / "elsewhere" / "a")
    base = data_fingerprint(DataSpec(f"folder:{first}"))
    assert (
        base == data_fingerprint(DataSpec(f"folder:{second}")) == data_fingerprint(DataSpec("folder:a", root=tmp_path))
    )
    assert base != data_fingerprint(DataSpec(f"folder:{first}", seed=1))
    changed = next(second.rglob("*.png"))
    changed.write_bytes(changed.read_bytes()[:-1] + b"x")
    assert base != data_fingerprint(DataSpec(f"folder:{second}"))
    (first / "cat" / "0.png").rename(first / "dog" / "new.png")
    assert base != data_fingerprint(DataSpec(f"folder:{first}"))


def test_fingerprints_of_sources_without_files():
    assert data_fingerprint(DataSpec("digits")) == data_fingerprint(DataSpec("digits"))
    assert data_fingerprint(DataSpec("random")) != data_fingerprint(DataSpec("random", seed=1))


# the real thing -------------------------------------------------------------------------------------------


def test_cifar10(cifar_dir):
    data = load(f"parquet:{cifar_dir}", InputSpec((1, 3, 32, 32)))
    assert (len(data.train), len(data.test), len(data.calibration), len(data.classes)) == (50_000, 5_000, 128, 10)
    assert np.bincount(data.train.labels).tolist() == [5_000] * 10
    batch = data.calibration.batch(np.arange(128))
    assert batch.shape == (128, 3, 32, 32)
    assert 0.4 < batch.mean() < 0.55, "the mean of CIFAR-10's pixels is about 0.47"

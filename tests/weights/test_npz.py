"""The package's own container: what goes in comes out, and a file is whole or absent.

Held against NumPy's own reader, and against writes that are interrupted at every point.
"""

import errno
import json
import os
import zipfile

import numpy as np
import pytest

from npmaskrcnn.errors import InputError, InputWarning
from npmaskrcnn.weights import npz, read_npz, write_npz

META = {"architecture": {"builder": "x", "num_classes": 3}, "names": ["Füße"], "seed": 2**100, "rate": 0.1}


@pytest.fixture
def arrays(rng):
    return {
        "conv.weight": rng.standard_normal((4, 3, 2, 5)).astype(np.float32),
        "count": np.array(7),
        "empty": np.zeros((0, 3), np.float16),
        "folder/flags": np.array([True, False]),
        "fortran": np.asfortranarray(rng.standard_normal((3, 4))),
        "strided": np.arange(20, dtype=np.int16)[::3],
    }


@pytest.fixture
def rng():
    return np.random.default_rng(5)


def assert_same_arrays(got, expected):
    assert list(got) == list(expected)
    for name, array in expected.items():
        assert got[name].dtype == array.dtype and got[name].shape == array.shape
        np.testing.assert_array_equal(got[name], array)


@pytest.mark.parametrize("compress", [False, True])
def test_arrays_and_meta_come_back(tmp_path, arrays, compress):
    write_npz(tmp_path / "a.npz", arrays, META, compress)
    got, meta = read_npz(tmp_path / "a.npz")
    assert_same_arrays(got, arrays)
    assert meta == META
    assert all(array.flags.writeable and array.flags.c_contiguous for array in got.values())


def test_numpy_reads_the_file_too(tmp_path, arrays):
    write_npz(tmp_path / "a.npz", arrays, META)
    with np.load(tmp_path / "a.npz") as archive:
        assert json.loads(archive["__npmaskrcnn__"].tobytes()) == {"format_version": 1, "meta": META}
        assert_same_arrays({name: archive[name] for name in arrays}, arrays)


def test_any_plain_npz_is_read_and_has_no_meta(tmp_path, arrays):
    np.savez(tmp_path / "plain.npz", **arrays)
    np.savez_compressed(tmp_path / "small.npz", **arrays)
    for name in ("plain.npz", "small.npz"):
        got, meta = read_npz(tmp_path / name)
        assert_same_arrays(got, arrays)
        assert meta == {}


def test_same_content_gives_the_same_bytes(tmp_path, arrays):
    write_npz(tmp_path / "a.npz", arrays, META)
    write_npz(tmp_path / "b.npz", arrays, META)
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


def test_big_endian_arrays_are_swapped_and_reported(tmp_path):
    np.savez(tmp_path / "big.npz", w=np.array([1.5, -2.0], ">f4"))
    with pytest.warns(InputWarning, match="1 big-endian arrays .* 'w'"):
        got, _ = read_npz(tmp_path / "big.npz")
    np.testing.assert_array_equal(got["w"], np.array([1.5, -2.0], np.float32))
    assert got["w"].dtype.isnative


def test_the_entry_of_a_newer_format_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(npz, "FORMAT_VERSION", 2)
    write_npz(tmp_path / "new.npz", {}, {})
    monkeypatch.undo()
    with pytest.raises(InputError, match=r"new\.npz: is of format version 2; this npmaskrcnn reads 1 to 1"):
        read_npz(tmp_path / "new.npz")


@pytest.mark.parametrize("bad", [
    {"object": np.array([None])}, {"text": np.array(["a"])}, {"complex": np.ones(2, complex)},
    {"../up": np.ones(1)}, {"/root": np.ones(1)}, {"": np.ones(1)}, {"__npmaskrcnn__": np.ones(1)},
    {"record": np.zeros(2, [("x", "f4")])},
])
def test_what_cannot_be_read_back_is_not_written(tmp_path, bad):
    with pytest.raises(InputError, match="a.npz: "):
        write_npz(tmp_path / "a.npz", bad)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("meta", [{"x": np.float32(1)}, {"x": float("nan")}, {"x": {1, 2}}])
def test_meta_that_is_not_json_is_refused(tmp_path, meta):
    with pytest.raises(InputError, match="cannot be written as JSON"):
        write_npz(tmp_path / "a.npz", {}, meta)


FULL = OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("error", [FULL, KeyboardInterrupt(), MemoryError()])
def test_an_interrupted_save_keeps_the_old_file_and_leaves_nothing_else(tmp_path, monkeypatch, error):
    path = tmp_path / "a.npz"
    write_npz(path, {"w": np.ones(3)})
    before, write_array, calls = path.read_bytes(), np.lib.format.write_array, []

    def fail_at_third(*arguments, **options):
        calls.append(1)
        if len(calls) == 3:
            raise error
        write_array(*arguments, **options)

    monkeypatch.setattr(np.lib.format, "write_array", fail_at_third)
    with pytest.raises(InputError if isinstance(error, OSError) else type(error)) as caught:
        write_npz(path, {"w": np.zeros(3), "v": np.zeros(3)})
    if isinstance(error, OSError):
        assert str(caught.value) == f"{path}: cannot be written (No space left on device)"
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_full_disk_at_the_last_moment_keeps_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "a.npz"
    path.write_bytes(b"old")

    def fail(_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(InputError, match="No space left"):
        write_npz(path, {"w": np.ones(3)})
    assert path.read_bytes() == b"old" and list(tmp_path.iterdir()) == [path]


def test_a_read_only_folder_is_an_error_with_the_path(tmp_path, monkeypatch):
    def refuse(*_):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(os, "open", refuse)  # chmod would not stop a privileged user
    with pytest.raises(InputError, match=r"a\.npz: cannot be written \(Permission denied\)"):
        write_npz(tmp_path / "a.npz", {})


def test_a_missing_folder_and_a_folder_as_name_are_errors_with_the_path(tmp_path):
    with pytest.raises(InputError, match=r"nowhere/a\.npz: cannot be written \(No such file or directory\)"):
        write_npz(tmp_path / "nowhere" / "a.npz", {})
    with pytest.raises(InputError, match="is a folder; expected the name of a file"):
        write_npz(tmp_path, {})


def test_a_symbolic_link_stays_one(tmp_path):
    (tmp_path / "link.npz").symlink_to(tmp_path / "file.npz")
    write_npz(tmp_path / "link.npz", {"w": np.ones(2)})
    assert (tmp_path / "link.npz").is_symlink()
    assert list(read_npz(tmp_path / "file.npz")[0]) == ["w"]


def test_members_are_stored_uncompressed_unless_asked(tmp_path):
    for compress, method in ((False, zipfile.ZIP_STORED), (True, zipfile.ZIP_DEFLATED)):
        write_npz(tmp_path / "a.npz", {"w": np.zeros(500)}, compress=compress)
        with zipfile.ZipFile(tmp_path / "a.npz") as archive:
            assert {info.compress_type for info in archive.infolist()} == {method}

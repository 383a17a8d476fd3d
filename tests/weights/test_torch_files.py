"""Files that torch and safetensors wrote are read, number for number, without either."""

import argparse
import pickle
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from npmaskrcnn.errors import InputError, InputWarning
from npmaskrcnn.weights import read_npz, read_state, sha256_prefix, write_safetensors
from tests.weights import forge

FOLDER = Path(__file__).parents[1] / "reference" / "weights"
EXPECTED, _ = read_npz(FOLDER / "expected.npz")


def expected(prefix):
    return {name.removeprefix(prefix): array for name, array in EXPECTED.items() if name.startswith(prefix)}


def assert_same(got, wanted):
    assert list(got) == list(wanted)
    for name, array in wanted.items():
        np.testing.assert_array_equal(got[name], array)
        assert got[name].dtype == array.dtype and got[name].shape == array.shape
        assert got[name].flags.c_contiguous and got[name].flags.writeable and got[name].dtype.isnative


@pytest.mark.parametrize("container", ["zip", "legacy"])
@pytest.mark.parametrize("content", ["network", "odd", "dtypes"])
def test_both_torch_containers_give_torchs_values(content, container):
    state = read_state(FOLDER / f"{content}_{container}.pth")
    assert state.container == f"torch {container}"
    assert_same(state.arrays, expected(content + "/"))


def test_bfloat16_becomes_contiguous_float32_however_it_lies(tmp_path):
    halves = np.array([0x3F80, 0xC000, 0x4040, 0x3F00, 0, 0x4000], "<u2")  # 1, -2, 3, 0.5, 0, 2
    tensors = {"flat": forge.tensor((6,), (1,), kind="BFloat16Storage"),
               "transposed": forge.tensor((3, 2), (1, 3), kind="BFloat16Storage"),
               "number": forge.tensor((), (), 2, kind="BFloat16Storage")}
    (tmp_path / "b.pth").write_bytes(forge.torch_zip(forge.state(**tensors), {"0": halves.tobytes()}))
    flat = np.array([1, -2, 3, 0.5, 0, 2], np.float32)
    assert_same(read_state(tmp_path / "b.pth").arrays,
                {"flat": flat, "transposed": flat.reshape(2, 3).T, "number": flat[2].reshape(())})


def test_arrays_that_shared_a_storage_have_memory_of_their_own():
    arrays = read_state(FOLDER / "odd_zip.pth").arrays
    arrays["base"][:] = -1
    assert_same({"transposed": arrays["transposed"]}, {"transposed": expected("odd/")["transposed"]})


@pytest.mark.parametrize("wrapper", ["model", "state_dict"])
def test_the_state_dict_of_a_larger_checkpoint_is_found(wrapper):
    said = f"checkpoint_{wrapper}.pth: took the 9 tensors under '{wrapper}'; left out '"
    with pytest.warns(InputWarning, match=said):
        state = read_state(FOLDER / f"checkpoint_{wrapper}.pth")
    assert state.metadata["wrapper"] == wrapper
    assert_same(state.arrays, expected("network/"))


def test_the_checkpoint_of_torchvisions_reference_script_is_read():
    left_out = "'optimizer', 'lr_scheduler', 'args', 'epoch', 'scaler', 'model_ema', 'warmup', 'rng', 'seen', 'best'"
    for name, more in ("checkpoint_references", 3), ("checkpoint_references_legacy", 2):
        with pytest.warns(InputWarning) as caught:
            state = read_state(FOLDER / f"{name}.pth")
        assert [str(warning.message) for warning in caught] == [
            f"{FOLDER / name}.pth: took the 9 tensors under 'model'; left out {left_out} and {more} more"]
        assert_same(state.arrays, expected("network/"))


def pickled(value):
    """A fragment that makes any Python object."""
    return pickle.dumps(value, 2)[2:-1]


W, V = forge.tensor(), forge.tensor(key="1")
BODY = "backbone.body.conv1.weight"
ARGS = pickled(argparse.Namespace(path=Path("x"), steps=[16, 22], count=Counter([1]), odd={(1, 2): {3}, None: b"x"}))


@pytest.mark.parametrize("fragment, taken", [
    (forge.entries(model=forge.entries(w=W), model_ema=forge.entries(v=V), args=ARGS),
     "under 'model'; left out 'model_ema', 'args'"),
    (forge.entries(model_ema=forge.entries(n_averaged=V, **{f"module.{BODY}": W}), epoch=b"K\x01"),
     "'module.*' under 'model_ema'; left out 'epoch', 'n_averaged'"),
    (forge.entries(state_dict=forge.entries(**{f"net.{BODY}": W, "loss.w": V}), hyper_parameters=ARGS,
                   callbacks=forge.entries(best=forge.entries(score=V))),
     "'net.*' under 'state_dict'; left out 'hyper_parameters', 'callbacks', 'loss'"),
    (forge.entries(**{f"module._orig_mod.{BODY}": W}), "'module._orig_mod.*'"),
    (forge.entries(state=forge.entries(optimizers=ARGS, model=forge.entries(w=W)), rng=V),
     "under 'state/model'; left out 'rng', 'optimizers'"),
    (forge.entries(rng=V, model_state_dict=forge.entries(w=W)), "under 'model_state_dict'; left out 'rng'"),
    (forge.entries(model=forge.entries(depth=b"K\x32"), state_dict=forge.entries(w=W)),
     "under 'state_dict'; left out 'model'"),
    (forge.entries(mine=forge.entries(w=W), args=ARGS,
                   optimizer=forge.entries(state=b"}K\x00" + forge.entries(moment=V) + b"s")),
     "under 'mine'; left out 'args', 'optimizer'"),
])
def test_a_fixed_rule_says_what_is_the_model_and_only_that_is_read(tmp_path, fragment, taken):
    path = tmp_path / "c.pth"
    path.write_bytes(forge.torch_zip(forge.program(fragment)))  # without storage 1: whoever asks for it is told
    with pytest.warns(InputWarning) as caught:
        state = read_state(path)
    assert [str(warning.message) for warning in caught] == [f"{path}: took the 1 tensor {taken}"]
    ((name, array),) = state.arrays.items()
    assert name in ("w", BODY) and array.tolist() == [[0, 1, 2], [3, 4, 5]]


@pytest.mark.parametrize("fragment, reason", [
    (forge.entries(a=forge.entries(w=W), b=forge.entries(w=W)), "has tensors under 'a', 'b', and none of these names"),
    (forge.entries(w=W, args=ARGS), "has a Namespace under 'args'; its pickle asks for 'argparse.Namespace'"),
    (forge.entries(epoch=b"K\x01", model=ARGS, optimizer=b"}"),
     "has a int under 'epoch', a Namespace under 'model', a dict under 'optimizer'; its pickle asks for "
     "'argparse.Namespace', which weights do not need and was not run; expected nothing but tensors"),
    (ARGS, "its pickle asks for 'argparse.Namespace', which weights do not need and was not run"),
    (forge.entries(model=forge.entries(w=W, v=ARGS)), "has a Namespace under 'model/v'; its pickle asks for"),
    (forge.entries(w=W, v=forge.tensor(kind="ComplexFloatStorage")), "has a ComplexFloatStorage under 'v'"),
    (forge.entries(model=forge.entries(**{"backbone.bottom_up.stem.conv1.weight": W})), "is a model of detectron2"),
])
def test_a_checkpoint_without_a_state_dict_says_what_it_has(tmp_path, fragment, reason):
    path = tmp_path / "c.pth"
    path.write_bytes(forge.torch_zip(forge.program(fragment)))
    with pytest.raises(InputError) as caught:
        read_state(path)
    assert str(caught.value).startswith(f"{path}: {reason}") and "\n" not in str(caught.value)


def test_safetensors_by_its_own_library_are_read():
    state = read_state(FOLDER / "network.safetensors")
    wanted = {**expected("network/"), **expected("dtypes/")}
    assert state.container == "safetensors" and state.metadata == {"format": "pt"}
    assert_same({name: state.arrays[name] for name in wanted}, wanted)
    assert len(state.arrays) == len(wanted)


def test_safetensors_come_back_and_lie_aligned(tmp_path):
    arrays = {**expected("odd/"), **expected("dtypes/")}
    write_safetensors(tmp_path / "a.safetensors", arrays, {"key": "value"})
    state = read_state(tmp_path / "a.safetensors")
    assert state.metadata == {"key": "value"}
    assert_same({name: state.arrays[name] for name in arrays}, arrays)
    content = (tmp_path / "a.safetensors").read_bytes()
    assert int.from_bytes(content[:8], "little") % 8 == 0  # the data begins at a multiple of 8 ...
    itemsizes = [array.itemsize for array in state.arrays.values()]
    assert itemsizes == sorted(itemsizes, reverse=True)  # ... and wide numbers come first


@pytest.mark.parametrize("bad", [
    {"c": np.ones(2, complex)}, {"o": np.array([None])}, {"__metadata__": np.ones(2)},
])
def test_what_safetensors_cannot_hold_is_not_written(tmp_path, bad):
    with pytest.raises(InputError, match="has no place|must be an array of bools or real numbers"):
        write_safetensors(tmp_path / "a.safetensors", bad)
    with pytest.raises(InputError, match="maps strings to strings"):
        write_safetensors(tmp_path / "a.safetensors", {}, {"step": 3})
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name, reason", [
    ("refused_whole_network.pth", "asks for 'torch.nn.modules.container.Sequential'"),
    ("refused_uint16.pth", "asks for 'torch._utils._rebuild_tensor_v3'"),
    ("refused_protocol_4.pth", "is of protocol 4; expected 2"),
    ("refused_nan.pth", "'w' holds NaN or infinity"),
])
def test_torch_files_with_more_than_tensors_are_refused_in_one_line(name, reason):
    with pytest.raises(InputError) as caught:
        read_state(FOLDER / name)
    assert str(caught.value).startswith(str(FOLDER / name)) and reason in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_container_is_told_by_its_bytes_whatever_the_name(tmp_path):
    for name in ("network_zip.pth", "network_legacy.pth", "network.safetensors", "expected.npz"):
        wrong_name = tmp_path / (name + ".jpg")
        wrong_name.write_bytes((FOLDER / name).read_bytes())
        assert read_state(wrong_name).container == read_state(FOLDER / name).container


def test_sha256_prefix_of_a_known_text(tmp_path):
    (tmp_path / "abc").write_bytes(b"abc")
    assert sha256_prefix(tmp_path / "abc") == "ba7816bf"  # FIPS 180-2, appendix B.1

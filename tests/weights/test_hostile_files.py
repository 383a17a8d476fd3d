"""Wrong files end as one `InputError` line that begins with the path; no code runs, no memory is taken.

Held against files forged byte by byte (`forge.py`), one fault each, with a marker on the disk that any code that ran
would leave, and against the memory that was taken.
"""

import json
import os
import pickle
import struct
import tracemalloc
import zipfile

import numpy as np
import pytest

from npmaskrcnn.errors import InputError
from npmaskrcnn.weights import read_npz, read_state, unpickler
from tests.weights import forge

GOOD = forge.state(w=forge.tensor())
MAX_BYTES = 8 << 20  # far below what the bombs ask for, above what the interpreter needs


def refuse(tmp_path, content, reader=read_state, name="weights.pth"):
    """Return why a file of these bytes is refused, having watched how, and how much memory it took."""
    path = tmp_path / name
    path.write_bytes(content)
    tracemalloc.start()
    try:
        with pytest.raises(InputError) as caught:
            reader(path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    message = str(caught.value)
    assert message.startswith(f"{path}: ") and "\n" not in message and "allow_pickle" not in message
    assert len(message) < 900 and peak < MAX_BYTES + 3 * len(content)
    return message.removeprefix(f"{path}: ")


def test_the_forged_files_are_right_before_they_are_made_wrong(tmp_path):
    for content in (forge.torch_zip(GOOD), forge.torch_legacy(GOOD)):
        (tmp_path / "good.pth").write_bytes(content)
        np.testing.assert_array_equal(read_state(tmp_path / "good.pth").arrays["w"], [[0, 1, 2], [3, 4, 5]])


# ---- what people hand in by mistake ---------------------------------------------------------------

@pytest.mark.parametrize("content, reason", [
    (b"", "is empty (0 bytes); expected weights: .npz, .safetensors, or a torch .pth"),
    (b"<!DOCTYPE html>\n<html><head><title>404", "is a web page, probably an error page"),
    (b"\n <?xml version='1.0'?><Error><Code>AccessDenied</Code></Error>", "is a web page"),
    (b"version https://git-lfs.github.com/spec/v1\noid sha256:00", "is a Git LFS pointer"),
    (b"\x89HDF\r\n\x1a\n" + bytes(50), "is an HDF5 file, as Keras saves it"),
    (b"\x1f\x8b\x08" + bytes(50), "is a gzip archive"),
    (b"not weights at all", "is a text file"),
    (bytes(1000), "is a run of zero bytes"),
    (b"\xde\xad\xbe\xef" * 5, "is of no known kind (it begins with de ad be ef)"),
    (bytes(257) + b"ustar" + bytes(300), "is a tar archive (torch before 0.2"),
    (pickle.dumps({"w": [1.0]}, 2), "is a plain pickle, which is not opened"),
])
@pytest.mark.parametrize("name", ["weights.pth", "weights.npz", "weights.safetensors"])
def test_what_is_no_weight_file_is_called_by_its_name(tmp_path, content, reason, name):
    assert reason in refuse(tmp_path, content, name=name)


def test_a_missing_file_a_folder_and_a_pipe(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for name, reason in (("absent", "no such file"), ("", "is a folder"), ("pipe", "is not a regular file")):
        for reader in (read_state, read_npz):
            with pytest.raises(InputError, match=reason):
                reader(tmp_path / name)


# ---- code -----------------------------------------------------------------------------------------

class Payload:
    """Pickles as a call that writes a marker file."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize("make", [
    lambda marker: Payload(os.system, f"echo run > {marker}"),
    lambda marker: Payload(eval, f"open({str(marker)!r}, 'w').close()"),
    lambda marker: Payload(exec, f"open({str(marker)!r}, 'w').close()"),
    lambda marker: {"w": Payload(os.mkdir, str(marker))},
])
def test_a_payload_does_not_run(tmp_path, make):
    marker = tmp_path / "marker"
    payload = make(marker)
    pickled = pickle.dumps(payload, 2)
    for content in (forge.torch_zip(pickled), forge.torch_legacy(pickled)):
        assert "which weights do not need and was not run" in refuse(tmp_path, content)
    np.savez(tmp_path / "object.npz", w=np.array([payload], dtype=object))
    assert "is not a plain array" in refuse(tmp_path, (tmp_path / "object.npz").read_bytes(), read_npz)
    assert not marker.exists()
    pickle.loads(pickled)  # the payload is a real one: the marker shows what was avoided
    assert marker.exists()


@pytest.mark.filterwarnings("ignore:.* took the 1 tensor")
@pytest.mark.parametrize("beside", ["args", "optimizer", "model_ema"])
def test_a_payload_beside_the_weights_is_stepped_over_and_does_not_run(tmp_path, beside):
    marker = tmp_path / "marker"
    for call in (os.mkdir, str(marker)), (eval, f"open({str(marker)!r}, 'w')"), (os.system, f"echo run > {marker}"):
        pickled = pickle.dumps([Payload(*call), {"deep": (Payload(*call),)}], 2)
        pickled = forge.state(model=forge.entries(w=forge.tensor()), **{beside: pickled[2:-1]})
        for content in (forge.torch_zip(pickled), forge.torch_legacy(pickled)):
            (tmp_path / "weights.pth").write_bytes(content)
            np.testing.assert_array_equal(read_state(tmp_path / "weights.pth").arrays["w"], [[0, 1, 2], [3, 4, 5]])
        assert not marker.exists()


@pytest.mark.parametrize("fragment, reason", [
    (b"cposix\nsystem\n", "'posix.system'"),
    (b"ctorch\n_utils._rebuild_tensor_v2\n", "'torch._utils._rebuild_tensor_v2'"),  # a dotted attribute
    (b"ctorch FloatStorage\n\n", "'torch FloatStorage.'"),
    (b"cbuiltins\ngetattr\n", "'builtins.getattr'"),
    (b"c" + b"a" * 100_000, "ends within a name"),
    (b"c" + b"a" * 100_000 + b"\n\n", "'" + "a" * 200),
    (b"\x8c\x02os\x8c\x06system\x93", "instruction SHORT_BINUNICODE"),
    (b"i" + b"os\nsystem\n", "instruction INST"),
    (b"(cos\nsystem\no", "instruction OBJ"),
    (b"cos\nsystem\n)R", "'os.system', which weights do not need and was not run"),
    (b"cos\nsystem\n)\x81", "'os.system', which weights do not need and was not run"),
    (b"cos\nsystem\n)R)R}bK\x01aK\x01K\x01s", "'os.system', which weights do not need and was not run"),
    (b"\x82\x01", "instruction EXT1"),
    (b"P0\n", "instruction PERSID"),
    (b"2", "instruction DUP"),
    (b"\xff", "instruction ff"),
    (forge.ORDERED_DICT[:-2] + forge.group(forge.number(1)) + b"R", "calls OrderedDict with arguments"),
    (b"ctorch\nFloatStorage\n)R", "calls FloatStorage with arguments"),
    (b"}}\x81", "calls something that is not a function"),
    (b"})\x81", "calls something that is not a function"),
    (b"cos\nsystem\n}\x81", "calls something that is not a function"),
    (b"cos\nsystem\n}b", "sets attributes"),
    (b"}}X\x08\x00\x00\x00__dict__Nsb", "sets attributes"),
    (b"N)R", "calls something that is not a function"),
    (b"}Nb", "sets attributes"),
    (b"N}b", "sets attributes"),  # the library's BUILD lets an empty state pass on anything
    (b"ccollections\nOrderedDict\nN}X\x01\x00\x00\x00aNs\x86b", "sets attributes"),
    (b"ccollections\nOrderedDict\n]R", "calls something that is not a function"),
    (forge.group(forge.text("module"), forge.text("os")) + b"Q", "is not a storage"),
    (forge.storage(view=forge.numbers((1, 2))), "is not a storage"),
    (forge.storage(key="../0"), "class, decimal key and count"),
    (forge.storage(count=-1), "class, decimal key and count"),
    (forge.storage(kind="UntypedStorage"), "'torch.UntypedStorage'"),
])
def test_instructions_that_no_state_dict_needs_are_refused(tmp_path, fragment, reason):
    for content in (forge.torch_zip(forge.program(fragment)), forge.torch_legacy(forge.program(fragment))):
        assert reason in refuse(tmp_path, content)


@pytest.mark.parametrize("program, reason", [
    (b"", "wants 1 bytes where 0 are left"),
    (b"\x80\x02}", "wants 1 bytes where 0 are left"),
    (b"\x80\x02.", "goes wrong before byte 3 (pop from empty list)"),
    (b"\x80\x02t.", "goes wrong before byte 3 (pop from empty list)"),  # no mark
    (b"\x80\x02N(a.", "goes wrong before byte 5 (pop from empty list)"),  # not through the mark
    (b"\x80\x02Nu.", "goes wrong before byte 4"),
    (b"\x80\x02q\x00.", "goes wrong before byte 4"),  # nothing to store
    (b"\x80\x02N\x86.", "goes wrong before byte 4"),  # a pair of one
    (b"\x80\x02})a.", "goes wrong before byte 5"),  # a dict is no list
    (b"\x80\x02}()e.", "goes wrong before byte 6"),
    (b"\x80\x02\x80\x09.", "goes wrong before byte 4"),
    (b"\x80\x02]K\x00Ns.", "treats a list as a dict"),
    (b"\x80\x02X\x03\x00\x00\x00\xed\xa0\x80.", "goes wrong before byte 10"),  # half of a surrogate pair
    (b"\x80\x02N(NNu.", "treats a NoneType as a dict"),
    (b"\x80\x02}(Nu.", "a key without a value"),
    (b"\x80\x02})Ns.", "has a NoneType under '<tuple>'"),
    (b"\x80\x02h\x07.", "goes wrong before byte 4 (Memo value not found at index 7)"),
    (b"\x80\x02X\xff\xff\xff\xffabc.", "bytes where 4 are left"),
    (b"\x80\x02\x8a\xffabc.", "wants 255 bytes"),
    (b"\x80\x02\x8b\xff\xff\xff\x7f.", "instruction LONG4"),
    (b"\x80\x02c" + b"x" * 50, "ends within a name"),
    (forge.program(b"]"), "holds a list that is empty"),
    (forge.program(b"}"), "holds a dict that is empty"),
    (forge.program(b"N"), "holds a NoneType"),
    (forge.program(b"}(" + forge.text("w") + b"Nu"), "has a NoneType under 'w'"),
    (forge.program(b"}(" + forge.number(3) + forge.tensor() + b"u"), "has a Tensor under '3'"),
    (forge.program(b"}(" + 2 * (forge.text("w") + forge.tensor()) + b"u"), "two entries named 'w'"),
])
def test_malformed_pickles_are_refused(tmp_path, program, reason):
    assert reason in refuse(tmp_path, forge.torch_zip(program))


@pytest.mark.parametrize("program", [
    b"\x80\x02" + b"(" * 40_000 + b"t" * 40_000 + b".",  # nested tuples
    b"\x80\x02" + b"]" * 40_000 + b"a" * 39_999 + b".",  # nested lists
    b"\x80\x02)" + b"q\x00h\x00\x86" * 200 + b".",  # a pair of pairs of pairs ...: 2**200 leaves
    b"\x80\x02" + b"}" * 110_000,  # too many instructions
    b"\x80\x02ca\nb\nq\x00(" + b"h\x00)R" * 20_000 + b"t.",  # blanks
    b"\x80\x02})" + b"q\x00h\x00\x86" * 200 + b"Ns.",  # a key that takes for ever to hash
    b"\x80\x02}q\x00" + forge.text("model") + b"h\x00s.",  # a dict in itself
    b"\x80\x02N" + b"r\xff\xff\xff\xff" * 1000 + b".",  # large memo numbers
])
def test_depth_doubling_and_length_cost_nothing(tmp_path, program, monkeypatch):
    assert unpickler.MAX_STEPS == 1_000_000
    monkeypatch.setattr(unpickler, "MAX_STEPS", 100_000)       # in a tenth of the time
    path = tmp_path / "bomb.pth"
    path.write_bytes(forge.torch_zip(program))
    with pytest.raises(InputError, match="bomb.pth: (has a|holds a|its pickle has more than)"):
        read_state(path)


# ---- windows out of their storage, and much out of little -----------------------------------------

@pytest.mark.parametrize("wrong, reason", [
    ({"offset": 1}, "reaches to number 6 of its storage, which has 6"),
    ({"stride": (4, 1)}, "reaches to number 6"),
    ({"stride": (3, 2)}, "reaches to number 7"),
    ({"size": (3, 3)}, "reaches to number 8"),
    ({"stride": (-3, 1)}, "no count of numbers"),
    ({"offset": -1}, "no count of numbers"),
    ({"offset": 2**62}, "no count of numbers"),
    ({"size": (2, 2**62)}, "no count of numbers"),
    ({"size": (6,)}, "do not belong together"),
    ({"size": (1,) * 9, "stride": (1,) * 9}, "impossible"),
    ({"size": (2**20, 2**20), "stride": (0, 0)}, "expected at most"),
    ({"size": (2**30, 2**30), "stride": (0, 0)}, "impossible"),
    ({"size": (10**6, 3), "stride": (0, 1)}, "describes 12000000 bytes of tensors"),
    ({"size": (0, 2**39, 2**39), "stride": (0, 0, 0)}, "impossible"),
    ({"count": 7}, "24 bytes long; its pickle expects 28"),
    ({"count": 2**50, "size": (2**39,), "stride": (1,)}, "expected at most"),
    ({"kind": "DoubleStorage"}, "24 bytes long; its pickle expects 48"),
    ({"key": "1"}, "'archive/data/1' is missing"),
])
def test_a_window_out_of_its_storage_is_refused(tmp_path, wrong, reason):
    pickled = forge.state(w=forge.tensor(**wrong))
    assert reason in refuse(tmp_path, forge.torch_zip(pickled))
    refuse(tmp_path, forge.torch_legacy(pickled))


def test_many_windows_on_one_storage_are_bounded_together(tmp_path):
    storage = np.zeros(50_000, "<f4").tobytes()
    windows = {f"w{i}": forge.tensor((50_000,), (1,), count=50_000) for i in range(40)}  # 8 MB from 0.2
    content = forge.torch_zip(forge.state(**windows), {"0": storage})
    assert "describes 8000000 bytes of tensors" in refuse(tmp_path, content)


def test_a_storage_described_in_two_ways_is_refused(tmp_path):
    pickled = forge.state(v=forge.tensor(), w=forge.tensor(count=5, size=(2,), stride=(1,)))
    assert "describes storage 0 in two ways" in refuse(tmp_path, forge.torch_zip(pickled))


# ---- containers -----------------------------------------------------------------------------------

@pytest.mark.parametrize("name", ["../x", "/etc/passwd", "archive/../../x", "C:/x", "archive//x", "a\\b"])
def test_member_names_that_leave_the_archive_are_refused(tmp_path, name):
    content = forge.torch_zip(GOOD, extra=[(name, b"x")])
    assert "expected a plain relative name" in refuse(tmp_path, content)
    content = forge.make_zip([(name + ".npy", b"x")])
    assert "expected a plain relative name" in refuse(tmp_path, content, read_npz)


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_duplicate_members_are_refused(tmp_path):
    content = forge.torch_zip(GOOD, extra=[("archive/data/0", bytes(24))])
    assert "two members named 'archive/data/0'" in refuse(tmp_path, content)
    array = forge.npy("{'descr': '<f4', 'fortran_order': False, 'shape': (6,), }", forge.SIX)
    assert "two members named 'w.npy'" in refuse(tmp_path, forge.make_zip([("w.npy", array)] * 2), read_npz)


def test_two_members_in_one_place_are_refused(tmp_path):
    array = forge.npy("{'descr': '<f4', 'fortran_order': False, 'shape': (6,), }", forge.SIX)
    content = bytearray(forge.make_zip([("v.npy", array), ("w.npy", array)]))
    second = content.rindex(b"PK\x01\x02")     # its entry in the directory, which ends with where it is
    content[second + 42 : second + 46] = bytes(4)
    assert "two members in one place" in refuse(tmp_path, bytes(content), read_npz)


@pytest.mark.parametrize("extra, reason", [
    ([("other/data.pkl", b"x")], "has 2 members named data.pkl"),
    ([("other/data/0", b"x")], "expected one folder with all"),
    ([("loose", b"x")], "expected one folder with all"),
])
def test_a_torch_archive_has_one_root(tmp_path, extra, reason):
    assert reason in refuse(tmp_path, forge.torch_zip(GOOD, extra=extra))


def test_compressed_torch_members_are_refused(tmp_path):
    assert "torch stores its members as they are" in refuse(tmp_path, forge.torch_zip(GOOD, compress=True))


@pytest.mark.parametrize("order", [b"big", b"", b"\xff" * 50])
def test_big_endian_torch_files_are_refused(tmp_path, order):
    assert "expected 'little'" in refuse(tmp_path, forge.torch_zip(GOOD, byteorder=order))
    assert "big-endian machine" in refuse(tmp_path, forge.torch_legacy(GOOD, little_endian=False))


def test_zips_that_are_no_weights_are_refused(tmp_path):
    assert "a zip archive with 'photo.jpg'" in refuse(tmp_path, forge.make_zip([("photo.jpg", b"x")]))
    assert "do not end with a sound directory" in refuse(tmp_path, b"PK\x03\x04" + bytes(100))


@pytest.mark.parametrize("make", [forge.torch_zip, forge.torch_legacy])
def test_every_truncation_is_refused(tmp_path, make):
    content = make(GOOD)
    for length in range(1, len(content), 7):
        assert refuse(tmp_path, content[:length])
    assert "incomplete" in refuse(tmp_path, content[:-1])


def test_a_truncated_legacy_file_tells_how_much_is_missing(tmp_path):
    content = forge.torch_legacy(GOOD)
    reason = f"incomplete: has {len(content) - 10} bytes; its tensors expect {len(content)}"
    assert reason in refuse(tmp_path, content[:-10])
    assert "damaged: has" in refuse(tmp_path, content + b"more")


@pytest.mark.parametrize("change, reason", [
    ({"keys": ["1"]}, "list of storages"),
    ({"keys": ["0", "0"]}, "list of storages"),
    ({"storages": {"0": (5, forge.SIX)}}, "announces 5 numbers; expected 6"),
    ({"storages": {"0": (-6, forge.SIX)}}, "announces -6 numbers"),
])
def test_a_legacy_file_that_contradicts_itself_is_refused(tmp_path, change, reason):
    assert reason in refuse(tmp_path, forge.torch_legacy(GOOD, **change))


def test_one_flipped_byte_in_a_storage_is_noticed_by_the_checksum(tmp_path):
    content = bytearray(forge.torch_zip(GOOD))
    content[content.index(forge.SIX) + 5] ^= 1
    assert "damaged: member 'archive/data/0' cannot be read (Bad CRC-32" in refuse(tmp_path, bytes(content))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_the_first_tensor_that_is_not_finite_is_named(tmp_path, value):
    arrays = {"fine": np.ones(2), "bad": np.array([1, value], np.float16), "worse": np.array(value)}
    np.savez(tmp_path / "source.npz", **arrays)
    assert "'bad' holds NaN or infinity" in refuse(tmp_path, (tmp_path / "source.npz").read_bytes())


# ---- npz ------------------------------------------------------------------------------------------

HEADER = "{'descr': '<f4', 'fortran_order': False, 'shape': (6,), }"


@pytest.mark.parametrize("header, content, reason", [
    (HEADER.replace("(6,)", "(1000000000000,)"), forge.SIX, "(1000000000000,), 4000000000000 bytes"),
    (HEADER.replace("(6,)", "(0, 99999999999999999999, 99999999999999999999)"), b"", "impossible"),
    (HEADER.replace("(6,)", "(6, 1, 1, 1, 1, 1, 1, 1, 1)"), forge.SIX, "impossible"),
    (HEADER.replace("(6,)", "(-6,)"), forge.SIX, "is not a plain array"),
    (HEADER.replace("(6,)", "(6 1,)"), forge.SIX, "is not a plain array"),
    (HEADER.replace("(6,)", "(5,)"), forge.SIX, "20 bytes, and holds 24 bytes"),
    (HEADER.replace("<f4", "|O"), forge.SIX, "is not a plain array"),
    (HEADER.replace("<f4", "<c8"), forge.SIX, "is of dtype '<c8'"),
    (HEADER.replace("<f4", "<m8"), forge.SIX, "is of dtype '<m8'"),
    (HEADER.replace("'<f4'", "[('x', '<f4')]"), forge.SIX, "is not a plain array"),
    (HEADER.replace("(6,)", "(" * 20000), forge.SIX, "is not a plain array"),
    (HEADER.replace("(6,)", "(" + "1," * 20000 + ")"), forge.SIX, "is not a plain array"),
    (HEADER.replace("(6,)", "(__import__('os').getcwd(),)"), forge.SIX, "is not a plain array"),
    ("", b"", "is not a plain array"),
])
def test_an_npy_header_that_claims_too_much_is_refused(tmp_path, header, content, reason):
    archive = forge.make_zip([("w.npy", forge.npy(header, content))])
    assert reason in refuse(tmp_path, archive, read_npz)
    assert reason in refuse(tmp_path, archive)


def test_a_zip_bomb_is_refused_by_its_directory(tmp_path):
    content = forge.make_zip([("w.npy", bytes(100 << 20))], compress=True)  # 100 MB in 0.1
    assert "declares 104857600 bytes of content in a file of" in refuse(tmp_path, content, read_npz)


def test_a_directory_that_lies_about_a_length_is_refused(tmp_path):
    content = forge.make_zip([("w.npy", forge.npy(HEADER, forge.SIX))])
    place = content.index(b"PK\x01\x02") + 24  # the uncompressed length in the directory
    lying = content[:place] + struct.pack("<I", 2**31) + content[place + 4 :]
    assert "uncompressed, yet of two lengths" in refuse(tmp_path, lying, read_npz)


def test_a_directory_that_promises_more_than_unpacks_is_refused(tmp_path):
    content = forge.make_zip([("w.npy", forge.npy(HEADER, forge.SIX))], compress=True)
    place = content.index(b"PK\x01\x02") + 24
    lying = content[:place] + struct.pack("<I", 1000) + content[place + 4 :]
    assert "bytes of 1000; expected a whole file" in refuse(tmp_path, lying, read_npz)


@pytest.mark.parametrize("signature, place, wrong, reason", [
    (b"PK\x01\x02", 32, b"\xff\x7f", "its directory has 1 members, which the record behind it does not confirm"),
    (b"PK\x03\x04", 28, b"\xff\x7f", "member 'v.npy' cannot be read (EOFError)"),      # 32 kB of extra fields before it
    (b"PK\x03\x04", 7, b"\x08", "member 'v.npy' cannot be read ('utf-8' codec can't decode byte 0xff"),
])
def test_a_header_that_sends_the_reader_astray_is_refused(tmp_path, signature, place, wrong, reason):
    content = forge.make_zip([(name, forge.npy(HEADER, forge.SIX)) for name in ("v.npy", "w.npy")])
    start = content.index(signature) + place
    lying = content[:start] + wrong + content[start + len(wrong):]
    if "utf-8" in reason:
        lying = lying.replace(b"v.npy", b"\xff.npy", 1)
    assert reason in refuse(tmp_path, lying, read_npz)


def test_an_encrypted_member_is_refused(tmp_path):
    content = bytearray(forge.make_zip([("w.npy", forge.npy(HEADER, forge.SIX))]))
    content[content.index(b"PK\x01\x02") + 8] |= 1
    assert "is encrypted" in refuse(tmp_path, bytes(content), read_npz)


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_other_compressions_are_refused(tmp_path, method):
    with zipfile.ZipFile(tmp_path / "a.zip", "w", method) as archive:
        archive.writestr("w.npy", forge.npy(HEADER, forge.SIX))
    content = (tmp_path / "a.zip").read_bytes()
    assert f"is compressed by method {method}" in refuse(tmp_path, content, read_npz)


@pytest.mark.parametrize("meta, reason", [
    (b"{", "is not JSON"), (b"\xff", "is not JSON"), (b"[" * 100_000, "is not JSON"),
    (b"3", "lacks format_version"), (b"{}", "lacks format_version"),
    (b'{"format_version": 1}', "lacks format_version or meta"),
    (b'{"format_version": "1", "meta": {}}', "lacks"),
    (b'{"format_version": 0, "meta": {}}', "of format version 0"),
])
def test_a_wrong_meta_entry_is_refused(tmp_path, meta, reason):
    header = f"{{'descr': '|u1', 'fortran_order': False, 'shape': ({len(meta)},), }}"
    content = forge.make_zip([("__npmaskrcnn__.npy", forge.npy(header, meta))])
    assert reason in refuse(tmp_path, content, read_npz)


def test_another_container_is_not_read_as_an_npz(tmp_path):
    assert "is not an .npz file" in refuse(tmp_path, forge.torch_legacy(GOOD), read_npz)
    assert "'archive/data.pkl'" in refuse(tmp_path, forge.torch_zip(GOOD), read_npz)


# ---- safetensors ----------------------------------------------------------------------------------

def safetensors(header, data=forge.SIX):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def entry(dtype="F32", shape=(2, 3), offsets=(0, 24)):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": list(offsets)}


@pytest.mark.parametrize("content, reason", [
    (safetensors({"w": entry()})[:-1], "incomplete: has"),
    (safetensors({"w": entry()}) + b"x", "damaged: has"),
    (safetensors({"w": entry(shape=(2, 2))}), "has 24 bytes of data; [2, 2] of F32 needs 16"),
    (safetensors({"w": entry(shape=(10**6, 10**6))}), "needs 4000000000000"),
    (safetensors({"w": entry(shape=(10**12,), offsets=(0, 4 * 10**12))}), "incomplete: has"),
    (safetensors({"w": entry(shape=(0, 2**60, 2**60), offsets=(0, 0))}, b""), "impossible"),
    (safetensors({"w": entry(shape=(-2, -3))}), "is not a whole number"),
    (safetensors({"w": entry(shape=(True, 6))}), "is not a whole number"),
    (safetensors({"w": entry(shape=(2.0, 3))}), "is not a whole number"),
    (safetensors({"w": entry(dtype="F8_E4M3")}), "is of dtype F8_E4M3; expected one of F64"),
    (safetensors({"w": entry(dtype=["F32"])}), "is of dtype ['F32']"),
    (safetensors({"w": entry(shape=[1] * 9)}), "impossible"),
    (safetensors({"w": entry(offsets=(4, 28))}), "begins at byte 4 of the data; expected 0"),
    (safetensors({"v": entry(), "w": entry()}), "'w' begins at byte 0 of the data; expected 24"),
    (safetensors({"w": {}}), "lacks dtype, shape or data_offsets"),
    (safetensors({"w": 3}), "lacks dtype, shape or data_offsets"),
    (safetensors({"w": entry(offsets=(0, 12, 24))}), "lacks dtype, shape or data_offsets"),
    (safetensors({"__metadata__": {"a": 1}, "w": entry()}), "is not a map of strings"),
    (safetensors(b'{"w": 1, "w": 2}'), "has the key 'w' 2 times in one object"),
    (safetensors(b'{"a":' * 50_000), "is not a JSON object"),
    (safetensors(b'{"\xff": 1}'), "is not a JSON object"),
    (safetensors(b'{"w": ' + b"9" * 5000 + b"}"), "w"),
    (struct.pack("<Q", 2**63) + b"{}", "header of 9223372036854775808 bytes is announced in a file of 10"),
    (struct.pack("<Q", 100) + b"{}", "header of 100 bytes is announced in a file of 10"),
])
def test_a_safetensors_file_that_contradicts_itself_is_refused(tmp_path, content, reason):
    assert reason in refuse(tmp_path, content)

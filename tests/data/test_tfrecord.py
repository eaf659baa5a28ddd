"""TFRecord against protobuf's own runtime and TensorBoard's record writer, and every way in which a file is damaged."""

import gzip
from contextlib import suppress
from functools import cache

import numpy as np
import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from hypothesis import given, settings
from hypothesis import strategies as st
from tensorboard.summary.writer.record_writer import RecordWriter

from swath.data.tfrecord import build_example, parse_example, read_examples, write_examples
from swath.errors import DataError, ReadError, WriteError


@cache
def _example_class(packed: bool):
    """`tf.train.Example` as its published .proto declares it, with lists packed or not."""
    field = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(name=f"example_{packed}.proto", package=f"tf{packed}", syntax="proto3")

    def message(name, *fields):
        declared = file.message_type.add(name=name)
        for number, (label, kind, type_name) in enumerate(fields, 1):
            added = declared.field.add(name=f"f{number}", number=number, label=label, type=kind)
            if type_name:
                added.type_name = f".tf{packed}.{type_name}"
            elif label == field.LABEL_REPEATED and kind != field.TYPE_BYTES:
                added.options.packed = packed
        return declared

    message("BytesList", (field.LABEL_REPEATED, field.TYPE_BYTES, None))
    message("FloatList", (field.LABEL_REPEATED, field.TYPE_FLOAT, None))
    message("Int64List", (field.LABEL_REPEATED, field.TYPE_INT64, None))
    message(
        "Feature",
        *((field.LABEL_OPTIONAL, field.TYPE_MESSAGE, n) for n in ("BytesList", "FloatList", "Int64List")),
    )
    entry = ((field.LABEL_OPTIONAL, field.TYPE_STRING, None), (field.LABEL_OPTIONAL, field.TYPE_MESSAGE, "Feature"))
    message("Entry", *entry)
    message("Features", (field.LABEL_REPEATED, field.TYPE_MESSAGE, "Entry"))
    message("Example", (field.LABEL_OPTIONAL, field.TYPE_MESSAGE, "Features"))
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"tf{packed}.Example"))


_examples = st.dictionaries(
    st.text(max_size=8),
    st.one_of(
        st.lists(st.binary(max_size=300), min_size=1, max_size=3),
        st.lists(st.floats(width=32, allow_nan=False), min_size=1, max_size=50).map(lambda v: np.array(v, np.float32)),
        st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1, max_size=50).map(lambda v: np.array(v, np.int64)),
    ),
    min_size=1,
    max_size=5,
)


def _same(found, expected):
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        if isinstance(value, list):
            assert found[name] == value
        else:
            assert found[name].dtype == value.dtype
            np.testing.assert_array_equal(found[name], value)


@pytest.mark.parametrize("packed", [True, False])
@settings(deadline=None)
@given(example=_examples)
def test_records_are_those_of_protobuf(packed, example):
    made = _example_class(packed)()
    for name, value in example.items():
        entry = made.f1.f1.add(f1=name)
        kind = "f1" if isinstance(value, list) else "f2" if value.dtype == np.float32 else "f3"
        getattr(entry.f2, kind).f1.extend(value if isinstance(value, list) else value.tolist())
    _same(parse_example(made.SerializeToString()), example)
    read = _example_class(packed).FromString(build_example(example))
    assert read == made


@pytest.mark.parametrize("name", ["plain.tfrecord", "packed.tfrecord.gz"])
def test_files_are_those_of_tensorboard(tmp_path, name):
    examples = [{"x": np.arange(i, i + 2000, dtype=np.float32), "class": np.array([i])} for i in range(3)]
    ours, theirs = tmp_path / name, tmp_path / f"their_{name}"
    write_examples(ours, examples)
    with gzip.open(theirs, "wb") if name.endswith(".gz") else theirs.open("wb") as file:
        writer = RecordWriter(file)
        for example in examples:
            writer.write(build_example(example))
    unpacked = [gzip.decompress(p.read_bytes()) if name.endswith(".gz") else p.read_bytes() for p in (ours, theirs)]
    assert unpacked[0] == unpacked[1]
    found = list(read_examples(theirs))
    assert len(found) == 3
    for a, b in zip(found, examples, strict=True):
        _same(a, b)


def test_no_record_is_no_example(tmp_path):
    write_examples(tmp_path / "empty.tfrecord.gz", [])
    assert list(read_examples(tmp_path / "empty.tfrecord.gz")) == []


@pytest.fixture
def whole(tmp_path):
    path = tmp_path / "whole.tfrecord"
    write_examples(path, [{"x": np.arange(100, dtype=np.float32)}] * 2)
    return path


def test_truncation_anywhere_is_told(whole):
    data = whole.read_bytes()
    record = len(data) // 2
    for end in (*range(1, record), record + 5, len(data) - 1):
        whole.write_bytes(data[:end])
        with pytest.raises(ReadError, match=r"Record [01] of .*(cut off|damaged)"):
            list(read_examples(whole))


def test_truncated_gzip_is_told(whole):
    packed = gzip.compress(whole.read_bytes())
    whole.write_bytes(packed[:-20])
    with pytest.raises(ReadError, match=r"truncated|cut off"):
        list(read_examples(whole))
    whole.write_bytes(packed[:40] + bytes([packed[40] ^ 255]) + packed[41:])
    with pytest.raises(ReadError, match="damaged"):
        list(read_examples(whole))


def test_any_flipped_bit_is_told(whole):
    data = whole.read_bytes()
    for at in range(0, len(data) // 2, 7):
        whole.write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
        with pytest.raises(ReadError, match="damaged"):
            list(read_examples(whole))


def test_a_huge_length_takes_no_memory(tmp_path):
    from tensorboard.compat.tensorflow_stub.pywrap_tensorflow import masked_crc32c

    head = (1 << 30).to_bytes(8, "little")
    path = tmp_path / "bomb.tfrecord"
    path.write_bytes(head + int(masked_crc32c(head)).to_bytes(4, "little") + b"few bytes")
    with pytest.raises(ReadError, match=r"cut off: got 9 bytes"):
        list(read_examples(path))


@settings(deadline=None)
@given(record=st.binary(max_size=60))
def test_other_bytes_in_a_whole_frame_never_escape_as_another_error(record, tmp_path_factory):
    path = tmp_path_factory.mktemp("frames") / "any.tfrecord"
    with path.open("wb") as file:
        RecordWriter(file).write(record)
    with suppress(ReadError):
        list(read_examples(path))


def test_other_files_are_refused(tmp_path):
    with pytest.raises(ReadError, match="cannot be read"):
        list(read_examples(tmp_path / "absent.tfrecord"))
    picture = tmp_path / "picture.tfrecord"
    picture.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(100))
    with pytest.raises(ReadError, match="no TFRecord"):
        list(read_examples(picture))


def test_what_cannot_be_written_leaves_no_file(tmp_path):
    with pytest.raises(DataError, match="Feature x"):
        write_examples(tmp_path / "bad.tfrecord", [{"x": np.array(["text"])}])
    with pytest.raises(WriteError):
        write_examples(tmp_path, [])
    assert list(tmp_path.iterdir()) == []

"""The same bytes give everyone the same CID: official vectors, a recursive reference, malformed CIDs and nodes."""

from __future__ import annotations

import io
from collections.abc import Iterable

import pytest

from node.errors import Misuse, Refused, Untrusted
from node.store import dag
from node.store.cid import DAG_PB, RAW, Cid, of, uvarint
from tests.store.making import keystream, noise

MIB, GIB = 1 << 20, 1 << 30
HELLO = "bafkreifzjut3te2nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e"


def root_of(data: Iterable[bytes], profile: dag.Profile = dag.UNIXFS_V1_2025) -> Cid:
    for cid, _ in dag.blocks(dag.pieces(data, profile.chunk), profile.width):
        root = cid
    return root


@pytest.mark.parametrize(
    ("seed", "size", "expected"),
    [
        ("chunk-v1-seed", MIB, "bafkreiacndfy443ter6qr2tmbbdhadvxxheowwf75s6zehscklu6ezxmta"),
        ("chunk-v1-seed", MIB + 1, "bafybeigmix7t42i6jacydtquhet7srwvgpizfg7gjbq7627d35mjomtu64"),
        pytest.param(
            "v1-2025-seed", GIB, "bafybeihmf37wcuvtx4hpu7he5zl5qaf2ineo2lqlfrapokkm5zzw7zyhvm", marks=pytest.mark.long
        ),
        pytest.param(
            "v1-2025-seed",
            GIB + 1,
            "bafybeibdsi225ugbkmpbdohnxioyab6jsqrmkts3twhpvfnzp77xtzpyhe",
            marks=pytest.mark.long,
        ),
    ],
)
def test_official_vectors_of_ipip_499(seed: str, size: int, expected: str) -> None:
    assert str(root_of(keystream(seed, size))) == expected


def test_small_and_empty_files_are_raw_blocks() -> None:
    assert str(root_of([b"hello world"])) == HELLO
    assert str(root_of([])) == "bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku"


def reference(leaves: list[tuple[Cid, int, int]], width: int) -> Cid:
    """The balanced layout as its definition says it: rows of at most `width`, until one node is left."""
    while len(leaves) > 1:
        rows = [leaves[at : at + width] for at in range(0, len(leaves), width)]
        leaves = [reference_node(row) for row in rows]
    return leaves[0][0]


def reference_node(row: list[tuple[Cid, int, int]]) -> tuple[Cid, int, int]:
    def field(tag: int, body: bytes) -> bytes:
        return bytes([tag]) + uvarint(len(body)) + body

    links = b"".join(field(0x12, field(0x0A, c.binary) + field(0x12, b"") + b"\x18" + uvarint(t)) for c, _, t in row)
    size = sum(s for _, s, _ in row)
    record = b"\x08\x02\x18" + uvarint(size) + b"".join(b"\x20" + uvarint(s) for _, s, _ in row)
    block = links + field(0x0A, record)
    return of(DAG_PB, block), size, len(block) + sum(t for _, _, t in row)


def test_layout_equals_a_recursive_reference() -> None:
    for width in (2, 3, 5, 10):
        for count in range(1, 132):
            leaves = [bytes([n % 256, n // 256]) for n in range(count)]
            expected = reference([(of(RAW, leaf), 2, 2) for leaf in leaves], width)
            *_, (root, _) = dag.blocks(leaves, width)
            assert root == expected, (width, count)


@pytest.mark.parametrize("step", [1, 7, 999, 1000, 1001, 5000])
def test_the_cut_does_not_depend_on_how_pieces_arrive(step: int) -> None:
    data = noise(4321)
    parts = [data[at : at + step] for at in range(0, len(data), step)]
    assert list(dag.pieces(parts, 1000)) == list(dag.pieces(io.BytesIO(data), 1000))
    assert [len(piece) for piece in dag.pieces(parts, 1000)] == [1000] * 4 + [321]


@pytest.fixture
def deep() -> tuple[dict[Cid, bytes], Cid, bytes]:
    """A file of 100-byte leaves, three links a node: five levels."""
    data = noise(10_050)
    held = dict(dag.blocks(dag.pieces([data], 100), 3))
    return held, list(held)[-1], data


def test_reading_ranges_of_a_deep_file(deep: tuple[dict[Cid, bytes], Cid, bytes]) -> None:
    held, root, data = deep
    file = dag.open_file(held.__getitem__, root)
    assert file.read() == data
    for start, count in [(0, 1), (99, 2), (100, 100), (5_000, 3_333), (10_049, 5), (10_050, 1), (99_999, 1)]:
        file.seek(start)
        assert file.read(count) == data[start : start + count]
    file.seek(-10, io.SEEK_END)
    assert (file.tell(), file.read()) == (10_040, data[-10:])


def test_a_range_takes_only_the_blocks_it_needs(deep: tuple[dict[Cid, bytes], Cid, bytes]) -> None:
    held, root, data = deep
    leaves = [block for cid, block in dag.walk_file(held.__getitem__, root, 250, 450) if cid.codec == RAW]
    assert b"".join(leaves) == data[200:500]


def test_walks_agree_on_a_file(deep: tuple[dict[Cid, bytes], Cid, bytes]) -> None:
    held, root, _ = deep
    assert list(dag.walk(held.__getitem__, root)) == list(dag.walk_file(held.__getitem__, root))
    assert dag.verify(held.__getitem__, root) == dag.Stored(root, 10_050, len(held))


def file_block(*children: tuple[Cid, int], size: int | None = None, name: bytes = b"", kind: int = 2) -> bytes:
    def field(tag: int, body: bytes) -> bytes:
        return bytes([tag]) + uvarint(len(body)) + body

    total = sum(count for _, count in children) if size is None else size
    links = b"".join(field(0x12, field(0x0A, cid.binary) + field(0x12, name)) for cid, _ in children)
    record = bytes([8, kind, 0x18]) + uvarint(total) + b"".join(b"\x20" + uvarint(count) for _, count in children)
    return links + field(0x0A, record)


LEAF = of(RAW, b"leaf")


@pytest.mark.parametrize(
    ("block", "words"),
    [
        (file_block((LEAF, 4), size=5), "add up"),
        (file_block((LEAF, 4), name=b"x"), "names"),
        (file_block((LEAF, 0)), "empty child"),
        (file_block((LEAF, 4))[:-2], "truncated"),
        (file_block((LEAF, 4)) + b"\x20\x05", "as many sizes"),
        (b"\xff" * 10, "varint"),
        (b"\x12\x02\x0a\x00", "CID"),
        (b"\x0b\x00", "wrong"),
        (b"\x0a\x02\x0a\x05", "truncated"),
        (b"\x12\x00", "1"),
    ],
)
def test_malformed_nodes_are_untrusted(block: bytes, words: str) -> None:
    if words == "as many sizes":
        block = file_block((LEAF, 4)).replace(b"\x20\x04", b"\x28\x04")  # the size under another field number
    with pytest.raises(Untrusted, match=words):
        dag.decode(block)


def test_a_parent_that_lies_about_a_child_is_caught(deep: tuple[dict[Cid, bytes], Cid, bytes]) -> None:
    block = file_block((LEAF, 3), (LEAF, 5))
    held = {LEAF: b"leaf", (root := of(DAG_PB, block)): block}
    with pytest.raises(Untrusted, match="not as long"):
        dag.open_file(held.__getitem__, root).read()
    with pytest.raises(Untrusted, match="not as long"):
        dag.verify(held.__getitem__, root)


def test_a_file_deeper_than_allowed_is_refused() -> None:
    held, root = {LEAF: b"leaf"}, LEAF
    for _ in range(dag.MAX_FILE_DEPTH + 1):
        block = file_block((root, 4))
        root = of(DAG_PB, block)
        held[root] = block
    with pytest.raises(Refused, match="too deep"):
        dag.open_file(held.__getitem__, root).read()
    with pytest.raises(Refused, match="too deep"):
        list(dag.walk_file(held.__getitem__, root))


def test_cid_texts_are_one_value() -> None:
    cid = Cid.parse(HELLO)
    assert Cid.parse("zb2rhj7crUKTQYRGCRATFaQ6YFLTde2YzdqbbhAASkL9uRDXn") == cid
    assert (str(cid), cid.codec, Cid.raw(cid.digest)) == (HELLO, RAW, cid)
    v0 = Cid.parse("QmdfTbBqBPQ7VNxZEYEj14VmRuZBkqFbiwReogJgS1zR1n")
    assert (v0.version, v0.codec, str(v0)) == (0, DAG_PB, "QmdfTbBqBPQ7VNxZEYEj14VmRuZBkqFbiwReogJgS1zR1n")
    assert Cid.dag_pb(v0.digest).digest == v0.digest


@pytest.mark.parametrize(
    "text",
    [
        "",
        "b",
        "hello",
        "bafkrei",
        HELLO.upper(),
        HELLO[:-1],
        HELLO + "a",
        HELLO[:-1] + "f",
        "Qm" + "0" * 44,
        "z",
        "b" * 999,
    ],
)
def test_malformed_cids_are_misuse(text: str) -> None:
    with pytest.raises(Misuse, match="not a CID"):
        Cid.parse(text)


def test_the_wrong_bytes_are_untrusted() -> None:
    Cid.parse(HELLO).check(b"hello world")
    with pytest.raises(Untrusted, match=HELLO):
        Cid.parse(HELLO).check(b"hello World")

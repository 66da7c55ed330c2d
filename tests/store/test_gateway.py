"""The rules of the trustless gateway specification, asked for over HTTP."""

from __future__ import annotations

import io
import re
import socket
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from fastapi import FastAPI
from fastapi.testclient import TestClient

from node.store import Cid, car, dag
from node.store.blocks import BlockStore
from node.store.cid import DAG_PB, RAW, of, uvarint
from node.store.dag import Profile
from node.store.gateway import MAX_STREAMS, Provider, gateway_router, peer_id
from tests.store.conftest import Serve
from tests.store.making import noise

RAW_TYPE, CAR_TYPE = "application/vnd.ipld.raw", "application/vnd.ipld.car"
TINY = Profile("tiny", 1000, 3)
HELLO = b"hello world"


def directory(**entries: Cid) -> tuple[Cid, bytes]:
    def field(tag: int, body: bytes) -> bytes:
        return bytes([tag]) + uvarint(len(body)) + body

    links = b"".join(field(0x12, field(0x0A, cid.binary) + field(0x12, n.encode())) for n, cid in entries.items())
    block = links + field(0x0A, b"\x08\x01")
    return of(DAG_PB, block), block


@pytest.fixture
def hello(store: BlockStore) -> Cid:
    return store.put_block(HELLO)


@pytest.fixture
def file(store: BlockStore) -> Cid:
    """Five leaves of 1000 bytes under three nodes."""
    return store.put_file([noise(5000)], profile=TINY).cid


@pytest.fixture
def tree(store: BlockStore, hello: Cid, file: Cid) -> Cid:
    below = directory(again=hello, file=file, hello=hello)
    root = directory(sub=below[0])
    store.put_blocks([below, root])
    return root[0]


@pytest.fixture
def client(store: BlockStore) -> TestClient:
    return client_of(store)


def client_of(store: BlockStore, **options: object) -> TestClient:
    app = FastAPI()
    app.include_router(gateway_router(store, **options))  # type: ignore[arg-type]
    return TestClient(app)


def blocks_of(body: bytes) -> list[Cid]:
    found = []
    for cid, block in car.read(io.BytesIO(body)).blocks:
        cid.check(block)
        found.append(cid)
    return found


def shape(store: BlockStore, file: Cid) -> tuple[list[Cid], list[Cid]]:
    """All blocks of the file, parents first; its leaves."""
    every = [cid for cid, _ in dag.walk(store.get_block, file)]
    return every, [cid for cid in every if cid.codec == RAW]


def test_a_raw_block_and_its_headers(client: TestClient, hello: Cid) -> None:
    answer = client.get(f"/ipfs/{hello}?format=raw")
    assert (answer.status_code, answer.content) == (200, HELLO)
    expected = {
        "content-type": RAW_TYPE,
        "content-length": "11",
        "content-disposition": f'attachment; filename="{hello}.bin"',
        "x-content-type-options": "nosniff",
        "etag": f'"{hello}.raw"',
        "cache-control": "public, max-age=29030400, immutable",
        "x-ipfs-path": f"/ipfs/{hello}",
        "x-ipfs-roots": str(hello),
        "accept-ranges": "bytes",
    }
    assert {name: answer.headers[name] for name in expected} == expected
    head = client.head(f"/ipfs/{hello}?format=raw")
    assert (head.status_code, head.content) == (200, b"")
    assert {name: head.headers[name] for name in expected} == expected


def test_a_car_and_its_headers(client: TestClient, store: BlockStore, file: Cid) -> None:
    answer = client.get(f"/ipfs/{file}?format=car")
    assert blocks_of(answer.content) == shape(store, file)[0]
    assert answer.content == b"".join(store.export_car(file))
    assert answer.headers["content-type"] == f"{CAR_TYPE}; version=1; order=dfs; dups=n"
    assert answer.headers["content-disposition"] == f'attachment; filename="{file}.car"'
    assert (answer.headers["accept-ranges"], answer.headers["x-content-type-options"]) == ("none", "nosniff")
    head = client.head(f"/ipfs/{file}?format=car")
    assert (head.status_code, head.content, head.headers["etag"]) == (200, b"", answer.headers["etag"])


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("format_", ["raw", "car"])
def test_the_probe(client: TestClient, method: str, format_: str) -> None:
    answer = client.request(method, f"/ipfs/bafkqaaa?format={format_}")
    assert answer.status_code == 200
    if format_ == "raw" or method == "HEAD":
        assert answer.content == b""
    else:
        archive = car.read(io.BytesIO(answer.content))
        assert (archive.roots, list(archive.blocks)) == ((Cid.parse("bafkqaaa"),), [])


@pytest.mark.parametrize(
    ("query", "accept", "kind"),
    [
        ("", RAW_TYPE, RAW_TYPE),
        ("", CAR_TYPE, CAR_TYPE),
        ("", f"text/html, {CAR_TYPE};version=1;q=0.5", CAR_TYPE),
        ("?format=car", RAW_TYPE, CAR_TYPE),
        ("?format=raw", CAR_TYPE, RAW_TYPE),
    ],
)
def test_the_query_beats_accept(client: TestClient, hello: Cid, query: str, accept: str, kind: str) -> None:
    answer = client.get(f"/ipfs/{hello}{query}", headers={"Accept": accept})
    assert answer.headers["content-type"].startswith(kind)
    assert ("content-location" in answer.headers) == (not query)
    if not query:
        located = client.get(answer.headers["content-location"])
        assert located.content == answer.content


ABSENT = of(RAW, b"elsewhere")
SHA512 = Cid(b"\x01\x55\x13\x40" + bytes(64))


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        ("/ipfs/HELLO", {}, 400),
        ("/ipfs/HELLO", {"Accept": "text/html"}, 400),
        ("/ipfs/HELLO?format=nonsense", {}, 400),
        ("/ipfs/notacid?format=raw", {}, 400),
        ("/ipfs/?format=raw", {}, 400),
        ("/ipfs/HELLO/x?format=raw", {}, 400),
        ("/ipfs/HELLO//x?format=car", {}, 400),
        ("/ipfs/HELLO?format=car&dag-scope=some", {}, 400),
        ("/ipfs/HELLO?format=car&entity-bytes=x", {}, 400),
        ("/ipfs/HELLO?format=car&entity-bytes=9:3", {}, 400),
        ("/ipfs/HELLO?format=tar", {}, 406),
        ("/ipfs/HELLO", {"Accept": "application/vnd.ipfs.ipns-record"}, 406),
        ("/ipfs/HELLO?format=car&car-version=2", {}, 406),
        ("/ipfs/HELLO?format=car&car-order=bfs", {}, 406),
        ("/ipfs/HELLO", {"Accept": f"{CAR_TYPE}; version=2"}, 406),
        (f"/ipfs/{ABSENT}?format=raw", {}, 404),
        (f"/ipfs/{ABSENT}?format=car", {}, 404),
        (f"/ipfs/{SHA512}?format=raw", {}, 404),
        (f"/ipfs/{ABSENT}?format=raw", {"Cache-Control": "only-if-cached"}, 412),
        ("/ipfs/TREE/sub/nothing?format=car", {}, 404),
        ("/ipfs/HELLO/x?format=car", {}, 404),
    ],
)  # fmt: skip
def test_refusals(client: TestClient, hello: Cid, tree: Cid, path: str, headers: dict[str, str], status: int) -> None:
    path = path.replace("HELLO", str(hello)).replace("TREE", str(tree))
    assert client.get(path, headers=headers).status_code == status
    assert client.head(path, headers=headers).status_code == status


def test_who_may_not_read_sees_nothing_and_what_is_withdrawn_is_gone(store: BlockStore, hello: Cid, file: Cid) -> None:
    client = client_of(store, may_read=lambda cid: cid != hello, withdrawn=lambda cid: cid == file)
    other = store.put_block(b"other")
    assert client.get(f"/ipfs/{hello}?format=raw").status_code == 404
    assert client.get(f"/ipfs/{file}?format=raw").status_code == 410
    answer = client.get(f"/ipfs/{other}?format=raw")
    assert (answer.status_code, answer.headers["cache-control"][:7]) == (200, "private")


@pytest.mark.parametrize(
    ("header", "status", "body"),
    [
        ("bytes=3-7", 206, HELLO[3:8]),
        ("bytes=3-", 206, HELLO[3:]),
        ("bytes=-3", 206, HELLO[-3:]),
        ("bytes=0-999", 206, HELLO),
        ("bytes=11-", 416, None),
        ("bytes=0-1,3-4", 200, HELLO),
        ("lines=1-2", 200, HELLO),
    ],
)
def test_ranges_of_a_block(client: TestClient, hello: Cid, header: str, status: int, body: bytes | None) -> None:
    answer = client.get(f"/ipfs/{hello}?format=raw", headers={"Range": header})
    assert answer.status_code == status
    if body is not None:
        assert answer.content == body


@pytest.mark.parametrize("format_", ["raw", "car"])
def test_an_etag_saves_the_body(client: TestClient, file: Cid, format_: str) -> None:
    url = f"/ipfs/{file}?format={format_}"
    etag = client.get(url).headers["etag"]
    for header in (etag, f'"x", {etag}', "*"):
        answer = client.get(url, headers={"If-None-Match": header})
        assert (answer.status_code, answer.content, answer.headers["etag"]) == (304, b"", etag)
    assert client.get(url, headers={"If-None-Match": '"x"'}).status_code == 200


def test_etags_of_cars_tell_their_variants_apart(client: TestClient, tree: Cid) -> None:
    urls = [f"/ipfs/{tree}?format=car{rest}" for rest in ("", "&dag-scope=block", "&car-dups=y", "&entity-bytes=0:1")]
    urls.append(f"/ipfs/{tree}/sub?format=car")
    assert len({client.get(url).headers["etag"] for url in urls}) == len(urls)


def test_a_filename_may_be_asked_for_but_not_break_the_header(client: TestClient, hello: Cid) -> None:
    answer = client.get(f"/ipfs/{hello}", params={"format": "raw", "filename": 'a"\r\nX-Evil: 1 数.bin'})
    assert re.fullmatch(
        r'attachment; filename="[ -~]*"; filename\*=UTF-8\'\'[!-~]*', answer.headers["content-disposition"]
    )
    assert "x-evil" not in answer.headers


def test_scopes_and_paths(client: TestClient, store: BlockStore, tree: Cid, hello: Cid, file: Cid) -> None:
    sub = dag.decode(store.get_block(tree)).links[0].cid
    every, _ = shape(store, file)
    table = {
        f"{tree}?": [tree, sub, hello, *every],
        f"{tree}?dag-scope=entity": [tree],
        f"{tree}/sub?dag-scope=block": [tree, sub],
        f"{tree}/sub/hello?": [tree, sub, hello],
        f"{tree}/sub/file?": [tree, sub, *every],
        f"{tree}/sub/file?dag-scope=entity": [tree, sub, *every],
        f"{tree}/sub/file?dag-scope=block": [tree, sub, file],
    }
    for url, expected in table.items():
        answer = client.get(f"/ipfs/{url}&format=car")
        assert blocks_of(answer.content) == expected, url
        assert car.read(io.BytesIO(answer.content)).roots == (tree,)


def test_duplicates_only_when_asked(client: TestClient, tree: Cid, hello: Cid) -> None:
    def times(url: str, accept: str) -> int:
        return blocks_of(client.get(url, headers={"Accept": accept}).content).count(hello)

    url = f"/ipfs/{tree}/sub"
    assert times(url, CAR_TYPE) == 1
    assert times(url, f"{CAR_TYPE}; order=unk; dups=y") == 2
    assert times(f"{url}?car-dups=n", f"{CAR_TYPE}; dups=y") == 1
    assert times(f"{url}?format=car&car-dups=y", RAW_TYPE) == 2


@pytest.mark.parametrize(
    ("span", "leaves"),
    [
        ("0:*", [0, 1, 2, 3, 4]),
        ("0:0", [0]),
        ("999:1000", [0, 1]),
        ("1000:1999", [1]),
        ("2500:*", [2, 3, 4]),
        ("-5:*", [4]),
        ("-9999:*", [0, 1, 2, 3, 4]),
        ("-9999:-3001", [0, 1]),
        ("512:-4001", [0]),
        ("4999:99999", [4]),
        ("5000:*", []),
        ("9000:9001", []),
    ],
)
def test_entity_bytes(client: TestClient, store: BlockStore, file: Cid, span: str, leaves: list[int]) -> None:
    got = blocks_of(client.get(f"/ipfs/{file}?format=car&entity-bytes={span}").content)
    assert [cid for cid in got if cid.codec == RAW] == [shape(store, file)[1][n] for n in leaves]
    assert got[0] == file
    if not leaves:
        assert got == [file]


def lose(tmp_path: Path, cid: Cid) -> None:
    (tmp_path / "store/blocks" / cid.digest.hex()[:1] / cid.digest.hex()).unlink()


def test_a_missing_child_cuts_the_connection(store: BlockStore, file: Cid, tmp_path: Path, serve: Serve) -> None:
    base = serve(gateway_router(store))
    lose(tmp_path, shape(store, file)[1][3])
    curl = ["curl", "-sS", "-o", "/dev/null", f"{base}/ipfs/{file}?format=car"]
    broken = subprocess.run(curl, capture_output=True, text=True)
    assert broken.returncode == 18, broken.stderr  # transfer closed with outstanding data
    store.put_file([noise(5000)], profile=TINY)
    assert subprocess.run(curl).returncode == 0


def test_a_range_beside_a_missing_child_is_served(
    client: TestClient, store: BlockStore, file: Cid, tmp_path: Path
) -> None:
    leaves = shape(store, file)[1]
    lose(tmp_path, leaves[2])
    got = blocks_of(client.get(f"/ipfs/{file}?format=car&entity-bytes=0:1999").content)
    assert got[-2:] == leaves[:2]


def test_rot_is_not_served(client: TestClient, hello: Cid, tmp_path: Path) -> None:
    (tmp_path / "store/blocks" / hello.digest.hex()[:1] / hello.digest.hex()).write_bytes(b"rot")
    assert client.get(f"/ipfs/{hello}?format=raw").status_code == 404


def test_one_car_too_many_is_asked_to_come_back(store: BlockStore, serve: Serve) -> None:
    big = store.put_file(noise(1 << 20, seed) for seed in range(16)).cid
    base = serve(gateway_router(store))
    host, port = base.removeprefix("http://").split(":")
    stalled = []
    for _ in range(MAX_STREAMS):
        line = socket.create_connection((host, int(port)))
        line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        line.sendall(f"GET /ipfs/{big}?format=car HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        assert line.recv(12) == b"HTTP/1.1 200"
        stalled.append(line)
    curl = ["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", f"{base}/ipfs/{big}?format="]
    assert subprocess.run([*curl[:-1], curl[-1] + "car"], capture_output=True, text=True).stdout == "429"
    assert subprocess.run([*curl[:-1], curl[-1] + "raw"], capture_output=True, text=True).stdout == "200"
    for line in stalled:
        line.close()


def test_providers_name_this_node_for_what_it_has(store: BlockStore, hello: Cid) -> None:
    key = Ed25519PrivateKey.from_private_bytes(bytes(32)).public_key().public_bytes_raw()
    here = Provider(peer_id(key), ("/dns4/alice.example/tcp/443/tls/http",))
    client = client_of(store, provider=here)
    (found,) = client.get(f"/routing/v1/providers/{hello}").json()["Providers"]
    assert found == {
        "Schema": "peer",
        "ID": "12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN",
        "Addrs": ["/dns4/alice.example/tcp/443/tls/http"],
        "Protocols": ["transport-ipfs-gateway-http"],
    }
    assert client.get(f"/routing/v1/providers/{ABSENT}").json() == {"Providers": []}
    assert client.get("/routing/v1/providers/notacid").status_code == 400
    assert client_of(store).get(f"/routing/v1/providers/{hello}").json() == {"Providers": []}

"""What others make of our bytes: a real Kubo (RPC, CAR, gateway client) and npm's ipfs-car."""

from __future__ import annotations

import io
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from node.errors import NotFound, Refused, Retry
from node.store import Cid, Source, Store, Stored
from node.store.blocks import BlockStore
from node.store.cid import RAW, of
from node.store.dag import KUBO_256K, UNIXFS_V1_2025, Profile
from node.store.gateway import Provider, gateway_router, peer_id
from node.store.kubo import KuboStore
from tests.store.conftest import Serve
from tests.store.kubo.peer import Kubo, NoKubo, fresh
from tests.store.making import noise

pytestmark = [pytest.mark.outside, pytest.mark.timeout(1800)]  # the first run builds Kubo

MIB = 1 << 20
AS_KUBO = {
    UNIXFS_V1_2025: ["--chunker=size-1048576", "--max-file-links=1024"],
    KUBO_256K: ["--chunker=size-262144", "--max-file-links=174"],
}


@pytest.fixture(scope="module")
def kubo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kubo]:
    try:
        peer = fresh(tmp_path_factory.mktemp("kubo"))
    except NoKubo as why:
        pytest.skip(f"left out: comparison with a real Kubo; {why}")
    with peer.daemon("--offline"):
        yield peer


@pytest.fixture
def kubo_store(kubo: Kubo) -> Iterator[KuboStore]:
    store = KuboStore(kubo.rpc)
    yield store
    for cid, names in store.pins().items():
        for name in names:
            store.unpin(cid, name)
    store.collect()


@pytest.mark.parametrize("profile", AS_KUBO, ids=lambda profile: profile.name)
@pytest.mark.parametrize("size", [0, 1, 262_144, 262_145, MIB, MIB + 1, 5 * MIB + 7, 174 * 262_144, 174 * 262_144 + 1])
def test_kubo_adds_the_same_bytes_under_the_same_cid(
    kubo: Kubo, store: BlockStore, profile: Profile, size: int
) -> None:
    options = ["add", "-Q", "--only-hash", "--cid-version=1", "--raw-leaves", *AS_KUBO[profile]]
    theirs = kubo.run(*options, given=noise(size)).decode().strip()
    assert store.put_file(io.BytesIO(noise(size)), profile=profile).cid == Cid.parse(theirs)


@pytest.mark.long
@pytest.mark.parametrize("size", [1024 * MIB, 1024 * MIB + 1])
def test_kubo_agrees_on_a_file_of_two_levels(kubo: Kubo, store: BlockStore, tmp_path: Path, size: int) -> None:
    path = tmp_path / "large"
    with path.open("wb") as file:
        for at in range(0, size, MIB):
            file.write(noise(min(MIB, size - at), at))
    options = ["add", "-Q", "--only-hash", "--cid-version=1", "--raw-leaves", *AS_KUBO[UNIXFS_V1_2025]]
    theirs = kubo.run(*options, str(path)).decode().strip()
    with path.open("rb") as file:
        assert store.put_file(file).cid == Cid.parse(theirs)


def test_the_named_profile_of_kubo_is_ours(tmp_path: Path, kubo: Kubo, store: BlockStore) -> None:
    peer = Kubo(kubo.binary, tmp_path / "profiled")
    peer.folder.mkdir()
    peer.run("init", "--empty-repo", "--profile=test,unixfs-v1-2025")
    theirs = peer.run("add", "-Q", "--only-hash", given=noise(3 * MIB)).decode().strip()
    assert store.put_file([noise(3 * MIB)], profile=UNIXFS_V1_2025).cid == Cid.parse(theirs)


@pytest.mark.parametrize("profile", AS_KUBO, ids=lambda profile: profile.name)
def test_kubo_imports_our_car_and_we_import_its(
    kubo: Kubo, store: BlockStore, other: BlockStore, profile: Profile
) -> None:
    data = noise(3 * MIB + 5)
    stored = store.put_file([data], profile=profile)
    answer = kubo.run("dag", "import", given=b"".join(store.export_car(stored.cid)))
    assert str(stored.cid) in answer.decode()
    assert kubo.run("cat", str(stored.cid)) == data
    assert other.import_car(io.BytesIO(kubo.run("dag", "export", "--progress=false", str(stored.cid)))) == stored


def test_kubo_imports_the_car_our_gateway_answers(kubo: Kubo, store: BlockStore, serve: Serve) -> None:
    data = noise(3 * MIB, 3)
    stored = store.put_file([data])
    url = f"{serve(gateway_router(store))}/ipfs/{stored.cid}?format=car"
    archive = subprocess.run(["curl", "-sSf", url], capture_output=True, check=True).stdout
    kubo.run("dag", "import", given=archive)
    assert kubo.run("cat", "--offset=1048570", "--length=12", str(stored.cid)) == data[1_048_570:1_048_582]


def test_kubo_finds_and_reads_a_file_at_our_gateway(
    kubo: Kubo, store: BlockStore, other: BlockStore, serve: Serve, tmp_path: Path
) -> None:
    """By itself: it asks our /routing/v1 who has the file, probes the gateway and fetches block by block."""
    data = noise(5 * MIB, 4)
    stored = store.put_file([data])
    bytes_at = serve(gateway_router(store))
    here = Provider(peer_id(bytes(31) + b"\1"), (f"/ip4/127.0.0.1/tcp/{bytes_at.rpartition(':')[2]}/http",))
    peer = fresh(_folder(tmp_path / "reader"))
    ours = {"RouterName": "ours"}
    peer.configure("Provide", {"Enabled": False})
    peer.configure(
        "Routing",
        {
            "Type": "custom",
            "Routers": {
                "ours": {"Type": "http", "Parameters": {"Endpoint": serve(gateway_router(store, provider=here))}}
            },
            "Methods": dict.fromkeys(("find-peers", "find-providers", "get-ipns", "put-ipns", "provide"), ours),
        },
    )
    with peer.daemon():
        assert peer.run("cat", str(stored.cid)) == data


def _folder(path: Path) -> Path:
    path.mkdir()
    return path


def test_a_file_lives_in_kubo(kubo: Kubo, kubo_store: KuboStore, store: BlockStore) -> None:
    data = noise(4 * MIB + 3, 5)
    seen: list[int] = []
    stored = kubo_store.put_file(io.BytesIO(data), progress=seen.append)
    assert (stored.size, stored.blocks, seen[-1]) == (len(data), 6, len(data))
    assert stored == store.put_file([data])
    assert kubo_store.verify(stored.cid) == stored
    assert kubo.run("cat", str(stored.cid)) == data
    with kubo_store.open(stored.cid) as file:
        file.seek(-100, io.SEEK_END)
        assert file.read() == data[-100:]
    assert b"".join(kubo_store.export_car(stored.cid)) == b"".join(store.export_car(stored.cid))


def test_a_small_document_lives_in_kubo(kubo_store: KuboStore) -> None:
    cid = kubo_store.put_block(b"terms")
    assert (cid.codec, kubo_store.get_block(cid), kubo_store.has(cid)) == (RAW, b"terms", True)


def test_pins_in_kubo_have_names(kubo: Kubo, kubo_store: KuboStore) -> None:
    cid = kubo_store.put_block(b"pinned")
    for name in ("dataset 1/v1", "a & b", "数据集", "a & b"):
        kubo_store.pin(cid, name)
    assert kubo_store.pins() == {cid: ("a & b", "dataset 1/v1", "数据集")}
    assert str(cid) in kubo.run("pin", "ls", "--type=recursive", "-q").decode()
    kubo_store.unpin(cid, "a & b")
    with pytest.raises(NotFound, match="not pinned"):
        kubo_store.unpin(cid, "a & b")
    with pytest.raises(Refused, match="255"):
        kubo_store.pin(cid, "x" * 256)
    assert kubo_store.pins() == {cid: ("dataset 1/v1", "数据集")}


def test_kubo_collects_what_no_pin_reaches(kubo_store: KuboStore) -> None:
    kept, gone = kubo_store.put_file([noise(2 * MIB, 6)]), kubo_store.put_file([noise(2 * MIB, 7)])
    kubo_store.pin(kept.cid, "kept")
    with kubo_store.importing(), pytest.raises(Retry, match="busy"):
        kubo_store.collect()
    assert kubo_store.collect().blocks >= gone.blocks
    assert kubo_store.verify(kept.cid) == kept
    assert not kubo_store.has(gone.cid)


def test_what_kubo_lacks_is_said_at_once_and_named(kubo_store: KuboStore) -> None:
    absent = of(RAW, b"elsewhere")
    for ask in (kubo_store.get_block, kubo_store.open, kubo_store.verify, lambda cid: kubo_store.pin(cid, "x")):
        with pytest.raises(NotFound, match=str(absent)):
            ask(absent)
    assert not kubo_store.has(absent)


def test_a_source_that_fails_is_not_blamed_on_kubo(kubo_store: KuboStore) -> None:
    before = kubo_store.stat().blocks

    def fails() -> Iterator[bytes]:
        yield noise(2 * MIB, 8)
        raise ZeroDivisionError("the source's own trouble")

    with pytest.raises(ZeroDivisionError):
        kubo_store.put_file(fails())
    assert kubo_store.stat().blocks - before <= 2


def test_cars_move_between_the_two_stores(kubo_store: KuboStore, store: BlockStore) -> None:
    stored = store.put_file([noise(3 * MIB, 9)])
    assert kubo_store.import_car(io.BytesIO(b"".join(store.export_car(stored.cid)))) == stored
    *short, _ = store.export_car(stored.cid)
    kubo_store.collect()
    with pytest.raises(NotFound):
        kubo_store.import_car(io.BytesIO(b"".join(short)))


def test_both_stores_are_stores(kubo_store: KuboStore, store: BlockStore) -> None:
    def story(place: Store, source: Source) -> Stored:
        with place.importing():
            stored = place.put_file(source)
            place.pin(stored.cid, "dataset")
        assert place.pins() == {stored.cid: ("dataset",)}
        place.unpin(stored.cid, "dataset")
        assert place.stat().pins == 0
        return stored

    assert story(kubo_store, [noise(1000)]) == story(store, [noise(1000)])


def test_ipfs_car_unpacks_our_car_to_the_same_root(store: BlockStore, tmp_path: Path) -> None:
    tool = Path(__file__).parents[2] / "node_modules/.bin/ipfs-car"
    if not tool.exists() or not shutil.which("node"):
        pytest.skip("left out: npm's ipfs-car; run scripts/setup --dev")
    data = noise(3 * MIB + 5, 10)
    stored = store.put_file([data])
    archive, unpacked = tmp_path / "ours.car", tmp_path / "unpacked"
    archive.write_bytes(b"".join(store.export_car(stored.cid)))
    assert _run(tool, "roots", archive) == str(stored.cid)
    _run(tool, "unpack", archive, "--output", unpacked)
    assert unpacked.read_bytes() == data
    assert _run(tool, "pack", "--no-wrap", unpacked, "--output", tmp_path / "theirs.car") == str(stored.cid)
    with (tmp_path / "theirs.car").open("rb") as theirs:
        assert BlockStore(tmp_path / "again").import_car(theirs) == stored


def _run(tool: Path, *arguments: str | Path) -> str:
    done = subprocess.run([tool, *arguments], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()

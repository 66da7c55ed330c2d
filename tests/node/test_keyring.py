import hashlib
import json
import os
import stat
import subprocess
import sys

import pytest
from eth_account import Account
from eth_account.messages import encode_defunct, encode_typed_data
from hypothesis import given
from hypothesis import strategies as st

from node import development_keys, keyring
from node.errors import Conflict, Misuse, NotFound, Refused, Retry, Untrusted
from node.keyring import Keyring, file_key_name, passphrase_from, refuse_development_key
from node.signature import recover, sign

PASSPHRASE = b"correct horse"
QUICK = 2**10  # scrypt's cost where the test is not about it


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "new" / "ring"


@pytest.fixture
def ring(folder):
    return Keyring.create(folder, PASSPHRASE, scrypt_n=QUICK)


def test_a_ring_opens_again_with_everything_in_it(folder, ring):
    ring.put_secret("file-key.x.1", bytes(range(32)))
    again = Keyring.open(folder, PASSPHRASE)
    assert again.address == ring.address
    assert again.hpke.public == ring.hpke.public
    assert again.get_secret("file-key.x.1") == bytes(range(32))
    assert again.names() == ["file-key.x.1"]


def test_two_rings_share_nothing(tmp_path):
    first, second = (Keyring.create(tmp_path / name, PASSPHRASE, scrypt_n=QUICK) for name in "ab")
    assert first.address != second.address
    assert first.hpke.public != second.hpke.public


def test_a_wrong_passphrase_is_refused_in_clear_words(folder, ring):
    with pytest.raises(Refused) as refused:
        Keyring.open(folder, b"wrong horse")
    assert (refused.value.clause, refused.value.exit_code) == ("passphrase", 4)
    assert "passphrase does not open" in str(refused.value)


def test_wallets_open_the_account_and_only_the_account(folder):
    key = os.urandom(32)
    ring = Keyring.create(folder, PASSPHRASE, account_key=key, scrypt_n=QUICK)
    document = json.loads((folder / "account.json").read_text())
    assert bytes(Account.decrypt(document, PASSPHRASE.decode())) == key
    assert ring.address == Account.from_key(key).address
    sealed_by_wallet = Account.encrypt(key, PASSPHRASE.decode(), iterations=QUICK)
    (folder / "account.json").write_text(json.dumps(sealed_by_wallet))
    with pytest.raises(Untrusted) as refused:  # it has the account, but not the ring's keys
        Keyring.open(folder, PASSPHRASE)
    assert refused.value.clause == "keystore"


def test_nothing_is_readable_by_others_and_no_secret_is_in_the_clear(folder):
    account, secret = os.urandom(32), os.urandom(32)
    Keyring.create(folder, PASSPHRASE, account_key=account, scrypt_n=QUICK).put_secret("training.1", secret)
    for path in [folder.parent, folder, *folder.rglob("*")]:
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path
    for path in (path for path in folder.rglob("*") if path.is_file()):
        for value in (account, secret, PASSPHRASE):
            assert value not in path.read_bytes()
            assert value.hex() not in path.read_text(errors="replace").lower()


def test_text_forms_show_no_key(folder):
    key = os.urandom(32)
    ring = Keyring.create(folder, PASSPHRASE, account_key=key, scrypt_n=QUICK)
    assert repr(ring) == f"Keyring({ring.address})"


def test_a_ring_is_never_replaced(folder, ring):
    with pytest.raises(Conflict):
        Keyring.create(folder, b"another", scrypt_n=QUICK)
    assert Keyring.open(folder, PASSPHRASE).address == ring.address


def test_there_must_be_a_ring_and_a_passphrase(tmp_path):
    with pytest.raises(NotFound):
        Keyring.open(tmp_path, PASSPHRASE)
    with pytest.raises(Misuse):
        Keyring.create(tmp_path, b"")


@pytest.mark.parametrize("key", [bytes(32), b"\xff" * 32, b"short"])
def test_no_account_is_made_of_a_number_that_is_no_key(folder, key):
    with pytest.raises(Misuse) as misuse:
        Keyring.create(folder, PASSPHRASE, account_key=key, scrypt_n=QUICK)
    assert misuse.value.clause == "account_key"
    assert not folder.exists()


@pytest.mark.parametrize(
    "change",
    [
        lambda document: document.pop("x-hanse"),
        lambda document: document.pop("crypto"),
        lambda document: document.update(version=4),
        lambda document: document["x-hanse"].update(version=2),
        lambda document: document["x-hanse"].update(sealed=document["x-hanse"]["sealed"][:-2] + "00"),
        lambda document: document["x-hanse"].update(sealed="00"),
        lambda document: document["crypto"].update(kdf="pbkdf2"),
        lambda document: document["crypto"]["kdfparams"].update(n=2**30),
        lambda document: document["crypto"]["kdfparams"].update(n=1000),
        lambda document: document["crypto"]["kdfparams"].update(r=-1),
        lambda document: document["crypto"]["kdfparams"].update(p=10**6),
        lambda document: document["crypto"]["kdfparams"].update(n="1024"),
        lambda document: document["crypto"].update(mac=7),
    ],
)
def test_an_altered_keystore_is_untrusted(folder, ring, change):
    document = json.loads((folder / "account.json").read_text())
    change(document)
    (folder / "account.json").write_text(json.dumps(document))
    with pytest.raises(Untrusted) as refused:
        Keyring.open(folder, PASSPHRASE)
    assert refused.value.clause == "keystore"


@pytest.mark.parametrize("data", [b"", b"[]", b"{", b"\xff\xfe", b"[" * 60_000], ids=lambda data: repr(data[:8]))
def test_what_is_no_keystore_is_untrusted(folder, ring, data):
    (folder / "account.json").write_bytes(data)
    with pytest.raises(Untrusted):
        Keyring.open(folder, PASSPHRASE)


def test_a_file_without_end_is_not_read_to_its_end(folder, ring):
    (folder / "account.json").write_bytes(b" " * (1 << 20))
    with pytest.raises(Untrusted) as refused:
        Keyring.open(folder, PASSPHRASE)
    assert refused.value.clause == "size"


def test_a_secret_is_written_once(ring):
    name = file_key_name("0x" + "11" * 32, 3)
    ring.put_secret(name, b"a" * 32)
    ring.put_secret(name, b"a" * 32)  # a retry
    with pytest.raises(Conflict):
        ring.put_secret(name, b"b" * 32)
    assert ring.get_secret(name) == b"a" * 32


def test_a_wiped_secret_is_gone_and_its_name_free(folder, ring):
    ring.put_secret("training.7", b"session key")
    sealed = (folder / "secrets" / "training.7").read_bytes()
    ring.wipe_secret("training.7")
    ring.wipe_secret("training.7")
    with pytest.raises(NotFound):
        ring.get_secret("training.7")
    assert not any(sealed in path.read_bytes() for path in folder.rglob("*") if path.is_file())
    ring.put_secret("training.7", b"another")
    assert ring.get_secret("training.7") == b"another"


def test_a_secret_is_bound_to_its_name_and_ring(folder, ring, tmp_path):
    ring.put_secret("a", b"secret")
    (folder / "secrets" / "a").rename(folder / "secrets" / "b")
    with pytest.raises(Untrusted):
        ring.get_secret("b")
    other = Keyring.create(tmp_path / "other", PASSPHRASE, scrypt_n=QUICK)
    (folder / "secrets" / "b").rename(tmp_path / "other" / "secrets" / "a")
    with pytest.raises(Untrusted):
        other.get_secret("a")


@given(st.binary(max_size=100), st.data())
def test_any_altered_secret_is_untrusted(tmp_path_factory, secret, data):
    folder = tmp_path_factory.mktemp("ring")
    ring = Keyring.create(folder, PASSPHRASE, scrypt_n=2)
    ring.put_secret("a", secret)
    path = folder / "secrets" / "a"
    sealed = bytearray(path.read_bytes())
    sealed[data.draw(st.integers(0, len(sealed) - 1))] ^= data.draw(st.integers(1, 255))
    path.write_bytes(sealed[: data.draw(st.integers(0, len(sealed)))])
    with pytest.raises(Untrusted):
        ring.get_secret("a")


@pytest.mark.parametrize("name", ["", "..", "../a", "a/b", ".hidden", "A", "a b", "a\0", "a\n", "x" * 161, "é"])
def test_a_name_leads_nowhere_else(ring, name):
    for act in (lambda: ring.put_secret(name, b""), lambda: ring.get_secret(name), lambda: ring.wipe_secret(name)):
        with pytest.raises(Misuse) as misuse:
            act()
        assert misuse.value.clause == "name"


WRITER = """
import sys, pathlib
from node.errors import Conflict
from node.keyring import Keyring
ring = Keyring.open(pathlib.Path(sys.argv[1]), b"correct horse")
try:
    for i in range(20):
        ring.put_secret(f"s{i}", sys.argv[2].encode() * 1000)
    print("written")
except Conflict:
    print("conflict")
"""


def test_of_two_processes_one_wins_and_the_other_hears_of_it(folder, ring):
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, folder, value], stdout=subprocess.PIPE, text=True)
        for value in "ab"
    ]
    heard = sorted(writer.communicate(timeout=120)[0].strip() for writer in writers)
    assert heard in (["conflict", "written"], ["conflict", "conflict"])  # both, when each is first with one name
    for name in ring.names():
        assert ring.get_secret(name) in (b"a" * 1000, b"b" * 1000)


@pytest.mark.parametrize("failing", ["fsync", "link"])
def test_a_disk_that_fails_is_said_so_and_leaves_no_half_secret(ring, folder, monkeypatch, failing):
    def fail(*_):
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as broken:
        broken.setattr(keyring.os, failing, fail)
        with pytest.raises(Retry) as retry:
            ring.put_secret("a", b"secret")
    assert "Input/output error" in str(retry.value)
    assert ring.names() == []
    assert list((folder / "secrets").iterdir()) == []
    ring.put_secret("a", b"secret")
    assert ring.get_secret("a") == b"secret"


def test_bytes_reach_the_disk_before_the_name_and_the_name_before_the_return(ring, monkeypatch):
    order = []
    for name in ("fsync", "link"):
        real = getattr(os, name)
        monkeypatch.setattr(keyring.os, name, lambda *args, real=real, name=name: (order.append(name), real(*args))[1])
    ring.put_secret("a", b"secret")
    assert order == ["fsync", "link", "fsync"]


def test_a_signed_digest_recovers_to_the_account(ring):
    digest = os.urandom(32)
    signature = ring.sign_digest(digest)
    assert recover(digest, signature) == ring.address
    assert Account.recover_message(encode_defunct(primitive=digest), signature=signature) == ring.address
    assert recover(os.urandom(32), signature) != ring.address
    with pytest.raises(Misuse):
        ring.sign_digest(b"short")


@given(st.binary(min_size=32, max_size=32), st.integers(1, 2**200))
def test_signatures_are_those_of_eth_account(digest, number):
    key = number.to_bytes(32, "big")
    assert sign(digest, key) == bytes(Account.sign_message(encode_defunct(primitive=digest), key).signature)
    assert recover(digest, sign(digest, key)) == Account.from_key(key).address


@pytest.mark.parametrize(
    "signature", [b"", bytes(64), bytes(65), bytes(64) + b"\x1b", b"\xff" * 64 + b"\x1b", bytes(66)]
)
def test_what_is_no_signature_is_untrusted(signature):
    with pytest.raises(Untrusted) as refused:
        recover(bytes(32), signature)
    assert refused.value.clause == "signature"


TYPED = {
    "types": {
        "EIP712Domain": [{"name": "name", "type": "string"}, {"name": "chainId", "type": "uint256"}],
        "Vote": [{"name": "proposal", "type": "bytes32"}, {"name": "nonce", "type": "uint256"}],
    },
    "primaryType": "Vote",
    "domain": {"name": "Hanse", "chainId": 31337},
    "message": {"proposal": bytes(32), "nonce": 1},
}


def test_typed_data_recovers_to_the_account(ring):
    signable = encode_typed_data(full_message=TYPED)
    assert Account.recover_message(signable, signature=ring.sign_typed(TYPED)) == ring.address
    with pytest.raises(Misuse):
        ring.sign_typed({"types": {}, "primaryType": "Vote", "domain": {}, "message": {}})


TRANSACTION = {
    "chainId": 31337,
    "nonce": 0,
    "gas": 21000,
    "to": "0x5FbDB2315678afecb367f032d93F642f64180aa3",
    "value": 0,
    "maxFeePerGas": 0,
    "maxPriorityFeePerGas": 0,
}


def test_a_transaction_is_signed_by_the_account(ring):
    signed = ring.sign_transaction(TRANSACTION)
    assert Account.recover_transaction(signed.raw) == ring.address
    assert signed.hash == Account.sign_transaction(TRANSACTION, ring._private).hash.to_0x_hex()


@pytest.mark.parametrize("missing", ["chainId", "nonce", "gas"])
def test_an_incomplete_transaction_is_misuse(ring, missing):
    with pytest.raises(Misuse):
        ring.sign_transaction({name: value for name, value in TRANSACTION.items() if name != missing})


def test_the_development_keys_are_those_of_the_mnemonics():
    Account.enable_unaudited_hdwallet_features()
    derived = {
        Account.from_mnemonic(mnemonic, account_path=f"m/44'/60'/0'/0/{i}").address.lower()
        for mnemonic in (development_keys.HARDHAT_MNEMONIC, development_keys.GANACHE_MNEMONIC)
        for i in range(20)
    }
    assert derived == development_keys.DEVELOPMENT_ADDRESSES


@pytest.mark.parametrize(
    "address",
    ["0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266", "0x90F8bf6A479f320ead074411a4B0e7944Ea8c9C1"],
    ids=["hardhat", "ganache"],
)
def test_a_development_key_is_for_development_chains(address, ring):
    for chain_id in (31337, 1337):
        refuse_development_key(address, chain_id)
    for chain_id in (1, 11155111, 0, 31338):
        with pytest.raises(Refused) as refused:
            refuse_development_key(address, chain_id)
        assert refused.value.clause == "development-key"
    refuse_development_key(ring.address, 1)


def test_the_passphrase_comes_from_a_file_or_a_descriptor(tmp_path):
    file, other = tmp_path / "pass", tmp_path / "other"
    file.write_bytes(b"correct horse\nanother line\n")
    other.write_bytes(b"other\r\n")
    named = {"HANSE_PASSPHRASE_FILE": str(other)}
    assert passphrase_from(file=file, environ=named) == b"correct horse"
    assert passphrase_from(environ=named) == b"other"
    reader, writer = os.pipe()
    os.write(writer, b" with spaces \n")
    os.close(writer)
    assert passphrase_from(fd=reader, environ=named) == b" with spaces "
    os.close(reader)  # left open for its owner


@pytest.mark.parametrize("content", [b"", b"\n", b"x" * 1025])
def test_an_empty_or_endless_passphrase_is_misuse(tmp_path, content):
    (tmp_path / "pass").write_bytes(content)
    with pytest.raises(Misuse) as misuse:
        passphrase_from(file=tmp_path / "pass")
    assert misuse.value.clause == "passphrase"


def test_no_passphrase_is_misuse(tmp_path):
    for arguments in ({"environ": {}}, {"file": tmp_path / "missing"}, {"environ": {"HANSE_PASSPHRASE_FILE": "/none"}}):
        with pytest.raises(Misuse) as misuse:
            passphrase_from(**arguments)
        assert misuse.value.clause == "passphrase"


def test_one_scrypt_of_owasps_cost_opens_the_ring(folder, monkeypatch):
    Keyring.create(folder, PASSPHRASE)
    real, costs = hashlib.scrypt, []
    monkeypatch.setattr(hashlib, "scrypt", lambda *a, **k: (costs.append((k["n"], k["r"], k["p"])), real(*a, **k))[1])
    Keyring.open(folder, PASSPHRASE)
    assert costs == [(2**17, 8, 1)]


def test_importing_the_keyring_is_light():
    code = "import sys, node.keyring; print({'web3', 'eth_account', 'eth_utils', 'numpy'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "set()\n"

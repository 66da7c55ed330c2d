"""Accounts whose private keys everybody knows: the first twenty of Hardhat's and Anvil's, and of Ganache's, mnemonic.

Addresses are enough, so no key stands here; a test derives them again from the mnemonics.

    refuse_development_key(keyring.address, chain_id)
"""

from __future__ import annotations

from node.errors import Refused

DEVELOPMENT_CHAINS = frozenset({31337, 1337})
HARDHAT_MNEMONIC = "test test test test test test test test test test test junk"
GANACHE_MNEMONIC = "myth like bonus scare over problem client lizard pioneer submit female collect"

_HARDHAT = """
    f39fd6e51aad88f6f4ce6ab8827279cfffb92266 70997970c51812dc3a010c7d01b50e0d17dc79c8
    3c44cdddb6a900fa2b585dd299e03d12fa4293bc 90f79bf6eb2c4f870365e785982e1f101e93b906
    15d34aaf54267db7d7c367839aaf71a00a2c6a65 9965507d1a55bcc2695c58ba16fb37d819b0a4dc
    976ea74026e726554db657fa54763abd0c3a0aa9 14dc79964da2c08b23698b3d3cc7ca32193d9955
    23618e81e3f5cdf7f54c3d65f7fbc0abf5b21e8f a0ee7a142d267c1f36714e4a8f75612f20a79720
    bcd4042de499d14e55001ccbb24a551f3b954096 71be63f3384f5fb98995898a86b02fb2426c5788
    fabb0ac9d68b0b445fb7357272ff202c5651694a 1cbd3b2770909d4e10f157cabc84c7264073c9ec
    df3e18d64bc6a983f673ab319ccae4f1a57c7097 cd3b766ccdd6ae721141f452c550ca635964ce71
    2546bcd3c84621e976d8185a91a922ae77ecec30 bda5747bfd65f08deb54cb465eb87d40e51b197e
    dd2fd4581271e230360230f9337d5c0430bf44c0 8626f6940e2eb28930efb4cef49b2d1f2c9c1199
"""
_GANACHE = """
    90f8bf6a479f320ead074411a4b0e7944ea8c9c1 ffcf8fdee72ac11b5c542428b35eef5769c409f0
    22d491bde2303f2f43325b2108d26f1eaba1e32b e11ba2b4d45eaed5996cd0823791e0c93114882d
    d03ea8624c8c5987235048901fb614fdca89b117 95ced938f7991cd0dfcb48f0a06a40fa1af46ebc
    3e5e9111ae8eb78fe1cc3bb8915d5d461f3ef9a9 28a8746e75304c0780e011bed21c72cd78cd535e
    aca94ef8bd5ffee41947b4585a84bda5a3d3da6e 1df62f291b2e969fb0849d99d9ce41e2f137006e
    610bb1573d1046fcb8a70bbbd395754cd57c2b60 855fa758c77d68a04990e992aa4dcdef899f654a
    fa2435eacf10ca62ae6787ba2fb044f8733ee843 64e078a8aa15a41b85890265648e965de686bae6
    2f560290fef1b3ada194b6aa9c40aa71f8e95598 f408f04f9b7691f7174fa2bb73ad6d45fd5d3cbe
    66fc63c2572bf3add0fe5d44b97c2e614e35e9a3 f0d5bc18421fa04d0a2a2ef540ba5a9f04014be3
    325a621dea613bcfb5b1a69a7aced0ea4afbd73a 3fd652c93dfa333979ad762cf581df89baba6795
"""
DEVELOPMENT_ADDRESSES = frozenset("0x" + digits for digits in (_HARDHAT + _GANACHE).split())


def refuse_development_key(address: str, chain_id: int) -> None:
    """Raise Refused (clause `development-key`) for such an account on any but a development chain."""
    if chain_id not in DEVELOPMENT_CHAINS and address.lower() in DEVELOPMENT_ADDRESSES:
        raise Refused(
            "this account's private key is public knowledge",
            clause="development-key",
            seen=f"{address} on chain {chain_id}",
            needed="an account of your own",
            hint="make a keyring without importing a development key",
        )

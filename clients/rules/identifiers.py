"""Account identifiers, wallet addresses and what may be shown of an API key."""

from __future__ import annotations

import re

import base58
from eth_hash.auto import keccak

from ground.errors import InvalidInput

RESERVED = frozenset(
    "admin administrator api arena bot bots bridge client clients default desk_admin health hummingbot master "
    "master_account none null operator operators public root self superuser support system test trading_bridge".split()
)
_EVM = re.compile(r"0[xX][0-9a-fA-F]{40}\Z")
_BECH32 = re.compile(r"[a-z0-9]{1,20}1[ac-hj-np-z02-9]{6,90}\Z")
EVM_CHAINS = frozenset(
    "evm ethereum eth bsc bnb polygon matic arbitrum optimism base avalanche fantom gnosis linea zksync scroll".split()
)
BASE58_CHAINS = {"solana": 32, "sol": 32}
CHAIN = re.compile(r"[a-z0-9_-]{2,32}\Z")


def account_identifier_from_name(name: str) -> str:
    """``client_`` and the name in lower case, runs of other characters turned into one ``_``."""
    return "client_" + re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")


def check_account_identifier(text: str, *, field: str = "account_identifier") -> str:
    """The identifier, if it is one. Raises InvalidInput."""
    if not re.fullmatch(r"[a-z0-9_]{3,63}", text):
        raise InvalidInput(
            "account_identifier must have 3 to 63 characters of a-z, 0-9 and _.", fields={field: ["3..63 of a-z 0-9 _"]}
        )
    if text in RESERVED or text == "client_":
        raise InvalidInput(f"Account identifier '{text}' is reserved; choose another.", fields={field: ["reserved"]})
    return text


def is_evm(address: str) -> bool:
    return bool(_EVM.match(address))


def address_key(address: str) -> str:
    """What look-ups compare: EVM and bech32 addresses match in any letter case, all others exactly."""
    text = address.strip()
    if is_evm(text) or _BECH32.match(text.lower()) and text in (text.lower(), text.upper()):
        return text.lower()
    return text


def check_wallet(chain: str, address: str) -> tuple[str, str]:
    """The chain in lower case and the address. Raises InvalidInput naming what is wrong with them."""
    chain, address = chain.strip().lower(), address.strip()
    if not CHAIN.match(chain):
        raise InvalidInput("chain must be a short name such as evm or solana.", fields={"chain": ["unknown chain"]})
    if chain in EVM_CHAINS:
        return chain, _checked_evm(address)
    if chain in BASE58_CHAINS:
        return chain, _checked_base58(address, BASE58_CHAINS[chain])
    if not re.fullmatch(r"[\x21-\x7e]{20,128}", address):
        raise InvalidInput("address must have 20 to 128 visible characters.", fields={"address": ["not an address"]})
    return chain, address


def _checked_evm(address: str) -> str:
    if not is_evm(address):
        raise InvalidInput(
            "An EVM address is 0x and 40 hexadecimal digits.", fields={"address": ["0x and 40 hexadecimal digits"]}
        )
    digits = address[2:]
    if digits not in (digits.lower(), digits.upper()) and digits != checksummed(address)[2:]:
        raise InvalidInput(
            "The address's mixed letter case is not its EIP-55 checksum: a character may be mistyped.",
            fields={"address": ["EIP-55 checksum does not match"]},
        )
    return "0x" + digits


def checksummed(address: str) -> str:
    """The address with the letter case of EIP-55."""
    digits = address[2:].lower()
    mask = keccak(digits.encode()).hex()
    return "0x" + "".join(c.upper() if int(mask[i], 16) >= 8 else c for i, c in enumerate(digits))


def _checked_base58(address: str, size: int) -> str:
    try:
        good = len(address) <= 128 and len(base58.b58decode(address)) == size
    except ValueError:
        good = False
    if not good:
        raise InvalidInput(
            "The address is not a base58 address of its chain.", fields={"address": [f"base58 of {size} bytes"]}
        )
    return address


def key_hint(api_key: str | None) -> str:
    """What may be shown of an exchange key: ``abcd…wxyz`` from 16 characters on, ``…`` for a shorter one."""
    if not api_key:
        return ""
    return f"{api_key[:4]}…{api_key[-4:]}" if len(api_key) >= 16 else "…"

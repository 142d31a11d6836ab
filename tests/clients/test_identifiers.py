from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clients.rules.identifiers import (
    account_identifier_from_name,
    address_key,
    check_account_identifier,
    check_wallet,
    checksummed,
    key_hint,
)
from ground.errors import InvalidInput

SOLANA = "7xKXtg2CW87d97TXJSDpbD5jBkheTqA83TZRuJosgAsU"
# The checksums of EIP-55's own examples.
EIP_55 = [
    "0x52908400098527886E0F7030069857D2E4169EE7",
    "0x8617E340B3D01FA5F11F306F4090FD50E238070D",
    "0xde709f2102306220921060314715629080e2fb77",
    "0x27b1fdb04752bbc536007a920d24acb045561c26",
    "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
    "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359",
    "0xdbF03B407c01E7cD3CBea99509d93f8DDDC8C6FB",
    "0xD1220A0cf47c7B9Be7A2E6BA89F429762e7b9aDb",
]


@pytest.mark.parametrize(
    ("name", "made"),
    [
        ("Sharp Foundation", "client_sharp_foundation"),
        ("  Lynk -- Labs, Inc. ", "client_lynk_labs_inc"),
        ("a", "client_a"),
        ("Ünïcode Çafé", "client_n_code_af"),
        ("__x__", "client_x"),
    ],
)
def test_makes_an_identifier_from_a_name(name: str, made: str) -> None:
    assert account_identifier_from_name(name) == made


@pytest.mark.parametrize(
    "text", ["ab", "a" * 64, "Client", "client sharp", "client-sharp", "", "client_é", "a\n", "admin"]
)
def test_refuses_what_is_no_identifier(text: str) -> None:
    with pytest.raises(InvalidInput):
        check_account_identifier(text)


@pytest.mark.parametrize("address", EIP_55)
def test_accepts_and_reproduces_the_checksum_of_eip_55(address: str) -> None:
    assert check_wallet("evm", address) == ("evm", address)
    assert checksummed(address.lower()) == address
    assert check_wallet("EVM", address.lower())[1] == address.lower()


@pytest.mark.parametrize(
    ("chain", "address"),
    [
        ("evm", "0x52908400098527886e0F7030069857D2E4169EE7"),  # one letter in the wrong case
        ("evm", "0x123"),
        ("evm", "52908400098527886E0F7030069857D2E4169EE7"),
        ("evm", SOLANA),
        ("solana", SOLANA[:-3]),
        ("solana", SOLANA.replace("7", "0", 1)),  # 0 is no base58 digit
        ("solana", EIP_55[0]),
        ("no such chain!", EIP_55[0]),
        ("tron", "short"),
    ],
)
def test_refuses_a_bad_address(chain: str, address: str) -> None:
    with pytest.raises(InvalidInput):
        check_wallet(chain, address)


def test_keeps_the_letter_case_of_base58_and_drops_that_of_evm() -> None:
    assert address_key(SOLANA) == SOLANA != address_key(SOLANA.lower())
    assert address_key(EIP_55[0]) == address_key(EIP_55[0].lower()) == address_key("0X" + EIP_55[0][2:])


@given(st.text(max_size=60))
def test_shows_at_most_eight_characters_of_a_key(key: str) -> None:
    hint = key_hint(key)
    assert len(hint) <= 9
    assert len(key) >= 16 or hint in ("", "…")

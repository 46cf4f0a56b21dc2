from __future__ import annotations

import pytest

from profiles.errors import ConfigError, EdgewrightError, MissingToolError, UnsupportedError
from profiles.gpu_choice import candidates, the_card
from profiles.nvml import Nvml

BUS = {"CUDA_DEVICE_ORDER": "PCI_BUS_ID"}
SECOND = "GPU-22222222-aaaa-bbbb-cccc-dddddddddddd"


@pytest.fixture
def two(nvml, new_card):
    nvml.cards.append(new_card("NVIDIA RTX A2000", SECOND))
    with Nvml(nvml) as opened:
        yield opened


@pytest.fixture
def one(nvml):
    with Nvml(nvml) as opened:
        yield opened


def visible(text: str) -> dict[str, str]:
    return {"CUDA_VISIBLE_DEVICES": text}


@pytest.mark.parametrize("environment", [{}, visible("0"), visible(" 0 , 1"), visible("GPU-1111"), BUS])
def test_one_card_is_the_card(one: Nvml, environment: dict[str, str]) -> None:
    assert the_card(one, environment) == 0


@pytest.mark.parametrize(
    ("environment", "card"),
    [
        (visible(SECOND), 1),
        (visible("GPU-22"), 1),
        (visible(f"{SECOND},GPU-1111"), 1),
        (visible("GPU-11111111"), 0),
        (BUS | visible("1"), 1),
        (BUS | visible("1,0"), 1),
        (BUS, 0),
    ],
)
def test_several_cards_need_a_uuid_or_the_order_of_the_bus(two: Nvml, environment: dict[str, str], card: int) -> None:
    assert the_card(two, environment) == card


@pytest.mark.parametrize("environment", [{}, visible("0"), visible("1"), {"CUDA_DEVICE_ORDER": "FASTEST_FIRST"}])
def test_numbers_that_cuda_counts_fastest_first_name_no_card(two: Nvml, environment: dict[str, str]) -> None:
    assert candidates(two, environment) == [0, 1]
    with pytest.raises(ConfigError) as caught:
        the_card(two, environment)
    assert "CUDA_DEVICE_ORDER=PCI_BUS_ID" in caught.value.next_step
    assert "UUID" in caught.value.next_step


@pytest.mark.parametrize(
    ("text", "kind", "says"),
    [
        ("", MissingToolError, "hides every one"),
        ("-1", MissingToolError, "hides every one"),
        ("MIG-0a1b2c3d/7/0", UnsupportedError, "MIG slice"),
        ("GPU-9", ConfigError, "no cards whose UUID"),
        ("GPU-", ConfigError, "2 cards whose UUID"),
        ("7", ConfigError, "0 to 1"),
        ("first", ConfigError, "'first'"),
    ],
)
def test_what_names_no_card_says_why(two: Nvml, text: str, kind: type[EdgewrightError], says: str) -> None:
    with pytest.raises(kind, match=says) as caught:
        the_card(two, BUS | visible(text))
    assert caught.value.next_step


def test_a_card_in_mig_mode_is_refused(one: Nvml, nvml) -> None:
    nvml.card.mig = 0
    assert the_card(one, {}) == 0
    nvml.card.mig = 1
    with pytest.raises(UnsupportedError, match="MIG mode"):
        the_card(one, {})


def test_no_card_at_all(one: Nvml, nvml) -> None:
    nvml.cards.clear()
    with pytest.raises(MissingToolError, match="nvidia-smi -L"):
        candidates(one, {})

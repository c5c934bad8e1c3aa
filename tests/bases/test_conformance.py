"""Every registered basis obeys the contract, ours and a stranger's alike."""

from kanzoo.testing import parametrize_with_basis_checks

test_contract = parametrize_with_basis_checks()

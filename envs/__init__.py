"""The environments and the contract that they keep."""
